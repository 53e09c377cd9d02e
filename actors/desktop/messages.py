"""What a user's desk understands and says: the coordinator of daemons and agents, and who listens to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Union

import msgspec

from protocols.desktop.documents import Decision, SubAgent, Task
from runtime import Recipient, Ref, ReplyTo

if TYPE_CHECKING:
    from ..assistant.messages import AssistantMessage
    from .daemon_messages import FromDaemons
    from .internal import Internal

# ---------------------------------------------------------------------------------------------------------
# A desk


class Desk(msgspec.Struct, frozen=True):
    """The two that a user's desk is reached by. The refs stay valid across restarts of their actors."""

    user_id: str
    assistant: Ref[AssistantMessage]
    desktops: Ref[DesktopsMessage]


class EnsureDesk(msgspec.Struct, frozen=True):
    """To the desks' roster: answer with the user's desk, made if need be."""

    user_id: str
    reply_to: ReplyTo[Desk]


def ensure_desk(user_id: str) -> Callable[[ReplyTo[Desk]], EnsureDesk]:
    """What an ask for a user's desk is made with."""
    return lambda reply_to: EnsureDesk(user_id, reply_to)


class IsIdle(msgspec.Struct, frozen=True):
    """From the desks' roster to both: nothing is under way here, and nobody listens.

    A desk whose two say so ends; who comes then gets another one from the roster.
    """

    reply_to: ReplyTo[bool]


class DesktopsBack(msgspec.Struct, frozen=True):
    """To the assistant after a crash of the desktops: what it told them last may be lost, ask again.

    A `Spawn` is idempotent by its task.
    """


# ---------------------------------------------------------------------------------------------------------
# What a desk tells whoever listens


class AgentChanged(msgspec.Struct, frozen=True):
    """An agent's document as it stands now; sent after it is kept. The last one is final."""

    agent: SubAgent


class AgentLogged(msgspec.Struct, frozen=True):
    """A piece of an agent's log, as its daemon sent it. `at_ms` is epoch milliseconds, here."""

    agent_id: str
    type: Literal["stdout", "stderr", "status", "note"]
    content: str
    at_ms: int


class TaskChanged(msgspec.Struct, frozen=True):
    """A task's document as it stands now; the last one is not `processing`."""

    task: Task


class DaemonView(msgspec.Struct, frozen=True, rename="camel"):
    """A daemon, as its user sees it.

    Attributes:
      is_online: its socket is open.
      last_seen: epoch milliseconds; None until it has dialled once.
    """

    daemon_id: str
    name: str
    is_online: bool
    active_agents: int
    adapters: tuple[str, ...]
    last_seen: int | None


class DaemonsChanged(msgspec.Struct, frozen=True):
    """All the user's daemons."""

    daemons: tuple[DaemonView, ...]


DeskEvent = AgentChanged | AgentLogged | TaskChanged | DaemonsChanged


class Listen(msgspec.Struct, frozen=True):
    """Tell `listener` every event from now on, until it ends (it is watched) or stops listening.

    To the assistant it means tasks, to the desktops agents, their logs and daemons.
    """

    listener: Recipient[DeskEvent]


class StopListening(msgspec.Struct, frozen=True):
    listener: Recipient[DeskEvent]


# ---------------------------------------------------------------------------------------------------------
# To the desktops


class Spawn(msgspec.Struct, frozen=True, kw_only=True):
    """Start a terminal agent. `listener` hears AgentSpawned or SpawnRefused, then each AgentChanged.

    Attributes:
      task_id: idempotent by it: a second Spawn of a task that has an agent is answered with that agent.
      working_directory: on the daemon's machine; None for the daemon's own root.
      daemon_hint: a name of a daemon, as the user said it; None for the most recently active one online.
      resumes: an agent of the user's that has ended. The new one goes on with its session, on its daemon and
        in its directory, whatever else is said here.
    """

    task_id: str
    session_id: str
    goal: str
    working_directory: str | None = None
    daemon_hint: str | None = None
    resumes: str | None = None
    listener: Recipient[SpawnNews]


class AgentSpawned(msgspec.Struct, frozen=True):
    task_id: str
    agent: SubAgent
    daemon_name: str


class SpawnRefused(msgspec.Struct, frozen=True):
    """No agent. `cause` is plain language that fits the lens."""

    task_id: str
    cause: str


SpawnNews = AgentSpawned | SpawnRefused | AgentChanged

KillOutcome = Literal["cancelled", "final", "unknown"]
ApprovalOutcome = Literal["taken", "stale", "unknown"]


class Kill(msgspec.Struct, frozen=True):
    """End an agent: it is cancelled at once, its daemon is told now or when it returns."""

    agent_id: str
    reply_to: ReplyTo[KillOutcome] | None = None


class AnswerApproval(msgspec.Struct, frozen=True, kw_only=True):
    """Answer an approval, once: `stale` where that id is not open any more."""

    agent_id: str
    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None
    reply_to: ReplyTo[ApprovalOutcome] | None = None


InputOutcome = Literal["sent", "offline", "final", "unknown"]


class SendToAgent(msgspec.Struct, frozen=True):
    """Type `text` into an agent's terminal. It is sent or it is not: nobody keeps what is typed."""

    agent_id: str
    text: str
    reply_to: ReplyTo[InputOutcome]


class FindAgent(msgspec.Struct, frozen=True):
    agent_id: str
    reply_to: ReplyTo[SubAgent | None]


class ListAgents(msgspec.Struct, frozen=True):
    """The user's agents, the newest first; the unfinished ones only, where asked."""

    reply_to: ReplyTo[tuple[SubAgent, ...]]
    only_unfinished: bool = False


class ReadLog(msgspec.Struct, frozen=True):
    """What an agent's bounded log holds; None for an agent that there is not."""

    agent_id: str
    reply_to: ReplyTo[tuple[AgentLogged, ...] | None]


class ListDaemons(msgspec.Struct, frozen=True):
    reply_to: ReplyTo[tuple[DaemonView, ...]]


DesktopsQuery = (
    Listen
    | StopListening
    | Spawn
    | Kill
    | AnswerApproval
    | SendToAgent
    | FindAgent
    | ListAgents
    | ReadLog
    | ListDaemons
    | IsIdle
)
DesktopsMessage = Union["DesktopsQuery", "FromDaemons", "Internal"]


def find_agent(agent_id: str) -> Callable[[ReplyTo[SubAgent | None]], FindAgent]:
    """What an ask for an agent is made with."""
    return lambda reply_to: FindAgent(agent_id, reply_to)


def kill_agent(agent_id: str) -> Callable[[ReplyTo[KillOutcome]], Kill]:
    """What an ask to end an agent is made with."""
    return lambda reply_to: Kill(agent_id, reply_to)


def send_to_agent(agent_id: str, text: str) -> Callable[[ReplyTo[InputOutcome]], SendToAgent]:
    """What an ask to type something is made with."""
    return lambda reply_to: SendToAgent(agent_id, text, reply_to)
