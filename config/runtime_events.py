"""What the runtime reports, as telemetry: crashes, escalations, handlers that held the loop, lost mail."""

from __future__ import annotations

import traceback

from actors.ports import Telemetry
from runtime import Abandoned, CrashReport, DeadLetter, Escalated, Held


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
                trace="".join(traceback.format_exception(event.error)[-4:]),
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
