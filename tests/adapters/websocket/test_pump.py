from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import websockets.sync.client
from trio.abc import HalfCloseableStream

from actors.ports import CloseInfo, Lane, Outgoing, Refused
from adapters.listener.listener import Listener
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.websocket import Engine, EngineSettings, ServerConnection
from adapters.websocket.sockets import ConnectionSocket, Member, RefusedSocket
from tests.adapters.websocket.conformance import EngineConformance
from tests.adapters.websocket.peers import (
    BINARY,
    CLOSE,
    REQUEST,
    TEXT,
    WAIT_S,
    RawPeer,
    RecordedHandler,
    close_payload,
    frame,
)
from tests.adapters.websocket.servers import OneGate, Opener, Server


async def _echo_http(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some():
        await stream.send_all(data)
    await stream.send_eof()


@asynccontextmanager
async def open_pump(settings: EngineSettings | None = None) -> AsyncIterator[Server]:
    """The pump behind the real listener on a loopback port."""
    gate = OneGate()
    engine = Engine(telemetry=gate.telemetry, settings=settings)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listening.getsockname()[1]
    listener = Listener(
        listening, gates={"/glasses-ws": gate}, engine=engine, http=_echo_http, telemetry=gate.telemetry
    )

    @asynccontextmanager
    async def dial() -> AsyncIterator[HalfCloseableStream]:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            yield stream

    async with trio.open_nursery() as nursery:
        engine_scope = trio.CancelScope()

        async def run_engine() -> None:
            with engine_scope:
                await engine.run()

        nursery.start_soon(run_engine)
        nursery.start_soon(listener.run)
        yield Server(engine, dial, gate, engine_scope.cancel, port)
        nursery.cancel_scope.cancel()


class TestPump(EngineConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        return open_pump


# What only sockets have


@asynccontextmanager
async def _raw_socket(
    server: Server, handler: RecordedHandler
) -> AsyncIterator[tuple[RawPeer, trio.SocketStream]]:
    server.gate.handlers.append(handler)
    async with server.dial() as stream:
        assert isinstance(stream, trio.SocketStream)
        peer = RawPeer(stream)
        await peer.upgrade()
        yield peer, stream


def _reset(stream: trio.SocketStream) -> None:
    """Close with a reset instead of an end."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def _connected() -> tuple[socket.socket, trio.SocketStream]:
    """The server's and the client's end of a loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = await trio.open_tcp_stream(*listening.getsockname())
        sock, _ = listening.accept()
    return sock, stream


async def test_reset_in_the_middle_of_a_frame_is_told_as_one() -> None:
    handler, other = RecordedHandler(), RecordedHandler()
    async with open_pump() as server, server.peer(other) as neighbour:
        async with _raw_socket(server, handler) as (peer, stream):
            await peer.send(frame(TEXT, b"whole") + frame(TEXT, b"half a frame")[:-3])
            await handler.until("text")
            _reset(stream)
            info = await handler.until_closed()
        await neighbour.send(frame(TEXT, b"still here"))
        await other.until("text")

    assert CloseInfo(1006, was_reset=True) == info


async def test_abort_is_a_reset_for_the_peer() -> None:
    handler = RecordedHandler()
    async with open_pump() as server, _raw_socket(server, handler) as (_, stream):
        handler.connection.abort()

        with trio.fail_after(WAIT_S), pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


async def test_reset_of_a_peer_that_is_not_read_is_noticed() -> None:
    handler = RecordedHandler()
    settings = EngineSettings(hard_limit_bytes=1000, hard_limit_s=1000)
    async with open_pump(settings) as server, _raw_socket(server, handler) as (_, stream):
        handler.connection.send(Outgoing(bytes(3_000_000), is_text=False))
        _reset(stream)
        info = await handler.until_closed()

    assert CloseInfo(1006, was_reset=True) == info


async def test_flood_leaves_the_other_tasks_their_turns() -> None:
    handler = RecordedHandler()
    turns: list[int] = []  # how many messages had been heard at each turn of another task
    settings = EngineSettings(frames_per_turn=10, turn_s=0)
    async with open_pump(settings) as server, server.peer(handler) as peer, trio.open_nursery() as nursery:

        async def count_turns() -> None:
            while True:
                turns.append(len(handler.heard))
                await trio.lowlevel.checkpoint()

        nursery.start_soon(count_turns)
        await peer.send(frame(BINARY, bytes(2)) * 1000)
        await handler.until("binary", 1000)
        nursery.cancel_scope.cancel()

    gaps = [later - earlier for earlier, later in itertools.pairwise(turns)]
    assert max(gaps) <= 20  # trio shuffles its batch: two turns may stand between two of the other task


async def test_stalled_reader_is_seen_before_the_kernel_has_taken_a_lot() -> None:
    handler = RecordedHandler()
    async with open_pump() as server, server.peer(handler):
        health = handler.connection.health
        while health.queued_bytes == 0:
            handler.connection.send(Outgoing(bytes(3200), is_text=False, lane=Lane.AUDIO))

    assert health.bytes_out < 1_000_000  # 2.6 million without TCP_NOTSENT_LOWAT


async def test_sockets_are_set_up_for_small_messages_and_short_delays() -> None:
    sock, stream = await _connected()
    telemetry = RecordingTelemetry()
    engine = Engine(
        telemetry=telemetry, settings=EngineSettings(receive_buffer_bytes=20_000, unsent_bytes=32_000)
    )
    async with stream, _running(engine):
        engine.adopt(sock, RecordedHandler())
        options = [
            sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
            sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        ]

    assert [1, 32_000, 40_000] == options  # Linux doubles the last


async def test_peer_of_ipv6_has_its_address_in_brackets() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with listening:
        stream = await trio.open_tcp_stream(*listening.getsockname()[:2])
        sock, _ = listening.accept()
    handler = RecordedHandler()
    engine = Engine(telemetry=RecordingTelemetry())
    async with stream, _running(engine):
        engine.adopt(sock, handler)
        await RawPeer(stream).upgrade()

        assert f"[::1]:{stream.socket.getsockname()[1]}" == handler.connection.peer


async def test_head_that_was_read_already_is_handed_over() -> None:
    sock, stream = await _connected()
    handler = RecordedHandler()
    engine = Engine(telemetry=RecordingTelemetry())
    async with stream, _running(engine):
        engine.adopt(sock, handler, upgrade_raw=REQUEST)

        head = await RawPeer(stream).upgrade(b"")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert ["opened", "closed"] == [kind for kind, _ in handler.heard]


@asynccontextmanager
async def _running(engine: Engine) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        yield
        nursery.cancel_scope.cancel()


async def test_socket_without_a_peer_is_not_adopted() -> None:
    telemetry, handler = RecordingTelemetry(), RecordedHandler()
    engine = Engine(telemetry=telemetry)
    unconnected = socket.socket()
    async with _running(engine):
        engine.adopt(unconnected, handler)
        engine.refuse(socket.socket(), Refused(400, b""))

    assert -1 == unconnected.fileno()
    assert 2 == len(telemetry.of("websocket.not_adopted"))
    assert [] == handler.heard


async def test_full_selector_costs_the_socket_that_comes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullEpoll:
        def __init__(self, epoll: select.epoll) -> None:
            self._epoll = epoll

        def register(self, fd: int, mask: int) -> None:
            raise OSError(errno.ENOSPC, "max_user_watches")

        def __getattr__(self, name: str) -> object:
            return getattr(self._epoll, name)

    sock, stream = await _connected()
    async with open_pump() as server, server.peer() as peer, stream:
        engine = server.engine
        assert isinstance(engine, Engine)
        with monkeypatch.context() as patch:
            patch.setattr(engine, "_epoll", FullEpoll(engine._epoll))
            engine.adopt(sock, RecordedHandler())
            rest = await stream.receive_some()
        await peer.send(frame(TEXT, b"still here"))

        assert (TEXT, b"still here") == await peer.receive()
    assert b"" == rest
    assert 1 == len(server.telemetry.of("websocket.not_adopted"))


async def test_engine_that_has_ended_closes_what_it_is_given() -> None:
    sock, stream = await _connected()
    telemetry, first, second = RecordingTelemetry(), RecordedHandler(), RecordedHandler()
    engine = Engine(telemetry=telemetry)
    async with open_pump() as server, server.peer(first):
        server.stop()
        await first.until_closed()
        first.connection.bind(second)  # nobody is there to tell it, and nothing breaks
    async with _running(engine):
        pass
    async with stream:
        engine.adopt(sock, RecordedHandler())
        rest = await stream.receive_some()

    assert b"" == rest
    assert [] == second.heard


async def test_bug_met_by_one_connection_ends_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = ServerConnection.receive

    def broken_receive(self: ServerConnection, data: bytes, now: float) -> None:
        if b"boom" in data:
            raise RuntimeError("a bug")
        receive(self, data, now)

    def broken_expired(self: ServerConnection) -> None:
        raise RuntimeError("another bug")

    monkeypatch.setattr(ServerConnection, "receive", broken_receive)
    monkeypatch.setattr(ServerConnection, "expired", broken_expired)
    handlers = [RecordedHandler(), RecordedHandler()]
    async with open_pump(EngineSettings(close_timeout_s=0.01)) as server, server.peer() as neighbour:
        async with server.peer(handlers[0]) as one, server.peer(handlers[1]):
            await one.send(b"boom")
            handlers[1].connection.close(1000)
            for handler in handlers:
                await handler.until_closed()
        await neighbour.send(frame(TEXT, b"still here"))

        assert (TEXT, b"still here") == await neighbour.receive()
    causes = [str(fields["cause"]) for fields in server.telemetry.of("websocket.socket_failed")]
    assert ["RuntimeError('a bug')", "RuntimeError('another bug')"] == sorted(causes)


async def test_refused_peer_that_stays_is_reset_in_time() -> None:
    async with open_pump(EngineSettings(handshake_timeout_s=0.02)) as server, server.dial() as stream:
        await RawPeer(stream).upgrade(REQUEST.replace(b"/glasses-ws", b"/glasses-ws?refuse"))
        with trio.fail_after(WAIT_S), contextlib.suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"x" * 1000)


async def test_refused_peer_that_resets_or_reads_slowly_harms_nobody() -> None:
    engine = Engine(telemetry=RecordingTelemetry())
    big = Refused(403, b"x" * 5_000_000)
    async with _running(engine):
        resetting, reset_stream = await _connected()
        _reset(reset_stream)
        engine.refuse(resetting, big)
        late, late_stream = await _connected()
        engine.refuse(late, big)
        _reset(late_stream)
        slow, stream = await _connected()
        async with stream:
            await stream.send_all(REQUEST)
            engine.refuse(slow, big)
            rest = await RawPeer(stream).receive_rest()
            await stream.send_eof()
        while any(sock.fileno() != -1 for sock in (resetting, late, slow)):
            await trio.lowlevel.checkpoint()

    assert rest.endswith(b"x" * 5_000_000)


class _FullSocket:
    """A socket that says it is ready and then is not."""

    def fileno(self) -> int:
        return 99

    def recv(self, size: int) -> bytes:
        raise BlockingIOError

    def send(self, data: bytes | memoryview) -> int:
        raise BlockingIOError


class _NoSelector:
    """Writes down what its members want."""

    settings = EngineSettings()
    now = 0.0

    def __init__(self) -> None:
        self.calls: list[str] = []

    def select(self, member: Member) -> None:
        self.calls.append(f"select {member.interest}")

    def remove(self, member: Member) -> None:
        self.calls.append("remove")

    def add_deadline(self, member: Member, deadline: float) -> None:
        self.calls.append("deadline")

    def add_leftover(self, member: Member) -> None:
        self.calls.append("leftover")

    def add_ended(self, connection: ServerConnection) -> None:
        self.calls.append("ended")


def test_readiness_that_was_none_changes_nothing() -> None:
    selector, sock = _NoSelector(), cast(socket.socket, _FullSocket())
    member = ConnectionSocket(selector, sock, "peer")
    member.connection = cast(ServerConnection, SimpleNamespace(has_backlog=False))
    refused = RefusedSocket(selector, sock, "peer", b"answer")

    member.ready(select.EPOLLIN)
    taken = member.try_send(b"x")
    refused.ready(select.EPOLLIN)

    assert 0 == taken
    assert [f"select {select.EPOLLIN | select.EPOLLOUT}"] == selector.calls


def test_refused_peer_that_breaks_under_the_answer_is_closed() -> None:
    class BrokenSocket(_FullSocket):
        is_closed = False

        def send(self, data: bytes | memoryview) -> int:
            raise ConnectionResetError

        def close(self) -> None:
            self.is_closed = True

    selector, sock = _NoSelector(), BrokenSocket()
    refused = RefusedSocket(selector, cast(socket.socket, sock), "peer", b"answer")

    refused.ready(select.EPOLLIN)

    assert (["remove"], True) == (selector.calls, sock.is_closed)


def test_backlog_of_a_peer_that_was_not_read_gets_its_turn_again() -> None:
    selector, sock = _NoSelector(), cast(socket.socket, _FullSocket())
    worked: list[bool] = []
    member = ConnectionSocket(selector, sock, "peer")
    member.connection = cast(
        ServerConnection, SimpleNamespace(has_backlog=True, work=lambda: worked.append(True))
    )

    member.want(read=False, write=True)
    member.ready(0)
    before = list(worked), list(selector.calls)
    member.want(read=True, write=False)
    member.ready(0)

    assert ([], [f"select {int(select.EPOLLOUT)}"]) == before
    assert [True] == worked
    assert "leftover" in selector.calls


async def test_refusals_under_way_end_with_the_engine() -> None:
    engine = Engine(telemetry=RecordingTelemetry())
    sock, stream = await _connected()
    async with stream:
        async with _running(engine):
            await stream.send_all(REQUEST)
            engine.refuse(sock, Refused(403, b"x"))

        assert -1 == sock.fileno()


async def test_no_descriptor_is_left_behind() -> None:
    async with open_pump() as server:
        async with server.peer() as peer:  # what is opened once is open now
            await peer.send(frame(TEXT, b"x"))
            await peer.receive()
        before = len(os.listdir("/proc/self/fd"))
        handlers = [RecordedHandler() for _ in range(30)]
        for i, handler in enumerate(handlers):
            async with _raw_socket(server, handler) as (peer, stream):
                if i % 3 == 0:
                    await peer.send(frame(CLOSE, close_payload(1000)))
                    await peer.receive_rest()
                elif i % 3 == 1:
                    _reset(stream)
            await handler.until_closed()
        while server.engine.connections() or len(os.listdir("/proc/self/fd")) > before:
            await trio.lowlevel.checkpoint()

        assert len(os.listdir("/proc/self/fd")) <= before


async def test_synchronous_client_of_websockets_agrees() -> None:
    async with open_pump() as server:
        port = server.port

        def talk() -> list[str | bytes]:
            with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/glasses-ws") as client:
                client.send(["frag", "ment", "s"])
                client.send(b"\x00" * 200_000)
                received = [client.recv(timeout=WAIT_S), client.recv(timeout=WAIT_S)]
                assert client.ping().wait(WAIT_S)
                return received

        with trio.fail_after(WAIT_S):
            received = await trio.to_thread.run_sync(talk)

    assert ["fragments", b"\x00" * 200_000] == received
