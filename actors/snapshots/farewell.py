"""Has the last of every session written before an orderly end.

It stands in the tree between the users and the front door, which stops first. So when its turn to stop comes
nobody can change anything any more, and the sessions are all still there.
"""

from __future__ import annotations

from typing import NoReturn

from runtime import Ref, RuntimeFailure, StopReason, TaskActor

from ..ports import Telemetry
from .messages import Flush, SnapshotsMessage


class Farewell(TaskActor[NoReturn]):
    """Hears nothing; has last words."""

    def __init__(self, *, snapshots: Ref[SnapshotsMessage], telemetry: Telemetry, flush_s: float) -> None:
        self.snapshots = snapshots
        self.telemetry = telemetry
        self.flush_s = flush_s

    async def stopping(self, reason: StopReason) -> None:
        try:
            is_written = await self.snapshots.ask(Flush, timeout_s=self.flush_s)
        except RuntimeFailure as error:
            self.telemetry.error("last_snapshots_not_written", cause=str(error))
        else:
            if not is_written:
                self.telemetry.error("last_snapshots_not_written", cause="storage is not well")
