"""What an app is told of its mistakes: of each kind at once, then at most once in an interval, none lost.

Pure: complaint and time in, what is to be said out. A thousand malformed messages in a second are two errors
and not a thousand, and the second says how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from protocols.error_codes import ErrorCode


class Held(msgspec.Struct, frozen=True):
    """Complaints that were not told yet: how many, and the newest."""

    count: int
    message: str


class Complaints(msgspec.Struct, frozen=True):
    """Attributes:
    told_at: when a complaint of this code was last told.
    held: what has come since.
    """

    told_at: Mapping[ErrorCode, float] = {}
    held: Mapping[ErrorCode, Held] = {}


def shifted(complaints: Complaints, by_s: float) -> Complaints:
    """The same on a clock that is `by_s` ahead (`actors.moments`)."""
    return replace(complaints, told_at={code: at + by_s for code, at in complaints.told_at.items()})


def heard(
    complaints: Complaints, code: ErrorCode, message: str, now: float, interval_s: float
) -> tuple[Complaints, str | None]:
    """One more complaint, and what is to be said of it now; None when it has to wait for `due_at`."""
    if now - complaints.told_at.get(code, float("-inf")) >= interval_s and code not in complaints.held:
        return replace(complaints, told_at={**complaints.told_at, code: now}), message
    earlier = complaints.held.get(code)
    held = Held(1 if earlier is None else earlier.count + 1, message)
    return replace(complaints, held={**complaints.held, code: held}), None


def due_at(complaints: Complaints, interval_s: float) -> float | None:
    """When something that is held may be told."""
    return min((complaints.told_at[code] + interval_s for code in complaints.held), default=None)


def told(
    complaints: Complaints, now: float, interval_s: float
) -> tuple[Complaints, tuple[tuple[ErrorCode, str], ...]]:
    """What is due at `now`, as codes and messages."""
    due = [code for code in complaints.held if now >= complaints.told_at[code] + interval_s]
    said = tuple((code, _sentence(complaints.held[code])) for code in due)
    return (
        Complaints(
            told_at={**complaints.told_at, **dict.fromkeys(due, now)},
            held={code: held for code, held in complaints.held.items() if code not in due},
        ),
        said,
    )


def _sentence(held: Held) -> str:
    return held.message if held.count == 1 else f"{held.message} (and {held.count - 1} more before it)"
