"""The scripted recogniser: the suite of every provider, and what only a script can promise."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.ports import AudioDropped, Delayed, Final, Interim, Recovered, SpeechError, SpeechRequest
from adapters.simulated.speech import ScriptedSpeech, ScriptedUtterance
from tests.adapters.speech.conformance import BYTES_A_SECOND, Ear, SpeechConformance, World, offer, raising

SENTENCE = ScriptedUtterance(text="he might even have been amiable", start_s=0.5, end_s=2.0)


class ScriptedWorld(World):
    def __init__(self) -> None:
        self.provider = self.scripted = ScriptedSpeech((SENTENCE,), repeat_s=3.0)
        self.speech = bytes(2 * BYTES_A_SECOND)
        self.pause = bytes(BYTES_A_SECOND)

    async def break_provider(self) -> None:
        self.scripted.fail()


@pytest.fixture
def world() -> ScriptedWorld:
    return ScriptedWorld()


class TestScriptedConformance(SpeechConformance):
    pass


async def test_the_same_audio_says_the_same_in_any_chunks(world: ScriptedWorld) -> None:
    heard = []
    for chunk_bytes in (320, 3200, 31_998):
        ear = Ear()
        async with world.listening(ear) as stream:
            offer(stream, bytes(3 * BYTES_A_SECOND), chunk_bytes=chunk_bytes)
            await ear.until_finals(1)
        heard.append(ear.events)

    assert heard[0] == heard[1] == heard[2]
    assert ["he", "he might", "he might even"] == [e.text for e in heard[0][:3] if isinstance(e, Interim)]
    assert Final(text=SENTENCE.text, start_ms=500, end_ms=2000) == heard[0][-1]


async def test_a_user_has_a_script_of_their_own(world: ScriptedWorld) -> None:
    world.scripted.scripts["bob@example.org"] = (ScriptedUtterance(text="yes", start_s=0.0, end_s=0.5),)
    ear = Ear()
    stream = world.provider.open(SpeechRequest(language="en-US", user_id="bob@example.org"), ear)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        offer(stream, bytes(BYTES_A_SECOND))
        await ear.until_finals(1)
        nursery.cancel_scope.cancel()

    assert ["yes"] == [final.text for final in ear.finals]
    assert ["bob@example.org"] == [request.user_id for request in world.scripted.requests]


async def test_languages_may_be_limited() -> None:
    provider = ScriptedSpeech(languages=frozenset({"de-DE"}))

    assert provider.supports("de-DE")
    assert not provider.supports("en-US")
    assert ScriptedSpeech().supports("en-US")


async def test_a_stall_delays_drops_what_is_older_than_3_s_and_recovers(world: ScriptedWorld) -> None:
    ear = Ear()
    world.scripted.stall()

    async with world.listening(ear) as stream:
        offer(stream, bytes(BYTES_A_SECOND))
        await trio.testing.wait_all_tasks_blocked()
        delayed = list(ear.events)
        stream.offer(bytes(3 * BYTES_A_SECOND))
        await trio.testing.wait_all_tasks_blocked()
        dropped = list(ear.events)
        world.scripted.resume()
        await ear.until(lambda: ear.of(Recovered))

    assert [Delayed("it was told to stall")] == delayed
    assert [AudioDropped(duration_ms=1000)] == dropped[1:]
    # The first utterance began in the audio that was dropped; the second is heard up to its second word.
    assert [Interim(text="he", start_ms=3500, end_ms=3750)] == ear.of(Interim)[:1]
    assert isinstance(ear.events[-1], Recovered)


async def test_an_utterance_cut_by_a_drop_ends_with_the_words_that_were_shown(world: ScriptedWorld) -> None:
    ear = Ear()

    async with world.listening(ear) as stream:
        offer(stream, bytes(BYTES_A_SECOND))
        await ear.until(lambda: len(ear.events) == 2)
        world.scripted.stall()
        stream.offer(bytes(4 * BYTES_A_SECOND))
        await ear.until(lambda: ear.of(AudioDropped))

    assert [Final(text="he might", start_ms=500, end_ms=2000)] == ear.of(Final)


async def test_a_failure_names_its_kind(world: ScriptedWorld) -> None:
    stream = world.open(Ear())

    with pytest.raises(SpeechError) as raised:
        async with raising(stream):
            world.scripted.fail("rate", retry_after_s=7.0)

    assert ("scripted", "rate", 7.0) == (
        raised.value.provider,
        raised.value.kind,
        raised.value.retry_after_s,
    )


async def test_a_script_ends_where_it_does_not_repeat() -> None:
    world = ScriptedWorld()
    world.provider = ScriptedSpeech((SENTENCE,))
    ear = Ear()

    async with world.listening(ear) as stream:
        offer(stream, bytes(20 * BYTES_A_SECOND), chunk_bytes=BYTES_A_SECOND)
        await trio.testing.wait_all_tasks_blocked()

    assert 1 == len(ear.finals)
