"""The same work with asyncio alone: a task an actor, each reading its own `asyncio.Queue`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.runtime.meter import Meter, Tally, resident_kb

_PORTION = 100
_BUSY = 1000
_END = object()

Queue = asyncio.Queue[Any]
Handler = Callable[[Any], object]


class _Bench:
    """Tasks, and what the workloads share."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.size = meter.size
        self.tally = Tally()
        self.tasks: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()

    def spawn(self, handler: Handler, *, says: Callable[[], object] | None = None) -> Queue:
        """One actor: a queue and the task that reads it. It says that it has begun and that it ends."""
        queue = Queue()
        task = asyncio.create_task(_live(queue, handler, says))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return queue

    async def many(self, count: int, handler: Handler) -> list[Queue]:
        queues = [self.spawn(handler) for _ in range(count)]
        await asyncio.sleep(0)
        return queues

    def expect(self, count: int) -> None:
        self._done = asyncio.Event()
        self.tally.left = count
        self.tally.finish = self._done.set

    async def until_done(self) -> None:
        await self._done.wait()

    def count(self, message: Any = None) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


async def _live(queue: Queue, handler: Handler, says: Callable[[], object] | None) -> None:
    if says is not None:
        says()
    while (message := await queue.get()) is not _END:
        handler(message)
    if says is not None:
        says()


async def _tell_busy(bench: _Bench) -> None:
    (queue, *_) = await bench.many(bench.size, bench.count)
    rounds = bench.meter.rounds(_BUSY)
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * _BUSY):
            for _ in range(rounds):
                bench.expect(_BUSY)
                for number in range(_BUSY):
                    queue.put_nowait(number)
                await bench.until_done()


async def _tell_asleep(bench: _Bench) -> None:
    queues = await bench.many(bench.size, bench.count)
    rounds = bench.meter.rounds(max(10, bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * bench.size):
            for _ in range(rounds):
                bench.expect(bench.size)
                for queue in queues:
                    queue.put_nowait(1)
                await bench.until_done()


async def _ask(bench: _Bench) -> None:
    def answer(reply: asyncio.Future[None]) -> None:
        reply.set_result(None)

    queues = await bench.many(bench.size, answer)
    loop = asyncio.get_running_loop()
    asks = bench.meter.rounds(10)
    for _ in bench.meter.samples():
        with bench.meter.timed(asks):
            for number in range(asks):
                reply: asyncio.Future[None] = loop.create_future()
                queues[number % bench.size].put_nowait(reply)
                async with asyncio.timeout(5):
                    await reply


async def _round_trip(bench: _Bench) -> None:
    others: list[Queue] = []

    def play(to: int) -> Handler:
        def handle(message: Any) -> None:
            tally = bench.tally
            tally.left -= 1
            if not tally.left:
                tally.finish()
            else:
                others[to].put_nowait(message)

        return handle

    others += [bench.spawn(play(1)), bench.spawn(play(0))]
    await bench.many(bench.size - 2, bench.count)
    trips = bench.meter.rounds(2)
    for _ in bench.meter.samples():
        bench.expect(2 * trips)
        with bench.meter.timed(trips):
            others[0].put_nowait("ball")
            await bench.until_done()


async def _fan_in(bench: _Bench) -> None:
    collector = bench.spawn(bench.count)

    def produce(message: int) -> None:
        for number in range(message):
            collector.put_nowait(number)

    producers = await bench.many(bench.size, produce)
    each = max(1, min(1000, bench.meter.effort // bench.size))
    for _ in bench.meter.samples():
        bench.expect(bench.size * each)
        with bench.meter.timed(bench.size * each):
            for queue in producers:
                queue.put_nowait(each)
            await bench.until_done()


async def _fan_out(bench: _Bench) -> None:
    queues = await bench.many(bench.size, bench.count)

    def broadcast(message: Any) -> None:
        for queue in queues:
            queue.put_nowait(message)

    (broadcaster,) = await bench.many(1, broadcast)
    rounds = min(bench.meter.rounds(bench.size), 1000)
    for _ in bench.meter.samples():
        bench.expect(bench.size * rounds)
        with bench.meter.timed(bench.size * rounds):
            for number in range(rounds):
                broadcaster.put_nowait(number)
            await bench.until_done()


async def _spawn(bench: _Bench, *, is_spawn_timed: bool = True) -> None:
    await bench.many(bench.size, bench.count)
    queues: list[Queue] = []

    async def spawn() -> None:
        bench.expect(_PORTION)
        queues[:] = [bench.spawn(bench.count, says=bench.count) for _ in range(_PORTION)]
        await bench.until_done()

    async def stop() -> None:
        bench.expect(_PORTION)
        for queue in queues:
            queue.put_nowait(_END)
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


async def _stop(bench: _Bench) -> None:
    await _spawn(bench, is_spawn_timed=False)


async def _timer(bench: _Bench) -> None:
    await bench.many(bench.size, bench.count)
    loop = asyncio.get_running_loop()
    hot = min(100, bench.size)
    fired = bench.meter.rounds(1) if bench.size > 1 else bench.meter.rounds(100)

    def beat() -> None:
        tally = bench.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()
        elif tally.left >= hot:
            loop.call_later(0.001, queues[tally.left % hot].put_nowait, None)

    queues = await bench.many(hot, lambda message: beat())
    for _ in bench.meter.samples():
        bench.expect(fired)
        with bench.meter.timed(fired):
            for queue in queues:
                queue.put_nowait(None)
            await bench.until_done()


async def _memory(bench: _Bench, *, is_told: bool = False) -> None:
    for queue in await bench.many(50, bench.count):
        queue.put_nowait(_END)
    before = resident_kb()
    queues = await bench.many(bench.size, bench.count)
    if is_told:
        bench.expect(bench.size)
        for queue in queues:
            queue.put_nowait(1)
        await bench.until_done()
    bench.meter.grown(before)


async def _memory_idle(bench: _Bench) -> None:
    await _memory(bench, is_told=True)


_CAN: dict[str, Callable[[_Bench], Awaitable[None]]] = {
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
    """The workloads this system has."""
    return tuple(_CAN)


def run(system: str, workload: str, meter: Meter, done: Callable[[], None]) -> None:
    """Measure one workload into `meter` and call `done`, before anything is stopped."""

    async def main() -> None:
        bench = _Bench(meter)
        await _CAN[workload](bench)
        done()
        for task in bench.tasks:
            task.cancel()

    asyncio.run(main())
