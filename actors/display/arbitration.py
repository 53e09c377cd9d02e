"""Who is seen: decides what stands on the glasses' two views, and when it changes.

A pure machine (protocol.md section 6). Each app has one slot on the main view, with its newest request and
nothing older, so nothing stale can follow something newer. After every event the machine settles: it drops
what has expired, chooses one slot (`priority.py`), and shows it if the throttle of that app allows, else
later. A change is therefore one replacement: a clear goes out only when nothing is left to show.

A background app's frame that another app's displaces is forgotten, the core app's is saved. While the phone
or the glasses are away all this goes on and nothing is sent; who comes back is sent what should be there.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from . import dashboard as composition
from . import priority
from .cards import BLANK, boot_card, is_blank
from .events import (
    DASHBOARD_VIEW,
    MAIN_VIEW,
    AppEnded,
    AppReturning,
    AppStarting,
    CoreAppChanged,
    DashboardContent,
    DashboardMode,
    DashboardModeChanged,
    DashboardSection,
    DisplayEffect,
    DisplayEvent,
    DisplaySettings,
    GlassesChanged,
    HeadMoved,
    PhoneArrived,
    PhoneLost,
    Requested,
    Show,
    Tick,
    Withdrawn,
)
from .state import Boot, Dashboard, DisplayState, Frame, Lens, Lock, Slot

__all__ = [
    "DASHBOARD_VIEW",
    "MAIN_VIEW",
    "AppEnded",
    "AppReturning",
    "AppStarting",
    "CoreAppChanged",
    "DashboardContent",
    "DashboardMode",
    "DashboardModeChanged",
    "DashboardSection",
    "DisplayEffect",
    "DisplayEvent",
    "DisplaySettings",
    "DisplayState",
    "GlassesChanged",
    "HeadMoved",
    "PhoneArrived",
    "PhoneLost",
    "Requested",
    "Show",
    "Tick",
    "Withdrawn",
    "deadline",
    "step",
]


def step(
    state: DisplayState, event: DisplayEvent, now: float, settings: DisplaySettings
) -> tuple[DisplayState, tuple[DisplayEffect, ...]]:
    """Take in `event` at `now` (monotonic seconds) and say what is to be sent, in order."""
    turn = _Turn(state, now, settings)
    turn.take(event)
    turn.settle()
    turn.emit()
    due = turn.due()
    state = turn.state if turn.state.due_at == due else replace(turn.state, due_at=due)
    return state, tuple(turn.effects)


def deadline(state: DisplayState) -> float | None:
    """When a `Tick` is due, in the seconds of `step`'s `now`; None while only events can change anything."""
    return state.due_at


