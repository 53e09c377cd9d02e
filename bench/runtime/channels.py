"""The same work with trio alone: a task an actor, each reading its own memory channel."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from bench.runtime.meter import Meter, Tally, resident_kb

_PORTION = 100
_BUSY = 1000

Channel = trio.MemorySendChannel[Any]
Handler = Callable[[Any], object]


class _Bench:
    """A nursery full of actors, and what the workloads share."""

    def __init__(self, nursery: trio.Nursery, meter: Meter) -> None:
        self.nursery = nursery
        self.meter = meter
        self.size = meter.size
        self.tally = Tally()
        self._done = trio.Event()

    def spawn(self, handler: Handler, *, says: Callable[[], object] | None = None) -> Channel:
        """One actor: a channel and the task that reads it. It says that it has begun and that it ends."""
        send, receive = trio.open_memory_channel[Any](math.inf)
        self.nursery.start_soon(_live, receive, handler, says)
        return send

    async def many(self, count: int, handler: Handler) -> list[Channel]:
        channels = [self.spawn(handler) for _ in range(count)]
        await trio.testing.wait_all_tasks_blocked()
        return channels

    def expect(self, count: int) -> None:
        self._done = trio.Event()
        self.tally.left = count
        self.tally.finish = self._done.set

    async def until_done(self) -> None:
        await self._done.wait()

    def count(self, message: Any = None) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


async def _live(
    receive: trio.MemoryReceiveChannel[Any], handler: Handler, says: Callable[[], object] | None
) -> None:
    if says is not None:
        says()
    async with receive:
        async for message in receive:
            handler(message)
    if says is not None:
        says()


async def _tell_busy(bench: _Bench) -> None:
    (channel, *_) = await bench.many(bench.size, bench.count)
    rounds = bench.meter.rounds(_BUSY)
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * _BUSY):
            for _ in range(rounds):
                bench.expect(_BUSY)
                for number in range(_BUSY):
                    channel.send_nowait(number)
                await bench.until_done()


async def _tell_asleep(bench: _Bench) -> None:
    channels = await bench.many(bench.size, bench.count)
    rounds = bench.meter.rounds(max(10, bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * bench.size):
            for _ in range(rounds):
                bench.expect(bench.size)
                for channel in channels:
                    channel.send_nowait(1)
                await bench.until_done()


async def _ask(bench: _Bench) -> None:
    def answer(reply_to: Channel) -> None:
        reply_to.send_nowait(None)

    channels = await bench.many(bench.size, answer)
    asks = bench.meter.rounds(10)
    for _ in bench.meter.samples():
        with bench.meter.timed(asks):
            for number in range(asks):
                reply_to, reply = trio.open_memory_channel[Any](1)
                channels[number % bench.size].send_nowait(reply_to)
                with trio.fail_after(5):
                    await reply.receive()


async def _round_trip(bench: _Bench) -> None:
    others: list[Channel] = []

    def play(to: int) -> Handler:
        def handle(message: Any) -> None:
            tally = bench.tally
            tally.left -= 1
            if not tally.left:
                tally.finish()
            else:
                others[to].send_nowait(message)

        return handle

    others += [bench.spawn(play(1)), bench.spawn(play(0))]
    await bench.many(bench.size - 2, bench.count)
    trips = bench.meter.rounds(2)
    for _ in bench.meter.samples():
        bench.expect(2 * trips)
        with bench.meter.timed(trips):
            others[0].send_nowait("ball")
            await bench.until_done()


async def _fan_in(bench: _Bench) -> None:
    collector = bench.spawn(bench.count)

    def produce(message: int) -> None:
        for number in range(message):
            collector.send_nowait(number)

    producers = await bench.many(bench.size, produce)
    each = max(1, min(1000, bench.meter.effort // bench.size))
    for _ in bench.meter.samples():
        bench.expect(bench.size * each)
        with bench.meter.timed(bench.size * each):
            for channel in producers:
                channel.send_nowait(each)
            await bench.until_done()


async def _fan_out(bench: _Bench) -> None:
    channels = await bench.many(bench.size, bench.count)

    def broadcast(message: Any) -> None:
        for channel in channels:
            channel.send_nowait(message)

    (broadcaster,) = await bench.many(1, broadcast)
    rounds = min(bench.meter.rounds(bench.size), 1000)
    for _ in bench.meter.samples():
        bench.expect(bench.size * rounds)
        with bench.meter.timed(bench.size * rounds):
            for number in range(rounds):
                broadcaster.send_nowait(number)
            await bench.until_done()


async def _spawn(bench: _Bench, *, is_spawn_timed: bool = True) -> None:
    await bench.many(bench.size, bench.count)
    channels: list[Channel] = []

    async def spawn() -> None:
        bench.expect(_PORTION)
        channels[:] = [bench.spawn(bench.count, says=bench.count) for _ in range(_PORTION)]
        await bench.until_done()

    async def stop() -> None:
        bench.expect(_PORTION)
        for channel in channels:
            channel.close()
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
    hot = min(100, bench.size)
    fired = bench.meter.rounds(1) if bench.size > 1 else bench.meter.rounds(100)

    async def beat() -> None:
        for _ in range(max(1, fired // hot)):
            await trio.sleep(0.001)
            bench.count()

    for _ in bench.meter.samples():
        count = hot * max(1, fired // hot)
        bench.expect(count)
        with bench.meter.timed(count):
            for _ in range(hot):
                bench.nursery.start_soon(beat)
            await bench.until_done()


async def _memory(bench: _Bench, *, is_told: bool = False) -> None:
    for channel in await bench.many(50, bench.count):
        channel.close()
    before = resident_kb()
    channels = await bench.many(bench.size, bench.count)
    if is_told:
        bench.expect(bench.size)
        for channel in channels:
            channel.send_nowait(1)
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
        async with trio.open_nursery() as nursery:
            await _CAN[workload](_Bench(nursery, meter))
            done()
            nursery.cancel_scope.cancel()

    trio.run(main)
