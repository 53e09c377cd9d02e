"""From an app's connection to its actor: decode each text, tell the actor, nothing else."""

from __future__ import annotations

from protocols import from_app
from protocols.errors import MalformedMessage
from runtime import Ref

from ..ports import CloseInfo, Connection
from .messages import AppBabbled, AppHungUp, AppMessage, AppSaid


class AppSocketHandler:
    """Hears an authenticated app's connection; like the ref, it outlives the actor's incarnations."""

    __slots__ = ("app",)

    def __init__(self, app: Ref[AppMessage]) -> None:
        self.app = app

    def opened(self, connection: Connection) -> None:
        """The upgrade was done before the app was known."""

    def text(self, connection: Connection, payload: bytes) -> None:
        try:
            message = from_app.decode(payload)
        except MalformedMessage as error:
            self.app.tell(AppBabbled(connection, str(error)))
        else:
            self.app.tell(AppSaid(connection, message))

    def binary(self, connection: Connection, payload: bytes) -> None:
        """SDK 2.x sends no binary; 3.x may (streaming playback), which is not offered here."""
        self.app.tell(AppBabbled(connection, "a binary frame is not expected from an app"))

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.app.tell(AppHungUp(connection, info))

    def failed(self, connection: Connection, error: Exception) -> None:
        self.app.crash(error)
