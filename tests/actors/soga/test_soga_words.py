"""The wake phrase and whole utterances, as recognisers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.soga.words import after_wake, plain
from clients.recordings import recordings

PHRASE = "hey glasshouse"


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        ("hey glasshouse what time is it", "what time is it"),
        ("Hey, Glasshouse! What time is it?", "What time is it?"),
        ("hey glass house what time is it", "what time is it"),
        ("a glass house what time is it", "what time is it"),
        ("they glass house run the tests", "run the tests"),
        ("hey class house run the tests", "run the tests"),
        ("hey glass houses run the tests", "run the tests"),
        ("well then hey glasshouse, stop", "stop"),
        ("HEY GLASSHOUSE", ""),
        ("hey glass house house rules", "house rules"),
        ("hey glasshouse don't stop", "don't stop"),
    ],
)
def test_the_wake_phrase_is_found_as_recognisers_write_it(heard: str, rest: str) -> None:
    assert rest == after_wake(heard, PHRASE)


@pytest.mark.parametrize(
    "heard",
    [
        "",
        "glasshouse",
        "people in glass houses",
        "the glass house is cold",
        "hey",
        "hey there",
        "hey guess how old he is",
        "hey nice house on the left",
        "hey glass",
        "hey grand house of mine",
        "an hour glass",
    ],
)
def test_what_only_resembles_the_wake_phrase_is_not_it(heard: str) -> None:
    assert after_wake(heard, PHRASE) is None


def test_a_phrase_without_words_wakes_nobody() -> None:
    assert after_wake("anything at all", "") is None


@given(st.text(max_size=80))
def test_what_follows_the_wake_phrase_is_the_end_of_what_was_said(text: str) -> None:
    rest = after_wake(f"hey glasshouse {text}", PHRASE)

    assert rest is not None
    assert f"hey glasshouse {text}".endswith(rest)
    assert not rest or rest[0].isalnum()


@given(st.text(max_size=200))
def test_no_text_is_too_strange_to_look_for_the_wake_phrase(text: str) -> None:
    after_wake(text, PHRASE)

    assert plain(text) == plain(plain(text))


def test_what_the_recorded_people_say_wakes_nobody() -> None:
    said = [recording.text for recording in recordings()]

    assert [] == [text for text in said if after_wake(text, PHRASE) is not None]
