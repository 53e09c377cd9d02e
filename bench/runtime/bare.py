"""The bare loop: mailboxes, one queue of who has mail, a method call a message. No runtime at all.

No supervision, no lanes, no bound, no transaction, nothing to look at. What an actor costs more than this is
what those cost.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.runtime.meter import Meter, Tally, resident_kb

_PORTION = 100
_BUSY = 1000


class _Counts:
    """An actor, as little as it can be."""

    __slots__ = ("is_queued", "mail", "tally")

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.mail: deque[Any] = deque()
        self.is_queued = False

    def receive(self, message: Any) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


class _Plays(_Counts):
    __slots__ = ("loop", "other")

    def __init__(self, tally: Tally, loop: Loop) -> None:
        super().__init__(tally)
        self.loop = loop
        self.other: _Plays | None = None

    def receive(self, message: Any) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()
        elif self.other is not None:
            self.loop.tell(self.other, message)


class _Sends(_Counts):
    """Sends to each of `to`, as often as the message says."""

    __slots__ = ("loop", "to")

    def __init__(self, tally: Tally, loop: Loop, to: list[_Counts]) -> None:
        super().__init__(tally)
        self.loop = loop
        self.to = to

    def receive(self, message: int) -> None:
        tell = self.loop.tell
        for number in range(message):
            for actor in self.to:
                tell(actor, number)


class _Rearms(_Counts):
    __slots__ = ("actors", "loop")

    def __init__(self, tally: Tally, loop: Loop, actors: int) -> None:
        super().__init__(tally)
        self.loop = loop
        self.actors = actors

    def receive(self, message: Any) -> None:
        tally = self.tally
        tally.left -= 1
        if tally.left >= self.actors:
            self.loop.call_later(0.001, self)


class Loop:
    """The run queue and a heap of timers."""

    def __init__(self) -> None:
        self.ready: deque[_Counts] = deque()
        self.timers: list[tuple[float, int, _Counts]] = []
        self._serial = 0

    def tell(self, actor: _Counts, message: Any) -> None:
        actor.mail.append(message)
        if not actor.is_queued:
            actor.is_queued = True
            self.ready.append(actor)

    def call_later(self, after_s: float, actor: _Counts) -> None:
        self._serial += 1
        heapq.heappush(self.timers, (time.monotonic() + after_s, self._serial, actor))

    def run(self) -> None:
        """Until nobody has mail."""
        ready = self.ready
        while ready:
            actor = ready.popleft()
            mail = actor.mail
            receive = actor.receive
            while mail:
                receive(mail.popleft())
            actor.is_queued = False

    def run_with_timers(self) -> None:
        """Until nobody has mail and no timer is set."""
        timers = self.timers
        self.run()
        while timers:
            now = time.monotonic()
            if timers[0][0] > now:
                time.sleep(timers[0][0] - now)
            while timers and timers[0][0] <= now:
                self.tell(heapq.heappop(timers)[2], None)
            self.run()


def busy_us(messages: int = 20_000) -> float:
    """Microseconds a message to a busy actor: how fast this core is just now."""
    loop, actor = Loop(), _Counts(Tally())
    began = time.process_time()
    for first in range(0, messages, _BUSY):
        for number in range(first, first + _BUSY):
            loop.tell(actor, number)
        loop.run()
    return (time.process_time() - began) * 1e6 / messages


def _tell_busy(meter: Meter) -> None:
    loop, actor = Loop(), _Counts(Tally())
    rounds = meter.rounds(_BUSY)
    for _ in meter.samples():
        with meter.timed(rounds * _BUSY):
            for _ in range(rounds):
                for number in range(_BUSY):
                    loop.tell(actor, number)
                loop.run()


def _tell_asleep(meter: Meter) -> None:
    loop, tally = Loop(), Tally()
    actors = [_Counts(tally) for _ in range(meter.size)]
    rounds = meter.rounds(meter.size)
    for _ in meter.samples():
        with meter.timed(rounds * meter.size):
            for _ in range(rounds):
                for actor in actors:
                    loop.tell(actor, 1)
                loop.run()


def _round_trip(meter: Meter) -> None:
    loop, tally = Loop(), Tally()
    a, b = _Plays(tally, loop), _Plays(tally, loop)
    a.other, b.other = b, a
    trips = meter.rounds(2)
    for _ in meter.samples():
        tally.left = 2 * trips
        with meter.timed(trips):
            loop.tell(a, "ball")
            loop.run()


def _fan_in(meter: Meter) -> None:
    loop, tally = Loop(), Tally()
    to: list[_Counts] = [_Counts(tally)]
    producers = [_Sends(tally, loop, to) for _ in range(meter.size)]
    each = max(1, min(1000, meter.effort // meter.size))
    for _ in meter.samples():
        with meter.timed(meter.size * each):
            for producer in producers:
                loop.tell(producer, each)
            loop.run()


def _fan_out(meter: Meter) -> None:
    loop, tally = Loop(), Tally()
    to = [_Counts(tally) for _ in range(meter.size)]
    broadcaster = _Sends(tally, loop, to)
    rounds = min(meter.rounds(meter.size), 1000)
    for _ in meter.samples():
        with meter.timed(meter.size * rounds):
            for _ in range(rounds):
                loop.tell(broadcaster, 1)
            loop.run()


def _spawn(meter: Meter, *, is_spawn_timed: bool = True) -> None:
    tally, serial = Tally(), 0
    actors = {f"b{number}": _Counts(tally) for number in range(meter.size)}
    for _ in meter.samples():
        for _ in range(meter.rounds(5 * _PORTION)):
            serial += _PORTION
            names = [f"a{number}" for number in range(serial, serial + _PORTION)]
            if is_spawn_timed:
                with meter.timed(_PORTION):
                    for name in names:
                        actors[name] = _Counts(tally)
                for name in names:
                    del actors[name]
            else:
                for name in names:
                    actors[name] = _Counts(tally)
                with meter.timed(_PORTION):
                    for name in names:
                        del actors[name]


def _stop(meter: Meter) -> None:
    _spawn(meter, is_spawn_timed=False)


def _timer(meter: Meter) -> None:
    loop, tally, hot = Loop(), Tally(), min(100, meter.size)
    actors = [_Rearms(tally, loop, hot) for _ in range(hot)]
    fired = meter.rounds(1) if meter.size > 1 else meter.rounds(100)
    for _ in meter.samples():
        tally.left = fired
        with meter.timed(fired):
            for actor in actors:
                loop.tell(actor, None)
            loop.run_with_timers()


def _memory(meter: Meter) -> None:
    tally = Tally()
    before = resident_kb()
    actors = {f"a{number}": _Counts(tally) for number in range(meter.size)}
    meter.grown(before)
    actors.clear()


_CAN: dict[str, Callable[[Meter], None]] = {
    "tell busy": _tell_busy,
    "tell asleep": _tell_asleep,
    "round trip": _round_trip,
    "fan-in": _fan_in,
    "fan-out": _fan_out,
    "spawn": _spawn,
    "stop": _stop,
    "timer": _timer,
    "memory fresh": _memory,
    "memory idle": _memory,
}


def can() -> tuple[str, ...]:
    """The workloads this system has."""
    return tuple(_CAN)


def run(system: str, workload: str, meter: Meter, done: Callable[[], None]) -> None:
    """Measure one workload into `meter` and call `done`."""
    _CAN[workload](meter)
    done()
