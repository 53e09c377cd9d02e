"""From an app's connection to its actor: decode each text, tell the actor, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from protocols import from_app
from protocols.errors import MalformedMessage
from runtime import Ref

from ..allowance import Allowance
from ..ports import CloseInfo, Connection
from .messages import AppBabbled, AppFlooded, AppHungUp, AppMessage, AppSaid


class AppSocketHandler:
    """Hears an authenticated app's connection; like the ref, it outlives the actor's incarnations."""

    __slots__ = ("allowance", "app", "requested")

    def __init__(self, app: Ref[AppMessage], allowance: Allowance) -> None:
        self.app = app
        self.allowance = allowance
        self.requested: Sequence[object] | None = None  # its newest list: a crash may lose the message

    def opened(self, connection: Connection) -> None:
        """The upgrade was done before the app was known."""

    def text(self, connection: Connection, payload: bytes) -> None:
        if not self._is_within(connection, payload):
            return
        try:
            message = from_app.decode(payload)
        except MalformedMessage as error:
            self.app.tell(AppBabbled(connection, str(error)))
        else:
            if isinstance(message, from_app.SubscriptionUpdate):
                self.requested = message.subscriptions
            self.app.tell(AppSaid(connection, message))

    def binary(self, connection: Connection, payload: bytes) -> None:
        """SDK 2.x sends no binary; 3.x may (streaming playback), which is not offered here."""
        if self._is_within(connection, payload):
            self.app.tell(AppBabbled(connection, "a binary frame is not expected from an app"))

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.app.tell(AppHungUp(connection, info))

    def failed(self, connection: Connection, error: Exception) -> None:
        self.app.crash(error)

    def _is_within(self, connection: Connection, payload: bytes) -> bool:
        now = connection.health.last_activity_at
        is_within = self.allowance.take(now, len(payload))
        dropped = self.allowance.report(now)
        if dropped:
            self.app.tell(AppFlooded(connection, dropped, self.allowance.wait_s(now)))
        return is_within
