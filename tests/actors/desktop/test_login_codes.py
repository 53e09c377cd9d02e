from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop import login
from actors.desktop.login import Begun, Denied, Granted, Limited, LoginsState, NotYet, Shown, Unknown
from actors.desktop.settings import DesktopSettings

SETTINGS = DesktopSettings(login_s=600.0, login_interval_s=2.0, logins_a_minute=5, logins_waiting=7)
ADA, EVE = "ada@example.org", "eve@example.org"
CODE = "WDJBMJHT"


def waiting(now: float = 0.0) -> LoginsState:
    state, begun = login.begun(LoginsState(), "hash", CODE, "study", now, SETTINGS)
    assert isinstance(begun, Begun)
    return state


def test_a_code_is_allowed_and_its_daemon_gets_it_once() -> None:
    state = waiting()

    state, before = login.polled(state, "hash", 1.0, SETTINGS)
    state, shown = login.shown(state, ADA, "wdjb-mjht", 2.0, SETTINGS)
    state, allowed = login.answered(state, ADA, "WDJB MJHT", 3.0, SETTINGS, is_allowed=True)
    state, granted = login.polled(state, "hash", 4.0, SETTINGS)
    state, again = login.polled(state, "hash", 5.0, SETTINGS)

    assert NotYet(2.0) == before
    assert Shown(CODE, "study", 598.0) == shown
    assert isinstance(allowed, Shown)
    assert Granted(ADA, "study") == granted
    assert Unknown() == again


def test_what_could_not_be_granted_is_there_for_the_next_poll() -> None:
    state = waiting()
    state, _ = login.answered(state, ADA, CODE, 1.0, SETTINGS, is_allowed=True)
    state, _ = login.polled(state, "hash", 2.0, SETTINGS)

    state = login.given_back(state, "hash")

    assert Granted(ADA, "study") == login.polled(state, "hash", 3.0, SETTINGS)[1]
    assert waiting() == login.given_back(waiting(), "hash"), "nobody has allowed it"


def test_a_denied_daemon_hears_so() -> None:
    state, _ = login.answered(waiting(), ADA, CODE, 1.0, SETTINGS, is_allowed=False)

    assert Denied() == login.polled(state, "hash", 2.0, SETTINGS)[1]


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_code_is_answered_once(is_allowed: bool) -> None:
    state, _ = login.answered(waiting(), ADA, CODE, 1.0, SETTINGS, is_allowed=is_allowed)

    state, again = login.answered(state, EVE, CODE, 2.0, SETTINGS, is_allowed=True)

    assert Unknown() == again
    assert state.logins["hash"].user_id == ADA


def test_a_code_expires() -> None:
    state, _ = login.answered(waiting(), ADA, CODE, 1.0, SETTINGS, is_allowed=True)

    assert Unknown() == login.shown(waiting(), ADA, CODE, 600.0, SETTINGS)[1]
    assert Unknown() == login.polled(state, "hash", 600.0, SETTINGS)[1]


def test_a_daemon_that_asks_too_often_is_told_so() -> None:
    state, _ = login.polled(waiting(), "hash", 1.0, SETTINGS)

    state, too_soon = login.polled(state, "hash", 1.9, SETTINGS)
    _, in_time = login.polled(state, "hash", 3.9, SETTINGS)

    assert NotYet(2.0, is_too_soon=True) == too_soon
    assert NotYet(2.0) == in_time


def test_guesses_are_few_a_user_and_come_back_with_time() -> None:
    state = waiting()
    for number in range(SETTINGS.login_guesses):
        state, missed = login.shown(state, EVE, f"B{number}", float(number), SETTINGS)
        assert Unknown() == missed

    state, limited = login.answered(state, EVE, CODE, 10.0, SETTINGS, is_allowed=True)
    assert Limited(590.0) == limited
    assert isinstance(login.shown(state, ADA, CODE, 10.0, SETTINGS)[1], Shown), "hers are her own"

    assert Unknown() == login.shown(state, EVE, "BB", 600.0, SETTINGS)[1]


def test_codes_are_few_a_minute_and_few_at_a_time() -> None:
    state, outcomes = LoginsState(), []
    for number in range(20):
        name = f"{number:02}"
        state, outcome = login.begun(state, name, f"CODE{number}", name, number * 13.0, SETTINGS)
        outcomes.append(isinstance(outcome, Begun))

    assert [True] * 7 + [False] * 13 == outcomes, "seven at a time"
    state, outcomes = LoginsState(), []
    for number in range(7):
        state, outcome = login.begun(state, str(number), f"CODE{number}", "", number * 1.0, SETTINGS)
        outcomes.append(isinstance(outcome, Begun))
    assert [True] * 5 + [False] * 2 == outcomes, "five a minute"
    assert Limited(54.0) == outcome
    assert isinstance(login.begun(state, "x", "Y", "", 60.0, SETTINGS)[1], Begun)


def test_the_same_code_is_not_given_twice() -> None:
    assert isinstance(login.begun(waiting(), "other", CODE, "attic", 1.0, SETTINGS)[1], Limited)


@given(st.text(min_size=1, max_size=50))
def test_codes_are_written_in_their_alphabet_and_read_as_written(secret: str) -> None:
    code = login.user_code_of(secret.encode("utf-8", "replace").hex())

    assert 8 == len(code)
    assert set(code) <= set(login.ALPHABET)
    assert code == login.normal(login.written(code).lower())


def test_codes_of_different_secrets_differ() -> None:
    codes = {login.user_code_of(str(number)) for number in range(2_000)}

    assert 2_000 == len(codes)
    assert 20 == len({letter for code in codes for letter in code})
