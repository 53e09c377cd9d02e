"""How well a peer's audio comes, and when somebody should hear that it does not.

A figure is poor when it has been beyond its limit for `alarm_after_s` without a break, and well again when it
has not been for as long. Loss is that of the time between two reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ..alarm import Alarm
from .ports import PeerStats
from .settings import WebrtcSettings


class Turned(NamedTuple):
    """A figure has become poor, or is well again."""

    figure: str
    is_poor: bool
    value: float


class Quality(msgspec.Struct, frozen=True):
    """What the reports of one peer have come to.

    Attributes:
      stats: the newest report.
      loss: from 0 to 1, between the last two.
      alarms: of each figure.
    """

    stats: PeerStats = PeerStats()
    loss: float = 0.0
    alarms: Mapping[str, Alarm] = {}


def reported(
    quality: Quality, stats: PeerStats, now: float, settings: WebrtcSettings
) -> tuple[Quality, tuple[Turned, ...]]:
    """The next report, and what somebody should hear of it."""
    lost = max(0, stats.lost - quality.stats.lost)
    came = max(0, stats.packets - quality.stats.packets)
    loss = lost / (lost + came) if lost + came else 0.0
    figures = (
        ("loss", loss, settings.alarm_loss),
        ("round trip", stats.round_trip_s or 0.0, settings.alarm_round_trip_s),
        ("jitter", stats.jitter_s, settings.alarm_jitter_s),
    )
    alarms: dict[str, Alarm] = {}
    turned: list[Turned] = []
    for figure, value, limit in figures:
        before = quality.alarms.get(figure, Alarm())
        after = before.heard(value, now, limit=limit, well=limit, hold_s=settings.alarm_after_s)
        alarms[figure] = after
        if after.is_on != before.is_on:
            turned.append(Turned(figure, after.is_on, round(value, 4)))
    return replace(quality, stats=stats, loss=loss, alarms=alarms), tuple(turned)
