"""While every recogniser is down the phone is asked, and nothing is said twice or lost by the change."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.ports import Final, SpeechError
from actors.speech.by_phone import ByPhone, asked, concerns, heard, released
from actors.speech.messages import HeardByPhone
from clients.coded_audio import BYTES_A_SECOND, CodedEar, sentence, silence, word
from tests.actors.world import FakeConnection, World, open_world
from tests.coded_speech import coded_speech, final_words, results, say

SUBSCRIPTIONS = ["transcription:en-US"]
PCM = ["pcm"]
BOTH = ["pcm", "transcription"]


def required(phone: FakeConnection) -> list[Any]:
    """What the phone was told to send, repetitions left out."""
    told = [message["requiredData"] for message in phone.heard("microphone_state_change")]
    return [each for at, each in enumerate(told) if each and (at == 0 or told[at - 1] != each)]


def interim(text: str) -> HeardByPhone:
    return HeardByPhone(text, is_final=False)


def final(text: str) -> HeardByPhone:
    return HeardByPhone(text, is_final=True)


# -- the decision


def test_what_nobody_asked_for_is_not_taken() -> None:
    assert (ByPhone(), None) == heard(ByPhone(), final("hello"), onset=0, head=100, new_id="u1")


def test_an_utterance_keeps_its_name_and_its_beginning_until_its_final() -> None:
    state = asked(ByPhone(), 1_000)

    state, first = heard(state, interim("he"), onset=2_000, head=3_000, new_id="u1")
    state, last = heard(state, final("hello"), onset=2_500, head=5_000, new_id="u2")
    _, following = heard(state, interim("ada"), onset=2_000, head=8_000, new_id="u3")

    assert first is not None
    assert last is not None
    assert following is not None
    assert ("u1", 2_000, 3_000) == (first.utterance_id, first.begin, first.end)
    assert ("u1", 2_000, 5_000) == (last.utterance_id, last.begin, last.end)
    assert ("u3", 5_000, 8_000) == (following.utterance_id, following.begin, following.end)


def test_the_phone_has_not_heard_what_was_said_before_it_was_asked() -> None:
    _, span = heard(asked(ByPhone(), 4_000), interim("he"), onset=1_000, head=6_000, new_id="u1")

    assert span is not None
    assert 4_000 == span.begin


def test_a_recogniser_that_returns_goes_on_with_what_the_phone_has_not_finished() -> None:
    state, _ = heard(asked(ByPhone(), 0), interim("he"), onset=0, head=10, new_id="u1")

    state, utterance_id = released(state)

    assert "u1" == utterance_id
    assert None is heard(state, final("hello"), onset=0, head=20, new_id="u2")[1]
    assert (None, None) == (state.asked_at, released(state)[1])


@pytest.mark.parametrize(
    ("language", "transcribed", "expected"),
    [
        ("en-US", "en-US", True),
        ("en-US", "en", True),
        ("en-US", "EN-gb", True),
        ("en-US", None, True),
        ("auto", "fr-FR", True),
        ("en-US", "fr-FR", False),
    ],
)
def test_what_a_phone_heard_is_of_its_language(
    language: str, transcribed: str | None, *, expected: bool
) -> None:
    assert expected == concerns(language, transcribed)


# -- in a session


async def lose_all(world: World) -> None:
    for stream in world.speech.streams:
        if stream.is_running:
            stream.fail(SpeechError("puppet", "quota", "no credits", retry_after_s=20))
    await world.settle()


async def test_the_phone_is_asked_within_a_second_and_its_words_reach_the_apps(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["transcription:en-US?hints=Ada"])
        await lose_all(world)
        await trio.sleep(1.0)
        assert [PCM, BOTH] == required(phone)
        assert "Captions delayed" in phone.texts()

        said = {"type": "local_transcription", "transcribeLanguage": "en-US", "speakerId": 0}
        phone.say({**said, "text": "hello", "isFinal": False})
        phone.say({**said, "text": "hello Ada", "isFinal": True, "provider": "sherpa"})
        phone.say({**said, "text": "bonjour", "isFinal": True, "transcribeLanguage": "fr-FR"})
        await world.settle()

        events = server.connection.heard("data_stream")
        assert ["transcription:en-US?hints=Ada"] * 2 == [event["streamType"] for event in events]
        data = [event["data"] for event in events]
        assert [("hello", False), ("hello Ada", True)] == [(each["text"], each["isFinal"]) for each in data]
        assert 1 == len({each["utteranceId"] for each in data})
        assert ("phone", "sherpa", "0") == (data[0]["provider"], data[1]["provider"], data[1]["speakerId"])
        assert "en-US" == data[1]["transcribeLanguage"]
        assert data[1]["startTime"] <= data[1]["endTime"]


async def test_the_phone_is_released_when_a_recogniser_speaks_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await lose_all(world)
        await say(phone, sentence([1, 2], pause_s=19.5))
        assert BOTH == required(phone)[-1]

        await say(phone, sentence([3]))
        world.speech.streams[-1].emit(Final(text="back again", start_ms=0, end_ms=10))
        phone.say({"type": "local_transcription", "text": "back again", "isFinal": True})
        await trio.sleep(2)

        assert [PCM, BOTH, PCM] == required(phone)
        assert ["back", "again"] == final_words(server)


async def test_of_a_blip_the_phone_hears_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)

        world.speech.streams[0].fail(SpeechError("puppet", "network", "reset", retry_after_s=0))
        await trio.sleep(0.3)
        world.speech.streams[-1].emit(Final(text="back again", start_ms=0, end_ms=10))
        await trio.sleep(3)

        assert [PCM] == required(phone)


async def test_what_the_phone_has_finished_is_taken_from_a_recogniser_on_trial(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, word(1))
        world.speech.streams[0].fail(SpeechError("puppet", "network", "reset", retry_after_s=0.3))
        await say(phone, sentence([2, 4], pause_s=0.5))
        trial = world.speech.streams[-1]
        assert word(4) in trial.offered

        phone.say({"type": "local_transcription", "text": "w2 w4", "isFinal": True})
        await world.settle()
        await say(phone, sentence([3], pause_s=0.5))

        assert not trial.is_running
        assert word(3) in world.speech.streams[-1].offered
        assert word(1) in world.speech.streams[-1].offered, "said before the phone was asked"
        assert word(4) not in world.speech.streams[-1].offered
        assert ["w2", "w4"] == final_words(server)


async def test_what_a_phone_says_beside_a_recogniser_is_not_said_twice(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)

        phone.say({"type": "local_transcription", "text": "hello", "isFinal": True})
        world.speech.streams[0].emit(Final(text="hello", start_ms=0, end_ms=10))
        await world.settle()

        assert ["hello"] == final_words(server)


async def test_a_session_that_crashes_still_asks_the_phone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await lose_all(world)
        await trio.sleep(1.0)

        world.find("users/ada@example.org/session").crash(RuntimeError("a test crashes it"))
        await trio.sleep(1.0)
        phone.say({"type": "local_transcription", "text": "hello", "isFinal": True})
        await world.settle()

        assert BOTH == required(phone)[-1]
        assert ["hello"] == final_words(server)


class ListeningPhone:
    """A phone with a recogniser of its own: it says what it heard since it was asked, at each pause."""

    def __init__(self, phone: FakeConnection, delay_s: float) -> None:
        self.phone = phone
        self.delay_s = delay_s
        self._ear = CodedEar()
        self._told = 0

    async def hear(self, pcm: bytes, *, frame_s: float = 0.1) -> None:
        frame_bytes = round(frame_s * BYTES_A_SECOND)
        async with trio.open_nursery() as nursery:
            for begin in range(0, len(pcm), frame_bytes):
                frame = pcm[begin : begin + frame_bytes]
                await trio.sleep(frame_s)
                self.phone.stream(frame)
                states = self.phone.heard("microphone_state_change")
                if "transcription" not in states[-1]["requiredData"]:
                    self._ear, self._told = CodedEar(), 0
                    continue
                self._ear.hear(frame)
                words = self._ear.words[self._told :]
                if words and self._ear.quiet_s >= 0.3:
                    self._told = len(self._ear.words)
                    nursery.start_soon(self._say, words, True)
                elif words:
                    nursery.start_soon(self._say, words, False)

    async def _say(self, words: list[Any], is_final: bool) -> None:
        await trio.sleep(self.delay_s)
        text = " ".join(f"w{word.number}" for word in words)
        self.phone.say({"type": "local_transcription", "text": text, "isFinal": is_final})


@pytest.mark.parametrize("delay_s", [0.05, 0.4])
@pytest.mark.parametrize("out_s", [6.0, 6.7, 7.4, 9.1])
async def test_every_word_of_an_outage_is_there_once(
    out_s: float, delay_s: float, autojump_clock: MockClock
) -> None:
    """Sentences of 1.5 s with a second between them, through an outage that ends at any moment of one."""
    provider = coded_speech("one")
    async with open_world(recognisers=[provider]) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        listening = ListeningPhone(phone, delay_s)

        async def outage() -> None:
            await trio.sleep(4.2)  # in a pause
            provider.refuse("network", retry_after_s=0.3)
            await trio.sleep(out_s)
            provider.resume()

        said = b"".join(sentence(range(at, at + 5)) for at in range(0, 60, 5))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outage)
            await listening.hear(said + silence(12))

        words = final_words(server)
        assert [f"w{number}" for number in range(60)] == sorted(set(words), key=lambda word: int(word[1:]))
        assert [] == [word for word in set(words) if words.count(word) > 1]
        assert "phone" in {result["provider"] for result in results(server)}
        assert "one" == results(server)[-1]["provider"]
        assert [PCM, BOTH, PCM] == required(phone)
