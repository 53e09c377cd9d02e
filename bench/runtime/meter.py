"""Counts operations and the CPU time they took."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Tally:
    """What the actors of one workload count down together. `finish` is called at nought.

    The handlers do the counting themselves, in the same three lines in every system, because a call more
    would be a tenth of the smallest figures.
    """

    __slots__ = ("finish", "left")

    def __init__(self) -> None:
        self.left = 0
        self.finish: Callable[[], object] = _nothing


class Meter:
    """Takes samples of one workload until there are enough.

    Args:
      size: how many actors there are.
      least, budget_s: at least so many samples, and more until so much CPU time was measured. The first
        sample is the warm-up and does not count, unless only one is wanted.
      effort: operations of a sample, roughly.
    """

    def __init__(self, size: int, *, least: int, budget_s: float, effort: int) -> None:
        self.size = size
        self.effort = effort
        self.values: list[float] = []
        self._least = least
        self._budget_s = budget_s
        self._cpu_s = 0.0
        self._operations = 0
        self._clock_cost_s = _clock_cost_s()

    def samples(self) -> Iterator[None]:
        """One turn a sample. In it, measure with `timed`."""
        gc.collect()
        gc.enable()
        left = self._budget_s
        skipped = self._least == 1
        while len(self.values) < self._least or (left > 0 and len(self.values) < 50):
            self._cpu_s, self._operations = 0.0, 0
            yield
            left -= self._cpu_s
            if skipped:
                self.values.append(max(0.0, self._cpu_s) * 1e6 / self._operations)
            skipped = True

    @contextmanager
    def timed(self, operations: int) -> Iterator[None]:
        """The CPU time of the block is that of `operations` operations."""
        began = time.process_time()
        yield
        self._cpu_s += time.process_time() - began - self._clock_cost_s
        self._operations += operations

    def grown(self, before_kb: float) -> None:
        """The one sample of a memory workload: what each actor has added to `before_kb`."""
        self.values.append(max(0.0, resident_kb() - before_kb) / self.size)

    def rounds(self, operations: int) -> int:
        """How many rounds of `operations` make a sample."""
        return max(1, self.effort // operations)


def resident_kb() -> float:
    """What this process holds in memory, in kilobytes."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def say(workload: str, meter: Meter) -> None:
    """Print the samples for the process that started this one."""
    print(json.dumps({"workload": workload, "values": meter.values}), flush=True)


def _clock_cost_s() -> float:
    costs = []
    for _ in range(200):
        began = time.process_time()
        costs.append(time.process_time() - began)
    return sorted(costs)[len(costs) // 2]


def _nothing() -> None:
    pass
