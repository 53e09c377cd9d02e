"""The display against everything that can happen to it, in any order and at any time (protocol.md section 6).

A model beside it keeps what each app asked for last and what the phone was sent last, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.display.arbitration import (
    DASHBOARD_VIEW,
    MAIN_VIEW,
    AppEnded,
    AppStarting,
    CoreAppChanged,
    DashboardContent,
    DashboardMode,
    DashboardSection,
    DisplayEvent,
    DisplaySettings,
    DisplayState,
    GlassesChanged,
    HeadMoved,
    PhoneArrived,
    PhoneLost,
    Requested,
    Show,
    Tick,
    Withdrawn,
    deadline,
    step,
)

SETTINGS = DisplaySettings()
DASHBOARD = SETTINGS.dashboard_package
APPS = ("org.core", "org.a", "org.b", "org.c")
SENDERS = (*APPS, "system.glasshouse", DASHBOARD)


def wall(text: str) -> msgspec.Raw:
    return msgspec.Raw(json.dumps({"layoutType": "text_wall", "text": text}).encode())


class DisplayMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = DisplayState()
        self.now = 0.0
        self.number = 0
        self.core: str | None = None
        self.core_wish: Requested | None = None  # what the core app asked for since it is the core app
        self.has_phone = False
        self.glasses: bool | None = None
        self.ended: set[str] = set()
        self.requests: dict[str, Requested] = {}  # each sender's newest on the main view
        self.shown_number: dict[str, int] = {}
        self.sent_at: dict[str, float] = {}
        self.on_phone = wall("")  # what the phone has on its main view

    def act(self, event: DisplayEvent) -> None:
        before = self.state.main.frame
        state, effects = step(self.state, event, self.now, SETTINGS)
        self.state = msgspec.json.decode(msgspec.json.encode(state), type=DisplayState)
        shows = [effect for effect in effects if isinstance(effect, Show)]
        assert len(shows) == len({show.view for show in shows})
        assert self.is_reachable() or not shows
        is_resend = isinstance(event, PhoneArrived | GlassesChanged)
        is_orphaned = before is not None and before.sequence > 0 and before.package in self.ended
        for show in shows:
            assert show.package == DASHBOARD or show.package not in self.ended
            if show.view == MAIN_VIEW:
                self.check(show, is_due_at_once=is_resend or is_orphaned)
        due = deadline(self.state)
        assert due is None or due > self.now
        assert step(self.state, Tick(), self.now, SETTINGS) == (self.state, ()), "a step settles everything"

    def check(self, show: Show, *, is_due_at_once: bool) -> None:
        self.on_phone = show.layout
        text = json.loads(bytes(show.layout)).get("text", "")
        if not text.startswith("#"):
            return
        number, package = int(text[1:]), show.package
        request = self.requests[package]
        assert self.shown_number.get(package, 0) <= number
        assert number == self.number_of(request), "only an app's newest request is ever shown"
        if not (request.force or request.is_critical or is_due_at_once or package == DASHBOARD):
            assert self.now >= self.sent_at.get(package, -1.0) + SETTINGS.throttle_s
        self.shown_number[package] = number
        self.sent_at[package] = self.now

    @staticmethod
    def number_of(request: Requested) -> int:
        text = json.loads(bytes(request.layout))["text"]
        return int(text[1:]) if text else 0

    def is_reachable(self) -> bool:
        return self.has_phone and self.glasses is not False

    @rule(
        package=st.sampled_from(SENDERS),
        duration_ms=st.sampled_from([None, None, None, 0, 100, 1000, 5000]),
        kind=st.sampled_from(["", "", "", "", "clear", "force", "critical"]),
        view=st.sampled_from([MAIN_VIEW, MAIN_VIEW, MAIN_VIEW, DASHBOARD_VIEW]),
    )
    def request(self, package: str, duration_ms: int | None, kind: str, view: str) -> None:
        self.number += 1
        request = Requested(
            package=package,
            view=view,
            layout=wall("" if kind == "clear" else f"#{self.number}"),
            duration_ms=duration_ms,
            force=kind == "force",
            is_critical=kind == "critical",
        )
        if view == MAIN_VIEW and package not in self.ended:
            self.requests[package] = request
            self.core_wish = request if package == self.core else self.core_wish
        self.act(request)

    @rule(package=st.sampled_from(APPS))
    def start(self, package: str) -> None:
        self.ended.discard(package)
        self.act(AppStarting(package, package))

    @rule(package=st.sampled_from(APPS))
    def withdraw(self, package: str) -> None:
        self.act(Withdrawn(package))

    @rule(package=st.sampled_from(APPS))
    def end(self, package: str) -> None:
        self.ended.add(package)
        self.requests.pop(package, None)
        self.sent_at.pop(package, None)
        self.core_wish = None if package == self.core else self.core_wish
        self.act(AppEnded(package))

    @rule(core=st.sampled_from([None, "org.core", "org.a"]))
    def change_core(self, core: str | None) -> None:
        self.core, self.core_wish = core, None
        self.act(CoreAppChanged(core))

    @rule()
    def phone_arrives(self) -> None:
        self.has_phone, self.glasses = True, None
        self.act(PhoneArrived())

    @rule()
    def phone_is_lost(self) -> None:
        self.has_phone = False
        self.act(PhoneLost())

    @rule(is_connected=st.booleans())
    def glasses_change(self, is_connected: bool) -> None:
        self.glasses = is_connected
        self.act(GlassesChanged(is_connected))

    @rule(
        event=st.sampled_from(
            [
                HeadMoved(True),
                HeadMoved(False),
                DashboardContent("org.a", "x", ("main", "expanded")),
                DashboardContent("org.b", "y", ("main",)),
                DashboardSection("topLeft", "12:00"),
                DashboardMode("expanded"),
                DashboardMode("main"),
                Tick(),
            ]
        )
    )
    def hear(self, event: DisplayEvent) -> None:
        self.act(event)

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3, 1.0, 1.5, 3.0, 11.0]), ticks=st.booleans())
    def wait(self, seconds: float, ticks: bool) -> None:
        until = self.now + seconds
        while ticks and (due := deadline(self.state)) is not None and due <= until:
            self.now = due
            self.act(Tick())
        self.now = until

    @precondition(lambda self: self.is_reachable())
    @rule(again=st.sampled_from([(), ("org.core",), ("org.core", "org.a")]))
    def quiet(self, again: Sequence[str]) -> None:
        """After a long quiet nothing waits, and the core app is seen if it wants to be."""
        for package in again:
            self.request(package, None, "", MAIN_VIEW)
        self.wait(120.0, True)
        assert deadline(self.state) is None
        frame = self.state.main.frame
        wish = self.core_wish
        if wish is not None and wish.duration_ms is None and self.number_of(wish):
            assert self.on_phone == wish.layout
        elif frame is not None and not frame.is_blank:
            shown = self.requests[frame.package]
            assert self.on_phone == shown.layout
            assert shown.duration_ms in (None, 0)

    @invariant()
    def the_phone_has_what_it_should_have(self) -> None:
        frame = self.state.main.frame
        if not self.is_reachable() or frame is None:
            return
        if frame.is_blank:
            assert not json.loads(bytes(self.on_phone))["text"]
        else:
            assert self.on_phone == frame.layout

    @invariant()
    def nothing_of_an_ended_app_is_on_the_lens(self) -> None:
        frame = self.state.main.frame
        assert frame is None or frame.is_blank or frame.package not in self.ended
        assert not self.ended & self.state.slots.keys()
        assert not self.ended & {boot.package for boot in self.state.boots}


TestDisplayMachine = DisplayMachine.TestCase
TestDisplayMachine.settings = hypothesis_settings(max_examples=150, stateful_step_count=60, deadline=None)
