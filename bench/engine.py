"""What the WebSocket engine costs: server CPU per received frame, beside the bare loop in the same run.

N sources send binary frames at an even rate and random phase; the server relays each frame to the source's
own sink. Two servers are measured in turn: the engine (`adapters.websocket.Engine` under trio), and the bare
loop that is the measure of DESIGN section 13 (epoll, websockets' `ServerProtocol`, one send). The server is a
process of its own on one core, the driver on another; CPU time is the kernel's count for the process.

    python -m bench.engine
    python -m bench.engine --sources 1000 --rate 10 --frame-bytes 3200
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Mapping

import trio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from actors.ports import CloseInfo, Connection, Lane, Outgoing
from adapters.websocket import Engine
from bench import report

_SERVERS = ("bare", "engine")


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench engine", description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=100, help="sockets that send; as many receive")
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second and source")
    parser.add_argument("--frame-bytes", type=int, default=1000, help="payload of a frame")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time of a run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each server, in turn")
    parser.add_argument("--serve", choices=_SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        pin(0)
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
            print(listening.getsockname()[1], flush=True)
            if options.serve == "bare":
                _serve_bare(listening)
            else:
                trio.run(_serve_engine, listening)
        return

    pin(1)
    rows: list[dict[str, object]] = []
    costs: dict[str, list[float]] = {name: [] for name in _SERVERS}
    for run in range(1, options.runs + 1):
        for name in _SERVERS:
            row = measure(name, options)
            us = row.pop("us_per_frame")
            costs[name].append(us)
            rows.append(
                {"server": name, "run": run, "us/frame": us, "ms/source-s": us * options.rate / 1000, **row}
            )
            print(report.table(rows[-1:]), flush=True)
    engine, bare = statistics.median(costs["engine"]), statistics.median(costs["bare"])
    print(f"\n{report.table(rows)}\n")
    print(f"median us a frame: engine {engine:.1f}, bare {bare:.1f}, ratio {engine / bare:.2f}")
    print(report.write_json("engine", {"options": vars(options), "rows": rows, "ratio": engine / bare}))


def pin(core: int) -> None:
    """Keep this process on the core with this number among those it may use; wraps around."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


# The servers


class _Relay:
    """Sends what one connection receives to another."""

    def __init__(self, sinks: dict[str, Connection], name: str) -> None:
        self._sinks = sinks
        self._name = name

    def opened(self, connection: Connection) -> None:
        if self._name.startswith("sink-"):
            self._sinks[self._name[5:]] = connection

    def text(self, connection: Connection, payload: bytes) -> None:
        raise AssertionError("the driver sends no text")

    def binary(self, connection: Connection, payload: bytes) -> None:
        self._sinks[self._name].send(Outgoing(payload, is_text=False, lane=Lane.AUDIO))

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        pass

    def failed(self, connection: Connection, error: Exception) -> None:
        raise error


class _Quiet:
    """Telemetry that prints warnings and errors."""

    def debug(self, event: str, **fields: object) -> None: ...
    def info(self, event: str, **fields: object) -> None: ...
    def warning(self, event: str, **fields: object) -> None:
        print(event, fields, file=sys.stderr)

    error = warning

    def count(self, event: str, amount: int = 1) -> None: ...
    def counters(self) -> Mapping[str, int]:
        return {}


