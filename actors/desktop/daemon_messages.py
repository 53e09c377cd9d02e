"""What the gate, the routes and the sockets of daemons say to a user's desktops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from protocols.desktop.documents import Daemon
from protocols.desktop.frames import FromDaemon
from protocols.desktop.reports import CompleteReport, Heartbeat, LogReport, StatusReport
from runtime import Ref, ReplyTo

from ..ports import CloseInfo, Connection
from .messages import DaemonView

if TYPE_CHECKING:
    from .messages import DesktopsMessage
    from .sockets import DeskSockets


class RegisterDaemon(msgspec.Struct, frozen=True):
    """Keep a new daemon. The reply is how it is shown, or None where the user has too many."""

    daemon: Daemon
    reply_to: ReplyTo[DaemonView | None]


class RemoveDaemon(msgspec.Struct, frozen=True):
    """Forget a daemon: its socket is closed, its agents have failed. False where there is none."""

    daemon_id: str
    reply_to: ReplyTo[bool]


class DaemonWelcome(msgspec.Struct, frozen=True):
    """Where a daemon's socket belongs."""

    desktops: Ref[DesktopsMessage]
    sockets: DeskSockets


class AdmitDaemon(msgspec.Struct, frozen=True):
    """A daemon whose token is good is at the door. The reply is None if it was removed in this moment."""

    daemon_id: str
    reply_to: ReplyTo[DaemonWelcome | None]


class DaemonOpened(msgspec.Struct, frozen=True):
    """Its upgrade is done; this connection is its newest."""

    daemon_id: str
    connection: Connection


class DaemonSaid(msgspec.Struct, frozen=True):
    daemon_id: str
    connection: Connection
    frame: FromDaemon


class DaemonClosed(msgspec.Struct, frozen=True):
    daemon_id: str
    connection: Connection
    info: CloseInfo


AgentReport = StatusReport | CompleteReport | LogReport

ReportOutcome = Literal["taken", "ignored", "unknown", "foreign"]
"""Unknown: no such agent of this user. Foreign: it runs on another daemon of the user's."""


class Reported(msgspec.Struct, frozen=True):
    """A daemon's report about an agent; answered once what it changed is kept, a log line at once."""

    daemon_id: str
    agent_id: str
    report: AgentReport
    reply_to: ReplyTo[ReportOutcome]


class Beat(msgspec.Struct, frozen=True):
    """A daemon's heartbeat. False where there is no such daemon."""

    daemon_id: str
    heartbeat: Heartbeat
    reply_to: ReplyTo[bool]


FromDaemons = (
    RegisterDaemon | RemoveDaemon | AdmitDaemon | DaemonOpened | DaemonSaid | DaemonClosed | Reported | Beat
)


def register_daemon(daemon: Daemon) -> Callable[[ReplyTo[DaemonView | None]], RegisterDaemon]:
    """What an ask to keep a new daemon is made with."""
    return lambda reply_to: RegisterDaemon(daemon, reply_to)


def remove_daemon(daemon_id: str) -> Callable[[ReplyTo[bool]], RemoveDaemon]:
    """What an ask to forget a daemon is made with."""
    return lambda reply_to: RemoveDaemon(daemon_id, reply_to)


def admit_daemon(daemon_id: str) -> Callable[[ReplyTo[DaemonWelcome | None]], AdmitDaemon]:
    """What an ask to let a daemon in is made with."""
    return lambda reply_to: AdmitDaemon(daemon_id, reply_to)


def reported(
    daemon_id: str, agent_id: str, report: AgentReport
) -> Callable[[ReplyTo[ReportOutcome]], Reported]:
    """What an ask about a daemon's report is made with."""
    return lambda reply_to: Reported(daemon_id, agent_id, report, reply_to)


def beat(daemon_id: str, heartbeat: Heartbeat) -> Callable[[ReplyTo[bool]], Beat]:
    """What an ask about a daemon's heartbeat is made with."""
    return lambda reply_to: Beat(daemon_id, heartbeat, reply_to)
