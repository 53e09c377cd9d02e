"""Where time, chance and names come from: one clock, one random source, one id source a system."""

from __future__ import annotations

import itertools
import random
import time
from typing import Protocol

import trio


class Clock(Protocol):
    """A system's time. `now` must advance at the pace of trio's clock; its zero is arbitrary."""

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Seconds since 1970, for what people and peers read; never for deadlines."""


class TrioClock:
    """trio's own clock, so that a MockClock moves the system too. Make it inside `trio.run`."""

    def __init__(self) -> None:
        self.now = trio.lowlevel.current_clock().current_time

    def wall(self) -> float:
        return time.time()


class VirtualClock:
    """trio's clock with a made-up calendar: the wall reads `epoch_s` when the clock is made."""

    def __init__(self, epoch_s: float = 1_700_000_000.0) -> None:
        self.now = trio.lowlevel.current_clock().current_time
        self._offset_s = epoch_s - self.now()

    def wall(self) -> float:
        return self._offset_s + self.now()


class Ids(Protocol):
    """Where ids come from."""

    def next(self, prefix: str) -> str:
        """An id nobody else has: the prefix, a dash, and something unique in this system."""


class RandomIds:
    """80 random bits: unique over restarts and machines without asking anybody."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def next(self, prefix: str) -> str:
        return f"{prefix}-{self._chance.getrandbits(80):020x}"


class CountingIds:
    """1, 2, 3 a prefix, for tests whose traces a person reads."""

    def __init__(self) -> None:
        self._counters: dict[str, itertools.count[int]] = {}

    def next(self, prefix: str) -> str:
        return f"{prefix}-{next(self._counters.setdefault(prefix, itertools.count(1)))}"
