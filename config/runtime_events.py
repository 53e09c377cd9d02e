"""What the runtime reports, as telemetry: crashes, escalations, handlers that held the loop, lost mail."""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import Final

from actors.ports import Telemetry
from runtime import Abandoned, CrashReport, DeadLetter, Escalated, Held

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


def _trace(error: BaseException) -> str:
    """Where it was raised and who called, the innermost first: a long field of a log line loses its end."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return " < ".join(
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