class _Turn:
    """One step: the state as it changes, what of it has to be sent, and the effects."""

    def __init__(self, state: DisplayState, now: float, settings: DisplaySettings) -> None:
        self.state = state
        self.now = now
        self.settings = settings
        self.effects: list[DisplayEffect] = []
        self.throttled: str | None = None
        self.has_new_main = False
        self.has_new_dashboard = False
        self.must_resend = False

    def take(self, event: DisplayEvent) -> None:
        match event:
            case Requested():
                self._request(event)
            case AppStarting():
                self._start(event.package, event.name)
            case AppReturning():
                self._change(ended=tuple(each for each in self.state.ended if each != event.package))
            case AppEnded():
                self._end(event.package)
            case Withdrawn():
                self._withdraw(event.package)
            case CoreAppChanged():
                self._change(core=event.package)
            case PhoneArrived():
                self._change(is_phone_here=True, phone_since=self.now, glasses=None)
                self.must_resend = True
            case PhoneLost():
                self._change(is_phone_here=False)
            case GlassesChanged():
                self._take_glasses(is_connected=event.is_connected)
            case HeadMoved():
                dashboard = self.state.dashboard
                self._compose(composition.turned(dashboard) if event.is_up else dashboard)
            case DashboardContent():
                modes = () if event.package in self.state.ended else event.modes
                dashboard = self.state.dashboard
                self._compose(composition.with_content(dashboard, event.package, event.content, modes))
            case DashboardSection():
                dashboard = self.state.dashboard
                self._compose(composition.with_section(dashboard, event.section, event.content))
            case DashboardMode():
                if event.mode in composition.MODES and event.mode != self.state.dashboard.mode:
                    self.effects.append(DashboardModeChanged(event.mode))
                    self._compose(replace(self.state.dashboard, mode=event.mode))
            case Tick():
                pass
            case _:
                assert_never(event)

    def settle(self) -> None:
        """Bring both views to what they should show now."""
        self._expire()
        choice, cleared = self._choice(), None
        frame = self.state.slots[choice].frame if choice else None
        if choice and frame and frame.is_blank and not self._must_wait(choice):
            cleared = frame
            self._drop(choice)
            choice = self._choice()
        shown = self.state.main.frame
        if choice == priority.BOOT_SCREEN:
            layout = boot_card([boot.name for boot in self.state.boots])
            if shown is None or shown.sequence or shown.layout != layout:
                self._put(Frame(package=self.settings.dashboard_package, layout=layout))
        elif choice is None:
            if shown is not None and not shown.is_blank:
                blank = Frame(package=self.settings.dashboard_package, layout=BLANK, is_blank=True)
                self._put(cleared or blank)
        elif self._must_wait(choice):
            self.throttled = choice
        elif (frame := self.state.slots[choice].frame) and not self._is_on_lens(frame):
            self._put(frame)

    def emit(self) -> None:
        """Send what changed, or everything to who has just come; nothing while nobody is there."""
        is_reachable = self.state.is_phone_here and self.state.glasses is not False
        if not is_reachable:
            return
        if self.has_new_main or self.must_resend:
            self._change(main=self._send(MAIN_VIEW, self.state.main))
            shown = self.state.main.frame
            slot = self.state.slots.get(shown.package) if shown and shown.sequence else None
            if shown and slot and self.must_resend:
                self._set(shown.package, replace(slot, next_at=self.now + self.settings.throttle_s))
        if self.has_new_dashboard or self.must_resend:
            self._change(dashboard_view=self._send(DASHBOARD_VIEW, self.state.dashboard_view))

    def due(self) -> float | None:
        """The next moment at which the choice, or what holds it back, changes by itself."""
        moments = priority.turning_points(self.state, self.settings)
        if self.state.dashboard_view.expires_at is not None:
            moments.append(self.state.dashboard_view.expires_at)
        if self.throttled and (next_at := self.state.slots[self.throttled].next_at) is not None:
            moments.append(next_at)
        return min((moment for moment in moments if moment > self.now), default=None)

    # -- events

    def _request(self, event: Requested) -> None:
        state = self.state
        if event.package in state.ended:
            return
        frame = Frame(
            package=event.package,
            layout=event.layout,
            sequence=state.sequence + 1,
            duration_ms=event.duration_ms,
            is_forced=event.force or event.is_critical or event.package == self.settings.dashboard_package,
            is_critical=event.is_critical,
            is_blank=is_blank(event.layout),
        )
        self._change(sequence=frame.sequence)
        if event.view == DASHBOARD_VIEW:
            self._change(
                dashboard_view=replace(state.dashboard_view, frame=frame, expires_at=self._expires_at(frame))
            )
            self.has_new_dashboard = True
            return
        slot = state.slots.get(event.package, Slot())
        shown = state.main.frame
        is_idle = shown is None or not shown.sequence or shown.package != event.package
        if frame.is_blank and is_idle:
            self._drop(event.package)
        else:
            self._set(
                event.package,
                replace(slot, frame=frame, shown_at=None, expires_at=None, yields=False),
            )

    def _start(self, package: str, name: str) -> None:
        ended = tuple(each for each in self.state.ended if each != package)
        boots = tuple(boot for boot in self.state.boots if boot.package != package)
        if package != self.settings.dashboard_package:
            boots += (Boot(package, name, self.now + self.settings.boot_screen_s),)
        self._change(ended=ended, boots=boots)

    def _end(self, package: str) -> None:
        state = self.state
        self._drop(package)
        self._change(
            slots={each: slot for each, slot in state.slots.items() if each != package},
            boots=tuple(boot for boot in state.boots if boot.package != package),
            ended=(*(each for each in state.ended if each != package), package),
        )
        dashboard = composition.without_app(state.dashboard, package)
        if package == self.settings.dashboard_package:
            dashboard = replace(dashboard, sections={})
        drawn = state.dashboard_view.frame
        self._compose(
            dashboard, must_draw=drawn is not None and drawn.sequence > 0 and drawn.package == package
        )

    def _withdraw(self, package: str) -> None:
        slot = self.state.slots.get(package)
        if slot is not None and slot.frame is not None:
            frame = replace(slot.frame, is_critical=False, is_forced=False)
            self._set(package, replace(slot, frame=frame))

    def _take_glasses(self, *, is_connected: bool) -> None:
        before = self.state.glasses
        self._change(glasses=is_connected)
        if is_connected and before is None:
            self.must_resend = self.now >= self.state.phone_since + self.settings.arrival_s
        elif is_connected:
            self.must_resend = before is False

    def _compose(self, dashboard: Dashboard, *, must_draw: bool = False) -> None:
        """Keep `dashboard`, and redraw its view if that changes anything on it."""
        has_changed = dashboard != self.state.dashboard
        self._change(dashboard=dashboard)
        if not has_changed and not must_draw:
            return
        layout = composition.compose(dashboard)
        drawn = self.state.dashboard_view.frame
        if drawn is not None and not drawn.sequence and drawn.layout == layout:
            return
        package = self.settings.dashboard_package
        frame = Frame(package=package, layout=layout, is_blank=layout == BLANK)
        self._change(dashboard_view=replace(self.state.dashboard_view, frame=frame, expires_at=None))
        self.has_new_dashboard = True

    # -- time and choice

    def _expire(self) -> None:
        boots = tuple(boot for boot in self.state.boots if self.now < boot.until)
        if boots != self.state.boots:
            self._change(boots=boots)
        for package, slot in self.state.slots.items():
            if slot.expires_at is not None and self.now >= slot.expires_at:
                self._drop(package)
        expires_at = self.state.dashboard_view.expires_at
        if expires_at is not None and self.now >= expires_at:
            self._compose(self.state.dashboard, must_draw=True)

    def _choice(self) -> str | None:
        return priority.choose(self.state, self.now, self.settings)

    def _covers(self, frame: Frame) -> bool:
        """Whether a frame comes before what is there and will go again: the boot screen, or a held one."""
        if frame.is_blank or not frame.sequence:
            return not frame.is_blank
        return priority.is_held(self.state.slots[frame.package], self.now, self.settings)

    def _must_wait(self, package: str) -> bool:
        """Whether the throttle keeps the chosen slot off the lens for now.

        What an ended app left on the lens goes at once: the phone must not list as stopped what is still lit.
        Who has just come is sent the newest, not what it was about to replace.
        """
        slot, shown = self.state.slots[package], self.state.main.frame
        if slot.frame is None or slot.next_at is None or self.now >= slot.next_at:
            return False
        is_orphaned = shown is not None and shown.sequence > 0 and shown.package in self.state.ended
        is_urgent = slot.frame.is_forced or is_orphaned or self.must_resend
        return not (is_urgent or self._is_on_lens(slot.frame))

    def _is_on_lens(self, frame: Frame) -> bool:
        shown = self.state.main.frame
        return shown is not None and shown.sequence == frame.sequence

    # -- the lens

    def _put(self, frame: Frame) -> None:
        """Let `frame` take the main view from what is there."""
        state, shown = self.state, self.state.main.frame
        covers = self._covers(frame)
        if not covers:
            self._change(beneath=None)
        elif shown and not state.main.covers:
            self._change(beneath=shown.package)
        for package, slot in state.slots.items():
            if (
                package != frame.package
                and slot.frame
                and self._is_displaced(slot.frame, slot, covers=covers)
            ):
                self._drop(package)
        if not covers:
            self._take_turn(frame)
        if frame.sequence:
            slot = self.state.slots.get(frame.package, Slot())
            is_first = slot.shown_at is None
            self._set(
                frame.package,
                replace(
                    slot,
                    shown_at=self.now if is_first else slot.shown_at,
                    expires_at=self._expires_at(frame) if is_first and slot.frame else slot.expires_at,
                    active_at=self.now,
                    next_at=self.now + self.settings.throttle_s,
                    yields=False,
                ),
            )
        self._change(main=replace(self.state.main, frame=frame, covers=covers))
        self.has_new_main = True

    def _is_displaced(self, frame: Frame, slot: Slot, *, covers: bool) -> bool:
        """Whether another frame's coming ends this one: the core app's is saved unless it was for once."""
        if slot.shown_at is None:
            return frame.is_blank
        is_for_once = frame.duration_ms is not None and frame.duration_ms <= 0
        return is_for_once or (not covers and frame.package != self.state.core)

    def _take_turn(self, frame: Frame) -> None:
        """Move the background lock to who shows now; who waits stands back for the core app's news."""
        lock, core = self.state.lock, self.state.core
        if frame.is_blank or not frame.sequence:
            return
        if frame.package != core:
            if lock is None or lock.package != frame.package:
                self._change(lock=Lock(frame.package, self.now))
            return
        self._change(lock=None)
        for package, slot in self.state.slots.items():
            if package != core and slot.frame and slot.shown_at is None:
                self._set(package, replace(slot, yields=True))

    def _expires_at(self, frame: Frame) -> float | None:
        if frame.duration_ms is None or frame.duration_ms <= 0:
            return None
        if frame.duration_ms > self.settings.longest_duration_s * 1000:
            return None
        return self.now + frame.duration_ms / 1000

    def _send(self, view: str, lens: Lens) -> Lens:
        """Show a view as it should be, unless it is blank and the phone knows."""
        frame = lens.frame
        if frame is None or (frame.is_blank and not lens.is_lit):
            return lens
        self.effects.append(
            Show(
                view=view,
                package=frame.package,
                layout=frame.layout,
                duration_ms=frame.duration_ms,
                is_critical=frame.is_critical,
            )
        )
        return lens if lens.is_lit is not frame.is_blank else replace(lens, is_lit=not frame.is_blank)

    # -- the state

    def _drop(self, package: str) -> None:
        """End what a package wants to show; its throttle stays."""
        slot = self.state.slots.get(package)
        if slot is not None:
            self._set(package, replace(slot, frame=None, shown_at=None, expires_at=None, yields=False))
        if self.state.lock is not None and self.state.lock.package == package:
            self._change(lock=None)

    def _set(self, package: str, slot: Slot) -> None:
        self._change(slots={**self.state.slots, package: slot})

    def _change(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)
