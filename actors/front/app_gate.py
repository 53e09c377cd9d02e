"""The gate of `/app-ws`: every upgrade is accepted, the first message says who it is (protocol.md 10.3)."""

from __future__ import annotations

from protocols import from_app
from protocols.errors import MalformedMessage
from runtime import Ref

from ..ports import Admitted, CloseInfo, Connection, Upgrade
from .doorman import DoormanMessage, Left, Misspoke, Opened, Presented

PENDING_LIMIT = 16


class AppGate:
    """Accepts app servers' sockets and introduces them to the doorman."""

    def __init__(self, *, doorman: Ref[DoormanMessage]) -> None:
        self.doorman = doorman

    async def admit(self, upgrade: Upgrade) -> Admitted:
        return Admitted(StrangerHandler(self.doorman))


class StrangerHandler:
    """Hears an app's connection until its session takes it over with a handler of its own.

    Texts that come between the init and that moment are kept, in order and bounded, and handed on.
    """

    __slots__ = ("doorman", "is_presented", "pending")

    def __init__(self, doorman: Ref[DoormanMessage]) -> None:
        self.doorman = doorman
        self.is_presented = False
        self.pending: list[bytes] = []

    def opened(self, connection: Connection) -> None:
        self.doorman.tell(Opened(connection))

    def text(self, connection: Connection, payload: bytes) -> None:
        if self.is_presented:
            if len(self.pending) < PENDING_LIMIT:
                self.pending.append(payload)
            else:
                self.doorman.tell(Misspoke(connection, "too many messages before the ack"))
            return
        try:
            message = from_app.decode(payload)
        except MalformedMessage as error:
            self.doorman.tell(Misspoke(connection, str(error)))
            return
        if isinstance(message, from_app.TpaConnectionInit):
            self.is_presented = True
            self.doorman.tell(Presented(connection, message, self.pending))
        else:
            self.doorman.tell(Misspoke(connection, "the first message must be tpa_connection_init"))

    def binary(self, connection: Connection, payload: bytes) -> None:
        self.doorman.tell(Misspoke(connection, "the first message must be tpa_connection_init"))

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.doorman.tell(Left(connection))

    def failed(self, connection: Connection, error: Exception) -> None:
        self.doorman.crash(error)
