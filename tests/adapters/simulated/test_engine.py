from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing
from trio.abc import HalfCloseableStream, ReceiveStream, SendStream

from actors.ports import Admitted, CloseInfo, Outgoing, Refused, Upgrade
from adapters.listener.head import Head, make_upgrade, read_head
from adapters.simulated.engine import SimulatedEngine
from adapters.websocket import EngineSettings, ServerConnection, response_of
from tests.adapters.websocket.conformance import EngineConformance
from tests.adapters.websocket.peers import (
    CLOSE,
    REQUEST,
    TEXT,
    RawPeer,
    RecordedHandler,
    close_payload,
    frame,
)
from tests.adapters.websocket.servers import OneGate, Opener, Server

_NETWORK_BYTES = 65_536


class _Pipe(SendStream, ReceiveStream):
    """One direction of a network: holds so many bytes, then the sender waits."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._has_ended = False
        self._is_broken = False
        self._changed = trio.Event()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        rest = memoryview(bytes(data))
        while rest:
            if self._is_broken or self._has_ended:
                raise trio.BrokenResourceError
            room = _NETWORK_BYTES - len(self._data)
            if room == 0:
                await self._changed.wait()
                continue
            self._data += rest[:room]
            rest = rest[room:]
            self._change()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self._data and not self._has_ended and not self._is_broken:
            await self._changed.wait()
        if self._is_broken:
            raise trio.BrokenResourceError
        data = bytes(self._data[:max_bytes])
        del self._data[: len(data)]
        self._change()
        return data

    async def send_eof(self) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self.end()
        await trio.lowlevel.checkpoint()

    def end(self) -> None:
        self._has_ended = True
        self._change()

    def break_off(self) -> None:
        self._is_broken = True
        self._change()


class _End(HalfCloseableStream):
    """One end of a connection over two pipes."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.incoming = incoming
        self.outgoing = outgoing

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self.incoming.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.outgoing.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.outgoing.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.outgoing.send_eof()

    async def aclose(self) -> None:
        self.incoming.end()  # the other side may not send any more
        await self.outgoing.aclose()


def _make_streams() -> tuple[_End, _End]:
    up, down = _Pipe(), _Pipe()
    return _End(down, up), _End(up, down)


async def _echo_http(stream: HalfCloseableStream) -> None:
    while data := await stream.receive_some(10):
        await stream.wait_send_all_might_not_block()
        await stream.send_all(data)
    await stream.send_eof()
    await stream.aclose()


def _make_engine(
    gate: OneGate,
    settings: EngineSettings | None = None,
    node_name: str | None = None,
    send_buffer_bytes: int = 65_536,
) -> SimulatedEngine[Head]:
    return SimulatedEngine(
        gates={"/glasses-ws": gate},
        connect=partial(
            ServerConnection,
            settings=settings or EngineSettings(),
            clock=trio.current_time,
            telemetry=gate.telemetry,
        ),
        read_head=read_head,
        make_upgrade=make_upgrade,
        response_of=response_of,
        http=_echo_http,
        telemetry=gate.telemetry,
        make_streams=_make_streams,
        node_name=node_name,
        send_buffer_bytes=send_buffer_bytes,
    )


@asynccontextmanager
async def open_simulated(settings: EngineSettings | None = None) -> AsyncIterator[Server]:
    gate = OneGate()
    engine = _make_engine(gate, settings)

    @asynccontextmanager
    async def dial() -> AsyncIterator[HalfCloseableStream]:
        async with await engine.dial() as stream:
            yield stream

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def run_engine() -> None:
            with scope:
                await engine.run()

        nursery.start_soon(run_engine)
        yield Server(engine, dial, gate, scope.cancel)
        nursery.cancel_scope.cancel()


