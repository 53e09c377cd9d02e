"""The microphone over UDP: which datagram is whose, and what becomes of it (protocol.md 7.1).

A phone that registered over its WebSocket has a leg here until that connection ends. A datagram names its
user by a hash of 32 bits, which is no proof of anything. With encryption its box is the proof. Without, the
leg takes datagrams from the address alone that pinged first: that keeps off who does not see the phone's
traffic, and not who can forge a source address, or pings before the phone does (docs/operations.md).

Two users can have the same hash. Boxes tell them apart; a leg without one does not share its hash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final
from weakref import WeakValueDictionary

import msgspec
from msgspec import Meta

from protocols import MalformedMessage, sequence, to_phone, udp
from protocols.sequence import SequenceState
from protocols.udp import Datagram

from ..allowance import Allowance
from ..ports import Outgoing, SecretBoxes, Telemetry
from ..token_bucket import TokenBucket

if TYPE_CHECKING:
    from .routing import AudioSlot

Address = tuple[str, int]

_PINGS_A_SECOND: Final = 20.0  # a phone sends three, 200 ms apart
_PINGS_AT_ONCE: Final = 20


class UdpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The microphone over UDP.

    Attributes:
      enabled: listen, and offer it to phones.
      port: the port to listen on, of the same address as the server; 0 takes any free one.
      public_host: where phones reach that port. Empty means the host of `public_url`, or the address it
        listens on.
      require_encryption: offer it only to phones that ask for encryption.
    """

    enabled: bool = False
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    public_host: str = ""
    require_encryption: bool = False


class UdpOffer(msgspec.Struct, frozen=True):
    """What one connection was offered, and whether it has taken it.

    Attributes:
      key: of its boxes; None without encryption.
    """

    key: bytes | None = None
    is_registered: bool = False


_Legs = WeakValueDictionary[int, "UdpLeg"]
"""By serial: in the order they came, so that a seeded run replays."""


class UdpLeg:
    """One phone's datagrams.

    Attributes:
      source: where they come from; None before the first ping, and with encryption, where it does not matter.
      serial: the door's number for it.
      has_pinged: the first that comes is taken for the phone's, whatever is in it.
      state: what has become of them.
    """

    __slots__ = (
        "__weakref__",
        "_acks",
        "allowance",
        "has_pinged",
        "key",
        "serial",
        "slot",
        "source",
        "state",
        "user_hash",
        "wall",
    )

    def __init__(
        self,
        slot: AudioSlot,
        *,
        user_hash: int,
        key: bytes | None,
        allowance: Allowance,
        wall: Callable[[], float],
    ) -> None:
        self.slot = slot
        self.user_hash = user_hash
        self.key = key
        self.allowance = allowance
        self.wall = wall
        self.source: Address | None = None
        self.has_pinged = False
        self.serial = 0
        self.state = SequenceState()
        self._acks = TokenBucket(_PINGS_A_SECOND, _PINGS_AT_ONCE)

    def pinged(self, now: float) -> None:
        """Answer a probe over the WebSocket."""
        connection = self.slot.connection
        if connection is not None and self._acks.take(now):
            ack = to_phone.UdpPingAck(timestamp=round(self.wall() * 1000))
            connection.send(Outgoing(to_phone.encode(ack)))

    def audio(self, number: int, payload: bytes, now: float) -> None:
        """A datagram of this phone, in whatever order they come."""
        self.state, heard = sequence.arrived(self.state, number, payload, now)
        self.slot.offer_packets(heard, now)

    def overdue(self, now: float) -> None:
        """What no longer waits for a datagram before it."""
        self.state, heard = sequence.overdue(self.state, now)
        self.slot.offer_packets(heard, now)


class UdpDoor:
    """All legs, by hash. A leg belongs to its slot and is forgotten with it.

    Attributes:
      address: where phones reach it; None while nobody listens.
    """

    def __init__(self, settings: UdpSettings, boxes: SecretBoxes, telemetry: Telemetry) -> None:
        self.settings = settings
        self.boxes = boxes
        self.telemetry = telemetry
        self.address: Address | None = None
        self._legs: dict[int, _Legs] = {}
        self._waiting: _Legs = WeakValueDictionary()
        self._last_serial = 0

    def offer(self, *, is_encrypted: bool) -> UdpOffer | None:
        """What to offer to a phone that dials in now.

        Args:
          is_encrypted: the phone asked for encryption.
        """
        if self.address is None or (self.settings.require_encryption and not is_encrypted):
            return None
        return UdpOffer(self.boxes.new_key() if is_encrypted else None)

    def add(self, leg: UdpLeg) -> bool:
        """Let a leg in; False when it cannot be told from another user's."""
        legs = self._legs.setdefault(leg.user_hash, WeakValueDictionary())
        if any(other.key is None or leg.key is None for other in legs.values()):
            self.telemetry.warning("udp_hash_collision", user_hash=leg.user_hash)
            return False
        self._last_serial += 1
        leg.serial = self._last_serial
        legs[leg.serial] = leg
        return True

    def remove(self, leg: UdpLeg) -> None:
        """Forget a leg, and what waits in it."""
        self._waiting.pop(leg.serial, None)
        legs = self._legs.get(leg.user_hash)
        if legs is not None:
            legs.pop(leg.serial, None)
            if not legs:
                del self._legs[leg.user_hash]

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """A datagram has come, from anybody."""
        try:
            datagram = udp.decode(data)
        except MalformedMessage:
            self.telemetry.count("udp_malformed")
            return
        legs = self._legs.get(datagram.user_hash)
        if not legs:
            self.telemetry.count("udp_unknown_user")
            return
        for leg in tuple(legs.values()):
            payload = self._payload(leg, datagram, source)
            if payload is not None:
                self._taken(leg, datagram.sequence, payload, now)
                return
        self.telemetry.count("udp_not_its_users")

    def due_at(self) -> float | None:
        """When `flush` is to be called; None while nothing waits for a datagram before it."""
        dues = [due for leg in self._waiting.values() if (due := sequence.due_at(leg.state)) is not None]
        return min(dues, default=None)

    def flush(self, now: float) -> None:
        """Go on without what has not come in time."""
        for leg in tuple(self._waiting.values()):
            leg.overdue(now)
            if not leg.state.waiting:
                self._waiting.pop(leg.serial, None)

    def _payload(self, leg: UdpLeg, datagram: Datagram, source: Address) -> bytes | None:
        """What `leg` is sent; None when it is not its phone's."""
        is_ping = datagram.payload == udp.PING
        if leg.key is not None:
            # A ping that is not encrypted proves nothing; its answer goes to the phone alone.
            return datagram.payload if is_ping else self.boxes.open(leg.key, datagram.payload)
        if leg.source is None and (is_ping or leg.has_pinged):
            leg.source = source
        return datagram.payload if leg.source == source else None

    def _taken(self, leg: UdpLeg, number: int, payload: bytes, now: float) -> None:
        if not leg.allowance.take(now, len(payload)):
            self.telemetry.count("udp_rate_limited")
        elif payload == udp.PING:
            leg.pinged(now)
        elif len(payload) <= udp.LARGEST_PAYLOAD:
            leg.audio(number, payload, now)
            if leg.state.waiting:
                self._waiting[leg.serial] = leg
        else:
            self.telemetry.count("udp_malformed")
