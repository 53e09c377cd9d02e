"""A network between two peers that loses packets: a UDP port on loopback that both talk to."""

from __future__ import annotations

import random
import re
from typing import Final

import trio

_CANDIDATE: Final = re.compile(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) typ host")


class Relay:
    """Lets a phone believe that the relay is the server.

    Attributes:
      loss: how likely a packet of audio is lost.
      is_dead: everything is.
      lost, passed: packets of audio.
      wire_bytes: what passed towards the server, with all that is not audio.
    """

    def __init__(self, *, loss: float = 0.0, seed: int = 1) -> None:
        self.loss = loss
        self.is_dead = False
        self.lost = 0
        self.passed = 0
        self.wire_bytes = 0
        self._chance = random.Random(seed)
        self._server: tuple[str, int] | None = None
        self._phone: tuple[str, int] | None = None
        self._socket: trio.socket.SocketType | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Pass datagrams until cancelled."""
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as self._socket:
            await self._socket.bind(("127.0.0.1", 0))
            task_status.started()
            while True:
                data, source = await self._socket.recvfrom(2_048)
                to_server = source != self._server
                if to_server:
                    self._phone = source
                target = self._server if to_server else self._phone
                if target is None or self.is_dead or (to_server and self._is_lost(data)):
                    continue
                if to_server:
                    self.wire_bytes += len(data)
                await self._socket.sendto(data, target)

    def to_phone(self, sdp: str) -> str:
        """The server's description, with the relay as its one address."""
        assert self._socket is not None
        found = _CANDIDATE.search(sdp)
        assert found is not None, sdp
        self._server = ("127.0.0.1", int(found[1]))
        port = self._socket.getsockname()[1]
        return without_candidates(sdp) + f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"

    def _is_lost(self, data: bytes) -> bool:
        if not 128 <= data[0] < 192 or 192 <= data[1] < 224:  # STUN, DTLS; RTCP
            return False
        is_lost = self._chance.random() < self.loss
        self.lost += is_lost
        self.passed += not is_lost
        return is_lost


def without_candidates(sdp: str) -> str:
    """A description of somebody whose addresses nobody is told."""
    left = [line for line in sdp.splitlines() if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join(left) + "\r\n"
