"""The roster: who has a session, made on demand, ended in order.

Everybody who needs a user's session asks here. Before a user's subtree is made the store is asked what it
knows: the user becomes ours (an epoch that no earlier process has), and a snapshot that the process before
left brings the session back as it was. A store that does not answer keeps no phone waiting: it gets a session
from memory.

A session that is just ending is not handed out: the question waits until its subtree and its snapshot are
gone and a new one stands, so a phone that dials in that moment never meets a dying session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from runtime import Actor, ChildSpec, Ref, ReplyTo, RestartInfo, TaskHandle, Terminated

from ..session.beginning import Beginning
from ..session.state import SessionState
from ..snapshots.loading import Loaded, load
from ..snapshots.messages import KeepUser, SnapshotGone, forget_user
from ..snapshots.resumption import begun, resumed

if TYPE_CHECKING:
    from runtime import SupervisorMessage

    from ..display.messages import DisplayMessage
    from ..domain import Domain
    from ..session.messages import SessionMessage
    from .tree import UserTree


class EnsureUser(msgspec.Struct, frozen=True):
    """Answer with the user's session, made if need be."""

    user_id: str
    reply_to: ReplyTo[Ref[SessionMessage]]


class ResumeUser(msgspec.Struct, frozen=True):
    """Answer with the user's session, made if the process before left a snapshot of it; None if it did not.

    Fails with StorageError when that cannot be told.
    """

    user_id: str
    reply_to: ReplyTo[Ref[SessionMessage] | None]


class AdoptUser(msgspec.Struct, frozen=True):
    """Make the session of a user that another process has handed over; answer with it once it is up.

    The user is claimed behind it: the process that hands over has let go of everybody before it says so.
    """

    user_id: str
    beginning: Beginning
    reply_to: ReplyTo[Ref[SessionMessage]]


class FindUser(msgspec.Struct, frozen=True):
    """Answer with the user's session, or None."""

    user_id: str
    reply_to: ReplyTo[Ref[SessionMessage] | None]


def ensure_user(user_id: str) -> Callable[[ReplyTo[Ref[SessionMessage]]], EnsureUser]:
    """What an ask for a user's session, made if need be, is made with."""
    return lambda reply_to: EnsureUser(user_id, reply_to)


def resume_user(user_id: str) -> Callable[[ReplyTo[Ref[SessionMessage] | None]], ResumeUser]:
    """What an ask for a user's session, brought back if need be, is made with."""
    return lambda reply_to: ResumeUser(user_id, reply_to)


def adopt_user(user_id: str, beginning: Beginning) -> Callable[[ReplyTo[Ref[SessionMessage]]], AdoptUser]:
    """What an ask to take over a user's session is made with."""
    return lambda reply_to: AdoptUser(user_id, beginning, reply_to)


def find_user(user_id: str) -> Callable[[ReplyTo[Ref[SessionMessage] | None]], FindUser]:
    """What an ask for a user's session, if there is one, is made with."""
    return lambda reply_to: FindUser(user_id, reply_to)


class UserReady(msgspec.Struct, frozen=True):
    """From a session that has started."""

    user_id: str
    session: Ref[SessionMessage]
    display: Ref[DisplayMessage]


class EndUser(msgspec.Struct, frozen=True):
    """From a session that nobody needs any more: stop its subtree."""

    user_id: str


class UserRead(msgspec.Struct, frozen=True):
    """What the store knows of a user."""

    user_id: str
    loaded: Loaded


class UserNotRead(msgspec.Struct, frozen=True):
    """The store could not say what it knows of a user."""

    user_id: str
    error: Exception


class ReadOverdue(msgspec.Struct, frozen=True):
    """A phone has waited long enough for the store."""

    user_id: str


class UserForgotten(msgspec.Struct, frozen=True):
    """The snapshot of a session that has ended is gone; or it could not be removed, for `error`."""

    user_id: str
    error: Exception | None = None


RosterMessage = (
    EnsureUser
    | ResumeUser
    | AdoptUser
    | FindUser
    | UserReady
    | EndUser
    | UserRead
    | UserNotRead
    | ReadOverdue
    | UserForgotten
    | Terminated
)


class Entry(msgspec.Struct, frozen=True):
    """One user.

    Attributes:
      tree: the subtree; None before it is made, and after its end while the snapshot is being removed.
      session, display: its actors, once they are up.
      reading: the task that asks the store, while it does.
      epoch: of our claim, once it is known.
      is_ending: the session is over; whoever comes now waits for the next one.
      is_over: the stored snapshot is of a session that has ended and could not be removed.
      waiting: who needs a session.
      hoping: who needs one only if there is something to bring back.
    """

    tree: Ref[SupervisorMessage] | None = None
    session: Ref[SessionMessage] | None = None
    display: Ref[DisplayMessage] | None = None
    reading: TaskHandle | None = None
    epoch: int | None = None
    is_ending: bool = False
    is_over: bool = False
    waiting: tuple[ReplyTo[Ref[SessionMessage]], ...] = ()
    hoping: tuple[ReplyTo[Ref[SessionMessage] | None], ...] = ()


