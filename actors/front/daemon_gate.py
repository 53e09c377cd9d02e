"""The gate of `/ws/daemon`: a good token opens the socket, anything else is a 401 before any upgrade."""

from __future__ import annotations

import msgspec

from protocols.desktop import frames
from runtime import RuntimeFailure

from ..allowance import TrafficLimits, app_allowance
from ..desktop.daemon_messages import admit_daemon
from ..desktop.entrance import DaemonEntrance, NotADaemonError
from ..desktop.sockets import DaemonHandler
from ..ports import Admitted, CloseInfo, Connection, Refused, StorageError, Upgrade, retry_after_s

NO_EMAIL = "Email required"


class DaemonGate:
    """Lets daemons in and hands their sockets to their users' desks."""

    def __init__(self, *, entrance: DaemonEntrance, limits: TrafficLimits) -> None:
        self.entrance = entrance
        self.limits = limits
        self.telemetry = entrance.telemetry

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        authorization = upgrade.headers.get("authorization", "")
        email = upgrade.query.get("email", "")
        if self.entrance.settings.legacy_email_auth and not authorization and not email:
            return Admitted(TurnedAway())
        try:
            daemon = await self.entrance.identify(authorization, email)
            welcome = await self.entrance.ask(daemon.user_id, admit_daemon(daemon.daemon_id))
        except NotADaemonError as error:
            self.telemetry.warning("daemon_refused", peer=upgrade.peer, cause=error.cause)
            return _refusal(401, error.message)
        except (StorageError, RuntimeFailure) as error:
            self.telemetry.error("daemon_not_admitted", peer=upgrade.peer, cause=str(error))
            wait = str(max(1, round(retry_after_s(error))))
            return _refusal(503, "Not now, try again", {"Retry-After": wait})
        if welcome is None:
            self.telemetry.warning("daemon_refused", peer=upgrade.peer, cause="removed")
            return _refusal(401, "Invalid token")
        return Admitted(
            DaemonHandler(
                user_id=daemon.user_id,
                daemon_id=daemon.daemon_id,
                desktops=welcome.desktops,
                sockets=welcome.sockets,
                allowance=app_allowance(self.limits),
                frame_bytes=self.entrance.settings.frame_bytes,
                telemetry=self.telemetry,
            )
        )


class TurnedAway:
    """Hears a connection that is closed as soon as it is open: an original daemon without an address."""

    def opened(self, connection: Connection) -> None:
        connection.close(frames.MISSING_CREDENTIALS, NO_EMAIL)

    def text(self, connection: Connection, payload: bytes) -> None:
        """Nobody listens."""

    def binary(self, connection: Connection, payload: bytes) -> None:
        """Nobody listens."""

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        """Nobody was let in."""

    def failed(self, connection: Connection, error: Exception) -> None:
        connection.abort()


def _refusal(status: int, error: str, headers: dict[str, str] | None = None) -> Refused:
    content = {"Content-Type": "application/json", **(headers or {})}
    return Refused(status, msgspec.json.encode({"error": error}), content)
