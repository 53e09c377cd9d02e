"""Tasks, conversations, agents and daemons, as they are kept and as REST shows them (desktop.md section 5).

Times are epoch milliseconds. The field names on the wire are the camel case of these.
"""

from __future__ import annotations

from typing import Literal

import msgspec

AgentStatus = Literal[
    "pending", "initializing", "running", "needs_approval", "completed", "failed", "cancelled"
]
FINAL: frozenset[AgentStatus] = frozenset({"completed", "failed", "cancelled"})

TaskStatus = Literal["processing", "completed", "failed"]
Phase = Literal["deciding", "formulating", "spawning", "running", "needs_approval", "synthesizing"]
ResultType = Literal["direct_response", "clarifying_question", "agent_result"]
Decision = Literal["approve", "deny", "choose"]
Source = Literal["rest", "voice", "page"]

APPROVAL_S = 600.0
"""How long an approval is open unless the daemon says otherwise; then it is denied."""


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """The base of what is kept."""


class Option(Document, frozen=True, kw_only=True):
    """One of the answers that an approval allows."""

    id: str
    label: str


class Approval(Document, frozen=True, kw_only=True):
    """What a terminal agent must be allowed before it goes on.

    Attributes:
      kind: permission: a tool wants to run. question: the agent asks something. confirm: a program asks
        yes or no.
      detail: the whole of it, for the page; the lens shows `title`.
      default: the option taken when nobody answers; None denies.
      expires_at: epoch milliseconds; 0 where the daemon said nothing, until the server has set it.
    """

    approval_id: str
    title: str
    options: tuple[Option, ...]
    kind: Literal["permission", "question", "confirm"] = "permission"
    tool: str = ""
    detail: str = ""
    default: str | None = None
    expires_at: int = 0


class SubAgent(Document, frozen=True, kw_only=True):
    """A terminal agent on a daemon.

    Attributes:
      task_id: the task that it was started for; empty for one of the test routes.
      resumes: the agent whose session it goes on with.
      can_resume: its daemon can go on with its session, once it has ended.
      notes: the newest 50.
      seq: of the newest report that counted.
      is_lost: its daemon is away; it has until the end of the grace to come back.
      late_result: what a daemon reported after the agent's end; it changes nothing else.
    """

    agent_id: str
    daemon_id: str
    user_id: str
    session_id: str
    type: Literal["terminal", "coding"] = "terminal"
    goal: str
    working_directory: str | None = None
    status: AgentStatus = "pending"
    task_id: str = ""
    resumes: str | None = None
    can_resume: bool = False
    current_step: str | None = None
    notes: tuple[str, ...] = ()
    approval: Approval | None = None
    result: str | None = None
    error: str | None = None
    execution_time_ms: int | None = None
    seq: int = 0
    is_lost: bool = False
    late_result: str | None = None
    created_at: int
    updated_at: int
    started_at: int | None = None
    completed_at: int | None = None


class AgentResult(Document, frozen=True, kw_only=True):
    """How a task's agent ended."""

    agent_id: str
    status: AgentStatus
    result: str | None = None
    error: str | None = None
    execution_time_ms: int | None = None


class TaskResult(Document, frozen=True, kw_only=True):
    """What a task came to, for the lens and for the page."""

    type: ResultType
    glasses_display: str
    webview_content: str
    agent_id: str | None = None
    agent_result: AgentResult | None = None


class ModelUse(Document, frozen=True, kw_only=True):
    """What one model cost a task."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Task(Document, frozen=True, kw_only=True):
    """A query and what became of it.

    Attributes:
      phase: where a task that is processing stands; None of one that is not.
      error: plain language that fits the lens.
      error_detail: what a developer wants to know of it.
      is_cancelled: the user gave it up; its status is `failed` then.
      working_directory: where an agent of it is to work, as whoever asked named it.
      resumes: an agent that has ended, which is told the query and goes on: nothing is decided then.
      source: where it was asked for: a voice's answer is for the lens, whoever has to remember it.
    """

    task_id: str
    user_id: str
    conversation_id: str
    query: str
    source: Source = "rest"
    status: TaskStatus = "processing"
    phase: Phase | None = "deciding"
    result: TaskResult | None = None
    error: str | None = None
    error_detail: str | None = None
    is_cancelled: bool = False
    working_directory: str | None = None
    resumes: str | None = None
    agent_id: str | None = None
    approval: Approval | None = None
    usage: tuple[ModelUse, ...] = ()
    cost_usd: float = 0.0
    processing_time_ms: int | None = None
    agent_spawned: bool = False
    created_at: int
    updated_at: int
    completed_at: int | None = None


class Turn(Document, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str
    timestamp: int
    glasses_display: str | None = None
    type: ResultType | None = None
    task_id: str | None = None
    agent_id: str | None = None


class Conversation(Document, frozen=True, kw_only=True):
    """The newest 20 turns with one user, over after four hours of silence."""

    conversation_id: str
    user_id: str
    turns: tuple[Turn, ...] = ()
    created_at: int
    updated_at: int
    last_active_at: int


class Daemon(Document, frozen=True, kw_only=True):
    """A desktop that a user has registered.

    Attributes:
      hashed_token: sha256 of it in hex; never shown.
      last_seen: of its newest frame or report; None until the first.
    """

    daemon_id: str
    user_id: str
    name: str
    hashed_token: str
    created_at: int
    last_seen: int | None = None
