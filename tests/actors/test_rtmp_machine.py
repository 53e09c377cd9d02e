"""The camera's stream: what the phone says of it, what it is asked, and when it is over."""

from __future__ import annotations

import pytest

from actors.session import rtmp
from actors.session.request_settings import RequestSettings
from actors.session.rtmp import Ask, Lost, RtmpStream

SETTINGS = RequestSettings()
APP = "org.example.camera"


def begun() -> RtmpStream:
    return rtmp.begun("s1", APP, 100.0, SETTINGS)


def test_the_phone_is_asked_every_fifteen_seconds_whether_it_streams() -> None:
    stream, nothing = rtmp.tick(begun(), 114.9, SETTINGS, ack_id="a")
    assert (115.0, None) == (rtmp.deadline(begun(), SETTINGS), nothing)
    assert stream is not None

    asked, effect = rtmp.tick(stream, 115.0, SETTINGS, ack_id="a1")
    assert Ask("s1", "a1") == effect
    assert asked is not None
    assert (125.0, "a1") == (rtmp.deadline(asked, SETTINGS), asked.asked)

    answered = rtmp.answered(asked, "a1", 116.0)
    assert (None, 0, 130.0) == (answered.asked, answered.missed, rtmp.deadline(answered, SETTINGS))


def test_an_answer_to_another_question_counts_for_nothing() -> None:
    asked, _ = rtmp.tick(begun(), 115.0, SETTINGS, ack_id="a1")
    assert asked is not None

    assert asked == rtmp.answered(asked, "a0", 116.0)


def test_three_questions_without_an_answer_end_the_stream() -> None:
    stream: RtmpStream | None = begun()
    effects = []
    now = 100.0
    while stream is not None:
        now = rtmp.deadline(stream, SETTINGS)
        stream, effect = rtmp.tick(stream, now, SETTINGS, ack_id=f"at {now:g}")
        effects.append(effect)

    assert [Ask("s1", f"at {at}") for at in (115, 130, 145)] == [
        one for one in effects if isinstance(one, Ask)
    ]
    assert isinstance(effects[-1], Lost)
    assert 155.0 == now


def test_a_minute_without_any_word_ends_the_stream() -> None:
    settings = RequestSettings(keep_alives_missed=100)
    stream: RtmpStream | None = rtmp.begun("s1", APP, 100.0, settings)
    now = 100.0
    while stream is not None:
        now = rtmp.deadline(stream, settings)
        stream, effect = rtmp.tick(stream, now, settings, ack_id="a")

    assert isinstance(effect, Lost)
    assert 160.0 == now


def test_words_of_the_phone_keep_the_stream() -> None:
    heard = rtmp.heard(begun(), "active", 140.0)

    assert heard is not None
    assert ("active", 140.0) == (heard.status, heard.heard_at)


@pytest.mark.parametrize("status", rtmp.TERMINAL)
def test_a_terminal_status_ends_the_stream(status: str) -> None:
    assert rtmp.heard(begun(), status, 101.0) is None


def test_a_stream_keeps_its_remaining_times_on_another_clock() -> None:
    asked, _ = rtmp.tick(begun(), 115.0, SETTINGS, ack_id="a1")
    assert asked is not None

    moved = rtmp.shifted(asked, -90.0)

    assert rtmp.deadline(asked, SETTINGS) - 90.0 == rtmp.deadline(moved, SETTINGS)
