"""How well a peer's audio comes, and when somebody should hear that it does not.

A figure is poor when it has been beyond its limit for `alarm_after_s` without a break, and well again when it
has not been for as long. Loss is that of the time between two reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from .ports import PeerStats
from .settings import WebrtcSettings


class Alarm(NamedTuple):
    """A figure has become poor, or is well again."""

    figure: str
    is_poor: bool
    value: float


class Quality(msgspec.Struct, frozen=True):
    """What the reports of one peer have come to.

    Attributes:
      stats: the newest report.
      loss: from 0 to 1, between the last two.
      turned_at: of each figure that is not what it was, since when.
      poor: the figures that somebody was told of.
    """

    stats: PeerStats = PeerStats()
    loss: float = 0.0
    turned_at: Mapping[str, float] = {}
    poor: tuple[str, ...] = ()


def reported(
    quality: Quality, stats: PeerStats, now: float, settings: WebrtcSettings
) -> tuple[Quality, tuple[Alarm, ...]]:
    """The next report, and what somebody should hear of it."""
    lost = max(0, stats.lost - quality.stats.lost)
    came = max(0, stats.packets - quality.stats.packets)
    loss = lost / (lost + came) if lost + came else 0.0
    figures = (
        ("loss", loss, settings.alarm_loss),
        ("round trip", stats.round_trip_s or 0.0, settings.alarm_round_trip_s),
        ("jitter", stats.jitter_s, settings.alarm_jitter_s),
    )
    turned_at: dict[str, float] = {}
    poor = quality.poor
    alarms: list[Alarm] = []
    for figure, value, limit in figures:
        is_poor = value > limit
        if is_poor == (figure in poor):
            continue
        since = quality.turned_at.get(figure, now)
        if now - since < settings.alarm_after_s:
            turned_at[figure] = since
            continue
        poor = (*poor, figure) if is_poor else tuple(other for other in poor if other != figure)
        alarms.append(Alarm(figure, is_poor, round(value, 4)))
    return replace(quality, stats=stats, loss=loss, turned_at=turned_at, poor=poor), tuple(alarms)
