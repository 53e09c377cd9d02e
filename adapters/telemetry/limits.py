"""How many lines one kind of event may write, so that nobody who knocks can fill the disk.

512 wrong tokens a second made as many lines. Each event has its own allowance: a burst, then a line in an
interval. Nothing is lost to the counters, and what was left out is said: with the event's next line, or with
the next line of any event once the flood is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from actors.token_bucket import TokenBucket


class LineLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    burst_lines: of one event that may be written at once.
    interval_s: seconds until one more may be written; 0 writes every line.
    """

    burst_lines: int = 20
    interval_s: float = 1.0


class LeftOut(NamedTuple):
    """`lines` of `event` were not written."""

    event: str
    lines: int


class Allowances:
    """What each event may still write.

    Args:
      now: seconds that only grow.
    """

    def __init__(self, limits: LineLimits, *, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._of: dict[str, _Allowance] = {}
        self._flooded: set[str] = set()  # those with lines that were left out and not yet told

    def take(self, event: str) -> bool:
        """Whether `event` may write a line now; one that may not is remembered."""
        limits, now = self._limits, self._now()
        if not limits.interval_s:
            return True
        allowance = self._of.get(event)
        if allowance is None:
            bucket = TokenBucket(1 / limits.interval_s, limits.burst_lines, now=now)
            allowance = self._of[event] = _Allowance(bucket)
        allowance.asked_at = now
        if allowance.bucket.take(now):
            return True
        allowance.left_out += 1
        self._flooded.add(event)
        return False

    def left_out(self, event: str) -> Iterator[LeftOut]:
        """What is to be told before a line of `event`; each is told once."""
        for name in sorted(self._flooded):
            allowance = self._of[name]
            if name == event or self._now() - allowance.asked_at >= self._limits.interval_s:
                self._flooded.remove(name)
                yield LeftOut(name, allowance.left_out)
                allowance.left_out = 0


class _Allowance:
    __slots__ = ("asked_at", "bucket", "left_out")

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.asked_at = 0.0
        self.left_out = 0
