"""The desks' roster: who has a desk, made on demand, ended when nobody needs it.

At the server's start a desk is made for everybody who has an unfinished task or agent; where it takes over
from another server, once that one writes no more: what it writes would be unknown to a desk that was made
before. A desk ends when both
its actors say that they are idle; whoever asks for it meanwhile keeps it, and a desk that is just ending is
not handed out: the question waits for its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from runtime import Actor, ChildSpec, Ref, ReplyTo, RestartInfo, Terminated

from ..ports import retry_after_s
from ..users.roster import branch_name
from .messages import Desk, EnsureDesk, IsIdle

if TYPE_CHECKING:
    from runtime import SupervisorMessage

    from ..domain import Domain
    from .tree import DeskTree

UNFINISHED = ("tasks", "subagents")


class DeskReady(msgspec.Struct, frozen=True):
    """From a desk that has started."""

    desk: Desk


class LookForWork(msgspec.Struct, frozen=True):
    """The store is to be asked who has something unfinished."""


class WorkFound(msgspec.Struct, frozen=True):
    """Who has something unfinished."""

    user_ids: tuple[str, ...]


class WorkUnknown(msgspec.Struct, frozen=True):
    error: Exception


class IdleTime(msgspec.Struct, frozen=True):
    """Nobody has asked for the desk for a while."""

    user_id: str


class SaidIdle(msgspec.Struct, frozen=True):
    """One of the desk's two has said whether it is idle, to the question of this number."""

    user_id: str
    number: int
    is_idle: bool


DeskRosterMessage = (
    EnsureDesk | DeskReady | LookForWork | WorkFound | WorkUnknown | IdleTime | SaidIdle | Terminated
)


class DeskEntry(msgspec.Struct, frozen=True):
    """One user's desk.

    Attributes:
      desk: once it is up.
      waiting: who asked for it before.
      number: of the last question whether it is idle; another one, or somebody who asks for the desk, makes
        the answers to it void.
      to_answer: how many of the desk's two have yet to say that they are idle.
    """

    tree: Ref[SupervisorMessage]
    desk: Desk | None = None
    waiting: tuple[ReplyTo[Desk], ...] = ()
    is_ending: bool = False
    number: int = 0
    to_answer: int = 0


