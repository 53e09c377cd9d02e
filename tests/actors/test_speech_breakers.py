"""The breaker of each recogniser: what all streams together have found out about it."""

from __future__ import annotations

import pytest

from actors.speech.recognisers import Health, Recognisers, failed, heard, tried
from actors.speech.settings import SpeechSettings
from adapters.simulated.telemetry import RecordingTelemetry

SETTINGS = SpeechSettings()


def test_failures_in_a_row_pause_it_and_a_word_between_them_does_not_let_them() -> None:
    recognisers = Recognisers(SETTINGS, RecordingTelemetry())
    for _ in range(5):
        recognisers.failed("one", "network", 0.2, 10.0)
        recognisers.failed("one", "network", 0.2, 10.0)
        recognisers.heard("one", opened_at=10.0)
    assert (0.0, True) == (recognisers.free_at("one"), recognisers.is_well("one"))

    for _ in range(3):
        recognisers.failed("one", "network", 0.2, 10.0)

    assert 15.0 == recognisers.free_at("one")
    assert 0.0 == recognisers.free_at("one:2"), "another key is another recogniser"


@pytest.mark.parametrize(("kind", "retry_after_s"), [("auth", 300.0), ("quota", 60.0), ("rate", 5.0)])
def test_one_failure_that_says_how_long_it_lasts_is_enough(kind: str, retry_after_s: float) -> None:
    assert 10.0 + retry_after_s == failed(Health(), kind, retry_after_s, 10.0, SETTINGS).free_at


def test_after_the_pause_one_tries_and_the_others_wait_for_it() -> None:
    paused = failed(Health(), "rate", 5.0, 10.0, SETTINGS)

    trial = tried(paused, 16.0, SETTINGS)

    assert 16.0 + SETTINGS.trial_s == trial.free_at
    assert Health() == heard(trial, opened_at=16.0)


def test_a_trial_that_fails_pauses_it_for_longer_up_to_a_limit() -> None:
    health, now, pauses = Health(), 0.0, []
    for _ in range(3):
        health = failed(health, "network", 0.2, now, SETTINGS)
    for _ in range(6):
        pauses.append(health.free_at - now)
        now = health.free_at
        health = failed(tried(health, now, SETTINGS), "network", 0.2, now, SETTINGS)

    assert [5.0, 10.0, 20.0, 40.0, 60.0, 60.0] == pauses


def test_a_stream_from_before_the_pause_proves_nothing_about_new_ones() -> None:
    paused = failed(Health(), "rate", 5.0, 10.0, SETTINGS)

    assert paused.free_at == heard(paused, opened_at=9.0).free_at


def test_a_pause_and_its_end_are_facts() -> None:
    telemetry = RecordingTelemetry()
    recognisers = Recognisers(SETTINGS, telemetry)

    recognisers.failed("one", "quota", 60.0, 10.0)
    recognisers.tried("one", 71.0)
    recognisers.heard("one", opened_at=71.0)

    assert [{"provider": "one", "cause": "quota", "pause_s": 60.0}] == telemetry.of("speech_provider_paused")
    assert [{"provider": "one"}] == telemetry.of("speech_provider_back")
    assert {} == recognisers.view()
