"""PocketSphinx itself on recorded human speech: the suite of every provider, errors, delays, dead workers."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
import trio.testing

from actors.audio.voice import VoiceGate, VoiceSettings
from actors.ports import Interim, SpeechRequest
from actors.speech.feed import AudioFeed
from adapters.speech import PocketSphinxProvider, PocketSphinxSettings
from adapters.vad import NoiseFloorDetector
from clients.recordings import SAMPLE_RATE_HZ, recordings
from tests.adapters.speech.conformance import (
    BYTES_A_SECOND,
    Ear,
    RecordingTelemetry,
    SpeechConformance,
    World,
    offer,
)
from tests.adapters.vad.rooms import pcm_of, pink

RECORDINGS = recordings()
PAUSE = bytes(BYTES_A_SECOND * 3 // 5)
# As fast as the workers are, so nothing may be dropped; a loaded machine is no reason to replace a worker.
SETTINGS = PocketSphinxSettings(worker_count=1, keep_s=120.0, answer_timeout_s=20.0, delayed_after_s=60.0)
FRAME_BYTES = 3200


class PocketSphinxWorld(World):
    def __init__(self, settings: PocketSphinxSettings = SETTINGS) -> None:
        self.telemetry = RecordingTelemetry()
        self.provider = self.pocketsphinx = PocketSphinxProvider(telemetry=self.telemetry, settings=settings)
        self.speech = RECORDINGS[1].pcm[: BYTES_A_SECOND * 8 // 5]  # he was not an ill
        self.pause = PAUSE
        self.scope = trio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            await self.pocketsphinx.run()

    async def break_provider(self) -> None:
        self.scope.cancel()

    async def until_ready(self) -> None:
        await self.telemetry.until(lambda: all(view.state == "idle" for view in self.pocketsphinx.workers()))


@asynccontextmanager
async def running(settings: PocketSphinxSettings = SETTINGS) -> AsyncIterator[PocketSphinxWorld]:
    world = PocketSphinxWorld(settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.run)
        yield world
        world.scope.cancel()


@pytest.fixture
async def world() -> AsyncIterator[PocketSphinxWorld]:
    async with running() as world:
        yield world


class TestPocketSphinxConformance(SpeechConformance):
    pass


def word_errors(said: str, heard: str) -> int:
    """The least number of words replaced, left out or put in."""
    words = heard.split()
    row = list(range(len(words) + 1))
    for count, word in enumerate(said.split(), start=1):
        above, row[0] = row[:], count
        for column, other in enumerate(words, start=1):
            row[column] = min(above[column] + 1, row[column - 1] + 1, above[column - 1] + (word != other))
    return row[-1]


async def test_three_words_of_four_are_right_and_no_first_word_is_cut() -> None:
    """The rate is over a conversation: the decoder gets used to the voice."""
    ear = Ear()

    async with running() as world, world.listening(ear) as stream:
        for recording in RECORDINGS:
            offer(stream, recording.pcm + PAUSE)
        await ear.until_finals(len(RECORDINGS))

    texts = [final.text for final in ear.finals]
    errors = [word_errors(recording.text, text) for recording, text in zip(RECORDINGS, texts, strict=True)]
    words = sum(len(recording.text.split()) for recording in RECORDINGS)
    print(f"word errors {errors}, {sum(errors)} of {words}: {sum(errors) / words:.1%}")
    assert sum(errors) / words < 0.33
    assert ["he", "had", "he"] == [texts[index].split()[0] for index in (1, 3, 4)]
    assert ["man", "watts", "himself"] == [texts[index].split()[-1] for index in (1, 3, 4)]


async def test_withheld_silence_costs_no_word() -> None:
    """The same conversation with five seconds between the sentences, as a session's feed hands it on."""
    room = pcm_of(pink(5 * SAMPLE_RATE_HZ, -65))
    errors: list[int] = []
    for withhold in (False, True):
        settings = VoiceSettings(withhold=withhold, own_after_s=0.0)
        ear = Ear()
        async with running() as world, world.listening(ear) as stream:
            gate = VoiceGate(NoiseFloorDetector(), settings)
            feed = AudioFeed(trio.current_time, 1_000.0, gate=gate, pre_roll_s=settings.pre_roll_s)
            feed.attach(stream, 0)
            for count, recording in enumerate(RECORDINGS, start=1):
                said = room + recording.pcm
                for begin in range(0, len(said), FRAME_BYTES):
                    feed.offer(said[begin : begin + FRAME_BYTES])
                for _ in range(20):
                    feed.offer(room[:FRAME_BYTES])
                await ear.until_finals(count)
            assert withhold == (feed.withheld_bytes > 15 * BYTES_A_SECOND)
        heard = " ".join(final.text for final in ear.finals)
        errors.append(word_errors(" ".join(recording.text for recording in RECORDINGS), heard))
        print(f"withhold={withhold}: {errors[-1]} word errors, {len(ear.finals)} finals")

    assert errors[1] <= errors[0]


