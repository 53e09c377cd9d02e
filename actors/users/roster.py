"""The roster: who has a session, made on demand, ended in order.

Everybody who needs a user's session asks here. A session that is just ending is not handed out: the question
waits until its subtree is gone and a new one stands, so a phone that dials in that moment never meets a dying
session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from runtime import Actor, ChildSpec, Ref, ReplyTo, Terminated

if TYPE_CHECKING:
    from runtime import SupervisorMessage

    from ..session.messages import SessionMessage
    from .tree import UserTree


class EnsureUser(msgspec.Struct, frozen=True):
    """Answer with the user's session, made if need be."""

    user_id: str
    reply_to: ReplyTo[Ref[SessionMessage]]


class FindUser(msgspec.Struct, frozen=True):
    """Answer with the user's session, or None."""

    user_id: str
    reply_to: ReplyTo[Ref[SessionMessage] | None]


def ensure_user(user_id: str) -> Callable[[ReplyTo[Ref[SessionMessage]]], EnsureUser]:
    """What an ask for a user's session, made if need be, is made with."""
    return lambda reply_to: EnsureUser(user_id, reply_to)


def find_user(user_id: str) -> Callable[[ReplyTo[Ref[SessionMessage] | None]], FindUser]:
    """What an ask for a user's session, if there is one, is made with."""
    return lambda reply_to: FindUser(user_id, reply_to)


class UserReady(msgspec.Struct, frozen=True):
    """From a session that has started."""

    user_id: str
    session: Ref[SessionMessage]


class EndUser(msgspec.Struct, frozen=True):
    """From a session that nobody needs any more: stop its subtree."""

    user_id: str


RosterMessage = EnsureUser | FindUser | UserReady | EndUser | Terminated


class Entry(msgspec.Struct, frozen=True):
    tree: Ref[SupervisorMessage]
    session: Ref[SessionMessage] | None = None
    is_ending: bool = False
    waiting: tuple[ReplyTo[Ref[SessionMessage]], ...] = ()


class Roster(Actor[RosterMessage]):
    """Its state, user id to entry, survives its crashes."""

    mailbox_size = 16_384

    def __init__(self, *, users: Ref[SupervisorMessage], make_tree: Callable[[str], UserTree]) -> None:
        self.users = users
        self.make_tree = make_tree
        self.state: Mapping[str, Entry] = {}

    def receive(self, message: RosterMessage) -> None:
        match message:
            case EnsureUser(user_id, reply_to):
                self._ensure(user_id, reply_to)
            case FindUser(user_id, reply_to):
                entry = self.state.get(user_id)
                reply_to.tell(entry.session if entry is not None and not entry.is_ending else None)
            case UserReady(user_id, session):
                self._ready(user_id, session)
            case EndUser(user_id):
                entry = self.state.get(user_id)
                if entry is not None and not entry.is_ending:
                    self._put(user_id, msgspec.structs.replace(entry, is_ending=True))
                    self.stop_child(entry.tree)
            case Terminated():
                self._gone(message.ref)

    def _ensure(self, user_id: str, reply_to: ReplyTo[Ref[SessionMessage]]) -> None:
        entry = self.state.get(user_id)
        if entry is None:
            self._make(user_id, (reply_to,))
        elif entry.session is None or entry.is_ending:
            self._put(user_id, msgspec.structs.replace(entry, waiting=(*entry.waiting, reply_to)))
        else:
            reply_to.tell(entry.session)

    def _make(self, user_id: str, waiting: tuple[ReplyTo[Ref[SessionMessage]], ...]) -> None:
        tree = self.spawn(
            ChildSpec(name=branch_name(user_id), factory=lambda: self.make_tree(user_id)), under=self.users
        )
        self.watch(tree)
        self._put(user_id, Entry(tree=tree, waiting=waiting))

    def _ready(self, user_id: str, session: Ref[SessionMessage]) -> None:
        entry = self.state.get(user_id)
        if entry is None or entry.is_ending:
            return  # a restart in the last moment of a subtree that is being stopped
        for reply_to in entry.waiting:
            reply_to.tell(session)
        self._put(user_id, msgspec.structs.replace(entry, session=session, waiting=()))

    def _gone(self, tree: Ref[Any]) -> None:
        for user_id, entry in self.state.items():
            if entry.tree is tree:
                self.state = {known: other for known, other in self.state.items() if known != user_id}
                if entry.waiting:
                    self._make(user_id, entry.waiting)
                return

    def _put(self, user_id: str, entry: Entry) -> None:
        self.state = {**self.state, user_id: entry}


def branch_name(user_id: str) -> str:
    """The user's name in the tree: a mail address may hold a slash, a name there may not."""
    return user_id.replace("%", "%25").replace("/", "%2F")
