"""A machine that is moved in time goes on as it would have: no field of its state is forgotten.

Times and settings are multiples of 1/64 s, so that sums are exact and equality is equality.
"""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actors import liveness, microphone
from actors.apps import lifecycle
from actors.apps.resumption import shifted as shifted_lifecycle
from actors.display import arbitration as display
from actors.display.state import shifted as shifted_display
from actors.ports import ProbeOutcome

MOST = 400

steps_s = st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 12.0])
shifts_s = st.sampled_from([-512.0, -1.25, 0.5, 3.0, 4096.0])

LIFECYCLE = lifecycle.LifecycleSettings(probe_s=0.25, probe_growth=1 / 64)
DISPLAY = display.DisplaySettings(throttle_s=0.25)
MICROPHONE = microphone.MicrophoneSettings(
    subscription_settle_s=0.125, language_settle_s=0.5, resync_delay_s=0.125
)

sockets = st.sampled_from(["a", "b", "c"])
attempts = st.integers(1, 4)
lifecycle_events: st.SearchStrategy[lifecycle.Event] = st.one_of(
    st.builds(lifecycle.StartRequested),
    st.builds(lifecycle.StopRequested, st.sampled_from(["user_disabled", "session_ended"])),
    st.builds(lifecycle.WebhookAnswered, attempts, st.sampled_from([200, 500, 503])),
    st.builds(lifecycle.WebhookFailed, attempts, st.sampled_from(["refused", "timeout"]), st.just("cause")),
    st.just(lifecycle.StopWebhookDone()),
    st.builds(lifecycle.SocketArrived, sockets),
    st.builds(lifecycle.SocketClosed, sockets, st.just(1006)),
    st.builds(lifecycle.OwnershipReleased, sockets, st.just("")),
    st.just(lifecycle.PhoneLost()),
    st.just(lifecycle.PhoneReturned()),
    st.builds(lifecycle.ServerProbed, st.sampled_from(ProbeOutcome)),
    st.just(lifecycle.ServerRegistered()),
    st.just(lifecycle.Tick()),
)


@hypothesis_settings(max_examples=MOST, deadline=None)
@given(st.lists(st.tuples(steps_s, lifecycle_events), max_size=30), shifts_s)
def test_a_lifecycle_moved_in_time_goes_on_as_it_would_have(
    story: list[tuple[float, lifecycle.Event]], by_s: float
) -> None:
    state, now = lifecycle.LifecycleState(), 1000.0
    for wait_s, event in story:
        now += wait_s
        after, effects = lifecycle.step(state, event, now, LIFECYCLE)
        moved, same = lifecycle.step(shifted_lifecycle(state, by_s), event, now + by_s, LIFECYCLE)

        assert (shifted_lifecycle(after, by_s), effects) == (moved, same)
        due = lifecycle.deadline(after)
        assert (None if due is None else due + by_s) == lifecycle.deadline(moved)
        state = after


packages = st.sampled_from(["org.core", "org.a", "org.b", DISPLAY.dashboard_package])
layouts = st.sampled_from(
    [
        msgspec.Raw(json.dumps({"layoutType": "text_wall", "text": text}).encode())
        for text in ("", "one", "two", "three")
    ]
)
display_events: st.SearchStrategy[display.DisplayEvent] = st.one_of(
    st.builds(
        display.Requested,
        package=packages,
        layout=layouts,
        view=st.sampled_from(["main", "main", "dashboard"]),
        duration_ms=st.sampled_from([None, 0, 500, 4000]),
        force=st.booleans(),
        is_critical=st.booleans(),
    ),
    st.builds(display.AppStarting, packages, st.just("name")),
    st.builds(display.AppEnded, packages),
    st.builds(display.AppReturning, packages),
    st.builds(display.CoreAppChanged, st.sampled_from([None, "org.core"])),
    st.just(display.PhoneArrived()),
    st.just(display.PhoneLost()),
    st.builds(display.GlassesChanged, st.booleans()),
    st.builds(display.HeadMoved, st.booleans()),
    st.builds(display.DashboardContent, packages, st.sampled_from(["", "x"]), st.just(("main", "expanded"))),
    st.just(display.Tick()),
)


@hypothesis_settings(max_examples=MOST, deadline=None)
@given(st.lists(st.tuples(steps_s, display_events), max_size=30), shifts_s)
def test_a_display_moved_in_time_goes_on_as_it_would_have(
    story: list[tuple[float, display.DisplayEvent]], by_s: float
) -> None:
    state, now = display.DisplayState(), 1000.0
    for wait_s, event in story:
        now += wait_s
        after, effects = display.step(state, event, now, DISPLAY)
        moved, same = display.step(shifted_display(state, by_s), event, now + by_s, DISPLAY)

        assert (shifted_display(after, by_s), effects) == (moved, same)
        state = after


wanted = st.builds(
    microphone.Wanted,
    pcm=st.booleans(),
    transcription=st.booleans(),
    bypass_vad=st.booleans(),
    is_transient=st.booleans(),
)
microphone_events: st.SearchStrategy[microphone.MicrophoneEvent] = st.one_of(
    wanted,
    wanted,
    st.just(microphone.SubscriptionsChanging()),
    st.just(microphone.LanguageChanging()),
    st.just(microphone.PhoneArrived()),
    st.just(microphone.PhoneLost()),
    st.just(microphone.GlassesConnected()),
    st.just(microphone.StrayAudio()),
    st.just(microphone.Tick()),
)


@hypothesis_settings(max_examples=MOST, deadline=None)
@given(st.lists(st.tuples(steps_s, microphone_events), max_size=30), shifts_s)
def test_a_microphone_moved_in_time_goes_on_as_it_would_have(
    story: list[tuple[float, microphone.MicrophoneEvent]], by_s: float
) -> None:
    state, now = microphone.MicrophoneState(), 1000.0
    for wait_s, event in story:
        now += wait_s
        after, effects = microphone.step(state, event, now, MICROPHONE)
        moved, same = microphone.step(microphone.shifted(state, by_s), event, now + by_s, MICROPHONE)

        assert (microphone.shifted(after, by_s), effects) == (moved, same)
        state = after


ticks = st.builds(
    liveness.Tick,
    last_activity_at=st.just(0.0),
    has_shown_pongs=st.booleans(),
    missed_pongs=st.integers(0, 2),
)
liveness_events: st.SearchStrategy[liveness.LivenessEvent] = st.one_of(
    st.builds(liveness.Opened, token_in_query=st.booleans()),
    st.just(liveness.AppOpened()),
    st.just(liveness.JsonPing()),
    st.just(liveness.JsonPong()),
    st.just(liveness.ConnectionInit()),
    st.just(liveness.Doubted()),
    ticks,
    ticks,
)


@hypothesis_settings(max_examples=MOST, deadline=None)
@given(st.lists(st.tuples(steps_s, liveness_events), max_size=30), shifts_s)
def test_a_liveness_moved_in_time_goes_on_as_it_would_have(
    story: list[tuple[float, liveness.LivenessEvent]], by_s: float
) -> None:
    settings = liveness.LivenessSettings()
    state, now = liveness.LivenessState(), 1000.0
    for wait_s, event in story:
        now += wait_s
        there = event
        if isinstance(event, liveness.Tick):
            event = msgspec.structs.replace(event, last_activity_at=now - 4.0)
            there = msgspec.structs.replace(event, last_activity_at=now - 4.0 + by_s)
        after, effects = liveness.step(state, event, now, settings)
        moved, same = liveness.step(liveness.shifted(state, by_s), there, now + by_s, settings)

        assert (liveness.shifted(after, by_s), effects) == (moved, same)
        state = after
