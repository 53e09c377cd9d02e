"""The workloads of systems where an actor is a task that reads a queue of its own: trio's and asyncio's.

What differs between the two (how a task is started, how a queue is read and ended, how an answer is awaited)
is in `channels` and `queues`.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from bench.runtime.meter import Meter, Tally, resident_kb

_PORTION = 100
_BUSY = 1000

Handler = Callable[[Any], object]


class Reader(NamedTuple):
    """One actor: `put` gives it a message, `end` lets its task end once it has read them all."""

    put: Callable[[Any], object]
    end: Callable[[], object]


class Event(Protocol):
    """What trio's and asyncio's events have in common."""

    def set(self) -> None: ...
    async def wait(self) -> object: ...


class Bench(abc.ABC):
    """What starts the actors, and what the workloads share."""

    def __init__(self, meter: Meter, make_event: Callable[[], Event]) -> None:
        self.meter = meter
        self.size = meter.size
        self.tally = Tally()
        self._make_event = make_event
        self._done = make_event()

    @abc.abstractmethod
    def spawn(self, handler: Handler, *, says: Callable[[], object] | None = None) -> Reader:
        """One actor. It says that it has begun and that it ends."""

    @abc.abstractmethod
    async def settle(self) -> None:
        """Return when every actor waits for a message."""

    @abc.abstractmethod
    def answer(self, reply_to: Any) -> None:
        """What an actor that is asked does."""

    @abc.abstractmethod
    async def ask(self, reader: Reader) -> None:
        """Ask an actor whose handler is `answer`, and wait 5 s at most."""

    @abc.abstractmethod
    async def time(self, fired: int, hot: int) -> None:
        """Take the samples of `fired` timers, `hot` of them at once."""

    async def many(self, count: int, handler: Handler) -> list[Reader]:
        readers = [self.spawn(handler) for _ in range(count)]
        await self.settle()
        return readers

    def expect(self, count: int) -> None:
        self._done = self._make_event()
        self.tally.left = count
        self.tally.finish = self._done.set

    async def until_done(self) -> None:
        await self._done.wait()

    def count(self, message: Any = None) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


async def _tell_busy(bench: Bench) -> None:
    ((put, _), *_) = await bench.many(bench.size, bench.count)
    rounds = bench.meter.rounds(_BUSY)
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * _BUSY):
            for _ in range(rounds):
                bench.expect(_BUSY)
                for number in range(_BUSY):
                    put(number)
                await bench.until_done()


async def _tell_asleep(bench: Bench) -> None:
    puts = [reader.put for reader in await bench.many(bench.size, bench.count)]
    rounds = bench.meter.rounds(max(10, bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * bench.size):
            for _ in range(rounds):
                bench.expect(bench.size)
                for put in puts:
                    put(1)
                await bench.until_done()


async def _ask(bench: Bench) -> None:
    readers = await bench.many(bench.size, bench.answer)
    asks = bench.meter.rounds(10)
    for _ in bench.meter.samples():
        with bench.meter.timed(asks):
            for number in range(asks):
                await bench.ask(readers[number % bench.size])


async def _round_trip(bench: Bench) -> None:
    puts: list[Callable[[Any], object]] = []

    def play(to: int) -> Handler:
        def handle(message: Any) -> None:
            tally = bench.tally
            tally.left -= 1
            if not tally.left:
                tally.finish()
            else:
                puts[to](message)

        return handle

    puts += [bench.spawn(play(1)).put, bench.spawn(play(0)).put]
    await bench.many(bench.size - 2, bench.count)
    trips = bench.meter.rounds(2)
    for _ in bench.meter.samples():
        bench.expect(2 * trips)
        with bench.meter.timed(trips):
            puts[0]("ball")
            await bench.until_done()


async def _fan_in(bench: Bench) -> None:
    collect = bench.spawn(bench.count).put

    def produce(message: int) -> None:
        for number in range(message):
            collect(number)

    producers = await bench.many(bench.size, produce)
    each = max(1, min(1000, bench.meter.effort // bench.size))
    for _ in bench.meter.samples():
        bench.expect(bench.size * each)
        with bench.meter.timed(bench.size * each):
            for producer in producers:
                producer.put(each)
            await bench.until_done()


async def _fan_out(bench: Bench) -> None:
    puts = [reader.put for reader in await bench.many(bench.size, bench.count)]

    def broadcast(message: Any) -> None:
        for put in puts:
            put(message)

    (broadcaster,) = await bench.many(1, broadcast)
    rounds = min(bench.meter.rounds(bench.size), 1000)
    for _ in bench.meter.samples():
        bench.expect(bench.size * rounds)
        with bench.meter.timed(bench.size * rounds):
            for number in range(rounds):
                broadcaster.put(number)
            await bench.until_done()


async def _spawn(bench: Bench, *, is_spawn_timed: bool = True) -> None:
    await bench.many(bench.size, bench.count)
    readers: list[Reader] = []

    async def spawn() -> None:
        bench.expect(_PORTION)
        readers[:] = [bench.spawn(bench.count, says=bench.count) for _ in range(_PORTION)]
        await bench.until_done()

    async def stop() -> None:
        bench.expect(_PORTION)
        for reader in readers:
            reader.end()
        await bench.until_done()

    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(5 * _PORTION)):
            if is_spawn_timed:
                with bench.meter.timed(_PORTION):
                    await spawn()
                await stop()
            else:
                await spawn()
                with bench.meter.timed(_PORTION):
                    await stop()


async def _stop(bench: Bench) -> None:
    await _spawn(bench, is_spawn_timed=False)


async def _timer(bench: Bench) -> None:
    await bench.many(bench.size, bench.count)
    fired = bench.meter.rounds(1) if bench.size > 1 else bench.meter.rounds(100)
    await bench.time(fired, min(100, bench.size))


async def _memory(bench: Bench, *, is_told: bool = False) -> None:
    for reader in await bench.many(50, bench.count):
        reader.end()
    before = resident_kb()
    puts = [reader.put for reader in await bench.many(bench.size, bench.count)]
    if is_told:
        bench.expect(bench.size)
        for put in puts:
            put(1)
        await bench.until_done()
    bench.meter.grown(before)


async def _memory_idle(bench: Bench) -> None:
    await _memory(bench, is_told=True)


_CAN: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "tell busy": _tell_busy,
    "tell asleep": _tell_asleep,
    "ask": _ask,
    "round trip": _round_trip,
    "fan-in": _fan_in,
    "fan-out": _fan_out,
    "spawn": _spawn,
    "stop": _stop,
    "timer": _timer,
    "memory fresh": _memory,
    "memory idle": _memory_idle,
}


def can() -> tuple[str, ...]:
    """The workloads these systems have."""
    return tuple(_CAN)


async def measure(workload: str, bench: Bench) -> None:
    """Measure one workload into the bench's meter."""
    await _CAN[workload](bench)
