"""What the daemon's actors say to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from protocols.desktop import frames
from protocols.desktop.documents import AgentStatus
from protocols.desktop.reports import CompleteReport, StatusReport
from runtime import ReplyTo, Terminated

from . import life
from .ports import AgentOrder, Link, LinkClosed, ReportAnswer

# ---------------------------------------------------------------------------------------------------------
# The ledger: the agents' records on disk


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an agent, from before it is acknowledged.

    Attributes:
      run: how often it was started.
      is_over: it has ended; only its id is of use, so that it runs no second time.
      outcome: its end, until the server has it.
      began_ms: epoch milliseconds; tells the oldest from the newest.
    """

    order: AgentOrder
    run: int = 1
    is_over: bool = False
    outcome: CompleteReport | None = None
    began_ms: int = 0


class Enter(msgspec.Struct, frozen=True):
    """Keep a new agent. Answered with True when it is on the disk; a StateError where it cannot be kept, and
    then nothing of it is left.
    """

    record: AgentRecord
    reply_to: ReplyTo[bool]


class CountRun(msgspec.Struct, frozen=True):
    """Another run of an agent begins. Answered with its record when that is on the disk."""

    agent_id: str
    reply_to: ReplyTo[AgentRecord]


class KeepOutcome(msgspec.Struct, frozen=True):
    """An agent has ended. The first outcome counts; the outbox hears of it, kept or not."""

    agent_id: str
    report: CompleteReport


class OutcomeDelivered(msgspec.Struct, frozen=True):
    """The server has an agent's outcome, or will never take it."""

    agent_id: str


class FindRecord(msgspec.Struct, frozen=True):
    """Answered with an agent's record; None where there is none, or it was forgotten."""

    agent_id: str
    reply_to: ReplyTo[AgentRecord | None]


class ListRecords(msgspec.Struct, frozen=True):
    """Answered with all records, the oldest first."""

    reply_to: ReplyTo[tuple[AgentRecord, ...]]


class RecordsLoaded(msgspec.Struct, frozen=True):
    documents: Mapping[str, bytes]


class RecordWritten(msgspec.Struct, frozen=True):
    pass


class RecordFailed(msgspec.Struct, frozen=True):
    error: Exception


class LedgerTick(msgspec.Struct, frozen=True):
    pass


def entering(record: AgentRecord) -> Callable[[ReplyTo[bool]], Enter]:
    """What an ask to keep a new agent is made with."""
    return lambda reply_to: Enter(record, reply_to)


def counting(agent_id: str) -> Callable[[ReplyTo[AgentRecord]], CountRun]:
    """What an ask to count another run is made with."""
    return lambda reply_to: CountRun(agent_id, reply_to)


def finding(agent_id: str) -> Callable[[ReplyTo[AgentRecord | None]], FindRecord]:
    """What an ask for an agent's record is made with."""
    return lambda reply_to: FindRecord(agent_id, reply_to)


LedgerMessage = (
    Enter
    | CountRun
    | KeepOutcome
    | OutcomeDelivered
    | FindRecord
    | ListRecords
    | RecordsLoaded
    | RecordWritten
    | RecordFailed
    | LedgerTick
)

# ---------------------------------------------------------------------------------------------------------
# The outbox: what the server is to hear by REST


class StatusChanged(msgspec.Struct, frozen=True):
    agent_id: str
    report: StatusReport
    is_urgent: bool


class Logged(msgspec.Struct, frozen=True):
    agent_id: str
    type: Literal["stdout", "stderr", "status", "note"]
    content: str


class OutcomeKept(msgspec.Struct, frozen=True):
    agent_id: str
    report: CompleteReport


class HeartbeatDue(msgspec.Struct, frozen=True):
    """Tell the server which agents run. Not repeated."""

    agent_ids: tuple[str, ...]


class LinkIsUp(msgspec.Struct, frozen=True):
    """The server is there: what waits for another attempt is sent now."""


class ResultLimit(msgspec.Struct, frozen=True):
    """The server takes results of so many bytes."""

    limit_bytes: int


class Posted(msgspec.Struct, frozen=True):
    """A report was answered; None where nobody did. `number` is that of the attempt."""

    agent_id: str
    number: int
    answer: ReportAnswer | None
    cause: str = ""


