"""The same work with asyncio alone: a task an actor, each reading its own `asyncio.Queue`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.runtime.meter import Meter
from bench.runtime.readers import Bench, Handler, Reader, can, measure

__all__ = ["can", "run"]

_END = object()


class _Queues(Bench):
    """The tasks, which asyncio itself would forget."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter, asyncio.Event)
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()

    def spawn(self, handler: Handler, *, says: Callable[[], object] | None = None) -> Reader:
        queue = asyncio.Queue[Any]()
        task = asyncio.create_task(_live(queue, handler, says))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return Reader(queue.put_nowait, partial(queue.put_nowait, _END))

    async def settle(self) -> None:
        await asyncio.sleep(0)

    def answer(self, reply_to: asyncio.Future[None]) -> None:
        reply_to.set_result(None)

    async def ask(self, reader: Reader) -> None:
        reply: asyncio.Future[None] = self.loop.create_future()
        reader.put(reply)
        async with asyncio.timeout(5):
            await reply

    async def time(self, fired: int, hot: int) -> None:
        def beat(_: None) -> None:
            tally = self.tally
            tally.left -= 1
            if not tally.left:
                tally.finish()
            elif tally.left >= hot:
                self.loop.call_later(0.001, readers[tally.left % hot].put, None)

        readers = await self.many(hot, beat)
        for _ in self.meter.samples():
            self.expect(fired)
            with self.meter.timed(fired):
                for reader in readers:
                    reader.put(None)
                await self.until_done()


async def _live(queue: asyncio.Queue[Any], handler: Handler, says: Callable[[], object] | None) -> None:
    if says is not None:
        says()
    while (message := await queue.get()) is not _END:
        handler(message)
    if says is not None:
        says()


def run(system: str, workload: str, meter: Meter, done: Callable[[], None]) -> None:
    """Measure one workload into `meter` and call `done`, before anything is stopped."""

    async def main() -> None:
        bench = _Queues(meter)
        await measure(workload, bench)
        done()
        for task in bench.tasks:
            task.cancel()

    asyncio.run(main())
