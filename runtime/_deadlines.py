"""Every deadline of a system on one heap: timers, asks, backoffs, shutdowns.

A cancel scope per ask would double its cost, so trio knows one deadline only, the earliest, in the scope
the run queue parks in. Cancelled entries stay until they are due or until they are more than half of the
heap; then the heap is rebuilt, so a million answered asks leave nothing behind (Ray issue 38591).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

import trio

_SMALL = 512  # a heap up to this size is not worth rebuilding


class Due(Protocol):
    """What waits on the heap. `is_dead` means: forget it."""

    is_dead: bool

    def due(self) -> None: ...


class Alarm:
    """A plain call at a deadline."""

    __slots__ = ("call", "is_dead")

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.is_dead = False

    def due(self) -> None:
        self.is_dead = True
        self.call()


class Deadlines:
    """A heap of deadlines by the system clock, and the scope that wakes the run queue for the first."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._trio_now = trio.lowlevel.current_clock().current_time
        self._heap: list[tuple[float, int, Due]] = []
        self._order = itertools.count()
        self._dead = 0
        self._parked: trio.CancelScope | None = None
        self._armed = float("inf")
        self.time = now()  # as last read by the run queue: cheap, and at most a turn old while that is awake

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, item: Due) -> None:
        """Call `item.due()` at `at`; equal deadlines are due in the order they were added."""
        heapq.heappush(self._heap, (at, next(self._order), item))
        if at < self._armed and self._parked is not None:
            self._arm(self._parked)

    def alarm(self, at: float, call: Callable[[], None]) -> Alarm:
        """Call `call()` at `at`, unless the alarm is dropped before."""
        alarm = Alarm(call)
        self.add(at, alarm)
        return alarm

    def drop(self, item: Due) -> None:
        """Forget `item`. Not for one that was due already or was dropped before."""
        item.is_dead = True
        self._dead += 1
        if self._dead * 2 > len(self._heap) > _SMALL:
            self._heap = [entry for entry in self._heap if not entry[2].is_dead]
            heapq.heapify(self._heap)
            self._dead = 0

    def look(self) -> None:
        """Read the clock."""
        self.time = self._now()

    def fire(self) -> None:
        """Call everything that is due now."""
        heap = self._heap
        now = self.time = self._now()
        while heap and heap[0][0] <= now:
            item = heapq.heappop(heap)[2]
            if item.is_dead:
                self._dead = max(0, self._dead - 1)
            else:
                item.due()
            heap = self._heap

    def park(self, scope: trio.CancelScope) -> None:
        """Let `scope` be cancelled at the first deadline, now and when an earlier one is added.

        A deadline armed for an entry that was dropped since stays armed: one needless wake costs less than
        arming anew after every answered ask.
        """
        self._parked = scope
        if self._heap and self._heap[0][0] < self._armed:
            self._arm(scope)

    def unpark(self) -> None:
        """The run queue is awake and looks at the heap by itself."""
        self._parked = None

    def forget_scope(self) -> None:
        """The scope was used up; the next `park` arms a fresh one."""
        self._parked = None
        self._armed = float("inf")

    def _arm(self, scope: trio.CancelScope) -> None:
        self._armed = self._heap[0][0]
        scope.deadline = self._trio_now() + (self._armed - self._now())
