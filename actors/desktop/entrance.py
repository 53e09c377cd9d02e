"""Who a daemon is, at its socket and in its reports: the token says it, and nothing else.

Where `legacy_email_auth` is on, a daemon of the original is believed to be who it says, by its e-mail address
alone. Anybody who reaches the server could then be anybody, so it is for loopback only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from protocols.desktop.documents import Daemon
from runtime import ActorFailed, ActorStopped, Ref, ReplyTo

from ..ports import StorageError, Store, Telemetry
from . import tokens
from .daemon_messages import register_daemon
from .messages import Desk, DesktopsMessage, EnsureDesk, ensure_desk
from .settings import DesktopSettings
from .state import DAEMONS, read_daemon

MISSING: Final = "Missing X-Daemon-Email header or Authorization"
INVALID: Final = "Invalid token"
ANSWER_S: Final = 5.0

R = TypeVar("R")


class NotADaemonError(Exception):
    """Whoever it is has not shown a good token. `message` is the wire's text."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(f"{message}: {cause}")
        self.message = message
        self.cause = cause


class DaemonEntrance:
    """Tells daemons apart, and finds their users' desks."""

    def __init__(
        self,
        *,
        desks: Ref[EnsureDesk],
        store: Store,
        settings: DesktopSettings,
        telemetry: Telemetry,
        wall: Callable[[], float],
    ) -> None:
        self.desks = desks
        self.store = store
        self.settings = settings
        self.telemetry = telemetry
        self.wall = wall

    async def identify(self, authorization: str, email: str) -> Daemon:
        """The daemon that shows this `Authorization`, or calls itself by this address where that will do.

        Raises:
          NotADaemonError: there is no such daemon.
          StorageError: that cannot be told now.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if self.settings.legacy_email_auth and (email or "@" in token):
            return await self._believed((email or token).strip().lower())
        if scheme.lower() != "bearer" or not token:
            raise NotADaemonError(MISSING, "no token")
        daemon = await self._find(tokens.daemon_of(token))
        if daemon is None or not tokens.is_good(token, daemon):
            raise NotADaemonError(INVALID, "unknown daemon" if daemon is None else "wrong token")
        return daemon

    async def desk(self, user_id: str) -> Desk:
        """The user's desk. Raises RuntimeFailure."""
        return await self.desks.ask(ensure_desk(user_id), timeout_s=ANSWER_S)

    async def ask(self, user_id: str, make: Callable[[ReplyTo[R]], DesktopsMessage]) -> R:
        """Ask the user's desktops; again if a crash, or the end of an idle desk, took the question along.

        Raises:
          RuntimeFailure: they do not answer.
          StorageError: what was asked for cannot be kept, or read, now.
        """
        desk = await self.desk(user_id)
        try:
            return await desk.desktops.ask(make, timeout_s=ANSWER_S)
        except (ActorFailed, ActorStopped):
            desk = await self.desk(user_id)
            return await desk.desktops.ask(make, timeout_s=ANSWER_S)

    async def _believed(self, email: str) -> Daemon:
        if "@" not in email or not email.isprintable() or len(email) > 200 or "/" in email:
            raise NotADaemonError(INVALID, "no e-mail address")
        known = await self._find(f"daemon_{email}")
        if known is not None:
            return known
        daemon = Daemon(
            daemon_id=f"daemon_{email}",
            user_id=email,
            name=email,
            hashed_token="",
            created_at=round(self.wall() * 1000),
        )
        await self.ask(email, register_daemon(daemon))
        return daemon

    async def _find(self, daemon_id: str | None) -> Daemon | None:
        stored = None if daemon_id is None else await self.store.find_document(DAEMONS, daemon_id)
        if stored is None:
            return None
        try:
            return read_daemon(stored.document)
        except msgspec.DecodeError as error:
            self.telemetry.error("daemon_unreadable", daemon=stored.key, cause=str(error))
            raise StorageError(f"the daemon {stored.key} is unreadable") from error