class DeskRoster(Actor[DeskRosterMessage]):
    """Its state is the entries, by user.

    Args:
      is_taking_over: another server still has the desks; a `LookForWork` says when it has them no more.
    """

    mailbox_size = 16_384

    def __init__(
        self,
        *,
        desks: Ref[SupervisorMessage],
        domain: Domain,
        make_tree: Callable[[str], Callable[[], DeskTree]],
        is_taking_over: bool = False,
    ) -> None:
        self.desks = desks
        self.domain = domain
        self.make_tree = make_tree
        self.is_taking_over = is_taking_over
        self.telemetry = domain.ports.telemetry
        self.idle_s = domain.settings.desktop.idle_s
        self.state: Mapping[str, DeskEntry] = {}

    def started(self, restart: RestartInfo | None) -> None:
        if restart is not None or not self.is_taking_over:
            self._look_for_work()
        for user_id, entry in self.state.items():
            self.watch(entry.tree)
            self._look_for(entry.tree)
            if not entry.is_ending:
                self._wait_for_idleness(user_id)

    def receive(self, message: DeskRosterMessage) -> None:
        match message:
            case EnsureDesk(user_id, reply_to):
                self._ensure(user_id, reply_to)
            case DeskReady(desk):
                self._ready(desk)
            case LookForWork():
                self._look_for_work()
            case WorkFound(user_ids):
                for user_id in user_ids:
                    if user_id not in self.state:
                        self._make(user_id, ())
            case WorkUnknown(error):
                self.telemetry.error("unfinished_work_unknown", cause=str(error))
                self.set_timer("work", retry_after_s(error), LookForWork())
            case IdleTime(user_id):
                self._ask_whether_idle(user_id)
            case SaidIdle():
                self._said_idle(message)
            case Terminated():
                self._gone(message.ref)

    def _ensure(self, user_id: str, reply_to: ReplyTo[Desk]) -> None:
        entry = self.state.get(user_id)
        if entry is None:
            self._make(user_id, (reply_to,))
        elif entry.desk is not None and not entry.is_ending:
            self._put(user_id, replace(entry, number=entry.number + 1))
            self._wait_for_idleness(user_id)
            reply_to.tell(entry.desk)
        else:
            self._put(user_id, replace(entry, waiting=(*entry.waiting, reply_to)))

    def _make(self, user_id: str, waiting: tuple[ReplyTo[Desk], ...]) -> None:
        spec = ChildSpec(name=branch_name(user_id), factory=self.make_tree(user_id))
        tree = self.spawn(spec, under=self.desks)
        self.watch(tree)
        self._put(user_id, DeskEntry(tree=tree, waiting=waiting))
        self._wait_for_idleness(user_id)

    def _ready(self, desk: Desk) -> None:
        entry = self.state.get(desk.user_id)
        if entry is None or entry.is_ending:
            return  # a restart in the last moment of a desk that is being stopped
        for waiting in entry.waiting:
            waiting.tell(desk)
        self._put(desk.user_id, replace(entry, desk=desk, waiting=()))

    def _look_for(self, tree: Ref[SupervisorMessage]) -> None:
        """That a desk is ready may be what the crash lost; one that is not up yet will say so itself."""
        desktops, assistant = (self.system.find(f"{tree.path}/{name}") for name in ("desktops", "assistant"))
        user_id = next(user_id for user_id, entry in self.state.items() if entry.tree is tree)
        if desktops is not None and assistant is not None:
            self.ref.tell(DeskReady(Desk(user_id, assistant, desktops)))

    # -- unfinished work ----------------------------------------------------------------------------------

    def _look_for_work(self) -> None:
        self.start(
            self.domain.ports.store.list_unfinished_users,
            UNFINISHED,
            then=WorkFound,
            failed=WorkUnknown,
            name="look for work",
        )

    # -- the end ------------------------------------------------------------------------------------------

    def _wait_for_idleness(self, user_id: str) -> None:
        self.set_timer(f"idle {user_id}", self.idle_s, IdleTime(user_id))

    def _ask_whether_idle(self, user_id: str) -> None:
        entry = self.state.get(user_id)
        if entry is None or entry.is_ending:
            return
        self._wait_for_idleness(user_id)
        if entry.desk is None:
            return
        number, both = entry.number + 1, (entry.desk.desktops, entry.desk.assistant)
        self._put(user_id, replace(entry, number=number, to_answer=len(both)))
        for one in both:
            self.ask(
                one,
                IsIdle,
                then=lambda is_idle: SaidIdle(user_id, number, is_idle),
                failed=lambda _: SaidIdle(user_id, number, is_idle=False),
            )

    def _said_idle(self, said: SaidIdle) -> None:
        entry = self.state.get(said.user_id)
        if entry is None or entry.is_ending or entry.number != said.number or not said.is_idle:
            return
        entry = replace(entry, to_answer=entry.to_answer - 1)
        if not entry.to_answer:
            entry = replace(entry, is_ending=True, desk=None)
            self.cancel_timer(f"idle {said.user_id}")
            self.stop_child(entry.tree)
        self._put(said.user_id, entry)

    def _gone(self, tree: Ref[Any]) -> None:
        for user_id, entry in self.state.items():
            if entry.tree is tree:
                self.cancel_timer(f"idle {user_id}")
                self.state = {known: other for known, other in self.state.items() if known != user_id}
                if entry.waiting:
                    self._make(user_id, entry.waiting)
                return

    def _put(self, user_id: str, entry: DeskEntry) -> None:
        self.state = {**self.state, user_id: entry}
