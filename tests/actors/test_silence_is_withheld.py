"""Silence on its whole way: from a phone that detects no voices to a recogniser that keeps what it hears."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.ports import SpeechEvent, SpeechRequest
from actors.speech.settings import SpeechSettings
from adapters.simulated.speech import ScriptedSpeech
from adapters.vad import NoiseFloorVoices
from clients.coded_audio import sentence, silence
from clients.recordings import SAMPLE_RATE_HZ, recordings
from tests.actors.world import open_world
from tests.adapters.vad.rooms import pcm_of, pink
from tests.coded_speech import coded_speech, final_words, results, say

SUBSCRIPTIONS = ["transcription:en-US"]
SECOND = 2 * SAMPLE_RATE_HZ


class Keeping:
    """Keeps what a stream hears, and where it was told that speech was over. A `Reading`."""

    def __init__(self) -> None:
        self.pcm = b""
        self.finished_s: list[float] = []

    def hear(self, pcm: bytes) -> None:
        self.pcm += pcm

    def until(self, now_s: float) -> list[SpeechEvent]:
        return []

    def finish(self, now_s: float) -> list[SpeechEvent]:
        self.finished_s.append(now_s)
        return []

    def skip(self, now_s: float) -> list[SpeechEvent]:
        return []

    def settled_s(self, now_s: float) -> float:
        return now_s


def keeping() -> tuple[ScriptedSpeech, list[Keeping]]:
    """A recogniser that keeps what each of its streams hears."""
    kept: list[Keeping] = []

    def reading(request: SpeechRequest) -> Keeping:
        kept.append(Keeping())
        return kept[-1]

    return ScriptedSpeech(reading=reading), kept


@pytest.mark.parametrize("frame_s", [0.02, 0.1])
async def test_no_voiced_sample_of_a_conversation_is_lost_and_its_silence_is(
    frame_s: float, autojump_clock: MockClock
) -> None:
    room = pcm_of(pink(8 * SAMPLE_RATE_HZ, -65))
    recogniser, kept = keeping()
    async with open_world(recognisers=[recogniser], voices=NoiseFloorVoices()) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)

        said = room
        for recording in recordings():
            said += recording.pcm + room
        await say(phone, said, frame_s=frame_s)

        (heard,) = kept
        for recording in recordings():
            assert recording.speech_start_s is not None
            assert recording.speech_end_s is not None
            begin = max(0, round((recording.speech_start_s - 0.1) * SAMPLE_RATE_HZ)) * 2
            end = round(recording.speech_end_s * SAMPLE_RATE_HZ) * 2
            assert recording.pcm[begin:end] in heard.pcm, recording.name
        spoken_s = sum(recording.duration_s for recording in recordings())
        assert len(heard.pcm) / SECOND < spoken_s + 5 * 1.7 + 5.5 + 1, "of 73 s"
        assert len(recordings()) == len(heard.finished_s), "each sentence is over once"
        shown = world.system.tree(world.find("users/ada@example.org/speech/en-US")).facts
        assert shown["withheld_ms"] == pytest.approx((len(said) - len(heard.pcm)) * 1000 / SECOND, abs=700)


async def test_a_phone_that_reports_voices_is_believed(autojump_clock: MockClock) -> None:
    recogniser, kept = keeping()
    async with open_world(recognisers=[recogniser]) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)

        for _ in range(5):
            phone.say({"type": "VAD", "status": True})
            await say(phone, silence(4))

        assert 20 * SECOND == len(kept[0].pcm)


async def test_words_after_an_hour_of_silence_have_their_time(autojump_clock: MockClock) -> None:
    async with open_world(recognisers=[coded_speech("one")]) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, sentence([1, 2], pause_s=2) + silence(3600))

        await say(phone, sentence([3], pause_s=2))

        assert ["w1", "w2", "w3"] == final_words(server)
        last = results(server)[-1]
        assert 300 == last["endTime"] - last["startTime"]
        first = results(server)[0]
        assert 3_602_600 == pytest.approx(last["startTime"] - first["startTime"], abs=1)


@pytest.mark.parametrize("frame_s", [0.02, 0.1, 0.4])
async def test_a_recogniser_that_fails_in_silence_costs_no_word(
    frame_s: float, autojump_clock: MockClock
) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    settings = DomainSettings(speech=SpeechSettings(return_s=1.0))
    async with open_world(recognisers=providers, settings=settings) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, silence(6) + sentence(range(3), pause_s=9), frame_s=frame_s)

        providers[0].fail()
        await say(phone, silence(3) + sentence(range(3, 6), pause_s=9), frame_s=frame_s)
        await say(phone, sentence(range(6, 9), pause_s=3), frame_s=frame_s)

        assert [f"w{number}" for number in range(9)] == final_words(server)
        assert [] == [text for text in phone.texts() if "delayed" in text]


async def test_steady_noise_that_is_withheld_is_no_recognisers_fault(autojump_clock: MockClock) -> None:
    """It is loud and nobody recognises it: that is no hang."""
    recogniser, _ = keeping()
    async with open_world(recognisers=[recogniser, coded_speech("two")], voices=NoiseFloorVoices()) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        loud = pcm_of(pink(2 * SAMPLE_RATE_HZ, -30))
        await say(phone, loud * 6)
        recogniser.hang()

        await say(phone, loud * 10)

        assert [] == world.telemetry.of("speech_stream_failed")
