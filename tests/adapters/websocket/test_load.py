"""How far behind the pump is, by its own word and measured on a real one."""

from __future__ import annotations

import socket
import time

import trio

from actors.ports import Connection
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.websocket import Engine, PumpLoad
from tests.adapters.websocket.peers import BINARY, RawPeer, RecordedHandler, frame


def test_work_without_a_pause_counts_from_its_beginning_and_idle_time_does_not() -> None:
    load = PumpLoad(clock=lambda: 20.0)

    load.begin(10.0)
    load.cut(10.5)
    load.begin(10.5)
    load.drained(10.75)
    load.begin(15.0)
    load.drained(15.25)

    assert [0.75, 0.0] == [load.take_longest_s(), load.take_longest_s()]


def test_a_pump_that_is_always_busy_but_comes_round_quickly_is_not_late() -> None:
    load = PumpLoad(clock=lambda: 20.0)

    load.begin(10.0)
    for quarter in range(1, 40):
        load.looked(10.0 + quarter / 4)
        load.cut(10.0 + quarter / 4)

    assert 0.25 == load.take_longest_s()


def test_what_still_goes_on_counts_and_counts_again() -> None:
    load = PumpLoad(clock=lambda: 20.0)
    load.begin(18.0)

    assert [2.0, 2.0] == [load.take_longest_s(), load.take_longest_s()]


def test_the_alarm_is_raised_once_until_somebody_looks() -> None:
    load, raised = PumpLoad(clock=lambda: 20.0), []
    load.watch(0.5, lambda: raised.append(True))

    load.begin(10.0)
    for now in (10.25, 10.5, 10.75):
        load.cut(now)
    assert 1 == len(raised)
    load.take_longest_s()
    load.cut(11.0)
    assert 2 == len(raised)


class Busy(RecordedHandler):
    """Takes 5 ms for a frame."""

    def binary(self, connection: Connection, payload: bytes) -> None:
        until = time.perf_counter() + 0.005
        while time.perf_counter() < until:
            pass
        super().binary(connection, payload)


async def test_a_pump_with_more_work_than_a_turn_says_how_long_it_had_some() -> None:
    load, handler, alarms = PumpLoad(), Busy(), []
    load.watch(0.05, lambda: alarms.append(True))
    ours, theirs = _loopback()
    async with trio.open_nursery() as nursery:
        engine = Engine(telemetry=RecordingTelemetry(), load=load)
        nursery.start_soon(engine.run)
        engine.adopt(theirs, handler)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as stream:
            peer = RawPeer(stream)
            await peer.upgrade()
            load.take_longest_s()
            await peer.send(frame(BINARY, b"x") * 30)
            await handler.until("binary", 30)
            longest_s = load.take_longest_s()
        nursery.cancel_scope.cancel()

    assert 0.1 < longest_s < 5
    assert [True] == alarms


def _loopback() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection, non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def test_work_share_is_what_was_computed_of_the_time_that_passed() -> None:
    times, worked = iter([10.0, 12.0, 12.0, 16.0]), iter([1.0, 2.0, 2.0, 2.0])
    load = PumpLoad(clock=lambda: next(times), work=lambda: next(worked))

    assert [0.5, 0.0, 0.0] == [load.take_work_share() for _ in range(3)]
