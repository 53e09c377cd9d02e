"""What a user's assistant understands."""

from __future__ import annotations

import msgspec

from protocols.desktop.documents import Source, Task
from runtime import ReplyTo

from ..desktop.messages import (
    AgentChanged,
    AgentSpawned,
    DesktopsBack,
    IsIdle,
    Listen,
    SpawnRefused,
    StopListening,
)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a question. The reply is the task as it was kept, which is processing; what comes of it is told
    to whoever listens. Fails with TooManyQueriesError or StorageError.

    Attributes:
      query: trimmed, not empty, at most 4,000 characters.
      working_directory: where an agent of it works; None for the daemon's root.
      resumes: an agent of the user's that has ended, which is to go on with this.
      is_status: asked of the route for the agents' status, which shows in the task's id.
    """

    query: str
    source: Source
    reply_to: ReplyTo[Task]
    working_directory: str | None = None
    is_status: bool = False
    resumes: str | None = None


class TooManyQueriesError(Exception):
    """The user asks too much. `retry_after_s` is when the next query is let in."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many queries, the next in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class FindTask(msgspec.Struct, frozen=True):
    task_id: str
    reply_to: ReplyTo[Task | None]


class ListTasks(msgspec.Struct, frozen=True):
    """The newest first."""

    limit: int
    reply_to: ReplyTo[tuple[Task, ...]]


class CancelTask(msgspec.Struct, frozen=True):
    """Give a task up, its agent too. Answers with the task as it stands then, None where there is none."""

    task_id: str
    reply_to: ReplyTo[Task | None]


AssistantQuery = Query | FindTask | ListTasks | CancelTask | Listen | StopListening
AssistantMessage = AssistantQuery | AgentSpawned | SpawnRefused | AgentChanged | DesktopsBack | IsIdle
