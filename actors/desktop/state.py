"""What a user's desktops know: daemons, unfinished agents, who listens, and what is not kept yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from protocols.desktop.documents import FINAL, Daemon, SubAgent
from protocols.desktop.frames import ToDaemon
from runtime import Recipient, ReplyTo

from ..document_ports import PutDocument
from ..ports import Connection
from . import log_ring
from .agent_machine import AgentState, Answer, Moment
from .ledger import Ledger
from .log_ring import LogRing
from .messages import DaemonView, DeskEvent, Spawn

DAEMONS: Final = "daemons"
AGENTS: Final = "subagents"
LOGS: Final = "agent_logs"


# ---------------------------------------------------------------------------------------------------------
# What is said once something is kept


class Tell(msgspec.Struct, frozen=True):
    recipient: Recipient[Any]
    message: object


class Reply(msgspec.Struct, frozen=True):
    """An answer that fails instead where the store does."""

    reply_to: ReplyTo[Any]
    answer: object


class Publish(msgspec.Struct, frozen=True):
    """To whoever listens."""

    event: DeskEvent


class Order(msgspec.Struct, frozen=True):
    """To a daemon, if its socket is open then."""

    daemon_id: str
    frame: ToDaemon


After = Tell | Reply | Publish | Order


# ---------------------------------------------------------------------------------------------------------
# State


class AgentEntry(msgspec.Struct, frozen=True):
    """An agent that is not over, or whose end is not kept yet.

    Attributes:
      follower: who had it started; None of one that the process before has left.
    """

    machine: AgentState
    log: LogRing = LogRing()
    follower: Recipient[Any] | None = None


class DaemonEntry(msgspec.Struct, frozen=True):
    """A daemon of the user's.

    Attributes:
      connection: its socket, if one is open.
      is_greeted: its hello was answered on that socket.
      pinged_at, active_at: monotonic seconds; the latter when it last did something for the user.
    """

    daemon: Daemon
    connection: Connection | None = None
    is_greeted: bool = False
    adapters: tuple[str, ...] = ()
    pinged_at: float = 0.0
    active_at: float = 0.0


class DesktopsState(msgspec.Struct, frozen=True):
    """Attributes:
    reading: agents that are asked of the store, with what waits for them.
    expected_until: a daemon was let in, and its socket opens before this.
    """

    is_loaded: bool = False
    daemons: Mapping[str, DaemonEntry] = {}
    agents: Mapping[str, AgentEntry] = {}
    reading: Mapping[str, tuple[Any, ...]] = {}
    listeners: tuple[Recipient[DeskEvent], ...] = ()
    ledger: Ledger[After] = Ledger()
    expected_until: float = 0.0


# ---------------------------------------------------------------------------------------------------------
# Documents


class KeptAgent(SubAgent, frozen=True, kw_only=True):
    """An agent as it lies in the store: with what its machine remembers across processes."""

    answers: tuple[Answer, ...] = ()


_KEPT: Final = msgspec.json.Decoder(KeptAgent)
_DAEMON: Final = msgspec.json.Decoder(Daemon)


def agent_document(machine: AgentState) -> PutDocument:
    """An agent, to be kept."""
    agent = machine.agent
    kept = KeptAgent(**_fields(agent), answers=machine.answers)
    return PutDocument(
        collection=AGENTS,
        key=agent.agent_id,
        user_id=agent.user_id,
        document=msgspec.json.encode(kept),
        updated_at_ms=agent.updated_at,
        is_unfinished=not machine.is_final,
    )


def read_agent(document: bytes) -> tuple[SubAgent, tuple[Answer, ...]]:
    """A kept agent. Raises msgspec.DecodeError."""
    kept = _KEPT.decode(document)
    return SubAgent(**{name: getattr(kept, name) for name in SubAgent.__struct_fields__}), kept.answers


def log_document(agent: SubAgent, ring: LogRing) -> PutDocument:
    """An agent's log, to be kept."""
    return PutDocument(
        collection=LOGS,
        key=agent.agent_id,
        user_id=agent.user_id,
        document=log_ring.encode(ring),
        updated_at_ms=agent.created_at,
        is_unfinished=agent.status not in FINAL,
    )


