"""The same work with thespian on its `simpleSystemBase`: actors in one thread, run by who sends to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thespian.actors import Actor, ActorExitRequest, ActorSystem

from bench.runtime.meter import Meter, resident_kb

_PORTION = 100
_BUSY = 1000


class _Counts(Actor):
    left = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 - thespian's name
        self.left -= 1
        if not self.left:
            self.send(sender, None)


class _Answers(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802
        if not isinstance(message, ActorExitRequest):
            self.send(sender, message)


class _Plays(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802
        if isinstance(message, tuple):
            left, other = message
            if left:
                self.send(other, (left - 1, self.myAddress))


class _Sends(Actor):
    """Sends to each of the addresses it is told, so many times."""

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802
        if isinstance(message, list):
            self.to = message
        elif isinstance(message, int):
            for number in range(message):
                for address in self.to:
                    self.send(address, number)


class _Bench:
    def __init__(self, system: Any, meter: Meter) -> None:
        self.system = system
        self.meter = meter
        self.size = meter.size

    def many(self, count: int, cls: type[Any] = _Counts) -> list[Any]:
        return [self.system.createActor(cls) for _ in range(count)]


def _tell_busy(bench: _Bench) -> None:
    # Mail cannot wait here: who tells from outside is back when it has been handled.
    (address, *_) = bench.many(bench.size)
    for _ in bench.meter.samples():
        with bench.meter.timed(_BUSY):
            for number in range(_BUSY):
                bench.system.tell(address, number)


def _tell_asleep(bench: _Bench) -> None:
    addresses = bench.many(bench.size)
    rounds = bench.meter.rounds(max(10, bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * bench.size):
            for _ in range(rounds):
                for address in addresses:
                    bench.system.tell(address, 1)


def _ask(bench: _Bench) -> None:
    addresses = bench.many(bench.size, _Answers)
    asks = bench.meter.rounds(10)
    for _ in bench.meter.samples():
        with bench.meter.timed(asks):
            for number in range(asks):
                bench.system.ask(addresses[number % bench.size], number, 5)


def _round_trip(bench: _Bench) -> None:
    a, b = bench.many(2, _Plays)
    bench.many(bench.size - 2)
    trips = bench.meter.rounds(4)
    for _ in bench.meter.samples():
        with bench.meter.timed(trips):
            bench.system.tell(a, (2 * trips - 1, b))


def _fan_in(bench: _Bench) -> None:
    (collector,) = bench.many(1)
    producers = bench.many(bench.size, _Sends)
    for address in producers:
        bench.system.tell(address, [collector])
    each = max(1, min(1000, bench.meter.effort // bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(bench.size * each):
            for address in producers:
                bench.system.tell(address, each)


def _fan_out(bench: _Bench) -> None:
    addresses = bench.many(bench.size)
    (broadcaster,) = bench.many(1, _Sends)
    bench.system.tell(broadcaster, addresses)
    rounds = min(bench.meter.rounds(bench.size), 1000)
    for _ in bench.meter.samples():
        with bench.meter.timed(bench.size * rounds):
            for _ in range(rounds):
                bench.system.tell(broadcaster, 1)


def _spawn(bench: _Bench, *, is_spawn_timed: bool = True) -> None:
    bench.many(bench.size)

    def stop(addresses: list[Any]) -> None:
        for address in addresses:
            bench.system.tell(address, ActorExitRequest())

    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(10 * _PORTION)):
            if is_spawn_timed:
                with bench.meter.timed(_PORTION):
                    addresses = bench.many(_PORTION)
                stop(addresses)
            else:
                addresses = bench.many(_PORTION)
                with bench.meter.timed(_PORTION):
                    stop(addresses)


def _stop(bench: _Bench) -> None:
    _spawn(bench, is_spawn_timed=False)


def _memory(bench: _Bench, *, is_told: bool = False) -> None:
    bench.many(10)
    before = resident_kb()
    addresses = bench.many(bench.size)
    if is_told:
        for address in addresses:
            bench.system.tell(address, 1)
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
    actors = ActorSystem("simpleSystemBase")
    try:
        _CAN[workload](_Bench(actors, meter))
        done()
    finally:
        actors.shutdown()
