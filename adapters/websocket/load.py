"""How far behind the pump is: what `actors.overload` decides from.

Whatever has arrived is seen at the latest when the pump next asks the selector and is told of everything that
is ready. So the longest stretch between two such moments says how long things waited, and costs the pump one
look at the clock each time. A pump that is always busy, but comes round quickly, is not late.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class PumpLoad:
    """Implements `actors.ports.EngineLoad`.

    Args:
      clock: what the pump's times are of, in seconds.
      work: what this process has computed, in seconds.
    """

    __slots__ = (
        "_alarm",
        "_alarm_s",
        "_busy_since",
        "_clock",
        "_is_alarmed",
        "_longest_s",
        "_work",
        "_worked",
    )

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, work: Callable[[], float] = time.process_time
    ) -> None:
        self._clock = clock
        self._work = work
        self._worked = (clock(), work())
        self._alarm_s = float("inf")
        self._alarm: Callable[[], None] | None = None
        self._is_alarmed = False
        self._busy_since: float | None = None
        self._longest_s = 0.0

    # What the pump says

    def begin(self, now: float) -> None:
        """A turn begins."""
        if self._busy_since is None:
            self._busy_since = now

    def looked(self, now: float) -> None:
        """The selector has named everything that is ready."""
        if self._busy_since is not None:
            self._longest_s = max(self._longest_s, now - self._busy_since)
            self._busy_since = now

    def drained(self, now: float) -> None:
        """Nothing is ready any more."""
        if self._busy_since is not None:
            self._longest_s = max(self._longest_s, now - self._busy_since)
            self._busy_since = None

    def cut(self, now: float) -> None:
        """The turn is over, and something is left."""
        if self._busy_since is not None and now - self._busy_since >= self._alarm_s and not self._is_alarmed:
            self._is_alarmed = True
            if self._alarm is not None:
                self._alarm()

    # What the actor asks

    def watch(self, alarm_s: float, alarm: Callable[[], None]) -> None:
        self._alarm_s = alarm_s
        self._alarm = alarm

    def take_longest_s(self) -> float:
        """The longest stretch since the last call, the one that goes on included."""
        longest_s, self._longest_s, self._is_alarmed = self._longest_s, 0.0, False
        if self._busy_since is not None:
            longest_s = max(longest_s, self._clock() - self._busy_since)
        return longest_s

    def take_work_share(self) -> float:
        """The computing time of all threads since the last call, by the time that has passed."""
        (since, before), self._worked = self._worked, (self._clock(), self._work())
        now, worked = self._worked
        return (worked - before) / (now - since) if now > since else 0.0
