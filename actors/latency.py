"""How long speech takes, by stage: what has been measured lately.

Pure, and cheap enough for every result: a value is counted in one of twenty classes, so a quantile is known
to within its class. Two halves of the window take turns, so that what is shown is of the last one to two
minutes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

_WINDOW_S: Final = 60.0
_PAUSE_MS: Final = 2_000.0
_DRIFT_MS_A_SECOND: Final = 0.1  # 100 ppm, as two crystals have
_EDGES_MS: Final = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 400, 500, 700, 1_000, 2_000)


class _Half:
    __slots__ = ("counts", "most", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_EDGES_MS) + 1)
        self.total = 0
        self.most = 0.0


class Spread:
    """The spread of one stage's milliseconds."""

    __slots__ = ("_before", "_began_at", "_now")

    def __init__(self) -> None:
        self._before = _Half()
        self._now = _Half()
        self._began_at: float | None = None

    def add(self, value_ms: float, now: float) -> None:
        """Count a value; 1 us."""
        self._turn(now)
        half = self._now
        half.counts[bisect_left(_EDGES_MS, value_ms)] += 1
        half.total += 1
        half.most = max(half.most, value_ms)

    def quantile_ms(self, share: float, now: float) -> int | None:
        """The least class that holds this share of the values; None where there are none."""
        self._turn(now)
        total = self._before.total + self._now.total
        if not total:
            return None
        most = max(self._before.most, self._now.most)
        passed = 0
        for edge, before, recent in zip(_EDGES_MS, self._before.counts, self._now.counts, strict=False):
            passed += before + recent
            if passed >= share * total:
                return round(min(edge, most))
        return round(most)

    def view(self, now: float) -> Mapping[str, int]:
        """What the tree shows; empty where nothing was measured."""
        p50, p99 = self.quantile_ms(0.5, now), self.quantile_ms(0.99, now)
        if p50 is None or p99 is None:
            return {}
        most = max(self._before.most, self._now.most)
        return {
            "count": self._before.total + self._now.total,
            "p50_ms": p50,
            "p99_ms": p99,
            "most_ms": round(most),
        }

    def _turn(self, now: float) -> None:
        if self._began_at is None:
            self._began_at = now
        if now - self._began_at < _WINDOW_S:
            return
        is_old = now - self._began_at >= 2 * _WINDOW_S
        self._before = _Half() if is_old else self._now
        self._now = _Half()
        self._began_at = now


class Transit:
    """How late a microphone's audio arrives, with no capture time on the wire.

    Audio is captured in its own time, so the promptest frame shows when capture and arrival lie closest, and
    every other is late by as much as it misses that. One that is later than `_PAUSE_MS` follows a pause of
    the microphone and begins anew. The promptest is forgotten slowly: two clocks drift apart.
    """

    def __init__(self) -> None:
        self.spread = Spread()
        self._least_ms: float | None = None
        self._heard_at = 0.0

    def heard(self, position_ms: float, now: float) -> None:
        """The audio before this position has arrived."""
        offset_ms = now * 1000 - position_ms
        least_ms = self._least_ms
        if least_ms is not None:
            least_ms += (now - self._heard_at) * _DRIFT_MS_A_SECOND
        self._heard_at = now
        if least_ms is None or not 0 < offset_ms - least_ms < _PAUSE_MS:
            least_ms = offset_ms
        self._least_ms = least_ms
        self.spread.add(offset_ms - least_ms, now)


class Stages:
    """Every stage of one stream.

    Attributes:
      interim, final: from the last audio in a result to the result; the age of what the wearer reads.
      delivery: from a result to the apps' queues.
    """

    def __init__(self) -> None:
        self.interim = Spread()
        self.final = Spread()
        self.delivery = Spread()

    def view(self, now: float) -> Mapping[str, Mapping[str, int]]:
        stages = {"interim": self.interim, "final": self.final, "delivery": self.delivery}
        return {name: view for name, stage in stages.items() if (view := stage.view(now))}
