"""The twins of `adapters.udp`: a network without a socket, and boxes that anybody could open."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import trio

from actors.audio.udp import Address, UdpDoor

NONCE_BYTES: Final = 24
_MARK: Final = b"box"


class SimulatedBoxes:
    """Implements `actors.ports.SecretBoxes` with keys in a row."""

    def __init__(self) -> None:
        self._keys = 0

    def new_key(self) -> bytes:
        self._keys += 1
        return self._keys.to_bytes(32, "big")

    def open(self, key: bytes, sealed: bytes) -> bytes | None:
        return sealed[40:] if sealed == seal(key, sealed[40:], sealed[:NONCE_BYTES]) else None


def seal(key: bytes, payload: bytes, nonce: bytes = bytes(NONCE_BYTES)) -> bytes:
    """What `open` opens: as long as the real one."""
    return nonce + (_MARK + crc32(key + nonce + payload).to_bytes(4, "big")).ljust(16, b"\0") + payload


class SimulatedUdp:
    """The listener's twin.

    Attributes:
      is_down: datagrams are lost on their way.
    """

    def __init__(self, door: UdpDoor, *, public_host: str) -> None:
        self.is_down = False
        self._door = door
        self._public_host = public_host
        self._arrived = trio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        door = self._door
        door.address = (self._public_host, door.settings.port)
        try:
            while True:
                self._arrived = trio.Event()
                due = door.due_at()
                with trio.move_on_at(float("inf") if due is None else due):
                    await self._arrived.wait()
                door.flush(trio.current_time())
        finally:
            door.address = None

    def send(self, data: bytes, source: Address) -> None:
        """A datagram of a phone arrives; it is lost while nobody listens."""
        if self._door.address is not None and not self.is_down:
            self._door.receive(data, source, trio.current_time())
            self._arrived.set()
