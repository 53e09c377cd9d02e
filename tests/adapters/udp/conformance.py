"""What every network of datagrams, and everything that opens boxes, must do. Test files subclass these."""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
import trio

from actors.allowance import TrafficLimits, phone_allowances
from actors.audio import AudioSlot
from actors.audio.udp import UdpDoor, UdpLeg, UdpSettings
from actors.overload import OverloadBoard
from actors.ports import SecretBoxes
from adapters.simulated.lc3 import SimulatedLc3
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.udp import SimulatedBoxes
from protocols import udp
from protocols.sequence import Heard, Lost
from protocols.udp import Datagram

USER = "ada@example.org"
Send = Callable[[bytes], None]


class HearingSlot(AudioSlot):
    """A slot that keeps what it is offered."""

    __slots__ = ("heard",)

    def __init__(self, door: UdpDoor) -> None:
        super().__init__(OverloadBoard().shedder(), SimulatedLc3(), door)
        self.heard: list[bytes | Lost] = []

    def offer_packets(self, heard: Heard, now: float) -> None:
        self.heard += heard


def new_door(telemetry: RecordingTelemetry) -> UdpDoor:
    return UdpDoor(UdpSettings(enabled=True, port=0), SimulatedBoxes(), telemetry)


def registered(door: UdpDoor) -> tuple[HearingSlot, UdpLeg]:
    slot = HearingSlot(door)
    _, allowance = phone_allowances(TrafficLimits())
    leg = UdpLeg(slot, user_hash=udp.user_hash(USER), key=None, allowance=allowance, wall=lambda: 1.0)
    assert door.add(leg)
    return slot, leg


def datagram(number: int, payload: bytes) -> bytes:
    return udp.encode(Datagram(udp.user_hash(USER), number, payload))


class NetworkConformance(abc.ABC):
    @abc.abstractmethod
    def listening(self, door: UdpDoor, telemetry: RecordingTelemetry) -> AbstractAsyncContextManager[Send]:
        """A listener that runs, and what sends to it from one address."""

    async def test_a_datagram_arrives_with_the_address_that_it_came_from(
        self, telemetry: RecordingTelemetry
    ) -> None:
        door = new_door(telemetry)
        slot, leg = registered(door)
        async with self.listening(door, telemetry) as send:
            send(datagram(0, udp.PING))
            send(datagram(1, b"hello"))
            await until(lambda: slot.heard == [b"hello"])

            assert leg.source is not None
            assert "127.0.0.1" == leg.source[0]

    async def test_what_waits_for_a_lost_datagram_is_heard_without_another_one(
        self, telemetry: RecordingTelemetry
    ) -> None:
        door = new_door(telemetry)
        slot, _ = registered(door)
        async with self.listening(door, telemetry) as send:
            for number, payload in ((0, udp.PING), (1, b"one"), (3, b"three")):
                send(datagram(number, payload))

            await until(lambda: slot.heard == [b"one", Lost(1), b"three"])

    async def test_garbage_harms_nobody(self, telemetry: RecordingTelemetry) -> None:
        door = new_door(telemetry)
        slot, _ = registered(door)
        async with self.listening(door, telemetry) as send:
            for data in (b"\0", b"\0" * 6, b"\xff" * 3_000, datagram(0, udp.PING), datagram(1, b"hello")):
                send(data)

            await until(lambda: slot.heard == [b"hello"])
        assert 3 == telemetry.counters()["udp_malformed"]

    async def test_phones_are_told_of_it_only_while_it_runs(self, telemetry: RecordingTelemetry) -> None:
        door = new_door(telemetry)
        assert door.offer(is_encrypted=False) is None
        async with self.listening(door, telemetry):
            assert door.offer(is_encrypted=False) is not None

        assert door.address is None


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not is_so():  # noqa: ASYNC110 - the socket posts no event
            await trio.sleep(0.005)


class BoxesConformance(abc.ABC):
    @pytest.fixture
    def boxes(self) -> SecretBoxes:
        return self.make_boxes()

    @abc.abstractmethod
    def make_boxes(self) -> SecretBoxes: ...
    @abc.abstractmethod
    def seal(self, key: bytes, payload: bytes) -> bytes:
        """What a phone sends."""

    @pytest.mark.parametrize("payload", [b"", b"PING", bytes(1_024)])
    def test_a_box_opens_with_its_key(self, boxes: SecretBoxes, payload: bytes) -> None:
        key = boxes.new_key()

        sealed = self.seal(key, payload)

        assert payload == boxes.open(key, sealed)
        assert udp.SEALED_BYTES + len(payload) == len(sealed)

    def test_every_key_is_another(self, boxes: SecretBoxes) -> None:
        keys = {boxes.new_key() for _ in range(100)}

        assert 100 == len(keys)
        assert {32} == set(map(len, keys))

    def test_nothing_else_opens(self, boxes: SecretBoxes) -> None:
        key, other = boxes.new_key(), boxes.new_key()
        sealed = self.seal(key, b"hello")

        assert boxes.open(other, sealed) is None
        for size in range(len(sealed)):
            assert boxes.open(key, sealed[:size]) is None
        for at in range(len(sealed)):
            changed = bytes([sealed[at] ^ 1])
            assert boxes.open(key, sealed[:at] + changed + sealed[at + 1 :]) is None
