"""The same work with pykka: a thread an actor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pykka

from bench.runtime.meter import Meter, Tally, resident_kb

_PORTION = 100
_BUSY = 1000

# Two threads may count at once here, so the counting has to be by one actor, or under this lock.
_LOCK = threading.Lock()


class _Counts(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally

    def on_receive(self, message: Any) -> Any:
        tally = self.tally
        with _LOCK:
            tally.left -= 1
            if not tally.left:
                tally.finish()


class _Answers(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: Any) -> Any:
        return message


class _Plays(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally
        self.other: Any = None

    def on_receive(self, message: Any) -> Any:
        if message != "ball":
            self.other = message
            return
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()
        else:
            self.other.tell(message)


class _Sends(pykka.ThreadingActor):
    """Sends to each of `to`, as often as the message says."""

    use_daemon_thread = True

    def __init__(self, to: list[Any]) -> None:
        super().__init__()
        self.to = to

    def on_receive(self, message: Any) -> Any:
        for number in range(message):
            for ref in self.to:
                ref.tell(number)


class _Bench:
    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.size = meter.size
        self.tally = Tally()
        self._done = threading.Event()

    def many(self, count: int) -> list[Any]:
        return [_Counts.start(self.tally) for _ in range(count)]

    def expect(self, count: int) -> None:
        self._done = threading.Event()
        self.tally.left = count
        self.tally.finish = self._done.set

    def until_done(self) -> None:
        self._done.wait()


def _tell_busy(bench: _Bench) -> None:
    (ref, *_) = bench.many(bench.size)
    rounds = bench.meter.rounds(_BUSY)
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * _BUSY):
            for _ in range(rounds):
                bench.expect(_BUSY)
                for number in range(_BUSY):
                    ref.tell(number)
                bench.until_done()


def _tell_asleep(bench: _Bench) -> None:
    refs = bench.many(bench.size)
    rounds = bench.meter.rounds(max(10, bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * bench.size):
            for _ in range(rounds):
                bench.expect(bench.size)
                for ref in refs:
                    ref.tell(1)
                bench.until_done()


def _ask(bench: _Bench) -> None:
    refs = [_Answers.start() for _ in range(bench.size)]
    asks = bench.meter.rounds(20)
    for _ in bench.meter.samples():
        with bench.meter.timed(asks):
            for number in range(asks):
                refs[number % bench.size].ask(number, timeout=5)


def _round_trip(bench: _Bench) -> None:
    a, b = _Plays.start(bench.tally), _Plays.start(bench.tally)
    a.tell(b)
    b.tell(a)
    bench.many(bench.size - 2)
    trips = bench.meter.rounds(20)
    for _ in bench.meter.samples():
        bench.expect(2 * trips)
        with bench.meter.timed(trips):
            a.tell("ball")
            bench.until_done()


def _fan_in(bench: _Bench) -> None:
    (collector,) = bench.many(1)
    producers = [_Sends.start([collector]) for _ in range(bench.size)]
    each = max(1, min(1000, bench.meter.effort // bench.size))
    for _ in bench.meter.samples():
        bench.expect(bench.size * each)
        with bench.meter.timed(bench.size * each):
            for ref in producers:
                ref.tell(each)
            bench.until_done()


def _fan_out(bench: _Bench) -> None:
    broadcaster = _Sends.start(bench.many(bench.size))
    rounds = min(bench.meter.rounds(bench.size), 1000)
    for _ in bench.meter.samples():
        bench.expect(bench.size * rounds)
        with bench.meter.timed(bench.size * rounds):
            for _ in range(rounds):
                broadcaster.tell(1)
            bench.until_done()


def _spawn(bench: _Bench, *, is_spawn_timed: bool = True) -> None:
    bench.many(bench.size)

    def stop(refs: list[Any]) -> None:
        for ref in refs:
            ref.stop()

    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(50 * _PORTION)):
            if is_spawn_timed:
                with bench.meter.timed(_PORTION):
                    refs = bench.many(_PORTION)
                stop(refs)
            else:
                refs = bench.many(_PORTION)
                with bench.meter.timed(_PORTION):
                    stop(refs)


def _stop(bench: _Bench) -> None:
    _spawn(bench, is_spawn_timed=False)


def _memory(bench: _Bench, *, is_told: bool = False) -> None:
    for ref in bench.many(10):
        ref.stop()
    before = resident_kb()
    refs = bench.many(bench.size)
    if is_told:
        bench.expect(bench.size)
        for ref in refs:
            ref.tell(1)
        bench.until_done()
    bench.meter.grown(before)


def _memory_idle(bench: _Bench) -> None:
    _memory(bench, is_told=True)


_CAN: dict[str, Callable[[_Bench], None]] = {
    "tell busy": _tell_busy,
    "tell asleep": _tell_asleep,
    "ask": _ask,
    "round trip": _round_trip,
    "fan-in": _fan_in,
    "fan-out": _fan_out,
    "spawn": _spawn,
    "stop": _stop,
    "memory fresh": _memory,
    "memory idle": _memory_idle,
}


def can() -> tuple[str, ...]:
    """The workloads this system has."""
    return tuple(_CAN)


def run(system: str, workload: str, meter: Meter, done: Callable[[], None]) -> None:
    """Measure one workload into `meter` and call `done`, before anything is stopped."""
    try:
        _CAN[workload](_Bench(meter))
        done()
    finally:
        pykka.ActorRegistry.stop_all()