async def _serve_engine(listening: socket.socket) -> None:
    engine = Engine(telemetry=_Quiet())
    sinks: dict[str, Connection] = {}
    listening.setblocking(False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        while True:
            await trio.lowlevel.wait_readable(listening)
            sock, _ = listening.accept()
            head = sock.recv(65536)  # the driver has sent it with the dial
            engine.adopt(sock, _Relay(sinks, _name_of(head)), upgrade_raw=head)


def _serve_bare(listening: socket.socket) -> None:
    """The least a Python WebSocket relay can do: one epoll, one parser a socket, one send a frame."""
    poller = select.epoll()
    poller.register(listening.fileno(), select.EPOLLIN)
    sockets: dict[int, tuple[socket.socket, ServerProtocol, str]] = {}
    sinks: dict[str, tuple[socket.socket, ServerProtocol]] = {}
    while True:
        for fd, _ in poller.poll():
            if fd == listening.fileno():
                sock, _ = listening.accept()
                head = sock.recv(65536)
                protocol = ServerProtocol(max_size=16 * 2**20)
                protocol.receive_data(head)
                request = protocol.events_received()[0]
                assert isinstance(request, Request)
                protocol.send_response(protocol.accept(request))
                assert protocol.state is State.OPEN
                sock.sendall(b"".join(protocol.data_to_send()))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setblocking(False)
                name = _name_of(head)
                sockets[sock.fileno()] = sock, protocol, name
                if name.startswith("sink-"):
                    sinks[name[5:]] = sock, protocol
                poller.register(sock.fileno(), select.EPOLLIN)
                continue
            sock, protocol, name = sockets[fd]
            data = sock.recv(65536)
            if not data:
                poller.unregister(fd)
                del sockets[fd]
                sock.close()
                continue
            protocol.receive_data(data)
            for frame in protocol.events_received():
                assert isinstance(frame, Frame)
                sink, outgoing = sinks[name]
                outgoing.send_binary(frame.data)
                sink.send(b"".join(outgoing.data_to_send()))


def _name_of(head: bytes) -> str:
    return head.split(b" ", 2)[1].decode().lstrip("/")


# The driver


def measure(server: str, options: argparse.Namespace) -> dict[str, float]:
    """One run of one server: us of CPU per frame, delays, losses, memory. `options` as in `main`."""
    command = [sys.executable, "-P", "-m", "bench.engine", "--serve", server]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            memory_before = _memory_kb(process.pid)
            sinks = [_dial(port, f"sink-{i}") for i in range(options.sources)]
            sources = [_dial(port, str(i)) for i in range(options.sources)]
            socket_kb = (_memory_kb(process.pid) - memory_before) / (2 * options.sources)
            _drive(sources, sinks, options, 1.0)  # the server's caches are warm now
            started = _cpu_ns(process.pid)
            row = _drive(sources, sinks, options, options.seconds)
            cpu_us = (_cpu_ns(process.pid) - started) / 1000
            for sock in sources + sinks:
                sock.close()
            return {**row, "us_per_frame": cpu_us / row["frames"], "socket_kb": socket_kb}
        finally:
            process.kill()


def _dial(port: int, name: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        f"GET /{name} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return sock


def _drive(
    sources: list[socket.socket], sinks: list[socket.socket], options: argparse.Namespace, seconds: float
) -> dict[str, float]:
    """Send for `seconds`; a frame's payload begins with the time it was sent at."""
    size = max(8, options.frame_bytes)
    head = Frame(Opcode.BINARY, bytes(size)).serialize(mask=False)[:-size]
    masked_head = bytes((head[0], head[1] | 0x80)) + head[2:] + bytes(4)  # a mask of zeros changes nothing
    filler = os.urandom(size - 8)
    frame_bytes = len(head) + size
    period = 1 / options.rate
    poller = select.epoll()
    received = {sink.fileno(): (sink, bytearray()) for sink in sinks}
    for fd in received:
        poller.register(fd, select.EPOLLIN)
    start = time.perf_counter()
    schedule = [(start + random.random() * period, i) for i in range(len(sources))]
    heapq.heapify(schedule)
    sent = 0
    arrived = 0
    delays: list[float] = []
    lateness: list[float] = []
    ends_at = start + seconds
    while True:
        now = time.perf_counter()
        while schedule and schedule[0][0] <= now:
            due, i = heapq.heappop(schedule)
            if due >= ends_at:
                continue
            lateness.append(now - due)
            now = time.perf_counter()
            sources[i].sendall(masked_head + struct.pack("d", now) + filler)
            sent += 1
            heapq.heappush(schedule, (due + period, i))
        if (arrived == sent and not schedule) or now > ends_at + 2:
            break
        wait = schedule[0][0] - time.perf_counter() if schedule else 0.1
        for fd, _ in poller.poll(max(0.0, wait)):
            sink, buffer = received[fd]
            buffer += sink.recv(65536)
            now = time.perf_counter()
            while len(buffer) >= frame_bytes:
                delays.append(now - struct.unpack_from("d", buffer, len(head))[0])
                del buffer[:frame_bytes]
                arrived += 1
    poller.close()
    return {
        "frames": sent,
        "lost": sent - arrived,
        "p50_ms": report.percentile(delays, 50) * 1000,
        "p99_ms": report.percentile(delays, 99) * 1000,
        "late_ms": report.percentile(lateness, 99) * 1000,
    }


def _cpu_ns(pid: int) -> int:
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0])


def _memory_kb(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4


if __name__ == "__main__":
    main()
