"""An open connection that goes on in another engine, as in a reload: byte by byte where it stood."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio

from actors.ports import Lane, Outgoing
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.websocket import Engine, EngineSettings, ServerConnection
from adapters.websocket.frames import wire_of
from adapters.websocket.handover import OpenConnection
from tests.adapters.websocket.peers import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    EchoHandler,
    RawPeer,
    RecordedHandler,
    close_payload,
    frame,
)

CONT = 0x0
MESSAGES = (
    frame(TEXT, b'{"n":1}')
    + frame(BINARY, bytes(range(200)))
    + frame(TEXT, b"frag", fin=False)
    + frame(CONT, b"men", fin=False)
    + frame(CONT, b"ted")
    + frame(BINARY, b"last")
)
HEARD = [("text", b'{"n":1}'), ("binary", bytes(range(200))), ("text", b"fragmented"), ("binary", b"last")]


class CountingWire:
    """A transport that takes `room_bytes` more and keeps them."""

    def __init__(self, room_bytes: int = 1 << 40) -> None:
        self.room_bytes = room_bytes
        self.sent = b""
        self.wants: tuple[bool, bool] = (True, False)
        self.deadline: float | None = None

    def try_send(self, data: bytes | memoryview, /) -> int:
        taken = bytes(data[: self.room_bytes])
        self.room_bytes -= len(taken)
        self.sent += taken
        return len(taken)

    def want(self, *, read: bool, write: bool) -> None:
        self.wants = (read, write)

    def expire_at(self, deadline: float | None) -> None:
        self.deadline = deadline

    def ended(self) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...


def a_connection(
    wire: CountingWire, handler: RecordedHandler, now: float, settings: EngineSettings | None = None
) -> ServerConnection:
    return ServerConnection(
        wire,
        handler,
        id="connection-1",
        peer="peer",
        settings=settings or EngineSettings(),
        clock=lambda: now,
        telemetry=RecordingTelemetry(),
    )


def opened(wire: CountingWire, handler: RecordedHandler) -> ServerConnection:
    connection = a_connection(wire, handler, 100.0)
    room_bytes, wire.room_bytes = wire.room_bytes, 1 << 40
    connection.receive(REQUEST, 100.0)
    wire.room_bytes = room_bytes
    wire.sent = b""
    return connection


def carried(record: OpenConnection) -> OpenConnection:
    """As the other process gets it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=OpenConnection)


@pytest.mark.parametrize("cut", range(len(MESSAGES) + 1))
def test_stream_cut_anywhere_is_heard_whole_and_once_over_two_processes(cut: int) -> None:
    first, second = RecordedHandler(), RecordedHandler()
    before = opened(CountingWire(), first)
    before.receive(MESSAGES[:cut], 100.0)

    after = a_connection(CountingWire(), second, 5000.0)
    after.resume(carried(before.record(101.0)), 5000.0)
    after.work()
    if cut < len(MESSAGES):
        after.receive(MESSAGES[cut:], 5000.0)

    assert HEARD == [*first.heard[1:], *second.heard]
    assert len(HEARD) == after.health.messages_in
    assert len(REQUEST + MESSAGES) == after.health.bytes_in


def test_frames_beyond_the_share_of_a_turn_are_heard_by_the_next_process() -> None:
    settings = EngineSettings(frames_per_turn=2)
    first, second = RecordedHandler(), RecordedHandler()
    before = a_connection(CountingWire(), first, 100.0, settings)
    before.receive(REQUEST, 100.0)
    before.receive(b"".join(frame(TEXT, b"%d" % n) for n in range(5)), 100.0)

    after = a_connection(CountingWire(), second, 100.0, settings)
    after.resume(carried(before.record(100.0)), 100.0)
    while after.has_backlog:
        after.work()

    assert [b"0", b"1"] == first.all("text")
    assert [b"2", b"3", b"4"] == second.all("text")


@pytest.mark.parametrize("room", [0, 1, 2, 700, 1003])
def test_what_waits_for_a_slow_peer_goes_on_byte_by_byte_and_by_lane(room: int) -> None:
    messages = [
        Outgoing(b"c" * 1000),
        Outgoing(b"a" * 300, is_text=False, lane=Lane.AUDIO),
        Outgoing(b"old", lane=Lane.DISPLAY, key="main"),
        Outgoing(b"new", lane=Lane.DISPLAY, key="main"),
        Outgoing(b"urgent"),
    ]
    wire = CountingWire(room)
    before = opened(wire, RecordedHandler())
    for message in messages:
        before.send(message)
    before.ping()

    second = CountingWire()
    after = a_connection(second, RecordedHandler(), 100.0)
    after.resume(carried(before.record(100.0)), 100.0)
    queued = after.health.queued_bytes
    assert (True, True) == second.wants
    after.send(Outgoing(b"newest", lane=Lane.DISPLAY, key="main"))
    after.writable()

    first_control, audio, _, _, urgent = map(wire_of, messages)
    ping = b"\x89\x08" + bytes(7) + b"\x01"
    newest = wire_of(Outgoing(b"newest"))
    is_begun = 0 < room
    lead = first_control + ping if is_begun else ping + first_control
    assert lead + urgent + newest + audio == wire.sent + second.sent
    assert before.health.queued_bytes == queued
    assert 0 == after.health.queued_bytes
    assert (True, False) == second.wants


