"""What the runtime reports, as telemetry: crashes, restarts, handlers that held the loop, lost mail."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from actors.alarm import Restarts
from actors.ports import Telemetry
from actors.whereabouts import anybodys
from runtime import Abandoned, CrashReport, DeadLetter, Escalated, Held, Restarted

_RESTARTS: Final = 3
_RESTARTS_S: Final = 60.0
_FRAMES: Final = 8  # about four fit into a field of a log line


def report(event: object, telemetry: Telemetry) -> None:
    """Log and count one event of the runtime."""
    match event:
        case CrashReport():
            telemetry.error(
                "actor_crashed",
                actor=event.path,
                message=type(event.message).__name__,
                error=repr(event.error),
                attempt=event.attempt,
                trace=_trace(event.error),
            )
        case Escalated():
            telemetry.error(
                "supervisor_escalated", actor=event.path, child=event.child, cause=repr(event.cause)
            )
        case Held():
            telemetry.warning(
                "loop_held", actor=event.path, message=type(event.message).__name__, held_s=event.held_s
            )
        case Abandoned():
            telemetry.error("task_abandoned", actor=event.path, task=event.task)
        case DeadLetter():
            telemetry.count(f"dead_letter_{event.reason.value}")
        case _:
            pass  # spawns, stops and restarts are in the tree


class RestartWatch:
    """Tells when actors of one kind restart more and more often, before any supervisor gives up.

    A kind is a place in the tree, whoever's: `users/*/display` counts the displays of all wearers together,
    so that a mistake that hits each of them once is seen too.

    Args:
      now: seconds that only grow.
    """

    def __init__(self, telemetry: Telemetry, now: Callable[[], float]) -> None:
        self._telemetry = telemetry
        self._now = now
        self._of: dict[str, Restarts] = {}

    def heard(self, event: object) -> None:
        """Count a restart; what is another event changes nothing."""
        if not isinstance(event, Restarted):
            return
        place = anybodys(event.path)
        now = self._now()
        counts = self._of.get(place) or Restarts(began_at=now)
        self._of[place], is_growth = counts.heard(now, window_s=_RESTARTS_S, least=_RESTARTS)
        if is_growth:
            self._telemetry.warning(
                "restarts_growing",
                actor=event.path,
                place=place,
                restarts=self._of[place].now,
                within_s=_RESTARTS_S,
            )


def _trace(error: BaseException) -> str:
    """Where it was raised and who called, the innermost first: a long field of a log line loses its end."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return " < ".join(
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
