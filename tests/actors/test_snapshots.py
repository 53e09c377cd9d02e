"""What of a session outlives its process, and its form on disk."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actors import microphone
from actors.apps import lifecycle
from actors.apps.lifecycle import LifecycleState, Phase
from actors.display import arbitration as display
from actors.display.arbitration import DisplayState
from actors.domain import DomainSettings
from actors.microphone import MicrophoneState
from actors.ports import AppDocument, Permission, UserDocument
from actors.snapshots.resumption import named, resumed
from actors.snapshots.snapshot import (
    AppSnapshot,
    SessionSnapshot,
    StoredSnapshot,
    UnreadableSnapshotError,
    again_at,
    deadline,
    decode,
    encode,
    stored,
)
from protocols import streams
from protocols.device_state import GlassesInfo
from tests.actors.test_moved_in_time import (
    DISPLAY,
    LIFECYCLE,
    MICROPHONE,
    display_events,
    lifecycle_events,
    microphone_events,
    steps_s,
)

ADA = "ada@example.org"
CAPTIONS, NOTES = "org.example.captions", "org.example.notes"
SETTINGS = DomainSettings()


@st.composite
def displays(draw: st.DrawFn) -> DisplayState:
    state, now = DisplayState(), 1000.0
    for wait_s, event in draw(st.lists(st.tuples(steps_s, display_events), max_size=12)):
        now += wait_s
        state, _ = display.step(state, event, now, DISPLAY)
    return state


@st.composite
def lifecycles(draw: st.DrawFn) -> LifecycleState:
    state, now = LifecycleState(), 1000.0
    for wait_s, event in draw(st.lists(st.tuples(steps_s, lifecycle_events), max_size=12)):
        now += wait_s
        state, _ = lifecycle.step(state, event, now, LIFECYCLE)
    return state


@st.composite
def microphones(draw: st.DrawFn) -> MicrophoneState:
    state, now = MicrophoneState(), 1000.0
    for wait_s, event in draw(st.lists(st.tuples(steps_s, microphone_events), max_size=8)):
        now += wait_s
        state, _ = microphone.step(state, event, now, MICROPHONE)
    return state


subscriptions = st.lists(
    st.sampled_from(
        [
            streams.parse("transcription:en-US?hints=one"),
            streams.parse("audio_chunk"),
            streams.parse({"stream": "location_stream", "rate": "high"}),
            streams.parse("touch_event:triple_tap"),
            streams.parse("all"),
        ]
    ),
    unique=True,
).map(tuple)

snapshots = st.builds(
    SessionSnapshot,
    user_id=st.just(ADA),
    incarnation=st.text(max_size=5),
    started_at=st.floats(0, 1000),
    started_wall=st.floats(0, 2e9),
    had_phone=st.booleans(),
    grace_ends_at=st.none() | st.floats(1000, 2000),
    to_boot=st.none() | st.just(()) | st.just((NOTES,)),
    apps=st.lists(
        st.builds(
            AppSnapshot, st.sampled_from([CAPTIONS, NOTES]), lifecycles(), subscriptions, st.booleans()
        ),
        max_size=2,
        unique_by=lambda app: app.package_name,
    ).map(tuple),
    display=displays(),
    microphone=microphones(),
    glasses=st.builds(GlassesInfo, connected=st.none() | st.booleans(), model_name=st.none() | st.text()),
)


def document(package_name: str, *permissions: str) -> AppDocument:
    return AppDocument(
        package_name=package_name,
        public_url="https://example.org",
        hashed_api_key="",
        name="App",
        permissions=tuple(Permission(name) for name in permissions or ("ALL",)),
    )


DOCUMENTS = {CAPTIONS: document(CAPTIONS), NOTES: document(NOTES)}


def ada(*running: str) -> UserDocument:
    return UserDocument(user_id=ADA, created_at_ms=1, running_apps=running)


def small(**fields: object) -> SessionSnapshot:
    required = {"user_id": ADA, "incarnation": "session-1", "started_at": 900.0, "started_wall": 1e9}
    return msgspec.convert({**required, **fields}, SessionSnapshot, from_attributes=True)


def running(package_name: str, **fields: object) -> AppSnapshot:
    machine = LifecycleState(phase=Phase.RUNNING, socket_id="s1")
    return AppSnapshot(package_name, machine, is_stored=True, **fields)  # type: ignore[arg-type]


@hypothesis_settings(max_examples=200, deadline=None)
@given(snapshots, st.floats(0, 1e6))
def test_a_snapshot_comes_back_as_it_was(snapshot: SessionSnapshot, now: float) -> None:
    assert StoredSnapshot(now, snapshot) == decode(stored(encode(snapshot), now))


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.binary(max_size=50), st.integers(0, 400), snapshots)
def test_damage_is_told_and_nothing_else_happens(junk: bytes, at: int, snapshot: SessionSnapshot) -> None:
    whole = stored(encode(snapshot), 5.0)
    for form in (junk, whole[:at], whole[:at] + junk + whole[at:], b"[" * 100_000):
        try:
            decode(form)
        except UnreadableSnapshotError:
            continue


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_is_unreadable(version: int) -> None:
    form = stored(encode(small()), 5.0).replace(b'"version":1', b'"version":%d' % version)

    with pytest.raises(UnreadableSnapshotError, match=f"version {version}"):
        decode(form)


@hypothesis_settings(max_examples=200, deadline=None)
@given(snapshots, st.lists(st.sampled_from([CAPTIONS, NOTES]), unique=True), st.floats(-900, 1e6))
def test_any_session_can_go_on_and_none_of_its_deadlines_has_passed(
    snapshot: SessionSnapshot, names: list[str], now: float
) -> None:
    beginning = resumed(StoredSnapshot(1100.0, snapshot), ada(*names), DOCUMENTS, now, SETTINGS)

    listed = {one.app.package_name for one in beginning.apps} | set(beginning.session.to_boot or ())
    assert set(names) <= listed
    assert all(one.lifecycle.phase not in (Phase.RUNNING, Phase.STOPPING) for one in beginning.apps)
    assert beginning.session.grace_ends_at is not None
    assert beginning.session.grace_ends_at >= now
    assert not beginning.display.is_phone_here
    assert beginning.display.due_at is None or beginning.display.due_at > now
    off_at = beginning.session.microphone.off_at
    assert off_at is None or off_at > now


@pytest.mark.parametrize(
    ("had_phone", "grace_ends_at", "left_s"),
    [(True, None, 300.0), (False, 1060.0, 60.0), (False, 990.0, 0.0)],
)
def test_a_phones_grace_is_whole_or_what_was_left_of_it(
    had_phone: bool, grace_ends_at: float | None, left_s: float
) -> None:
    snapshot = small(had_phone=had_phone, grace_ends_at=grace_ends_at)

    session = resumed(StoredSnapshot(1000.0, snapshot), ada(), {}, 7.0, SETTINGS).session

    assert 7.0 + left_s == session.grace_ends_at
    assert 7.0 - 100.0 == session.started_at


def test_the_stored_list_decides_what_runs() -> None:
    snapshot = small(apps=(running("org.example.stopped"), running(CAPTIONS)), to_boot=("org.example.waits",))
    known = ("org.example.stopped", CAPTIONS, NOTES, "org.example.waits")
    documents = {name: document(name) for name in known}
    user = ada(CAPTIONS, NOTES, "org.example.waits", "org.example.unknown")

    beginning = resumed(StoredSnapshot(1000.0, snapshot), user, documents, 7.0, SETTINGS)

    assert [CAPTIONS, NOTES] == [one.app.package_name for one in beginning.apps]
    assert {Phase.GRACE} == {one.lifecycle.phase for one in beginning.apps}
    assert ("org.example.waits", "org.example.unknown") == beginning.session.to_boot
    assert ("org.example.stopped",) == beginning.display.ended
    assert {*known, "org.example.unknown"} - {"org.example.waits"} <= {*named(snapshot, user)}


def test_an_app_that_was_started_again_since_may_be_seen_again() -> None:
    snapshot = small(display=DisplayState(ended=(CAPTIONS, "org.example.other")), to_boot=())

    beginning = resumed(StoredSnapshot(1000.0, snapshot), ada(CAPTIONS), DOCUMENTS, 7.0, SETTINGS)

    assert ("org.example.other",) == beginning.display.ended


def test_a_start_that_the_stored_list_knows_of_was_through() -> None:
    machine = LifecycleState(phase=Phase.CONNECTING, attempt=1, awaited=1, connect_until=1003.0)
    snapshot = small(apps=(AppSnapshot(CAPTIONS, machine),), to_boot=())

    (through,) = resumed(StoredSnapshot(1000.0, snapshot), ada(CAPTIONS), DOCUMENTS, 7.0, SETTINGS).apps
    (not_yet,) = resumed(StoredSnapshot(1000.0, snapshot), ada(), DOCUMENTS, 7.0, SETTINGS).apps

    assert (Phase.GRACE, True) == (through.lifecycle.phase, through.is_stored)
    assert (Phase.CONNECTING, False) == (not_yet.lifecycle.phase, not_yet.is_stored)


def test_an_app_keeps_of_its_list_what_it_may_still_have() -> None:
    wanted = (
        streams.parse("audio_chunk"),
        streams.parse("button_press"),
        streams.parse({"stream": "location_stream", "rate": "high"}),
    )
    snapshot = small(apps=(running(CAPTIONS, subscriptions=wanted),))
    documents = {CAPTIONS: document(CAPTIONS, "MICROPHONE")}

    (one,) = resumed(StoredSnapshot(1000.0, snapshot), ada(CAPTIONS), documents, 7.0, SETTINGS).apps
    (other,) = resumed(StoredSnapshot(1000.0, snapshot), ada(CAPTIONS), DOCUMENTS, 7.0, SETTINGS).apps

    assert ["audio_chunk", "button_press"] == [subscription.text for subscription in one.subscriptions]
    assert wanted == other.subscriptions


def test_a_snapshot_is_written_again_when_a_tenth_of_its_time_has_passed() -> None:
    assert float("inf") == again_at(small(), 1000.0)
    assert 1030.0 == again_at(small(grace_ends_at=1300.0), 1000.0)
    assert 1003.0 == deadline(small(grace_ends_at=1300.0, microphone=MicrophoneState(off_at=1003.0)))
