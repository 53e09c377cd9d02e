"""The gate of `/app-ws`: the first message says who it is (protocol.md 10.3), or a token before it (3.3)."""

from __future__ import annotations

from protocols import from_app
from protocols.error_codes import ErrorCode
from protocols.errors import MalformedMessage
from runtime import Ref

from ..allowance import Allowance, TrafficLimits, app_allowance
from ..apps.messages import Pending
from ..ports import Admitted, CloseInfo, Connection, Refused, Upgrade
from .addresses import address_of
from .app_upgrade import AppUpgrades
from .doorman import DoormanMessage, Left, Misspoke, Opened, Presented

PENDING_LIMIT = 16


class AppGate:
    """Accepts app servers' sockets and introduces them to the doorman."""

    def __init__(self, *, doorman: Ref[DoormanMessage], limits: TrafficLimits, upgrades: AppUpgrades) -> None:
        self.doorman = doorman
        self.limits = limits
        self.upgrades = upgrades

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        address = address_of(
            upgrade.peer,
            upgrade.headers.get("x-forwarded-for", ""),
            proxy_hops=self.upgrades.settings.proxy_hops,
        )
        implied = await self.upgrades.read(upgrade, address)
        if isinstance(implied, Refused):
            return implied
        return Admitted(StrangerHandler(self.doorman, app_allowance(self.limits), address, implied))


class StrangerHandler:
    """Hears an app's connection until its session takes it over with a handler of its own.

    Texts that come between the init and that moment are kept, in order and bounded, and handed on. A
    stranger's flood is dropped here: the doorman's mailbox is everybody's.

    Args:
      address: where it comes from; None for an app that is part of this server.
      implied: the init that a token in its upgrade stands for. One that it sends all the same, as SDKs do, is
        passed over.

    Attributes:
      init: the init as it came.
    """

    __slots__ = ("address", "allowance", "doorman", "implied", "init", "is_presented", "pending")

    def __init__(
        self,
        doorman: Ref[DoormanMessage],
        allowance: Allowance,
        address: str | None,
        implied: from_app.TpaConnectionInit | None = None,
    ) -> None:
        self.doorman = doorman
        self.allowance = allowance
        self.address = address
        self.implied = implied
        self.is_presented = False
        self.init = b""
        self.pending = Pending()

    def opened(self, connection: Connection) -> None:
        self.doorman.tell(Opened(connection))
        if self.implied is not None:
            self._present(connection, self.implied, from_app.encode(self.implied))

    def text(self, connection: Connection, payload: bytes) -> None:
        if not self._is_within(connection, payload):
            return
        if self.is_presented:
            if self.implied is None or not _is_init(payload):
                self.pending.append(payload)
            return
        try:
            message = from_app.decode(payload)
        except MalformedMessage as error:
            self.doorman.tell(Misspoke(connection, str(error)))
            return
        if isinstance(message, from_app.TpaConnectionInit):
            self._present(connection, message, payload)
        else:
            self.doorman.tell(Misspoke(connection, "the first message must be tpa_connection_init"))

    def _present(self, connection: Connection, init: from_app.TpaConnectionInit, payload: bytes) -> None:
        self.is_presented = True
        self.init = payload
        self.doorman.tell(Presented(connection, init, self.pending, self.address))

    @property
    def said(self) -> tuple[bytes, ...]:
        """All that counts of what it said, for another handler to hear again."""
        return (self.init, *self.pending) if self.is_presented else ()

    def binary(self, connection: Connection, payload: bytes) -> None:
        if self._is_within(connection, payload):
            self.doorman.tell(Misspoke(connection, "the first message must be tpa_connection_init"))

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.doorman.tell(Left(connection))

    def failed(self, connection: Connection, error: Exception) -> None:
        self.doorman.crash(error)

    def _is_within(self, connection: Connection, payload: bytes) -> bool:
        now = connection.health.last_activity_at
        is_within = self.allowance.take(now, len(payload))
        if is_within and len(self.pending) >= PENDING_LIMIT:
            self.allowance.drop()
            is_within = False
        dropped = self.allowance.report(now)
        if dropped:
            cause = f"{dropped} messages before the ack were dropped"
            self.doorman.tell(Misspoke(connection, cause, ErrorCode.RATE_LIMITED))
        return is_within


def _is_init(payload: bytes) -> bool:
    try:
        return isinstance(from_app.decode(payload), from_app.TpaConnectionInit)
    except MalformedMessage:
        return False
