"""Moments of one process's clock, moved to another's.

A machine's times are monotonic seconds and mean nothing in another process. A state that outlives its process
is moved by the difference of the two clocks: every deadline keeps its remaining time, and the time between
the two processes does not count. Each machine's state has a `shifted` beside it; the tests hold each to
`step(shifted(state, d), event, now + d)` being `shifted` of `step(state, event, now)`.
"""

from __future__ import annotations

from typing import overload


@overload
def moved(moment: float, by_s: float) -> float: ...
@overload
def moved(moment: float | None, by_s: float) -> float | None: ...
def moved(moment: float | None, by_s: float) -> float | None:
    """`moment` on a clock that is `by_s` ahead; None stays None."""
    return None if moment is None else moment + by_s
