"""What the assistant hears from its own tasks and timers, and what a crash does not take from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from protocols.desktop.documents import Conversation, SubAgent, Task
from runtime import Ref, ReplyTo, Terminated

from ..desktop.messages import DaemonView
from ..journal import CommitDone, CommitFailed
from ..language_ports import ModelAnswer, ToolResult
from ..ports import StorageError
from . import flow
from .flow import Work
from .messages import AssistantMessage


class Loaded(msgspec.Struct, frozen=True):
    """What was kept of the user: the newest conversation, and the tasks that have not ended."""

    conversation: Conversation | None
    tasks: tuple[Task, ...]


class NotLoaded(msgspec.Struct, frozen=True):
    error: Exception


class LoadAgain(msgspec.Struct, frozen=True):
    """The store is to be asked again."""


class WriteOverdue(msgspec.Struct, frozen=True):
    """A task's document is not kept yet: it is written again."""

    task_id: str


class AgentsKnown(msgspec.Struct, frozen=True):
    """The user's agents, for the tasks that are taken up again."""

    agents: tuple[SubAgent, ...]


class AgentsUnknown(msgspec.Struct, frozen=True):
    """The desktops could not say which agents there are."""

    error: Exception


class TakeUp(msgspec.Struct, frozen=True):
    """The desktops are to be asked again."""


class DaemonsKnown(msgspec.Struct, frozen=True):
    """The user's daemons, for an agent that is to be started."""

    task_id: str
    start: flow.Start
    daemons: tuple[DaemonView, ...]


class ModelSaid(msgspec.Struct, frozen=True):
    """A model's answer to a task's job."""

    task_id: str
    job: int
    answer: ModelAnswer


class ModelFailed(msgspec.Struct, frozen=True):
    """A model has not answered a task's job."""

    task_id: str
    job: int
    error: Exception


class ToolsDone(msgspec.Struct, frozen=True):
    task_id: str
    job: int
    results: tuple[ToolResult, ...]


class AgentKilled(msgspec.Struct, frozen=True):
    """The desktops have taken it that nobody waits for an agent."""

    agent_id: str


class AgentNotKilled(msgspec.Struct, frozen=True):
    """They could not take it."""

    agent_id: str


class KillAgain(msgspec.Struct, frozen=True):
    """The desktops are to be told again that nobody waits for an agent."""

    agent_id: str


class TaskDue(msgspec.Struct, frozen=True):
    """Something of a task may be due."""

    task_id: str


AssistantInbox = (
    AssistantMessage
    | CommitDone
    | CommitFailed
    | Loaded
    | NotLoaded
    | LoadAgain
    | WriteOverdue
    | AgentsKnown
    | AgentsUnknown
    | TakeUp
    | DaemonsKnown
    | ModelSaid
    | ModelFailed
    | ToolsDone
    | AgentKilled
    | AgentNotKilled
    | KillAgain
    | TaskDue
    | Terminated
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A task that has not ended, or whose end is not kept yet.

    Attributes:
      kept: its document as it lies in the store, which is what outsiders know; None before the first time.
      writing: the document that is on its way there, under `token`.
      is_begun: its machine runs; False until its first document is kept, or its agent is known.
      asker: who hears that it is kept for the first time.
      cancellers: who hears how it ended.
    """

    work: Work
    kept: Task | None = None
    writing: Task | None = None
    token: int = 0
    is_begun: bool = False
    asker: ReplyTo[Task] | None = None
    cancellers: tuple[ReplyTo[Task | None], ...] = ()


class AssistantState(msgspec.Struct, frozen=True, kw_only=True):
    """What a crash does not lose.

    Attributes:
      is_loaded: what was kept is here.
      trouble: why it is not, since the store was asked last.
      conversation: the present one, with every question and answer that is kept or about to be.
      entries: by task id.
      to_kill: agents whose end the desktops have not taken yet.
      tokens: how many commits there have been.
    """

    is_loaded: bool = False
    trouble: StorageError | None = None
    conversation: Conversation | None = None
    entries: Mapping[str, Entry] = {}
    listeners: tuple[Ref[Any], ...] = ()
    to_kill: tuple[str, ...] = ()
    tokens: int = 0
