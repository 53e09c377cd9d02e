"""An outcome as a row of the table with its verdict, and the rows of DESIGN section 13."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.report import percentile

from .records import of
from .scenarios import Scenario
from .verdict import DISPLAY_S, Outcome
from .world import World

LATE_DRIVER_S: Final = 0.025
"""A driver later than this was short of its core: the row's times are partly its own."""


def row(
    scenario: Scenario,
    found: Outcome,
    acked_lost: Sequence[str],
    before: Mapping[str, int],
    after: Mapping[str, int],
    failure: str | None,
) -> dict[str, Any]:
    """The columns of one scenario; times in ms."""
    own = [recovery.own_s for recovery in found.recoveries]
    audio = [recovery.audio_s for recovery in found.recoveries]
    beyond = [recovery.beyond_s for recovery in found.recoveries]
    display = [recovery.display_s for recovery in found.recoveries]
    dials = [one.dial_to_display_s for one in found.recoveries if one.dial_to_display_s is not None]
    missed = [failure] if failure else []
    missed += _missed(scenario, found, acked_lost, beyond, display)
    return {
        "scenario": scenario.name,
        "hit": len(found.recoveries),
        "own p50": _ms(percentile(own, 50)),
        "own worst": _ms(max(own)),
        **_spread("audio", audio),
        **_spread("beyond", beyond),
        **_spread("display", display),
        "dial to display p99": _ms(percentile(dials, 99)) if dials else None,
        "frames": found.frames.sent,
        "lost": found.frames.lost,
        "doubled": found.frames.doubled + found.presses.doubled,
        "disorder": found.frames.disorder + found.presses.disorder,
        "presses": found.presses.sent,
        "presses lost": found.presses.lost,
        "others lost": found.others_lost,
        "stale": found.stale,
        "acked lost": len(acked_lost),
        "what acked was lost": list(acked_lost),
        "onSession": found.sessions,
        "needless": found.needless,
        "noticed": len(found.noticed),
        "closes": ", ".join(f"{count} {what}" for what, count in found.closes.items()),
        **{name: f"{before[name]}>{after[name]}" for name in before},
        "late p99": _ms(found.late_s),
        "aim": _ms(scenario.aim_s),
        "verdict": f"MISSED: {'; '.join(missed)}" if missed else "met",
        "is driver late": found.late_s > LATE_DRIVER_S,
    }


def _missed(
    scenario: Scenario,
    found: Outcome,
    acked_lost: Sequence[str],
    beyond: Sequence[float],
    display: Sequence[float],
) -> list[str]:
    own = [recovery.own_s for recovery in found.recoveries]
    late_displays = [
        seconds
        for wait, seconds in zip(own, display, strict=True)
        if seconds > wait + scenario.aim_s + DISPLAY_S
    ]
    lost = found.frames.lost + found.presses.lost
    rules = {
        f"{lost} lost": scenario.is_lossless and lost > 0,
        f"audio {_ms(percentile(beyond, 99)):.0f} ms": percentile(beyond, 99) > scenario.aim_s,
        f"{len(late_displays)} displays late": bool(late_displays),
        "doubled": found.frames.doubled + found.presses.doubled > 0,
        "out of order": found.frames.disorder + found.presses.disorder > 0,
        "stale displays": found.stale > 0,
        f"{len(acked_lost)} acknowledged lost": bool(acked_lost),
        f"{found.needless} begun needlessly": found.needless > 0,
        f"{len(found.noticed)} others noticed": bool(found.noticed),
        f"{found.others_lost} of others lost": found.others_lost > 0,
    }
    return [words for words, is_so in rules.items() if is_so]


def design_rows(world: World, rows: Sequence[Mapping[str, Any]], began: float) -> list[dict[str, Any]]:
    """The rows of DESIGN section 13 that this campaign measures."""
    named = {one["scenario"]: one for one in rows if "hit" in one}
    sessions = len(world.users)
    acks: dict[int, float] = {}
    for event in of(world.reader.events, "phone", "ack"):
        acks.setdefault(event.session, (event.at - began) * 1000)
    facts = [
        _fact("idle server: memory, MiB", world.idle_kb / 1024, 80.0),
        _fact("idle server: start, s", world.start_s, 1.5),
        _fact(f"{sessions} phones at once: dial to ack p95, ms", percentile([*acks.values()], 95), 250.0),
    ]
    if "30-drops" in named:
        p99 = named["30-drops"]["dial to display p99"]
        facts.append(_fact("phone back after a drop: dial to last display p99, ms", p99, 50.0))
    if "app-server-2s" in named:
        aim = 2500.0 if sessions <= 10 else 3500.0
        worst = named["app-server-2s"]["audio worst"]
        facts.append(_fact("app server killed, back after 2 s: kill to audio, ms", worst, aim))
    if "app-server-12s" in named:
        worst = named["app-server-12s"]["beyond worst"]
        facts.append(_fact("app server back after 12 s: its answering to audio, ms", worst, 1000.0))
    if "server-killed" in named:
        worst = named["server-killed"]["beyond p99"]
        facts.append(_fact("cloud killed with -9: both dialled to audio p99, ms", worst, 250.0))
    return facts


def plotted(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Groups of bars; only what is a positive number can stand on a logarithmic axis."""
    names = ("own worst", "audio worst", "beyond p99", "display worst")
    groups = {
        one["scenario"]: {name: one[name] for name in names if math.isfinite(one[name]) and one[name] > 0}
        for one in rows
        if "hit" in one
    }
    return {name: bars for name, bars in groups.items() if bars}


def _fact(what: str, measured: float, aim: float) -> dict[str, Any]:
    return {
        "DESIGN section 13": what,
        "measured": measured,
        "aim": aim,
        "verdict": "met" if measured <= aim else "MISSED",
    }


def _spread(name: str, seconds: Sequence[float]) -> dict[str, float]:
    return {
        f"{name} p50": _ms(percentile(seconds, 50)),
        f"{name} p99": _ms(percentile(seconds, 99)),
        f"{name} worst": _ms(max(seconds)),
    }


def _ms(seconds: float) -> float:
    return seconds * 1000
