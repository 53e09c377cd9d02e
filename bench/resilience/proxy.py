"""A TCP proxy that can go silent: half-open sockets without FIN and without a reset.

Two doors lead to one port, one for phones and one for apps. A door told to go silent keeps every connection
it has, swallows what comes from either side and passes nothing on, not even an end; what is dialled
afterwards passes. The kernels on both sides go on acknowledging, so TCP itself never finds out: only liveness
can.
"""

from __future__ import annotations

import select
import socket
import sys
from dataclasses import dataclass, field


@dataclass
class End:
    """One socket of a connection, and what waits to be written to it."""

    sock: socket.socket
    pair: Pair
    waiting: bytearray = field(default_factory=bytearray)


@dataclass
class Pair:
    """One connection: both sockets."""

    door: int
    ends: list[End] = field(default_factory=list)
    is_silent: bool = False


class Proxy:
    def __init__(self, target: int) -> None:
        self._target = target
        self._poll = select.epoll()
        self._ends: dict[int, End] = {}
        self._pairs: list[Pair] = []
        self._doors = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(2)]
        for door in self._doors:
            self._poll.register(door.fileno(), select.EPOLLIN)
        self._poll.register(0, select.EPOLLIN)

    @property
    def ports(self) -> list[int]:
        return [door.getsockname()[1] for door in self._doors]

    def run(self) -> None:
        numbers = {door.fileno(): number for number, door in enumerate(self._doors)}
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == 0:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self._silence(int(line))
                elif descriptor in numbers:
                    self._accept(numbers[descriptor])
                elif descriptor in self._ends:
                    self._pump(self._ends[descriptor])

    def _silence(self, door: int) -> None:
        for pair in self._pairs:
            if pair.door == door:
                pair.is_silent = True
        print("silent", flush=True)

    def _accept(self, door: int) -> None:
        peer, _ = self._doors[door].accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            peer.close()
            return
        pair = Pair(door)
        self._pairs.append(pair)
        for sock in (peer, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end = End(sock, pair)
            pair.ends.append(end)
            self._ends[sock.fileno()] = end
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def _pump(self, end: End) -> None:
        pair = end.pair
        other = pair.ends[1] if end is pair.ends[0] else pair.ends[0]
        if end.waiting:
            self._write(end, b"")
        try:
            data = end.sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if pair.is_silent:
            if not data:  # the other side is to hear nothing of it
                self._poll.unregister(end.sock.fileno())
                del self._ends[end.sock.fileno()]
        elif data:
            self._write(other, data)
        else:
            self._close(pair)

    def _write(self, end: End, data: bytes) -> None:
        end.waiting += data
        try:
            del end.waiting[: end.sock.send(end.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._close(end.pair)
            return
        interest = select.EPOLLIN | (select.EPOLLOUT if end.waiting else 0)
        self._poll.modify(end.sock.fileno(), interest)

    def _close(self, pair: Pair) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
            for end in pair.ends:
                if self._ends.pop(end.sock.fileno(), None) is not None:
                    self._poll.unregister(end.sock.fileno())
                end.sock.close()


def main() -> None:
    """`python -m bench.resilience.proxy PORT`: prints its two ports; `0` or `1` silences a door."""
    proxy = Proxy(int(sys.argv[1]))
    print(*proxy.ports, flush=True)
    proxy.run()


if __name__ == "__main__":
    main()
