"""One open page's ear at a user's desk: it asks how things stand, listens from then on, and passes both on.

It listens before it asks, so nothing falls between the two. When it crashes, or the desk does not answer, it
begins anew: the page is told the whole state again, which replaces what it shows. When an actor of the desk
has ended for good the page is told so, and dials again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from protocols.desktop.documents import SubAgent, Task
from runtime import Actor, RestartInfo, StopReason, Terminated

from ..assistant.messages import ListTasks
from ..desktop.messages import (
    AgentChanged,
    AgentLogged,
    DaemonsChanged,
    Desk,
    DeskEvent,
    ListAgents,
    ListDaemons,
    Listen,
    ReadLog,
    StopListening,
    TaskChanged,
)

SHOWN_TASKS: Final = 50
SHOWN_AGENTS: Final = 50
SHOWN_LOGS: Final = 20
"""Of so many agents, the newest, the log is told when a page opens."""

_AGAIN_S: Final = 1.0
_LISTEN_AGAIN_S: Final = 30.0


class TasksListed(msgspec.Struct, frozen=True):
    """All the tasks that a page shows, the newest first."""

    tasks: tuple[Task, ...]


class AgentsListed(msgspec.Struct, frozen=True):
    """All the agents that a page shows, the newest first."""

    agents: tuple[SubAgent, ...]


class LogRead(msgspec.Struct, frozen=True):
    """What an agent's log holds, in the stead of what was told of it. What is logged next comes after it."""

    agent_id: str
    pieces: tuple[AgentLogged, ...]


class DeskGone(msgspec.Struct, frozen=True):
    """Nothing more will come: ask for the desk again."""


PageNews = (
    TasksListed
    | AgentsListed
    | LogRead
    | TaskChanged
    | AgentChanged
    | AgentLogged
    | DaemonsChanged
    | DeskGone
)


class PageFeed(Protocol):
    """What a page is told through. Bounded: what does not fit is the implementation's to leave out."""

    def offer(self, news: PageNews) -> None:
        """Tell it. Never blocks, never raises."""


class _NotAnswered(msgspec.Struct, frozen=True):
    """A part of the desk is being restarted, or is too busy."""

    error: Exception


class _Again(msgspec.Struct, frozen=True):
    """Begin anew: ask for everything."""


class _ListenAgain(msgspec.Struct, frozen=True):
    """A part of the desk that started clean has forgotten who listens."""


PageReaderMessage = (
    DeskEvent | TasksListed | AgentsListed | LogRead | Terminated | _NotAnswered | _Again | _ListenAgain
)


class PageReader(Actor[PageReaderMessage]):
    """Its state: the agents whose log it has asked for.

    What is logged before the answer is passed on, too: the answer has it, and replaces what was told.
    """

    state: frozenset[str]

    def __init__(self, desk: Desk, feed: PageFeed) -> None:
        self.desk = desk
        self.feed = feed
        self.state = frozenset()

    def started(self, restart: RestartInfo | None) -> None:
        self.watch(self.desk.assistant)
        self.watch(self.desk.desktops)
        self.every("listen", _LISTEN_AGAIN_S, _ListenAgain())
        self._begin()

    def receive(self, message: PageReaderMessage) -> None:
        match message:
            case AgentsListed(agents):
                self._tell(message)
                self._read_logs([agent.agent_id for agent in agents[:SHOWN_LOGS]])
            case AgentChanged(agent):
                self._tell(message)
                self._read_logs([agent.agent_id])
            case TasksListed() | TaskChanged() | DaemonsChanged() | LogRead() | AgentLogged():
                self._tell(message)
            case _NotAnswered():
                self.set_timer("again", _AGAIN_S, _Again())
            case _Again():
                self._begin()
            case _ListenAgain():
                self._listen()
            case Terminated():
                self._tell(DeskGone())

    def stopping(self, reason: StopReason) -> None:
        self.desk.assistant.tell(StopListening(self.ref))
        self.desk.desktops.tell(StopListening(self.ref))

    def _begin(self) -> None:
        self.state = frozenset()
        self._listen()
        self.ask(
            self.desk.assistant,
            lambda reply_to: ListTasks(SHOWN_TASKS, reply_to),
            then=TasksListed,
            failed=_NotAnswered,
        )
        self.ask(self.desk.desktops, ListDaemons, then=DaemonsChanged, failed=_NotAnswered)
        self.ask(self.desk.desktops, ListAgents, then=_newest, failed=_NotAnswered)

    def _listen(self) -> None:
        self.desk.assistant.tell(Listen(self.ref))
        self.desk.desktops.tell(Listen(self.ref))

    def _read_logs(self, agents: Sequence[str]) -> None:
        for agent_id in agents:
            if agent_id not in self.state:
                self.state |= {agent_id}
                self.ask(
                    self.desk.desktops,
                    partial(ReadLog, agent_id),
                    then=partial(_log_of, agent_id),
                    failed=_NotAnswered,
                )

    def _tell(self, news: PageNews) -> None:
        self.perform(self.feed.offer, news)


def _newest(agents: tuple[SubAgent, ...]) -> AgentsListed:
    return AgentsListed(agents[:SHOWN_AGENTS])


def _log_of(agent_id: str, pieces: tuple[AgentLogged, ...] | None) -> LogRead:
    return LogRead(agent_id, pieces or ())
