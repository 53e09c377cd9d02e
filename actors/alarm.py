"""When a figure is worth a warning: beyond a limit, or on its way there.

Pure. `Alarm` is about how high a figure is; `Ahead` about where it goes, so that something can be done before
it gets there; `Restarts` about how often something happens.
"""

from __future__ import annotations

import math
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

WINDOWS: Final = 6
"""So many windows a trend is made of; no trend is seen in fewer than `_LEAST`."""

_LEAST: Final = 4
_EXPLAINED: Final = 0.6
"""A straight line has to explain such a share of the windows' variance: what jumps has no trend."""


class Alarm(msgspec.Struct, frozen=True):
    """Whether a figure is beyond its limit.

    Attributes:
      turned_at: since when the figure says otherwise than `is_on`.
    """

    is_on: bool = False
    turned_at: float | None = None

    def heard(self, value: float, now: float, *, limit: float, well: float, hold_s: float = 0.0) -> Alarm:
        """The next value.

        Args:
          limit: from here on it is beyond; it is well again at `well`, which is the limit or below it.
          hold_s: it has to say so for so long without a break.
        """
        is_beyond = value > well and (self.is_on or value >= limit)
        if is_beyond == self.is_on:
            return self if self.turned_at is None else Alarm(self.is_on)
        since = now if self.turned_at is None else self.turned_at
        if now - since < hold_s:
            return Alarm(self.is_on, since)
        return Alarm(is_beyond)


class TrendSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a figure counts as on its way to its limit.

    Attributes:
      window_s: the figure's mean of so long is one point of its trend.
      ahead_s: the alarm is on when the trend reaches the limit within so long; it goes off at twice that.
      floor: below this share of the limit nothing is an alarm, from 0 to 1.
    """

    window_s: Annotated[float, Meta(gt=0)] = 5.0
    ahead_s: float = 30.0
    floor: Annotated[float, Meta(ge=0, le=1)] = 0.25


class Ahead(msgspec.Struct, frozen=True):
    """A figure's trend, and whether it leads to the limit.

    Attributes:
      means: of the windows that are over, the oldest first.
      total, count: of the window under way, which began at `began_at`.
      reaches_s: after so long the figure is at its limit if it goes on like this; infinite where it does not
        get there.
    """

    is_on: bool = False
    reaches_s: float = math.inf
    means: tuple[float, ...] = ()
    total: float = 0.0
    count: int = 0
    began_at: float | None = None

    def heard(self, value: float, now: float, *, limit: float, settings: TrendSettings) -> Ahead:
        """The next value. A figure that was not heard of for longer than two windows begins anew."""
        if self.began_at is None or now - self.began_at >= 3 * settings.window_s:
            return Ahead(total=value, count=1, began_at=now)
        if now - self.began_at < settings.window_s:
            return replace(self, total=self.total + value, count=self.count + 1)
        means = (*self.means, self.total / self.count)[-WINDOWS:]
        slope, level = line(means, settings.window_s)
        reaches_s = _reaches_s(slope, level, limit)
        most_s = settings.ahead_s * (2 if self.is_on else 1)
        is_on = reaches_s <= most_s and level >= settings.floor * limit
        return Ahead(is_on, reaches_s, means, value, 1, now)


def line(points: tuple[float, ...], step_s: float) -> tuple[float, float]:
    """The straight line through `points`, `step_s` apart: its slope a second, and its height at the last.

    Returns:
      A slope of 0 where there are too few points, or they are too far from any line.
    """
    count = len(points)
    mean_x, mean_y = (count - 1) / 2, sum(points) / count if count else 0.0
    if count < _LEAST:
        return 0.0, points[-1] if points else 0.0
    along = sum((x - mean_x) ** 2 for x in range(count))
    up = sum((y - mean_y) ** 2 for y in points)
    both = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(points))
    if not up or both * both < _EXPLAINED * along * up:
        return 0.0, points[-1]
    slope = both / along
    return slope / step_s, mean_y + slope * (count - 1 - mean_x)


def _reaches_s(slope: float, level: float, limit: float) -> float:
    if slope <= 0:
        return math.inf
    return max(0.0, (limit - level) / slope)


class Restarts(msgspec.Struct, frozen=True):
    """How often something restarts, by windows.

    Attributes:
      before: the counts of the windows that are over, the oldest first.
      now: of the one under way, which began at `began_at`.
      is_told: this window's growth was told.
    """

    before: tuple[int, ...] = ()
    now: int = 0
    began_at: float = 0.0
    is_told: bool = False

    def heard(self, now: float, *, window_s: float, least: int) -> tuple[Restarts, bool]:
        """One more restart.

        Args:
          least: fewer restarts than these in a window are no growth.

        Returns:
          Also whether it is worth telling: the window has so many, and twice what the ones before had on
          average. Told once a window.
        """
        over = int((now - self.began_at) / window_s)
        counts, held = self, self.now
        if over:
            before = (*self.before, held, *(0 for _ in range(min(over, WINDOWS) - 1)))[-(WINDOWS - 1) :]
            counts = Restarts(before, 0, self.began_at + over * window_s)
        counts = replace(counts, now=counts.now + 1)
        usual = sum(counts.before) / len(counts.before) if counts.before else 0.0
        is_growth = not counts.is_told and counts.now >= least and counts.now >= 2 * usual
        return replace(counts, is_told=counts.is_told or is_growth), is_growth
