"""When the daemon dials: tables, and any order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon.ports import LinkClosed
from actors.desktop_daemon.reconnect import (
    Dial,
    Drop,
    Effect,
    Ended,
    Event,
    Failed,
    Heard,
    Opened,
    ReconnectState,
    Say,
    Tick,
    step,
    wait_s,
)
from actors.desktop_daemon.settings import ReconnectSettings
from protocols.desktop import frames

SETTINGS = ReconnectSettings()


def _after(*moves: tuple[float, Event]) -> tuple[ReconnectState, tuple[Effect, ...]]:
    state: ReconnectState = ReconnectState()
    effects: tuple[Effect, ...] = ()
    for now, event in moves:
        state, effects = step(state, event, now, 0.5, SETTINGS)
    return state, effects


ONLINE = ((0.0, Tick()), (0.1, Opened()))


def test_waits_grow_by_half_up_to_thirty_seconds() -> None:
    waits = [round(wait_s(attempt, 0.5, SETTINGS), 2) for attempt in (1, 2, 3, 4, 9, 10, 1000)]

    assert [1.0, 1.5, 2.25, 3.38, 25.63, 30.0, 30.0] == waits


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_no_wait_of_a_daemon_is_shorter_or_longer_than_it_says(attempt: int, chance: float) -> None:
    assert 0.8 <= wait_s(attempt, chance, SETTINGS) <= SETTINGS.longest_s


def test_a_server_that_is_gone_is_dialled_for_ever() -> None:
    state, now, dials = ReconnectState(), 0.0, 0
    for _ in range(500):
        state, effects = step(state, Tick(), now, 0.5, SETTINGS)
        dials += Dial() in effects
        state, _effects = step(state, Failed("nobody answers"), now + 0.1, 0.5, SETTINGS)
        assert state.due_at is not None
        assert 0 < state.due_at - now <= 31
        now = state.due_at

    assert 500 == dials


@pytest.mark.parametrize("code", [frames.MISSING_CREDENTIALS, frames.TOKEN_REVOKED, frames.REPLACED])
def test_a_close_that_a_new_dial_cannot_mend_stops_the_dials(code: int) -> None:
    state, effects = _after(*ONLINE, (5.0, Ended(LinkClosed(code))))

    assert "refused" == state.phase
    assert (Say(),) == effects
    assert "token" in state.cause
    for now in (10.0, 100.0, 10_000.0):
        state, effects = step(state, Tick(), now, 0.5, SETTINGS)
        assert () == effects


def test_close_4008_says_that_another_daemon_took_over() -> None:
    state, _ = _after(*ONLINE, (5.0, Ended(LinkClosed(frames.REPLACED))))

    assert "another daemon with the token of this desktop took over" in state.cause


def test_refused_token_is_tried_again_once_there_is_another() -> None:
    state, _ = _after((0.0, Tick()), (0.1, Failed("no", status=401)))

    state, effects = step(state, Tick(has_other_token=True), 6.0, 0.5, SETTINGS)

    assert (Dial(),) == effects
    assert 1 == state.attempt


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012, frames.FRAME_TOO_LARGE, frames.HEARTBEAT_LOST])
def test_any_other_close_is_followed_by_a_dial(code: int) -> None:
    state, _ = _after(*ONLINE, (60.0, Ended(LinkClosed(code))), (61.5, Tick()))

    assert "dialling" == state.phase


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502, 503])
def test_a_status_that_may_be_the_proxys_is_no_reason_to_give_up(status: int) -> None:
    state, _ = _after((0.0, Tick()), (0.1, Failed("no", status=status)))

    assert "waiting" == state.phase


def test_server_may_ask_for_a_longer_wait_but_not_for_ever() -> None:
    asked, _ = _after((0.0, Tick()), (0.0, Failed("busy", 503, 12.0)))
    forever, _ = _after((0.0, Tick()), (0.0, Failed("busy", 503, 1e9)))

    assert (12.0, 30.0) == (asked.due_at, forever.due_at)


def test_silence_drops_the_connection_and_any_frame_puts_it_off() -> None:
    heard, effects = _after(*ONLINE, (70.0, Heard()), (80.0, Tick()))
    assert ("online", ()) == (heard.phase, effects)

    state, effects = step(heard, Tick(), 145.0, 0.5, SETTINGS)
    assert (Drop(), Say()) == effects
    assert "waiting" == state.phase
    assert "silent" in state.cause


def test_a_steady_connection_starts_the_waits_anew_and_a_short_one_does_not() -> None:
    moves = [move for n in range(6) for move in ((n * 40.0, Tick()), (n * 40.0, Failed("no")))]
    steady, _ = _after(*moves, (300.0, Tick()), (300.0, Opened()), (311.0, Ended(LinkClosed(1006))))
    short, _ = _after(*moves, (300.0, Tick()), (300.0, Opened()), (301.0, Ended(LinkClosed(1006))))

    assert 1.0 == round((steady.due_at or 0) - 311, 2)
    assert (short.due_at or 0) - 301 > 10


EVENTS = st.one_of(
    st.just(Opened()),
    st.just(Heard()),
    st.builds(Ended, st.builds(LinkClosed, st.sampled_from([1000, 1006, 4001, 4003, 4008, 4009, 4010]))),
    st.builds(Failed, st.just("no"), st.sampled_from([None, 401, 500]), st.sampled_from([None, 5.0])),
    st.builds(Tick, st.booleans()),
)


@given(st.lists(st.tuples(st.floats(0, 100), EVENTS, st.floats(0, 1)), max_size=60))
def test_daemon_never_has_two_dials_and_always_knows_what_it_waits_for(
    moves: list[tuple[float, Event, float]],
) -> None:
    state, now, has_dial = ReconnectState(), 0.0, False
    for pause_s, event, chance in moves:
        now += pause_s
        if isinstance(event, Opened | Heard | Ended | Failed) and not has_dial:
            continue  # only a dial can say so
        if isinstance(event, Ended | Failed):
            has_dial = False
        state, effects = step(state, event, now, chance, SETTINGS)
        if Drop() in effects:
            has_dial = False
        if Dial() in effects:
            assert not has_dial
            has_dial = True

        assert has_dial == (state.phase in ("dialling", "online"))
        assert (state.due_at is None) == (state.phase == "dialling")
        assert state.due_at is None or state.due_at <= now + SETTINGS.silence_s