class OutboxTick(msgspec.Struct, frozen=True):
    pass


class RecordsRead(msgspec.Struct, frozen=True):
    """The ledger's records; None when it did not answer."""

    records: tuple[AgentRecord, ...] | None


class HeartbeatOver(msgspec.Struct, frozen=True):
    pass


OutboxMessage = (
    StatusChanged
    | Logged
    | OutcomeKept
    | HeartbeatDue
    | LinkIsUp
    | ResultLimit
    | Posted
    | OutboxTick
    | RecordsRead
    | HeartbeatOver
)

# ---------------------------------------------------------------------------------------------------------
# The uplink: the connection


class SayFrame(msgspec.Struct, frozen=True):
    """Send a frame, if the connection is open; a daemon's frames are worth nothing on a later one."""

    frame: frames.FromDaemon


class LinkOpened(msgspec.Struct, frozen=True):
    dial: int
    link: Link


class FrameCame(msgspec.Struct, frozen=True):
    dial: int
    payload: bytes


class DialOver(msgspec.Struct, frozen=True):
    """A dial has ended: with a connection that is over, or without one."""

    dial: int
    outcome: LinkClosed | Exception


class HeldAgents(msgspec.Struct, frozen=True):
    """The foreman's answer for `hello`; None when it did not answer."""

    dial: int
    agents: tuple[frames.HeldAgent, ...] | None


class HelloDue(msgspec.Struct, frozen=True):
    """Ask the foreman once more."""

    dial: int


class UplinkTick(msgspec.Struct, frozen=True):
    pass


UplinkMessage = SayFrame | LinkOpened | FrameCame | DialOver | HeldAgents | HelloDue | UplinkTick

# ---------------------------------------------------------------------------------------------------------
# The foreman: which agents there are


class OrderCame(msgspec.Struct, frozen=True):
    """The server wants something of an agent."""

    frame: frames.SpawnAgent | frames.KillAgent | frames.ApproveAgent | frames.SendInput | frames.Welcome


class LinkIsDown(msgspec.Struct, frozen=True):
    pass


class AskHeld(msgspec.Struct, frozen=True):
    """Which agents are here, for `hello`."""

    reply_to: ReplyTo[tuple[frames.HeldAgent, ...]]


class AgentMoved(msgspec.Struct, frozen=True):
    """An agent's newest report."""

    agent_id: str
    status: AgentStatus
    seq: int


class Settled(msgspec.Struct, frozen=True):
    """The server has the outcome of this agent."""

    agent_id: str


class FormerFound(msgspec.Struct, frozen=True):
    """What the ledger has of the agent that this one goes on with; or why it did not say."""

    agent_id: str
    former: AgentRecord | Exception | None


class PlaceFound(msgspec.Struct, frozen=True):
    """Where an agent is to work; or why not."""

    agent_id: str
    order: AgentOrder | None
    cause: str = ""


class Entered(msgspec.Struct, frozen=True):
    """An agent is kept; or why not."""

    agent_id: str
    error: Exception | None = None


class RunCounted(msgspec.Struct, frozen=True):
    """An agent of the daemon before this one may go on; or why not."""

    agent_id: str
    outcome: AgentRecord | Exception


class WriteAgain(msgspec.Struct, frozen=True):
    """Ask the ledger once more about this agent: it did not answer."""

    agent_id: str


class HeartbeatTick(msgspec.Struct, frozen=True):
    pass


class ReadAgain(msgspec.Struct, frozen=True):
    """Ask the ledger once more."""


ForemanMessage = (
    OrderCame
    | LinkIsUp
    | LinkIsDown
    | AskHeld
    | AgentMoved
    | Settled
    | FormerFound
    | PlaceFound
    | Entered
    | RunCounted
    | RecordsRead
    | HeartbeatTick
    | ReadAgain
    | WriteAgain
    | Terminated
)


# ---------------------------------------------------------------------------------------------------------
# A terminal agent


class RunSpoke(msgspec.Struct, frozen=True):
    """The run's gate has something."""


TerminalMessage = life.Event | RunSpoke
