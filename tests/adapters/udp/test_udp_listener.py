"""The real socket on loopback, and libsodium."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import nacl.secret
import nacl.utils
import trio

from actors.audio.udp import UdpDoor
from actors.ports import SecretBoxes
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.udp import NaclBoxes, UdpListener
from tests.adapters.udp.conformance import BoxesConformance, NetworkConformance, Send, new_door, until


@asynccontextmanager
async def listening(door: UdpDoor, telemetry: RecordingTelemetry) -> AsyncIterator[Send]:
    listener = UdpListener(door, host="127.0.0.1", public_host="127.0.0.1", telemetry=telemetry)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.run)
            await until(lambda: door.address is not None)
            assert door.address is not None
            phone.connect(door.address)
            yield phone.sendall
            nursery.cancel_scope.cancel()


class TestUdpListener(NetworkConformance):
    def listening(self, door: UdpDoor, telemetry: RecordingTelemetry) -> AbstractAsyncContextManager[Send]:
        return listening(door, telemetry)


class TestNaclBoxes(BoxesConformance):
    def make_boxes(self) -> SecretBoxes:
        return NaclBoxes()

    def seal(self, key: bytes, payload: bytes) -> bytes:
        return bytes(nacl.secret.SecretBox(key).encrypt(payload, nacl.utils.random(24)))


async def test_a_port_that_is_taken_is_waited_for(telemetry: RecordingTelemetry) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        door = new_door(telemetry)
        door.settings = type(door.settings)(enabled=True, port=other.getsockname()[1])
        listener = UdpListener(door, host="127.0.0.1", public_host="glass", telemetry=telemetry)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.run)
            await until(lambda: bool(telemetry.of("udp_port_taken")))
            assert door.address is None
            other.close()

            await until(lambda: door.address is not None)

            assert ("glass", door.settings.port) == door.address
            assert 1 == len(telemetry.of("udp_port_taken"))
            nursery.cancel_scope.cancel()
