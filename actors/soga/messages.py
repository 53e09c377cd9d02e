"""What the server of the assistant's voice hears, and what each of its sessions does."""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.desktop.documents import SubAgent, Task
from runtime import Terminated

from ..built_in import WebhookPosted
from ..desktop.messages import ApprovalOutcome, Desk, DeskEvent
from .connection import AppEnd

# ---------------------------------------------------------------------------------------------------------
# The server


class SessionOver(msgspec.Struct, frozen=True):
    """From a session: the cloud has ended it."""

    user_id: str


class Registered(msgspec.Struct, frozen=True):
    """The directory has told the app's sessions that its server has started; or it could not."""

    error: Exception | None = None


ServerMessage = WebhookPosted | SessionOver | Registered | Terminated

# ---------------------------------------------------------------------------------------------------------
# A session


class Summoned(msgspec.Struct, frozen=True):
    """A webhook asks the session to dial: again, where it is here."""


class Dismissed(msgspec.Struct, frozen=True):
    """The stop webhook came: no close of the socket is an accident any more."""


class DialAgain(msgspec.Struct, frozen=True):
    """The pause before the next dial is over."""


class DeskFound(msgspec.Struct, frozen=True):
    desk: Desk


class DeskNotFound(msgspec.Struct, frozen=True):
    error: Exception


class SeekDesk(msgspec.Struct, frozen=True):
    """Ask for the desk again."""


class TasksListed(msgspec.Struct, frozen=True):
    """The newest tasks, the newest first. `is_after_crash`: what was asked before may be lost."""

    tasks: tuple[Task, ...]
    is_after_crash: bool


class AgentsListed(msgspec.Struct, frozen=True):
    """The unfinished agents. `is_after_crash`: what was answered before may be lost."""

    agents: tuple[SubAgent, ...]
    is_after_crash: bool


class NotListed(msgspec.Struct, frozen=True):
    """The desk did not say how things stand."""

    error: Exception
    is_after_crash: bool


class ListAgain(msgspec.Struct, frozen=True):
    """Ask the desk again how things stand."""

    is_after_crash: bool


class QuestionTaken(msgspec.Struct, frozen=True):
    task: Task


class QuestionNotTaken(msgspec.Struct, frozen=True):
    error: Exception


class AnswerTaken(msgspec.Struct, frozen=True):
    """What became of an approval's answer. `approval` is its key."""

    approval: str
    outcome: ApprovalOutcome | Literal["failed"]


class ConversationTick(msgspec.Struct, frozen=True):
    """The conversation machine's deadline."""


SessionMessage = (
    AppEnd
    | Summoned
    | Dismissed
    | DialAgain
    | DeskFound
    | DeskNotFound
    | SeekDesk
    | TasksListed
    | AgentsListed
    | NotListed
    | ListAgain
    | QuestionTaken
    | QuestionNotTaken
    | AnswerTaken
    | ConversationTick
    | DeskEvent
    | Terminated
)
