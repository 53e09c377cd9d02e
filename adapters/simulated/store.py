"""The store's twin: documents in memory, with delays and failures drawn from a seed.

A commit waits, applies everything at once, waits again and returns. So a caller that is cancelled or killed
in between meets both cases a real disk has: not applied, and applied though nobody heard of it. The documents
live outside the store: a scenario that kills the process opens another `SimulatedStore` over the same ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import trio

from actors.document_ports import KeepNewest, PutDocument, RemoveDocument, StoredDocument
from actors.ports import (
    AppDocument,
    Change,
    Claim,
    KeptTranscript,
    PutApp,
    PutUser,
    RemoveApp,
    SetRunningApps,
    SnapshotToSave,
    StorageError,
    UserDocument,
)

_APP_DECODER: Final = msgspec.json.Decoder(AppDocument)


class SimulatedDocuments:
    """What lies on the simulated disk."""

    def __init__(self) -> None:
        self.apps: dict[str, AppDocument] = {}
        self.users: dict[str, UserDocument] = {}
        self.owners: dict[str, Claim] = {}
        self.transcripts: dict[tuple[str, str], KeptTranscript] = {}
        self.documents: dict[tuple[str, str], PutDocument] = {}

    def newest(self, collection: str, user_id: str | None) -> list[PutDocument]:
        """A collection's documents, the newest first; of everybody where `user_id` is None."""
        found = [
            one
            for one in self.documents.values()
            if one.collection == collection and user_id in (None, one.user_id)
        ]
        return sorted(found, key=lambda one: (-one.updated_at_ms, one.key))


class StoreFaults(msgspec.Struct, frozen=True, kw_only=True):
    """How badly the store behaves.

    Attributes:
      failure_rate: 0 to 1; the share of calls that raise StorageError without an effect.
      max_delay_s: each wait is drawn evenly from 0 to this.
      retry_after_s: what the errors say.
    """

    failure_rate: float = 0.0
    max_delay_s: float = 0.0
    retry_after_s: float = 1.0


