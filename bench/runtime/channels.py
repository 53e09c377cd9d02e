"""The same work with trio alone: a task an actor, each reading its own memory channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import trio
import trio.testing

from bench.runtime.meter import Meter
from bench.runtime.readers import Bench, Handler, Reader, can, measure

__all__ = ["can", "run"]


class _Channels(Bench):
    """A nursery full of actors."""

    def __init__(self, nursery: trio.Nursery, meter: Meter) -> None:
        super().__init__(meter, trio.Event)
        self.nursery = nursery

    def spawn(self, handler: Handler, *, says: Callable[[], object] | None = None) -> Reader:
        send, receive = trio.open_memory_channel[Any](math.inf)
        self.nursery.start_soon(_live, receive, handler, says)
        return Reader(send.send_nowait, send.close)

    async def settle(self) -> None:
        await trio.testing.wait_all_tasks_blocked()

    def answer(self, reply_to: trio.MemorySendChannel[None]) -> None:
        reply_to.send_nowait(None)

    async def ask(self, reader: Reader) -> None:
        reply_to, reply = trio.open_memory_channel[None](1)
        reader.put(reply_to)
        with trio.fail_after(5):
            await reply.receive()

    async def time(self, fired: int, hot: int) -> None:
        async def beat() -> None:
            for _ in range(max(1, fired // hot)):
                await trio.sleep(0.001)
                self.count()

        for _ in self.meter.samples():
            count = hot * max(1, fired // hot)
            self.expect(count)
            with self.meter.timed(count):
                for _ in range(hot):
                    self.nursery.start_soon(beat)
                await self.until_done()


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


def run(system: str, workload: str, meter: Meter, done: Callable[[], None]) -> None:
    """Measure one workload into `meter` and call `done`, before anything is stopped."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await measure(workload, _Channels(nursery, meter))
            done()
            nursery.cancel_scope.cancel()

    trio.run(main)
