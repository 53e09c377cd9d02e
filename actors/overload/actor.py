"""Looks how late the server is, and posts what follows from it.

Two things can be late: the engine, which knows how long it has had work without a pause, and the run queue,
in which this actor's own timer stands behind everybody's mail. The worse of the two is what counts, if it is
our own work that makes us late: where other programs hold the core, shedding audio would help nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Actor, RestartInfo

from ..alarm import Ahead, TrendSettings
from ..latency import Spread
from ..ports import EngineLoad, Telemetry
from .board import OverloadBoard
from .machine import Entered, Left, OverloadState, step


class Look(msgspec.Struct, frozen=True):
    """The timer: it should have come at `due_at`."""

    due_at: float


class EngineIsLate(msgspec.Struct, frozen=True):
    """From the engine: it has been behind for `late_s` of the settings, once until the next look."""


class Excused(msgspec.Struct, frozen=True):
    """All stood still on purpose: for `for_s` it is no sign of an overload that something has waited."""

    for_s: float


OverloadMessage = Look | EngineIsLate | Excused


class Overload(Actor[OverloadMessage]):
    """One for the server. Its state is the machine's; a crash of it changes nothing of what is posted."""

    transient = ("ahead",)

    def __init__(self, *, board: OverloadBoard, load: EngineLoad, telemetry: Telemetry) -> None:
        self.board = board
        self.load = load
        self.telemetry = telemetry
        self.settings = board.settings
        self.state = OverloadState()
        self.excused_until = float("-inf")
        self.lateness = Spread()
        self.ahead = Ahead()
        self.trend = TrendSettings(window_s=self.settings.trend_window_s, ahead_s=self.settings.trend_ahead_s)

    def started(self, restart: RestartInfo | None) -> None:
        self.perform(self.load.watch, self.settings.late_s, self._alarm)
        self._look_again()

    def facts(self) -> Mapping[str, object]:
        state = self.state
        return {
            "overloaded": state.is_on,
            "refuses_new": state.is_closed,
            "shed_share": round(state.share, 2),
            "overloads": state.entries,
            "rising": self.ahead.is_on,
            "loop": self.lateness.view(self.now),
        }

    def receive(self, message: OverloadMessage) -> None:
        if isinstance(message, EngineIsLate) and self.state.is_watchful:
            return  # the next look is near, and looks in between would each shed more
        late_s = self.load.take_longest_s()
        if isinstance(message, Look):
            late_s = max(late_s, self.now - message.due_at)
        if isinstance(message, Excused):
            self.excused_until = self.now + message.for_s
            self.state = OverloadState(entries=self.state.entries)
        self.lateness.add(late_s * 1000, self.now)
        is_starved = self.load.take_work_share() < self.settings.least_work
        if is_starved or self.now < self.excused_until:
            late_s = 0.0
        is_rising = self._look_ahead(late_s) and self.settings.trend_ahead_s > 0
        self.state, effects = step(self.state, late_s, self.now, self.settings, is_rising=is_rising)
        self.perform(self.board.post, self.state)
        for effect in effects:
            match effect:
                case Entered(late_s):
                    self.telemetry.warning("overload_entered", late_s=round(late_s, 3))
                case Left(lasted_s):
                    self.telemetry.info("overload_left", lasted_s=round(lasted_s, 3))
        shed = self.board.take_shed()
        if shed:
            self.telemetry.count("audio_frames_shed", shed)
        self._look_again()

    def _look_ahead(self, late_s: float) -> bool:
        """Whether the lateness grows towards its limit. Shedding has no trend: it works."""
        before = self.ahead
        if self.state.is_on:
            self.ahead = Ahead()
        else:
            self.ahead = before.heard(late_s, self.now, limit=self.settings.late_s, settings=self.trend)
        if self.ahead.is_on and not before.is_on:
            reaches_s = round(self.ahead.reaches_s, 1)
            self.telemetry.warning("loop_delay_rising", late_s=round(late_s, 3), late_in_s=reaches_s)
        elif before.is_on and not self.ahead.is_on and not self.state.is_on:
            self.telemetry.info("loop_delay_steady", late_s=round(late_s, 3))
        return self.ahead.is_on

    def _look_again(self) -> None:
        settings = self.settings
        wait_s = settings.sample_s if self.state.is_watchful else settings.calm_sample_s
        self.set_timer("look", wait_s, Look(self.now + wait_s))

    def _alarm(self) -> None:
        self.ref.tell(EngineIsLate())
