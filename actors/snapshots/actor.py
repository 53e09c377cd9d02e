"""Writes sessions behind their backs: reads the committed states of their actors, stores what has changed.

A session pays nothing for it. In rounds of `period_s` each session is looked at once, a slice of them at a
time, so that the loop is never held for more than about a millisecond: states are frozen values, so one that
is still the same object needs no second look. What has changed waits for the store, the newest of each user
only, and one write is under way at a time. While storage is not well all of it waits, and sessions go on.

At the start it asks who left a snapshot, so that an app that dials can be told from one that nobody knows.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from runtime import Actor, Ref, ReplyTo, RestartInfo

from ..apps.lifecycle import LifecycleState
from ..display.arbitration import DisplayState
from ..ports import SnapshotToSave, StorageError, Store, Telemetry, retry_after_s
from ..session.state import SessionState
from . import snapshot as snapshots
from .messages import (
    Claimed,
    FindSnapshot,
    Flush,
    FlushTick,
    ForgetUser,
    Forgotten,
    JobFailed,
    KeepUser,
    ListAgain,
    Listed,
    LookTick,
    NobodyCame,
    NotListed,
    Saved,
    SnapshotGone,
    SnapshotsMessage,
    TryAgain,
)
from .settings import SnapshotSettings
from .snapshot import SessionSnapshot

SLICES = 20
"""A round is so many slices: 1,000 sessions are looked at fifty at a time."""

SLICE_S = 0.001
"""A slice ends after so long; what is left of it is done in the next."""

BATCH = 256
"""Snapshots of one transaction at most: others wait for the file meanwhile."""


class Kept(msgspec.Struct, frozen=True):
    """A session whose snapshots are written."""

    epoch: int | None
    session: Ref[Any]
    display: Ref[Any]


class Forget(msgspec.Struct, frozen=True):
    """A snapshot that is to go. Without an epoch the user is claimed first."""

    user_id: str
    epoch: int | None
    reply_to: ReplyTo[None] | None = None


class SnapshotsState(msgspec.Struct, frozen=True):
    """What a crash does not lose; what is to be written is found again by looking.

    Attributes:
      kept: by user id.
      unclaimed: those of them that have no epoch yet.
      left: epochs of users whose snapshot nobody has come for; None until the store has said who they are.
      nobody_at: when they are no longer waited for.
      forgets: what is to be removed, in order.
      flushes: who waits for everything to be written.
      is_well: the store took what it was last given.
    """

    kept: Mapping[str, Kept] = {}
    unclaimed: tuple[str, ...] = ()
    left: Mapping[str, int] | None = None
    nobody_at: float = 0.0
    forgets: tuple[Forget, ...] = ()
    flushes: tuple[ReplyTo[bool], ...] = ()
    is_well: bool = True


class Looked:
    """What was seen of one user when it was last looked at: states, to be compared by identity.

    Attributes:
      apps: each app's actor and lifecycle.
      body: what was made of it.
      again_at: when it is written again though nothing has changed.
    """

    __slots__ = ("again_at", "apps", "body", "session", "shown")

    def __init__(self, session: SessionState, shown: DisplayState) -> None:
        self.session = session
        self.shown = shown
        self.apps: list[tuple[Ref[Any], LifecycleState]] = []
        self.body = b""
        self.again_at = math.inf

    def is_still(
        self, session: SessionState, shown: DisplayState, state_of: Callable[[Ref[Any]], Any]
    ) -> bool:
        """Whether nothing is any different. An app that has ended has changed the session, too."""
        if session is not self.session and not _is_alike(session, self.session):
            return False
        if shown is not self.shown:
            return False
        for ref, machine in self.apps:
            app = state_of(ref)
            if app is None or app.lifecycle is not machine:
                return False
        self.session = session
        return True


class Snapshots(Actor[SnapshotsMessage]):
    """One for the server."""

    mailbox_size = 16_384
    transient = ("is_busy", "is_paused", "looked", "round_began", "round_left", "waiting", "writing")

    def __init__(
        self, *, store: Store, telemetry: Telemetry, settings: SnapshotSettings, phone_grace_s: float
    ) -> None:
        self.store = store
        self.telemetry = telemetry
        self.settings = settings
        self.phone_grace_s = phone_grace_s
        self.state = SnapshotsState()
        self.looked: dict[str, Looked] = {}
        self.waiting: dict[str, bytes] = {}
        self.writing: tuple[SnapshotToSave, ...] = ()
        self.round_left: deque[str] = deque()
        self.round_began = -math.inf
        self.is_busy = False
        self.is_paused = False

    def started(self, restart: RestartInfo | None) -> None:
        if self.state.left is None:
            self._list()
        elif self.state.left:
            self._await_owners()
        if self.state.kept:
            self.set_timer("look", 0.0, LookTick())
        self._work()

    def receive(self, message: SnapshotsMessage) -> None:
        match message:
            case LookTick():
                self._look()
            case KeepUser():
                self._keep(message)
            case ForgetUser(user_id, reply_to):
                self._forget(user_id, reply_to)
            case FindSnapshot(user_id, reply_to):
                if self.state.left is None:
                    reply_to.fail(StorageError("it is not known yet who left a snapshot"))
                else:
                    reply_to.tell(user_id in self.state.left)
            case SnapshotGone(user_id):
                self._came(user_id)
            case Flush(reply_to):
                self.state = replace(self.state, flushes=(*self.state.flushes, reply_to))
                self.round_left = deque(self.state.kept)
                self.is_paused = False  # there may be no later
                self._flush()
            case FlushTick():
                self._flush()
            case Listed(owners):
                self._listed(owners)
            case NotListed(error):
                self.telemetry.error("snapshots_not_listed", cause=str(error))
                self.set_timer("list", retry_after_s(error), ListAgain())
            case ListAgain():
                self._list()
            case NobodyCame():
                self._nobody_came()
            case Claimed(epochs):
                self._claimed(epochs)
            case Saved(stale):
                self._saved(stale)
            case Forgotten():
                self._forgotten()
            case JobFailed(error):
                self._failed(error)
            case TryAgain():
                self.is_paused = False
                self._work()

    # -- who has a snapshot -------------------------------------------------------------------------------

    def _list(self) -> None:
        self.start(self.store.list_snapshots, then=Listed, failed=NotListed, name="list snapshots")

    def _listed(self, owners: Mapping[str, int]) -> None:
        left = {user_id: epoch for user_id, epoch in owners.items() if user_id not in self.state.kept}
        self.state = replace(self.state, left=left, nobody_at=self.now + self.phone_grace_s)
        if left:
            self.telemetry.info("snapshots_found", count=len(left))
            self._await_owners()

    def _await_owners(self) -> None:
        self.set_timer("nobody", max(0.0, self.state.nobody_at - self.now), NobodyCame())

    def _nobody_came(self) -> None:
        """A wearer who has been away for the whole grace has no session any more."""
        left = self.state.left or {}
        forgets = tuple(Forget(user_id, epoch) for user_id, epoch in left.items())
        self.state = replace(self.state, left={}, forgets=(*self.state.forgets, *forgets))
        self._work()

    def _came(self, user_id: str) -> None:
        left = self.state.left
        if left is not None and user_id in left:
            rest = {other: epoch for other, epoch in left.items() if other != user_id}
            self.state = replace(self.state, left=rest)

    # -- whose snapshots are written ----------------------------------------------------------------------

    def _keep(self, message: KeepUser) -> None:
        self._came(message.user_id)
        kept = Kept(message.epoch, message.session, message.display)
        if not self.state.kept:
            self.set_timer("look", self.settings.period_s, LookTick())
        self.state = replace(self.state, kept={**self.state.kept, message.user_id: kept})
        if message.epoch is None:
            self.state = replace(self.state, unclaimed=(*self.state.unclaimed, message.user_id))
        self.looked.pop(message.user_id, None)
        self._work()

    def _forget(self, user_id: str, reply_to: ReplyTo[None]) -> None:
        kept = self.state.kept.get(user_id)
        epoch = None if kept is None else kept.epoch
        self._drop(user_id)
        forget = Forget(user_id, epoch, reply_to)
        self.state = replace(self.state, forgets=(*self.state.forgets, forget))
        self._work()

    def _drop(self, user_id: str) -> None:
        self.looked.pop(user_id, None)
        self.waiting.pop(user_id, None)
        rest = {other: kept for other, kept in self.state.kept.items() if other != user_id}
        unclaimed = tuple(other for other in self.state.unclaimed if other != user_id)
        self.state = replace(self.state, kept=rest, unclaimed=unclaimed)

    # -- looking ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look at the next sessions of the round, and wait for the next slice or the next round."""
        if not self.state.kept:
            return
        if not self.round_left and self.now >= self.round_began + self.settings.period_s:
            self.round_left = deque(self.state.kept)
            self.round_began = self.now
        self._look_at_some(math.ceil(len(self.state.kept) / SLICES))
        slice_s = self.settings.period_s / SLICES
        wait_s = slice_s if self.round_left else self.round_began + self.settings.period_s - self.now
        self.set_timer("look", max(slice_s, wait_s), LookTick())
        self._work()

    def _look_at_some(self, most: int) -> None:
        until = self.now + SLICE_S
        while self.round_left and most > 0:
            user_id = self.round_left.popleft()
            kept = self.state.kept.get(user_id)
            if kept is not None:
                self._look_at(user_id, kept)
            most -= 1
            if self.now >= until:
                return

    def _look_at(self, user_id: str, kept: Kept) -> None:
        session: SessionState | None = self.system.state_of(kept.session)
        shown: DisplayState | None = self.system.state_of(kept.display)
        # A list that is being stored is not the truth yet, and a session that ends leaves nothing.
        if session is None or shown is None or session.saving or session.is_ending or not session.incarnation:
            return
        known = self.looked.get(user_id)
        is_due = known is None or self.now >= known.again_at
        if known is not None and not is_due and known.is_still(session, shown, self.system.state_of):
            return
        looked = Looked(session, shown)
        lifecycles = {}
        for package_name, entry in session.apps.items():
            app = self.system.state_of(entry.ref)
            if app is not None:
                lifecycles[package_name] = app.lifecycle
                looked.apps.append((entry.ref, app.lifecycle))
        self.looked[user_id] = looked
        captured = snapshots.capture(session, shown, lifecycles)
        try:
            looked.body = self._encoded(captured)
        except (ValueError, OverflowError, TypeError) as error:
            self.telemetry.warning("snapshot_not_encodable", user=user_id, cause=str(error))
            return
        if known is None or is_due or looked.body != known.body:
            self.waiting[user_id] = snapshots.stored(looked.body, self.now)
            looked.again_at = snapshots.again_at(captured, self.now)
        else:
            looked.again_at = known.again_at

    def _encoded(self, captured: SessionSnapshot) -> bytes:
        body = snapshots.encode(captured)
        if len(body) > self.settings.largest_bytes:
            self.telemetry.count("snapshot_without_display")
            body = snapshots.encode(replace(captured, display=DisplayState()))
        return body

    def _flush(self) -> None:
        """Look at everybody, in slices, then have all of it written."""
        self._look_at_some(len(self.state.kept))
        if self.round_left:
            self.ref.tell(FlushTick())
        self._work()
        self._answer_flushes()

    def _answer_flushes(self) -> None:
        if not self.state.flushes:
            return
        is_done = not self.round_left and not self.waiting and not self.is_busy
        if is_done or not self.state.is_well:
            for reply_to in self.state.flushes:
                reply_to.tell(is_done)
            self.state = replace(self.state, flushes=())

    # -- the store, one thing at a time -------------------------------------------------------------------

    def _work(self) -> None:
        """Begin what is next, unless something is under way, or storage has asked for time."""
        if self.is_busy or self.is_paused:
            return
        if self.state.forgets:
            self._begin(self._remove, self.state.forgets[0], then=lambda _: Forgotten())
        elif self.state.unclaimed:
            self._begin(self._claim, self.state.unclaimed[:BATCH], then=Claimed)
        elif self.waiting:
            batch = dict(islice(self.waiting.items(), BATCH))
            self.writing = tuple(
                SnapshotToSave(user_id, kept.epoch, form)
                for user_id, form in batch.items()
                if (kept := self.state.kept.get(user_id)) is not None and kept.epoch is not None
            )
            for user_id in batch:
                del self.waiting[user_id]
            self._begin(self.store.save_snapshots, self.writing, then=Saved)

    def _begin(
        self, job: Callable[..., Awaitable[Any]], argument: object, *, then: Callable[[Any], SnapshotsMessage]
    ) -> None:
        self.is_busy = True
        self.start(job, argument, then=then, failed=JobFailed, name="snapshots")

    async def _remove(self, forget: Forget) -> None:
        epoch = forget.epoch
        if epoch is None:
            epoch = (await self.store.claim_user(forget.user_id)).epoch
        await self.store.forget_snapshot(forget.user_id, epoch)

    async def _claim(self, user_ids: tuple[str, ...]) -> dict[str, int]:
        return {user_id: (await self.store.claim_user(user_id)).epoch for user_id in user_ids}

    def _forgotten(self) -> None:
        forget = self.state.forgets[0]
        self.state = replace(self.state, forgets=self.state.forgets[1:])
        if forget.reply_to is not None:
            forget.reply_to.tell(None)
        self._done()

    def _claimed(self, epochs: Mapping[str, int]) -> None:
        kept = {
            user_id: replace(one, epoch=epochs.get(user_id)) if one.epoch is None else one
            for user_id, one in self.state.kept.items()
        }
        unclaimed = tuple(user_id for user_id, one in kept.items() if one.epoch is None)
        self.state = replace(self.state, kept=kept, unclaimed=unclaimed)
        self._done()

    def _saved(self, stale: tuple[str, ...]) -> None:
        written = {one.user_id: one.epoch for one in self.writing}
        self.writing = ()
        for user_id in stale:
            kept = self.state.kept.get(user_id)
            # A user who came anew meanwhile has another epoch, and is ours.
            if kept is not None and kept.epoch == written[user_id]:
                self.telemetry.error("snapshot_stale", user=user_id, epoch=kept.epoch)
                self._drop(user_id)
        self._done()

    def _failed(self, error: Exception) -> None:
        """Storage is not well: what was to be written waits, unless something newer does."""
        self.is_busy = False
        self.is_paused = True
        for one in self.writing:
            if one.user_id in self.state.kept:
                self.waiting.setdefault(one.user_id, one.body)
        self.writing = ()
        if self.state.is_well:
            self.telemetry.error("snapshots_not_written", cause=str(error))
        forgets = self.state.forgets
        for forget in forgets[:1]:
            if forget.reply_to is not None:
                forget.reply_to.fail(error)
        self.state = replace(self.state, is_well=False, forgets=forgets[1:])
        self.set_timer("again", retry_after_s(error), TryAgain())
        self._answer_flushes()

    def _done(self) -> None:
        self.is_busy = False
        if not self.state.is_well:
            self.telemetry.info("snapshots_written_again")
            self.state = replace(self.state, is_well=True)
        self._work()
        self._answer_flushes()


def _is_alike(session: SessionState, other: SessionState) -> bool:
    """Whether they differ only in what no snapshot keeps: its microphone is repeated every ten seconds."""
    return (
        session.phone is other.phone
        and session.grace_ends_at is other.grace_ends_at
        and session.to_boot is other.to_boot
        and session.apps is other.apps
        and session.microphone.target is other.microphone.target
        and session.microphone.off_at is other.microphone.off_at
        and session.glasses is other.glasses
    )