class SimulatedStore:
    """`actors.ports.Store` in memory.

    Attributes:
      faults: may be replaced at any time.
      outage: while it is a text, every call fails with it, as on a full disk.
      commits: how many commits were applied.
      saves: how many snapshots were written.
    """

    def __init__(
        self,
        chance: random.Random,
        *,
        documents: SimulatedDocuments | None = None,
        faults: StoreFaults | None = None,
    ) -> None:
        self.faults = faults or StoreFaults()
        self.outage: str | None = None
        self.commits = 0
        self.saves = 0
        self._chance = chance
        self._documents = documents or SimulatedDocuments()
        self._is_closed = False

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes in order, or none.

        Cancellation: in the first of its two waits nothing is applied, in the second everything is.
        """
        self._refuse_if_closed()
        checked = tuple(_storable(change) for change in changes)
        await self._wait()
        self._fail_perhaps()
        for change in checked:
            _apply(self._documents, change)
        self.commits += 1
        await self._wait()

    async def find_app(self, package_name: str) -> AppDocument | None:
        """The app, or None when the catalogue does not have it."""
        await self._begin_read()
        return self._documents.apps.get(package_name)

    async def list_apps(self) -> tuple[AppDocument, ...]:
        """All apps, ordered by package name."""
        await self._begin_read()
        return tuple(app for _, app in sorted(self._documents.apps.items()))

    async def find_user(self, user_id: str) -> UserDocument | None:
        """The user, or None."""
        await self._begin_read()
        return self._documents.users.get(user_id)

    async def find_document(self, collection: str, key: str) -> StoredDocument | None:
        """The document, or None."""
        await self._begin_read()
        found = self._documents.documents.get((collection, key))
        return None if found is None else _stored(found)

    async def list_documents(
        self, collection: str, user_id: str | None, limit: int, *, only_unfinished: bool = False
    ) -> tuple[StoredDocument, ...]:
        """The newest first; of everybody where `user_id` is None."""
        await self._begin_read()
        newest = self._documents.newest(collection, user_id)
        return tuple(_stored(one) for one in newest if one.is_unfinished or not only_unfinished)[:limit]

    async def list_unfinished_users(self, collections: Sequence[str]) -> tuple[str, ...]:
        """Who has an unfinished document in one of these."""
        await self._begin_read()
        every = self._documents.documents.values()
        found = {one.user_id for one in every if one.is_unfinished and one.collection in collections}
        return tuple(sorted(found))

    async def claim_user(self, user_id: str) -> Claim:
        """Become the user's owner. Cancellation: as `commit`."""
        _storable(RemoveApp(user_id))
        await self._begin_read()
        before = self._documents.owners.get(user_id, Claim(0))
        claim = Claim(before.epoch + 1, before.snapshot)
        self._documents.owners[user_id] = claim
        await self._wait()
        return claim

    async def save_snapshots(self, snapshots: Sequence[SnapshotToSave]) -> tuple[str, ...]:
        """Replace snapshots; returns whose owner is another one. Cancellation: as `commit`."""
        await self._begin_read()
        self._refuse_if_closed()  # it died meanwhile
        stale = []
        for one in snapshots:
            if self._is_owned(one.user_id, one.epoch):
                self._documents.owners[one.user_id] = Claim(one.epoch, one.body)
                self.saves += 1
            else:
                stale.append(one.user_id)
        await self._wait()
        return tuple(stale)

    async def forget_snapshot(self, user_id: str, epoch: int) -> None:
        """Remove the user's snapshot and transcripts, if the owner is that of `epoch`.

        Cancellation: as `commit`.
        """
        await self._begin_read()
        if self._is_owned(user_id, epoch):
            self._documents.owners[user_id] = Claim(epoch)
            self._remove_transcripts(lambda one: one.user_id == user_id)
        await self._wait()

    async def keep_transcripts(self, kept: Sequence[KeptTranscript], before_ms: int) -> None:
        """Put these, remove everybody's older ones. Cancellation: as `commit`."""
        for one in kept:
            _storable(RemoveApp(one.user_id + one.result_id))
        await self._begin_read()
        self._refuse_if_closed()  # it died meanwhile
        for one in kept:
            self._documents.transcripts[one.user_id, one.result_id] = one
        self._remove_transcripts(lambda one: one.at_ms < before_ms)
        await self._wait()

    async def find_transcripts(self, user_id: str) -> tuple[bytes, ...]:
        """The bodies of the user's, the oldest first."""
        await self._begin_read()
        found = [one for one in self._documents.transcripts.values() if one.user_id == user_id]
        return tuple(one.body for one in sorted(found, key=lambda one: (one.at_ms, one.result_id)))

    async def forget_transcripts(self, user_id: str) -> None:
        """Remove all of the user's. Cancellation: as `commit`."""
        _storable(RemoveApp(user_id))
        await self._begin_read()
        self._refuse_if_closed()
        self._remove_transcripts(lambda one: one.user_id == user_id)
        await self._wait()

    def _remove_transcripts(self, is_gone: Callable[[KeptTranscript], bool]) -> None:
        rest = {key: one for key, one in self._documents.transcripts.items() if not is_gone(one)}
        self._documents.transcripts = rest

    async def list_snapshots(self) -> Mapping[str, int]:
        """The epoch of every user who has a snapshot."""
        await self._begin_read()
        owners = self._documents.owners.items()
        return {user_id: claim.epoch for user_id, claim in owners if claim.snapshot is not None}

    def _is_owned(self, user_id: str, epoch: int) -> bool:
        claim = self._documents.owners.get(user_id)
        return claim is not None and claim.epoch == epoch

    async def aclose(self) -> None:
        """Calls after it raise StorageError."""
        self._is_closed = True

    async def _begin_read(self) -> None:
        self._refuse_if_closed()
        await self._wait()
        self._fail_perhaps()

    async def _wait(self) -> None:
        await trio.sleep(self._chance.uniform(0.0, self.faults.max_delay_s))

    def _fail_perhaps(self) -> None:
        if self.outage is not None:
            raise StorageError(self.outage, retry_after_s=self.faults.retry_after_s)
        if self._chance.random() < self.faults.failure_rate:
            raise StorageError(
                "the simulated store failed by chance", retry_after_s=self.faults.retry_after_s
            )

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StorageError("the store is closed")


def _storable(change: Change) -> Change:
    try:
        if isinstance(change, PutApp):
            return PutApp(_APP_DECODER.decode(msgspec.json.encode(change.app)))
        if isinstance(change, PutUser):
            change.created_at_ms.to_bytes(8, signed=True)  # a database's integers have 64 bits
        if isinstance(change, PutDocument):
            change.updated_at_ms.to_bytes(8, signed=True)
            change.document.decode()
            msgspec.json.decode(change.document, type=msgspec.Raw)
        msgspec.json.encode(change)
    except (msgspec.MsgspecError, UnicodeError, OverflowError) as error:
        raise StorageError(f"a change cannot be stored: {error}", retry_after_s=60.0) from error
    return change


def _apply(documents: SimulatedDocuments, change: Change) -> None:
    if isinstance(change, PutApp):
        documents.apps[change.app.package_name] = change.app
    elif isinstance(change, RemoveApp):
        documents.apps.pop(change.package_name, None)
    elif isinstance(change, PutUser):
        documents.users.setdefault(
            change.user_id, UserDocument(user_id=change.user_id, created_at_ms=change.created_at_ms)
        )
    elif isinstance(change, PutDocument):
        documents.documents[change.collection, change.key] = change
    elif isinstance(change, RemoveDocument):
        documents.documents.pop((change.collection, change.key), None)
    elif isinstance(change, KeepNewest):
        newest = documents.newest(change.collection, change.user_id)
        for one in [one for one in newest if not one.is_unfinished][change.count :]:
            del documents.documents[one.collection, one.key]
    else:
        assert isinstance(change, SetRunningApps), change
        known = documents.users.get(change.user_id)
        documents.users[change.user_id] = UserDocument(
            user_id=change.user_id,
            created_at_ms=0 if known is None else known.created_at_ms,
            running_apps=change.running_apps,
        )


def _stored(change: PutDocument) -> StoredDocument:
    return StoredDocument(change.key, change.user_id, change.document)