async def test_the_final_comes_soon_after_the_end_of_speech() -> None:
    """In real time, 100 ms a frame as phones send. The figure is printed; the limit allows a busy machine."""
    recording = RECORDINGS[4]
    ear = Ear()

    async with running() as world, world.listening(ear) as stream:
        await world.until_ready()
        audio = recording.pcm + PAUSE
        began = trio.current_time()
        for begin in range(0, len(audio), FRAME_BYTES):
            await trio.sleep_until(began + (begin + FRAME_BYTES) / BYTES_A_SECOND)
            stream.offer(audio[begin : begin + FRAME_BYTES])
        await ear.until_finals(1)

    assert recording.speech_start_s is not None
    assert recording.speech_end_s is not None
    final_s = ear.times[-1] - began - recording.speech_end_s
    first_s = ear.times[0] - began - recording.speech_start_s
    print(f"first partial {first_s * 1000:.0f} ms after onset, final {final_s * 1000:.0f} ms after the end")
    assert 0.2 < final_s < 2.0


async def test_a_worker_killed_in_mid_utterance_costs_no_word() -> None:
    speech = RECORDINGS[1].pcm
    undisturbed, ear = Ear(), Ear()

    async with running() as world:
        async with world.listening(undisturbed) as stream:
            offer(stream, speech + PAUSE)
            await undisturbed.until_finals(1)
        async with world.listening(ear) as stream:
            offer(stream, speech[: len(speech) // 2])
            await ear.until(lambda: ear.of(Interim))
            (view,) = world.pocketsphinx.workers()
            assert view.pid is not None
            os.kill(view.pid, signal.SIGKILL)
            offer(stream, speech[len(speech) // 2 :] + PAUSE)
            await ear.until_finals(1)
        (after,) = world.pocketsphinx.workers()

    assert undisturbed.finals == ear.finals
    assert view.pid != after.pid
    assert 1 == after.restarts


async def test_a_worker_that_hangs_in_mid_utterance_costs_no_word() -> None:
    speech = RECORDINGS[1].pcm
    ear = Ear()

    async with running(msgspec.structs.replace(SETTINGS, answer_timeout_s=2.0)) as world:
        async with world.listening(ear) as stream:
            offer(stream, speech[: len(speech) // 2])
            await ear.until(lambda: ear.of(Interim))
            (view,) = world.pocketsphinx.workers()
            assert view.pid is not None
            os.kill(view.pid, signal.SIGSTOP)
            offer(stream, speech[len(speech) // 2 :] + PAUSE)
            await ear.until_finals(1)
        (after,) = world.pocketsphinx.workers()

    assert ear.finals[0].text.startswith("he was not")
    assert "it gave no answer within 2.0 s" == after.last_error


async def test_two_people_speak_at_once_to_two_workers() -> None:
    ears = [Ear(), Ear()]

    async with running(msgspec.structs.replace(SETTINGS, worker_count=2)) as world:
        streams = [
            world.provider.open(SpeechRequest(language="en-US", user_id=f"user{index}"), ear)
            for index, ear in enumerate(ears)
        ]
        async with trio.open_nursery() as nursery:
            for stream, recording in zip(streams, (RECORDINGS[1], RECORDINGS[4]), strict=True):
                nursery.start_soon(stream.run)
                await trio.testing.wait_all_tasks_blocked()
                offer(stream, recording.pcm + PAUSE)
            for ear in ears:
                await ear.until_finals(1)
            nursery.cancel_scope.cancel()
        served = [view.utterances for view in world.pocketsphinx.workers()]

    assert ears[0].finals[0].text.startswith("he was not")
    assert ears[1].finals[0].text.startswith("he might even have been")
    assert [1, 1] == served