def daemon_document(daemon: Daemon) -> PutDocument:
    """A daemon, to be kept; it is nothing to trim."""
    return PutDocument(
        collection=DAEMONS,
        key=daemon.daemon_id,
        user_id=daemon.user_id,
        document=msgspec.json.encode(daemon),
        updated_at_ms=daemon.last_seen or daemon.created_at,
    )


def read_daemon(document: bytes) -> Daemon:
    """A kept daemon. Raises msgspec.DecodeError."""
    return _DAEMON.decode(document)


def _fields(agent: SubAgent) -> dict[str, Any]:
    return {name: getattr(agent, name) for name in agent.__struct_fields__}


# ---------------------------------------------------------------------------------------------------------
# What is decided from it


def views(state: DesktopsState, moment: Moment) -> tuple[DaemonView, ...]:
    """The user's daemons as they are shown, by name."""
    every = [view(state, entry, moment) for entry in state.daemons.values()]
    return tuple(sorted(every, key=lambda one: (one.name, one.daemon_id)))


def view(state: DesktopsState, entry: DaemonEntry, moment: Moment) -> DaemonView:
    """One of them."""
    daemon_id, last_seen = entry.daemon.daemon_id, entry.daemon.last_seen
    if entry.connection is not None:
        silent_s = moment.now - entry.connection.health.last_activity_at
        last_seen = moment.wall_ms - round(max(0.0, silent_s) * 1000)
    agents = [one.machine for one in state.agents.values()]
    return DaemonView(
        daemon_id=daemon_id,
        name=entry.daemon.name,
        is_online=entry.connection is not None,
        active_agents=sum(one.agent.daemon_id == daemon_id and not one.is_final for one in agents),
        adapters=entry.adapters,
        last_seen=last_seen,
    )


def choice(state: DesktopsState, order: Spawn) -> DaemonEntry | str:
    """The daemon that runs a new agent, or why none does, for the lens.

    One that the hint names, wholly before in part; without one, or where nothing is called so, the one that
    did something last.
    """
    if not state.daemons:
        return "No daemon online: no computer is registered"
    entries = sorted(
        state.daemons.values(), key=lambda one: (-one.active_at, one.daemon.name, one.daemon.daemon_id)
    )
    hint = (order.daemon_hint or "").casefold().strip()
    named = [one for one in entries if one.daemon.name.casefold() == hint] or [
        one for one in entries if hint and hint in one.daemon.name.casefold()
    ]
    for entry in named or entries:
        if entry.connection is not None:
            return entry
    if named:
        return f"No daemon online: {named[0].daemon.name} is not connected"
    return "No daemon online: your computer is not connected"


def home(state: DesktopsState, former: SubAgent | None) -> DaemonEntry | str:
    """The daemon on which an agent's session can be gone on with, or why it cannot, for the lens."""
    if former is None:
        return "That agent is not known any more"
    if former.status not in FINAL:
        return "That agent is still at work"
    if not former.can_resume:
        return "That agent cannot be gone on with"
    entry = state.daemons.get(former.daemon_id)
    if entry is None:
        return "The computer of that agent was removed"
    if entry.connection is None:
        return f"No daemon online: {entry.daemon.name} is not connected"
    return entry


def daemons_due(state: DesktopsState, ping_s: float, silence_s: float) -> float | None:
    """When the next daemon is to be asked whether it is there, or has been silent for too long."""
    moments = [
        min(entry.pinged_at + ping_s, entry.connection.health.last_activity_at + silence_s)
        for entry in state.daemons.values()
        if entry.connection is not None
    ]
    return min(moments, default=None)
