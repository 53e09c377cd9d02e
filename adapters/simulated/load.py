"""The twin of the engine's load: as late as the scenario says."""

from __future__ import annotations

from collections.abc import Callable


class ScriptedLoad:
    """Implements `actors.ports.EngineLoad`.

    Attributes:
      late_s: how far behind the engine is from now on; set it by `fall_behind` so that the alarm is raised.
      work_share: how much of a core the process uses.
    """

    def __init__(self) -> None:
        self.late_s = 0.0
        self.work_share = 1.0
        self._alarm_s = float("inf")
        self._alarm: Callable[[], None] | None = None

    def fall_behind(self, late_s: float) -> None:
        """Be so late until the next call."""
        self.late_s = late_s
        if late_s >= self._alarm_s and self._alarm is not None:
            self._alarm()

    def watch(self, alarm_s: float, alarm: Callable[[], None]) -> None:
        self._alarm_s = alarm_s
        self._alarm = alarm

    def take_longest_s(self) -> float:
        return self.late_s

    def take_work_share(self) -> float:
        return self.work_share
