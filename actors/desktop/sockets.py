"""The sockets of a user's daemons, and what is heard on them.

`DeskSockets` is made with the desk and outlives its actors: after a crash they find here which sockets are
open, and what each daemon said of itself. The newest connection of a daemon wins at once, in the engine's own
call; the older one hears 4008, and its end changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.desktop import frames
from protocols.desktop.frames import Hello
from runtime import Ref

from ..allowance import Allowance
from ..ports import CloseInfo, Connection, Telemetry
from .daemon_messages import DaemonClosed, DaemonOpened, DaemonSaid
from .messages import DesktopsMessage

REPLACED = "Replaced by a newer connection"
TOO_LARGE = "Frame too large"


class DaemonSocket:
    """One daemon's connection, and its hello once it came."""

    __slots__ = ("connection", "hello")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.hello: Hello | None = None


class DeskSockets:
    """The newest socket of each daemon of one user, by daemon."""

    def __init__(self) -> None:
        self._sockets: dict[str, DaemonSocket] = {}

    @property
    def all(self) -> Mapping[str, DaemonSocket]:
        return self._sockets

    def attach(self, daemon_id: str, connection: Connection) -> None:
        """This is the daemon's connection from now on."""
        older = self._sockets.get(daemon_id)
        self._sockets[daemon_id] = DaemonSocket(connection)
        if older is not None and older.connection is not connection:
            older.connection.close(frames.REPLACED, REPLACED)

    def detach(self, daemon_id: str, connection: Connection) -> None:
        """Its connection has ended, unless it has a newer one."""
        if self.is_of(daemon_id, connection):
            del self._sockets[daemon_id]

    def is_of(self, daemon_id: str, connection: Connection) -> bool:
        """Whether this is the daemon's newest."""
        socket = self._sockets.get(daemon_id)
        return socket is not None and socket.connection is connection

    def greet(self, daemon_id: str, connection: Connection, hello: Hello) -> None:
        """The daemon has said what it is."""
        if self.is_of(daemon_id, connection):
            self._sockets[daemon_id].hello = hello


class DaemonHandler:
    """Hears one daemon's connection."""

    __slots__ = ("allowance", "daemon_id", "desktops", "frame_bytes", "sockets", "telemetry", "user_id")

    def __init__(
        self,
        *,
        user_id: str,
        daemon_id: str,
        desktops: Ref[DesktopsMessage],
        sockets: DeskSockets,
        allowance: Allowance,
        frame_bytes: int,
        telemetry: Telemetry,
    ) -> None:
        self.user_id = user_id
        self.daemon_id = daemon_id
        self.desktops = desktops
        self.sockets = sockets
        self.allowance = allowance
        self.frame_bytes = frame_bytes
        self.telemetry = telemetry

    def opened(self, connection: Connection) -> None:
        self.sockets.attach(self.daemon_id, connection)
        self.desktops.tell(DaemonOpened(self.daemon_id, connection))

    def text(self, connection: Connection, payload: bytes) -> None:
        if len(payload) > self.frame_bytes:
            self.telemetry.warning(
                "daemon_frame_too_large", user=self.user_id, daemon=self.daemon_id, size=len(payload)
            )
            connection.close(frames.FRAME_TOO_LARGE, TOO_LARGE)
        elif self._is_within(connection, payload):
            try:
                frame = frames.read_from_daemon(payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                self._ignore(str(error))
                return
            if isinstance(frame, Hello):
                self.sockets.greet(self.daemon_id, connection, frame)
            self.desktops.tell(DaemonSaid(self.daemon_id, connection, frame))

    def binary(self, connection: Connection, payload: bytes) -> None:
        self._ignore("a binary frame")

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.sockets.detach(self.daemon_id, connection)
        self.desktops.tell(DaemonClosed(self.daemon_id, connection, info))

    def failed(self, connection: Connection, error: Exception) -> None:
        self.desktops.crash(error)

    def _ignore(self, cause: str) -> None:
        self.telemetry.warning("daemon_frame_ignored", user=self.user_id, daemon=self.daemon_id, cause=cause)

    def _is_within(self, connection: Connection, payload: bytes) -> bool:
        now = connection.health.last_activity_at
        is_within = self.allowance.take(now, len(payload))
        dropped = self.allowance.report(now)
        if dropped:
            self.telemetry.warning(
                "daemon_rate_limited", user=self.user_id, daemon=self.daemon_id, dropped=dropped
            )
        return is_within
