"""Sessions in line for a webhook to one app server: no storm, and nobody waits long.

Pure. However many ask in one moment (a registration, a probe that is answered, a power cut), their webhooks
go out in lots, one `lot_s` after the other, which grow with the line: nobody waits for longer than `line_s`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from .settings import DirectorySettings

if TYPE_CHECKING:
    from .messages import AskPermit


class Line(msgspec.Struct, frozen=True):
    """Attributes:
    waiting: who waits, in the order of arrival.
    lot: how many have their turn at a time; it never shrinks before the line is empty.
    lot_at: when the present lot began, monotonic seconds; None before the first.
    gone: how many of the present lot have had their turn.
    """

    waiting: tuple[AskPermit, ...] = ()
    lot: int = 0
    lot_at: float | None = None
    gone: int = 0


def join(line: Line, asker: AskPermit, now: float, settings: DirectorySettings) -> tuple[Line, bool]:
    """Let `asker` in; whether it has its turn at once. Otherwise it waits, and `move` is due in `lot_s`."""
    if line.lot_at is None or now - line.lot_at >= settings.lot_s:
        line = replace(line, lot_at=now, gone=0)
    if not line.waiting and line.gone < settings.webhooks_at_once:
        return replace(line, gone=line.gone + 1), True
    waiting = (*line.waiting, asker)
    lots = max(1.0, settings.line_s / settings.lot_s)
    lot = max(settings.webhooks_at_once, line.lot, math.ceil(len(waiting) / lots))
    return replace(line, waiting=waiting, lot=lot), False


def move(line: Line, now: float, settings: DirectorySettings) -> tuple[Line, tuple[AskPermit, ...]]:
    """The next lot, and the line without it."""
    turn, waiting = line.waiting[: line.lot], line.waiting[line.lot :]
    lot = line.lot if waiting else 0
    return Line(waiting, lot, now, gone=len(turn)), turn
