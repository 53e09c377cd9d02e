"""Lifetimes on the command line: 30d, 12h."""

from __future__ import annotations

import re

import click

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class Duration(click.ParamType[float]):
    """30d, 12h, 90m, 45s or 2w, as seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        matched = re.fullmatch(r"(\d{1,9})([smhdw])", str(value))
        if matched is None or int(matched[1]) == 0:
            self.fail(f"expected a number and s, m, h, d or w, as 30d, got {value!r}", param, ctx)
        return float(int(matched[1]) * _UNITS_S[matched[2]])


def in_words(lifetime_s: int) -> str:
    """30 days, 12 hours, 90 minutes or 45 seconds: in the largest unit that divides it."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    unit_s, word = next(unit for unit in units if lifetime_s % unit[0] == 0)
    count = lifetime_s // unit_s
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
