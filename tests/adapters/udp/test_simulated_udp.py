"""The twins of the socket and of libsodium keep their contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from actors.audio.udp import UdpDoor
from actors.ports import SecretBoxes
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.udp import SimulatedBoxes, SimulatedUdp, seal
from tests.adapters.udp.conformance import BoxesConformance, NetworkConformance, Send, until


@asynccontextmanager
async def listening(door: UdpDoor) -> AsyncIterator[Send]:
    network = SimulatedUdp(door, public_host="glass.example.org")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.run)
        await until(lambda: door.address is not None)
        yield lambda data: network.send(data, ("127.0.0.1", 4000))
        nursery.cancel_scope.cancel()


class TestSimulatedUdp(NetworkConformance):
    def listening(self, door: UdpDoor, telemetry: RecordingTelemetry) -> AbstractAsyncContextManager[Send]:
        return listening(door)


class TestSimulatedBoxes(BoxesConformance):
    def make_boxes(self) -> SecretBoxes:
        return SimulatedBoxes()

    def seal(self, key: bytes, payload: bytes) -> bytes:
        return seal(key, payload)
