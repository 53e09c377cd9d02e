"""How exactly an app wants to know the location (protocol.md 5.8)."""

from __future__ import annotations

from collections.abc import Iterable

COARSE_TO_FINE = (
    "reduced",
    "threeKilometers",
    "kilometer",
    "hundredMeters",
    "tenMeters",
    "standard",
    "high",
    "realtime",
)

COARSEST = COARSE_TO_FINE[0]

DEFAULT = "standard"
"""For a plain `location_update`: the SDK never transmits the accuracy it was asked for (10.12)."""

MAX_AGE_S = {
    "reduced": 900.0,
    "threeKilometers": 900.0,
    "kilometer": 300.0,
    "hundredMeters": 60.0,
    "tenMeters": 30.0,
    "standard": 30.0,
    "high": 10.0,
    "realtime": 1.0,
}
"""How old a cached location may be to answer a poll of that accuracy, in seconds."""


def finest(tiers: Iterable[str]) -> str:
    """The finest of the tiers; `reduced` when there are none."""
    return max(tiers, key=COARSE_TO_FINE.index, default=COARSEST)