def test_health_pings_and_their_times_come_along() -> None:
    before = opened(CountingWire(), RecordedHandler())
    before.ping()
    before.receive(frame(PONG, bytes(7) + b"\x01"), 100.0)
    before.ping()

    second = CountingWire()
    after = a_connection(second, RecordedHandler(), 5000.5)
    after.resume(carried(before.record(100.0)), 5000.0)
    health = after.health
    assert (5000.0, 5000.0) == (health.opened_at, health.last_activity_at)
    assert health.has_shown_pongs
    after.receive(frame(PONG, bytes(7) + b"\x02"), 5000.5)
    after.ping()

    assert 0.5 == health.round_trip_s
    assert 0 == health.missed_pongs
    assert second.sent.endswith(b"\x03"), "pings are counted on"
    assert after.is_open


def test_peer_of_a_resumed_connection_over_its_hard_limit_still_has_a_deadline() -> None:
    settings = EngineSettings(hard_limit_bytes=100, control_limit_bytes=10_000)
    before = opened(CountingWire(0), RecordedHandler())
    before.send(Outgoing(bytes(200)))

    second = CountingWire(0)
    after = a_connection(second, RecordedHandler(), 7.0, settings)
    after.resume(carried(before.record(100.0)), 7.0)

    assert (False, True) == second.wants
    assert 7.0 + settings.hard_limit_s == second.deadline


# Over real sockets, from one engine to another


@asynccontextmanager
async def two_engines() -> AsyncIterator[tuple[Engine, Engine]]:
    """The first one serves, the second one stands frozen."""
    first = Engine(telemetry=RecordingTelemetry())
    second = Engine(telemetry=RecordingTelemetry())
    second.freeze()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.run)
        nursery.start_soon(second.run)
        yield first, second
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialled(engine: Engine, handler: RecordedHandler) -> AsyncIterator[RawPeer]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = await trio.open_tcp_stream(*listening.getsockname())
        sock, _ = listening.accept()
    async with stream:
        engine.adopt(sock, handler)
        peer = RawPeer(stream)
        assert (await peer.upgrade()).startswith(b"HTTP/1.1 101 ")
        yield peer


def hand_over(first: Engine, second: Engine, handler: RecordedHandler) -> None:
    """Everything, as two processes do it: by a copy of the descriptor."""
    given = first.record()
    for _, sock, record in given:
        assert second.take_over(sock.dup(), carried(record), handler) is not None
    first.let_go([connection for connection, _, _ in given])


async def test_peer_notices_nothing_of_another_engine() -> None:
    before, after = RecordedHandler(), EchoHandler()
    async with two_engines() as (first, second), dialled(first, before) as peer:
        await peer.send(frame(TEXT, b"one") + frame(TEXT, b"two, in halves")[:9])
        await before.until("text")
        first.freeze()
        await peer.send(frame(TEXT, b"two, in halves")[9:])
        hand_over(first, second, after)
        await peer.send(frame(TEXT, b"three"))
        assert [] == after.all("text"), "nothing is read before it is thawed"
        second.thaw()

        assert (TEXT, b"two, in halves") == await peer.receive()
        assert (TEXT, b"three") == await peer.receive()
        await peer.send(frame(PING, b"alive?"))
        assert (PONG, b"alive?") == await peer.receive()
        assert [b"one"] == before.all("text")
        assert [] == before.all("closed"), "it did not end, it is somebody else's"
        assert [] == first.connections()
        await peer.send(frame(CLOSE, close_payload(1000)))
        assert (CLOSE, close_payload(1000)) == await peer.receive()
        assert 1000 == (await after.until_closed()).code


async def test_frozen_engine_that_keeps_its_sockets_goes_on_where_it_stood() -> None:
    handler = EchoHandler()
    async with two_engines() as (first, _), dialled(first, handler) as peer:
        first.freeze()
        await peer.send(frame(TEXT, b"waits"))
        first.record()
        first.connections()[0].send(Outgoing(b"sent meanwhile"))
        assert (TEXT, b"sent meanwhile") == await peer.receive()
        assert [] == handler.all("text")

        first.thaw()

        assert (TEXT, b"waits") == await peer.receive()


async def test_closing_handshake_under_way_is_ended_by_the_engine_that_began_it() -> None:
    closing = RecordedHandler()
    async with (
        two_engines() as (first, second),
        dialled(first, closing) as leaver,
        dialled(first, RecordedHandler()) as stayer,
    ):
        await closing.until("opened")
        closing.connection.close(1008, "App not started")
        first.freeze()
        hand_over(first, second, RecordedHandler())
        assert 1 == len(second.connections())
        assert (CLOSE, close_payload(1008, "App not started")) == await leaver.receive()
        await leaver.send(frame(CLOSE, close_payload(1008)))
        await leaver.stream.aclose()

        first.finish(5.0)

        assert 1008 == (await closing.until_closed()).code
        second.thaw()
        second.connections()[0].send(Outgoing(b"still here"))
        assert (TEXT, b"still here") == await stayer.receive()


async def test_connection_whose_peer_has_left_meanwhile_ends_in_the_next_engine() -> None:
    handler = RecordedHandler()
    async with two_engines() as (first, second), dialled(first, RecordedHandler()) as peer:
        first.freeze()
        await peer.stream.aclose()
        hand_over(first, second, handler)
        second.thaw()

        assert 1006 == (await handler.until_closed()).code