class Roster(Actor[RosterMessage]):
    """Its state, user id to entry, survives its crashes."""

    mailbox_size = 16_384

    def __init__(
        self,
        *,
        users: Ref[SupervisorMessage],
        domain: Domain,
        make_tree: Callable[[str, Beginning], Callable[[], UserTree]],
    ) -> None:
        self.users = users
        self.domain = domain
        self.make_tree = make_tree
        self.telemetry = domain.ports.telemetry
        self.settings = domain.settings.snapshots
        self.state: Mapping[str, Entry] = {}

    def started(self, restart: RestartInfo | None) -> None:
        for user_id, entry in self.state.items():
            if entry.tree is not None:
                self.watch(entry.tree)  # its end may be what the crash lost
                if entry.session is None:
                    self._look_for(user_id, entry.tree)
            if entry.reading is not None:
                self.set_timer(f"read {user_id}", self.settings.claim_s, ReadOverdue(user_id))
                self._read(user_id, entry)
            elif entry.is_ending and entry.tree is None:
                self._forget(user_id)

    def receive(self, message: RosterMessage) -> None:
        match message:
            case EnsureUser(user_id, reply_to):
                self._ensure(user_id, reply_to)
            case ResumeUser(user_id, reply_to):
                self._resume(user_id, reply_to)
            case AdoptUser(user_id, beginning, reply_to):
                assert user_id not in self.state, f"{user_id} has a session here"
                self._make(user_id, Entry(waiting=(reply_to,)), beginning)
            case FindUser(user_id, reply_to):
                entry = self.state.get(user_id)
                reply_to.tell(entry.session if entry is not None and not entry.is_ending else None)
            case UserReady():
                self._ready(message)
            case EndUser(user_id):
                entry = self.state.get(user_id)
                if entry is not None and entry.tree is not None and not entry.is_ending:
                    self._put(user_id, replace(entry, is_ending=True))
                    self.stop_child(entry.tree)
            case UserRead(user_id, loaded):
                self._was_read(user_id, loaded)
            case UserNotRead(user_id, error):
                self._was_not_read(user_id, error)
            case ReadOverdue(user_id):
                entry = self.state.get(user_id)
                if entry is not None and entry.reading is not None and entry.tree is None and entry.waiting:
                    self.telemetry.warning("user_read_overdue", user=user_id)
                    self._make(user_id, entry, Beginning(SessionState(user_id=user_id)))
            case UserForgotten(user_id, error):
                self._forgotten(user_id, error)
            case Terminated():
                self._gone(message.ref)

    # -- who asks -----------------------------------------------------------------------------------------

    def _ensure(self, user_id: str, reply_to: ReplyTo[Ref[SessionMessage]]) -> None:
        entry = self.state.get(user_id, Entry())
        if entry.session is not None and not entry.is_ending:
            reply_to.tell(entry.session)
            return
        if entry.tree is None and not entry.waiting:
            self.set_timer(f"read {user_id}", self.settings.claim_s, ReadOverdue(user_id))
        self._wait(user_id, replace(entry, waiting=(*entry.waiting, reply_to)))

    def _resume(self, user_id: str, reply_to: ReplyTo[Ref[SessionMessage] | None]) -> None:
        entry = self.state.get(user_id, Entry())
        if entry.session is not None and not entry.is_ending:
            reply_to.tell(entry.session)
        else:
            self._wait(user_id, replace(entry, hoping=(*entry.hoping, reply_to)))

    def _wait(self, user_id: str, entry: Entry) -> None:
        """Keep who waits, and ask the store unless something is under way that will answer them."""
        if entry.tree is None and entry.reading is None and not entry.is_ending:
            self._read(user_id, entry)
        else:
            self._put(user_id, entry)

    # -- what the store knows -----------------------------------------------------------------------------

    def _read(self, user_id: str, entry: Entry) -> None:
        ports = self.domain.ports
        reading = self.start(
            partial(load, is_over=entry.is_over),
            user_id,
            ports.store,
            self.domain.directory,
            ports.telemetry,
            then=lambda loaded: UserRead(user_id, loaded),
            failed=lambda error: UserNotRead(user_id, error),
            name="read user",
        )
        self._put(user_id, replace(entry, reading=reading))

    def _was_read(self, user_id: str, loaded: Loaded) -> None:
        entry = replace(self.state[user_id], reading=None, epoch=loaded.epoch, is_over=False)
        if entry.tree is not None:
            self._put(user_id, entry)  # a phone could not wait: its session stands
            self._keep(user_id, entry)
        elif loaded.snapshot is not None:
            settings = self.domain.settings
            beginning = resumed(
                loaded.snapshot, loaded.user, loaded.documents, self.now, settings, loaded.preferences
            )
            self._make(user_id, entry, beginning)
        elif entry.waiting:
            self._make(user_id, entry, begun(user_id, loaded.user, loaded.preferences))
        else:
            self.domain.snapshots.tell(SnapshotGone(user_id))
            self._remove(user_id)
            for reply_to in entry.hoping:
                reply_to.tell(None)

    def _was_not_read(self, user_id: str, error: Exception) -> None:
        self.telemetry.error("user_not_read", user=user_id, cause=str(error))
        entry = replace(self.state[user_id], reading=None)
        if entry.tree is not None:
            self._put(user_id, entry)
            self._keep(user_id, entry)
        elif entry.waiting:
            self._make(user_id, entry, Beginning(SessionState(user_id=user_id)))
        else:
            for reply_to in entry.hoping:
                reply_to.fail(error)
            if entry.is_over:
                self._put(user_id, replace(entry, hoping=()))
            else:
                self._remove(user_id)

    # -- the subtree --------------------------------------------------------------------------------------

    def _make(self, user_id: str, entry: Entry, beginning: Beginning) -> None:
        self.cancel_timer(f"read {user_id}")
        tree = self.spawn(
            ChildSpec(name=branch_name(user_id), factory=self.make_tree(user_id, beginning)), under=self.users
        )
        self.watch(tree)
        self._put(user_id, replace(entry, tree=tree))

    def _ready(self, ready: UserReady) -> None:
        entry = self.state.get(ready.user_id)
        if entry is None or entry.is_ending or entry.tree is None:
            return  # a restart in the last moment of a subtree that is being stopped
        for waiting in entry.waiting:
            waiting.tell(ready.session)
        for hoping in entry.hoping:
            hoping.tell(ready.session)
        entry = replace(entry, session=ready.session, display=ready.display, waiting=(), hoping=())
        self._put(ready.user_id, entry)
        self._keep(ready.user_id, entry)

    def _look_for(self, user_id: str, tree: Ref[SupervisorMessage]) -> None:
        """That a session is ready may be what the crash lost; one that is not up yet will say so itself."""
        session, display = (self.system.find(f"{tree.path}/{name}") for name in ("session", "display"))
        if session is not None and display is not None:
            self.ref.tell(UserReady(user_id, session, display))

    def _keep(self, user_id: str, entry: Entry) -> None:
        """Have the session's snapshots written, as soon as it is up and nobody claims the user any more."""
        if entry.session is not None and entry.display is not None and entry.reading is None:
            keep = KeepUser(user_id, entry.epoch, entry.session, entry.display)
            self.domain.snapshots.tell(keep)

    def _gone(self, tree: Ref[Any]) -> None:
        for user_id, entry in self.state.items():
            if entry.tree is tree:
                if entry.reading is not None:
                    self.cancel_task(entry.reading)
                ended = Entry(is_ending=True, waiting=entry.waiting, hoping=entry.hoping)
                self._put(user_id, ended)
                self._forget(user_id)
                return

    def _forget(self, user_id: str) -> None:
        self.ask(
            self.domain.snapshots,
            forget_user(user_id),
            then=lambda _: UserForgotten(user_id),
            failed=lambda error: UserForgotten(user_id, error),
            timeout_s=self.settings.claim_s,
        )

    def _forgotten(self, user_id: str, error: Exception | None) -> None:
        entry = self.state[user_id]
        if error is not None:
            self.telemetry.error("snapshot_not_removed", user=user_id, cause=str(error))
        entry = replace(entry, is_ending=False, is_over=error is not None, hoping=())
        for reply_to in self.state[user_id].hoping:
            reply_to.tell(None)
        if entry.waiting:
            self._read(user_id, entry)
        elif entry.is_over:
            self._put(user_id, entry)
        else:
            self._remove(user_id)

    def _put(self, user_id: str, entry: Entry) -> None:
        self.state = {**self.state, user_id: entry}

    def _remove(self, user_id: str) -> None:
        self.cancel_timer(f"read {user_id}")
        self.state = {known: other for known, other in self.state.items() if known != user_id}


def branch_name(user_id: str) -> str:
    """The user's name in the tree: a mail address may hold a slash, a name there may not."""
    return user_id.replace("%", "%25").replace("/", "%2F")
