"""Our own voice detector on recorded people and in rooms, quiet and loud."""

from __future__ import annotations

import time

import pytest

from actors.ports import Voices
from adapters.simulated.voice import LoudVoices
from adapters.vad import NoiseFloorDetector, NoiseFloorVoices
from clients.coded_audio import silence
from tests.adapters.vad.conformance import VoicesConformance
from tests.adapters.vad.rooms import (
    FRAME_BYTES,
    FRAME_MS,
    Spoken,
    cut,
    judge,
    keys,
    lost,
    missed,
    pcm_of,
    white,
    with_people,
    without_anybody,
)

PEOPLE = with_people()
ROOMS = without_anybody(15)


class TestNoiseFloorConformance(VoicesConformance):
    @pytest.fixture
    def voices(self) -> Voices:
        voices = NoiseFloorVoices()
        voices.warm_up()
        return voices


class TestSimulatedVoicesConformance(VoicesConformance):
    @pytest.fixture
    def voices(self) -> Voices:
        return LoudVoices()


@pytest.mark.parametrize("said", PEOPLE.values(), ids=list(PEOPLE))
def test_no_voiced_frame_is_kept_from_a_recogniser(said: Spoken) -> None:
    judged = judge(NoiseFloorDetector(), said.pcm)

    assert 0 == lost(said, judged)


@pytest.mark.parametrize("name", ["quiet room", "soft voice"])
def test_almost_every_voiced_frame_is_noticed_in_a_room(name: str) -> None:
    assert missed(PEOPLE[name], judge(NoiseFloorDetector(), PEOPLE[name].pcm)) < 0.08


@pytest.mark.parametrize("said", PEOPLE.values(), ids=list(PEOPLE))
def test_a_sentence_is_not_cut_at_a_breath_and_its_end_is_noticed(said: Spoken) -> None:
    judged = judge(NoiseFloorDetector(), said.pcm)

    assert 0 == cut(said, judged)
    for _, end in said.sentences:
        behind = [(at - end) * FRAME_MS for at in judged.pauses if at >= end]
        assert behind
        assert behind[0] < 1000, "ms from the end of a sentence to its pause"


def test_half_of_a_conversation_with_pauses_is_withheld() -> None:
    judged = judge(NoiseFloorDetector(), PEOPLE["quiet room"].pcm + silence(30))

    assert judged.share_given(6.0) < 0.6


@pytest.mark.parametrize("name", ["nothing", "quiet room", "room", "loud hiss", "car", "loud fan"])
def test_a_room_without_anybody_is_withheld_however_loud(name: str) -> None:
    assert 0.0 == judge(NoiseFloorDetector(), ROOMS[name]).share_given(6.0)


def test_of_loud_air_little_is_taken_for_a_voice() -> None:
    assert judge(NoiseFloorDetector(), ROOMS["loud air"]).share_given(6.0) < 0.3


def test_one_key_is_no_voice() -> None:
    samples = white(8 * 16_000, -65)
    samples[100_000:100_320] = keys(20_000, -8)[5_000:5_320]
    samples[100_000:100_320] = white(320, -10)

    assert 0.0 == judge(NoiseFloorDetector(), pcm_of(samples)).share_given(2.0)


def test_a_voice_that_begins_in_loud_noise_is_heard() -> None:
    said = PEOPLE["hiss"]
    begin = said.sentences[0][0] - 10

    judged = judge(NoiseFloorDetector(), said.pcm)

    assert not judged.given[begin - 20]
    assert all(judged.given[at] for at in range(said.sentences[0][0], said.sentences[0][1]))


def test_a_second_of_audio_costs_less_than_a_millisecond() -> None:
    """The port promises 0.4 ms; a busy machine gets more."""
    detector = NoiseFloorDetector()
    pcm = PEOPLE["quiet room"].pcm
    began = time.process_time()
    for begin in range(0, len(pcm), 10 * FRAME_BYTES):
        detector.hear(pcm[begin : begin + 10 * FRAME_BYTES])

    cost_ms = (time.process_time() - began) * 1000 / (len(pcm) / 32_000)
    print(f"{cost_ms:.2f} ms a second of audio")
    assert cost_ms < 1.0
