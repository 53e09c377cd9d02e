"""Calls that wait for their turn at one file, and have it together.

A call that finds nobody waiting sees to the next turn: it waits until the file is free and then runs
everything that has come meanwhile, in one hop to a worker thread. The others wait for that and do nothing:
when 200 phones dial at once, a lock that each call took for itself would hand the file over 200 times, each a
turn of the loop. So nobody waits on purpose, and a busy moment costs one hop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from actors.ports import StorageError

Call = TypeVar("Call")


class Waiting(Generic[Call]):
    """A call that waits, and what came of it: an answer or a fault."""

    __slots__ = ("answer", "call", "fault", "is_settled", "turn")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.answer: object = None
        self.fault: StorageError | None = None
        self.is_settled = False
        self.turn = trio.Event()


class Turns(Generic[Call]):
    """The queue for one resource.

    Args:
      free: held during a turn; other queues may share it.
      run: does a whole turn and leaves an answer or a fault in each that waits. Not cancelled.
    """

    def __init__(self, free: trio.Lock, run: Callable[[tuple[Waiting[Call], ...]], Awaitable[None]]) -> None:
        self._free = free
        self._run = run
        self._queue: deque[Waiting[Call]] = deque()

    def __len__(self) -> int:
        """How many wait; those whose turn it is do not."""
        return len(self._queue)

    async def take(self, call: Call) -> object:
        """Have `call` run in the next turn; returns its answer.

        Raises:
          StorageError: its fault.

        Cancellation: before its turn began the call is withdrawn; one that has begun is finished.
        """
        waiting = Waiting(call)
        self._queue.append(waiting)
        try:
            if self._queue[0] is not waiting:
                await waiting.turn.wait()
            if not waiting.is_settled:
                async with self._free:
                    await self._run_all()
        finally:
            if not waiting.is_settled:
                self._withdraw(waiting)
        if waiting.fault is not None:
            fault = waiting.fault
            raise StorageError(str(fault), retry_after_s=fault.retry_after_s) from fault
        return waiting.answer

    async def _run_all(self) -> None:
        turn = tuple(self._queue)
        self._queue.clear()
        with trio.CancelScope(
            shield=True
        ):  # bounded by the store's patience with other processes, and the disk
            await self._run(turn)
        for waiting in turn:
            waiting.is_settled = True
            waiting.turn.set()

    def _withdraw(self, waiting: Waiting[Call]) -> None:
        """It was cancelled before its turn. If it would have seen to it, the next one does."""
        if waiting in self._queue:
            self._queue.remove(waiting)
            if self._queue:
                self._queue[0].turn.set()
