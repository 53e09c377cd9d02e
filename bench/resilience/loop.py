"""What the bench's own processes run on: one epoll, raw sockets, timers, and a log written once a turn."""

from __future__ import annotations

import heapq
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from bench.raw import CLOSE, ClosedByServerError, RawSocket, UpgradeRefusedError, frame

from .records import Log

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for 0 s: close sends a reset


class Loop:
    """One epoll; whoever registers is called when its descriptor is readable."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._poll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def register(self, descriptor: int, reader: Callable[[], None]) -> None:
        self._readers[descriptor] = reader
        self._poll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        if self._readers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def after(self, wait_s: float, call: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (time.perf_counter() + wait_s, self._count, call))

    def turn(self, most_s: float) -> None:
        """Wait for what comes first, at most `most_s`, and do it."""
        now = time.perf_counter()
        if self._timers:
            most_s = min(most_s, self._timers[0][0] - now)
        for descriptor, _ in self._poll.poll(max(0.0, most_s)):
            reader = self._readers.get(descriptor)
            if reader is not None:
                reader()
        now = time.perf_counter()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        self.log.flush()


class Peer:
    """One WebSocket of a phone or an app: what arrives and how it ends are calls.

    Args:
      heard: opcode and payload of a message.
      ended: why: `1006` and other close codes, `refused`, `http 503`.
    """

    def __init__(
        self,
        loop: Loop,
        address: tuple[str, int],
        target: str,
        *,
        heard: Callable[[int, bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._heard = heard
        self._ended = ended
        self._sock: RawSocket | None = None
        try:
            self._sock = RawSocket(address, target, None)
        except OSError:
            loop.after(0.0, lambda: ended("refused"))
            return
        loop.register(self._sock.fileno(), self._read)

    @property
    def is_upgraded(self) -> bool:
        return self._sock is not None and self._sock.is_upgraded

    def send(self, data: bytes) -> None:
        """Send, or keep what does not fit; nothing after the end. A broken socket is heard of by reading."""
        sock = self._sock
        if sock is None:
            return
        try:
            sock.flush()
            sock.send(data)
        except OSError:
            return

    def drop(self, *, with_reset: bool) -> None:
        """End it from here, without a word of the protocol; `ended` is not called."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.forget(sock.fileno())
            if with_reset:
                sock.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()

    def _read(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            for opcode, payload in sock.receive():
                self._heard(opcode, payload)
                if self._sock is None:
                    return
            if sock.late_bytes:
                sock.flush()
        except ClosedByServerError as error:
            self.send(frame(CLOSE, error.code.to_bytes(2, "big")))
            self._end(str(error.code))
        except UpgradeRefusedError as error:
            self._end(f"http {str(error).split(' ', 2)[1]}")
        except OSError:
            self._end("1006")

    def _end(self, why: str) -> None:
        if self._sock is not None:
            self.drop(with_reset=False)
            self._ended(why)


def read_settings() -> dict[str, Any]:
    """The first line of standard input, a JSON object; what follows stays for `commands`."""
    with open(0, "rb", buffering=0, closefd=False) as unbuffered:
        settings: dict[str, Any] = json.loads(unbuffered.readline())
        return settings


def commands(loop: Loop, obey: Callable[[dict[str, Any]], None]) -> None:
    """Obey each line of standard input, a JSON object; its end ends the process."""
    rest = b""

    def read() -> None:
        nonlocal rest
        data = os.read(0, 65_536)
        if not data:
            raise SystemExit(0)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            obey(json.loads(line))

    loop.register(0, read)
