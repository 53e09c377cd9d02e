"""Keeps what wearers use: looks at their trees once a minute, and puts each one's day into the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
import trio

from actors import usage
from actors.document_ports import DocumentChange, KeepNewest, PutDocument
from actors.ports import StorageError, Store, Telemetry
from actors.usage import COLLECTION, Usage
from protocols import timestamps
from runtime import ActorSystem

_LOOK_S: Final = 60.0
_MOST_A_COMMIT: Final = 50


class UsageKeeper:
    """A service (`run`).

    Args:
      users: path of the supervisor of the users' subtrees.
      keep_days: of each user; older ones go with the first look of a new day.
    """

    def __init__(
        self, system: ActorSystem, store: Store, telemetry: Telemetry, *, users: str, keep_days: int
    ) -> None:
        self._system = system
        self._store = store
        self._telemetry = telemetry
        self._users = users
        self._keep_days = keep_days
        self._days: dict[str, Usage] = {}
        self._is_failing = False

    async def run(self) -> None:
        """Look until cancelled."""
        at = self._system.clock.now()
        while True:
            await trio.sleep(_LOOK_S)
            now = self._system.clock.now()
            await self._look(now - at)
            at = now

    async def _look(self, elapsed_s: float) -> None:
        system = self._system
        day = timestamps.iso(system.clock.wall())[:10]
        users = system.find(self._users)
        found: dict[str, usage.Seen] = {}
        for ref in () if users is None else system.children(users):
            look = usage.seen(system.tree(ref).walk())
            if look is not None:
                name = ref.path.rpartition("/")[2]
                found[name.replace("%2F", "/").replace("%25", "%")] = look
            await trio.lowlevel.checkpoint()
        # Who is not here any more comes back to what the store has.
        self._days = {user: known for user, known in self._days.items() if user in found}
        try:
            changes: list[DocumentChange] = []
            for user, look in found.items():
                changes += await self._add(user, day, look, elapsed_s)
                if len(changes) >= _MOST_A_COMMIT:
                    await self._store.commit(changes)
                    changes = []
            if changes:
                await self._store.commit(changes)
        except StorageError as error:
            if not self._is_failing:
                self._telemetry.warning("usage_not_stored", cause=str(error))
            self._is_failing = True
        else:
            self._is_failing = False

    async def _add(self, user: str, day: str, look: usage.Seen, elapsed_s: float) -> Iterable[DocumentChange]:
        known = self._days.get(user)
        is_first = known is None or known.day != day
        if known is None or known.day != day:
            known = await self._stored(user, day)
        changed = self._days[user] = usage.added(known, look, elapsed_s)
        put = PutDocument(
            collection=COLLECTION,
            key=usage.key_of(user, day),
            user_id=user,
            document=msgspec.json.encode(changed),
            updated_at_ms=round(self._system.clock.wall() * 1000),
        )
        return (put, KeepNewest(COLLECTION, user, self._keep_days)) if is_first else (put,)

    async def _stored(self, user: str, day: str) -> Usage:
        """What the day has so far: from before they came back, or of the server before this one."""
        found = await self._store.find_document(COLLECTION, usage.key_of(user, day))
        if found is None:
            return Usage(day=day)
        try:
            return msgspec.json.decode(found.document, type=Usage)
        except msgspec.DecodeError as error:
            self._telemetry.warning("usage_unreadable", user=user, cause=str(error))
            return Usage(day=day)
