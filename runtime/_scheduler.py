"""The run queue: one trio task that runs every actor which has mail, and fires every deadline.

Waking a trio task costs 3 to 4 us, so actors without a task of their own are run from here: `BATCH`
messages of one actor, then the next. After `TURN_S` the task goes back to trio once, so that sockets and
tasks never starve.

With a seed no decision reads the time: which actor is next, how long its batch is and when the task goes
back to trio are drawn from the seeded source instead.
"""

from __future__ import annotations

import contextvars
import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from ._deadlines import Deadlines
from ._turn import CURRENT, Turn

if TYPE_CHECKING:
    from ._cell import Cell

BATCH = 64
TURN_S = 0.002


class Scheduler:
    """Runs cells in the order they got mail."""

    def __init__(
        self,
        deadlines: Deadlines,
        *,
        chance: random.Random | None,
        held: Callable[[Cell, float], None],
        slow_s: float,
    ) -> None:
        self.ready: deque[Cell] = deque()
        self.deadlines = deadlines
        self.turn = Turn()
        self.is_parked = False
        self.observer: Callable[[Cell, int], None] | None = None  # told every step of a seeded run
        self._chance = chance
        self._context = contextvars.copy_context()
        self._held = held
        self._slow_s = slow_s
        self._task: trio.lowlevel.Task | None = None
        self._lost: BaseException | None = None  # what `run_after` met; the task raises it

    def enqueue(self, cell: Cell) -> None:
        """Run `cell` soon. The caller sees to it that it is not queued already."""
        self.ready.append(cell)
        if self.is_parked:
            self.wake()

    def wake(self) -> None:
        """End the task's sleep. Only while `is_parked`."""
        self.is_parked = False
        self.deadlines.look()
        assert self._task is not None
        trio.lowlevel.reschedule(self._task)

    def run_after(self, begin: Callable[[Any], object], argument: Any) -> None:
        """Call `begin`, and if the task sleeps, run here what that has made ready, for a turn at most.

        For a task that is about to wait for an actor: run where it stands, the answer is there before it has
        to sleep, and neither task is woken (half the cost of an ask). Never with a seed.
        """
        if not self.is_parked or self._chance is not None:
            begin(argument)
            return
        self.is_parked = False  # what is enqueued wakes nobody
        try:
            begin(argument)
        finally:
            self._run_here()

    @trio.lowlevel.enable_ki_protection
    def _run_here(self) -> None:
        """Run what is ready as the task would, in its context."""
        try:
            self._context.run(self._work_here)
        except BaseException as error:
            self._lost = error
        self.is_parked = True
        if self.ready or self._lost is not None:
            self.wake()

    def _work_here(self) -> None:
        self.deadlines.fire()
        self._work()

    @trio.lowlevel.enable_ki_protection
    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled. Ctrl-C is never raised here, between two steps, but in trio's main task."""
        self._task = trio.lowlevel.current_task()
        self._context = self._task.context
        CURRENT.set(self.turn)
        task_status.started()
        work = self._work if self._chance is None else self._work_by_seed
        while True:
            with trio.CancelScope() as scope:
                while True:
                    self.deadlines.fire()
                    work()
                    if self.ready:
                        await trio.lowlevel.cancel_shielded_checkpoint()
                        continue
                    self.deadlines.park(scope)
                    self.is_parked = True
                    await trio.lowlevel.wait_task_rescheduled(self._abort)
                    self.deadlines.unpark()
                    if self._lost is not None:
                        raise self._lost
            self.deadlines.forget_scope()

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.is_parked = False
        return trio.lowlevel.Abort.SUCCEEDED

    def _work(self) -> None:
        ready = self.ready
        clock = time.perf_counter
        began = at = clock()
        limit = began + TURN_S
        while ready:
            cell = ready.popleft()
            cell.run(BATCH)
            before, at = at, clock()
            cell.worked_s += at - before
            if at > limit:
                took_s = at - began
                if took_s > self._slow_s:
                    self._held(cell, took_s)
                return

    def _work_by_seed(self) -> None:
        assert self._chance is not None
        ready = self.ready
        budget = self._chance.randrange(1, 4 * BATCH)
        while ready and budget > 0:
            place = self._chance.randrange(len(ready))
            cell = ready[place]
            del ready[place]
            done = cell.run(self._chance.randrange(1, BATCH + 1))
            budget -= max(1, done)
            if self.observer is not None:
                self.observer(cell, done)