class TestSimulatedEngine(EngineConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        return open_simulated


# What only the twin has


@asynccontextmanager
async def _running(engine: SimulatedEngine[Head]) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        yield
        nursery.cancel_scope.cancel()


async def test_dial_waits_for_the_server_as_in_a_backlog(autojump_clock: trio.testing.MockClock) -> None:
    gate = OneGate()
    engine = _make_engine(gate)
    stream = await engine.dial()
    await stream.send_all(REQUEST)

    async with _running(engine):
        head = await RawPeer(stream).upgrade(b"")

    assert head.startswith(b"HTTP/1.1 101 ")
    assert ["client-1"] == [upgrade.peer for upgrade in gate.upgrades]


async def test_dial_is_refused_when_the_server_does_not_listen(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stopped, ended = _make_engine(OneGate()), _make_engine(OneGate())
    stopped.stop_accepting()
    async with _running(ended):
        pass

    for engine in (stopped, ended):
        with pytest.raises(ConnectionRefusedError):
            await engine.dial()


async def test_ids_and_peers_are_counted(autojump_clock: trio.testing.MockClock) -> None:
    handlers = [RecordedHandler(), RecordedHandler()]
    async with open_simulated() as server, server.peer(handlers[0]), server.peer(handlers[1]):
        connections = [(handler.connection.id, handler.connection.peer) for handler in handlers]

    assert [("connection-1", "client-1"), ("connection-2", "client-2")] == connections


async def test_broken_network_is_a_reset_whoever_meets_it_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    readers, writers = RecordedHandler(), RecordedHandler()
    async with open_simulated() as server, server.peer(readers) as one, server.peer(writers) as other:
        assert isinstance(one.stream, _End)
        assert isinstance(other.stream, _End)
        one.stream.outgoing.break_off()
        other.stream.incoming.break_off()
        writers.connection.send(Outgoing(b"into the void"))
        infos = [await readers.until_closed(), await writers.until_closed()]
        late = writers.connection.send(Outgoing(b"late"))

    assert [CloseInfo(1006, was_reset=True)] * 2 == infos
    assert not late


async def test_close_frame_into_a_broken_network_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    handler = RecordedHandler()
    async with open_simulated() as server, server.peer(handler) as peer:
        assert isinstance(peer.stream, _End)
        peer.stream.incoming.break_off()
        await peer.send(frame(CLOSE, close_payload(1000)))
        info = await handler.until_closed()

    assert CloseInfo(1000) == info


async def test_bug_met_by_one_connection_ends_that_one(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = ServerConnection.receive

    def broken_receive(self: ServerConnection, data: bytes, now: float) -> None:
        if b"boom" in data:
            raise RuntimeError("a bug")
        receive(self, data, now)

    monkeypatch.setattr(ServerConnection, "receive", broken_receive)
    handler = RecordedHandler()
    async with open_simulated() as server, server.peer() as neighbour:
        async with server.peer(handler) as peer:
            await peer.send(b"boom")
            info = await handler.until_closed()
        await neighbour.send(frame(TEXT, b"still here"))

        assert (TEXT, b"still here") == await neighbour.receive()
    assert CloseInfo(1006, by_us=True) == info
    (event,) = server.telemetry.of("simulated_engine.connection_failed")
    assert "a bug" in str(event["cause"])


async def test_what_is_no_request_is_answered(autojump_clock: trio.testing.MockClock) -> None:
    async with open_simulated() as server, server.dial() as stream:
        head = await RawPeer(stream).upgrade(b"\x16\x03\x01\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")


async def test_dial_without_a_request_ends_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    async with open_simulated() as server, server.dial() as silent, server.dial() as leaving:
        await leaving.send_eof()
        head = await RawPeer(silent).upgrade(b"")
        rest = await RawPeer(leaving).receive_rest()

    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"" == rest
    assert 10 == pytest.approx(trio.current_time() - began)


async def test_gate_of_the_twin_that_takes_too_long_is_a_503(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Never(OneGate):
        async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
            await trio.sleep_forever()
            raise AssertionError

    engine = _make_engine(Never())
    async with _running(engine), await engine.dial() as stream:
        began = trio.current_time()
        head = await RawPeer(stream).upgrade()

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert 5 == pytest.approx(trio.current_time() - began, abs=0.1)


async def test_network_that_breaks_before_the_upgrade_is_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_simulated() as server, server.dial() as stream, server.dial() as neighbour:
        assert isinstance(stream, _End)
        stream.outgoing.break_off()
        head = await RawPeer(neighbour).upgrade()

    assert head.startswith(b"HTTP/1.1 101 ")
    assert 1 == server.telemetry.counters()["simulated_engine.broken"]


async def test_other_owners_path_is_not_found(autojump_clock: trio.testing.MockClock) -> None:
    gate = OneGate()
    engine = _make_engine(gate, node_name="node-1")
    async with _running(engine):
        heads = []
        for owner in (b"/o/node-1", b"/o/node-2", b""):
            async with await engine.dial() as stream:
                heads.append(await RawPeer(stream).upgrade(REQUEST.replace(b"/glasses", owner + b"/glasses")))

    assert [b"101", b"404", b"101"] == [head.split()[1] for head in heads]


async def test_peer_that_never_reads_cannot_hold_a_closed_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    handler = RecordedHandler()
    gate = OneGate()
    gate.handlers.append(handler)
    engine = _make_engine(gate, send_buffer_bytes=2 * _NETWORK_BYTES)
    async with _running(engine), await engine.dial() as stream:
        await RawPeer(stream).upgrade()
        handler.connection.send(Outgoing(bytes(2 * _NETWORK_BYTES), is_text=False))
        await stream.send_eof()
        started = trio.current_time()
        await handler.until_closed()
        told_after_s = trio.current_time() - started
        await engine.close_all(timeout_s=60)
        gone_after_s = trio.current_time() - started

    assert told_after_s == 0
    assert gone_after_s == pytest.approx(10)
