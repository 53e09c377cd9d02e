"""Failover that nobody hears: the words that reach the app are those of a run in which nothing went wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.ports import Final, SpeechError
from adapters.simulated.speech import ScriptedSpeech
from clients.coded_audio import sentence, silence, word
from tests.actors.world import ADA, AppServer, World, open_world
from tests.coded_speech import coded_speech, final_words, results, say

SENTENCES = tuple(range(begin, begin + 5) for begin in range(0, 40, 5))
SPEECH = b"".join(sentence(numbers) for numbers in SENTENCES)  # 8 of 1.5 s, with a second between them
SPOKEN = [f"w{number}" for number in range(40)]
SUBSCRIPTIONS = ["transcription:en-US"]

Trouble = Callable[[ScriptedSpeech], None]


def fail(provider: ScriptedSpeech) -> None:
    provider.fail()


def out_of_credits(provider: ScriptedSpeech) -> None:
    provider.refuse("quota", retry_after_s=60)


def refused_key(provider: ScriptedSpeech) -> None:
    provider.refuse("auth", retry_after_s=300)


def hang(provider: ScriptedSpeech) -> None:
    provider.hang()


def fall_behind(provider: ScriptedSpeech) -> None:
    provider.slow(0.3)


TROUBLES = (fail, out_of_credits, refused_key, hang, fall_behind)


async def speak_and_listen(
    world: World, providers: list[ScriptedSpeech], troubles: Sequence[tuple[float, ScriptedSpeech, Trouble]]
) -> AppServer:
    """Say everything while that goes wrong, at times in seconds; then wait until nothing more can come."""
    phone = await world.phone()
    server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
    began = trio.current_time()

    async def trouble() -> None:
        for at, provider, happen in troubles:
            await trio.sleep_until(began + at)
            happen(provider)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trouble)
        await say(phone, SPEECH + silence(8))
    assert [] == [text for text in phone.texts() if "delayed" in text], "the wearer notices nothing"
    return server


def replaced(world: World) -> list[tuple[object, object]]:
    return [(fact["provider"], fact["kind"]) for fact in world.telemetry.of("speech_stream_failed")]


def facts(world: World, user: str = ADA) -> Mapping[str, Any]:
    """What the tree shows of the stream."""
    return world.system.tree(world.find(f"users/{user}/speech/en-US")).facts


async def test_nothing_goes_wrong(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        server = await speak_and_listen(world, providers, [])

        assert SPOKEN == final_words(server)
        assert [1, 0] == [len(provider.requests) for provider in providers]
        assert {"one"} == {result["provider"] for result in results(server)}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(trouble.__name__))
@pytest.mark.parametrize("at", [0.05, 0.9, 1.6, 3.3])
async def test_words_are_those_of_a_run_without_faults(
    trouble: Trouble, at: float, autojump_clock: MockClock
) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        server = await speak_and_listen(world, providers, [(at, providers[0], trouble)])

        assert SPOKEN == final_words(server)
        assert "one" == replaced(world)[0][0]


@pytest.mark.parametrize("trouble", [out_of_credits, refused_key], ids=["quota", "auth"])
async def test_a_second_key_takes_over_before_the_next_recogniser(
    trouble: Trouble, autojump_clock: MockClock
) -> None:
    providers = [coded_speech("deepgram"), coded_speech("deepgram:2"), coded_speech("pocketsphinx")]
    async with open_world(recognisers=providers) as world:
        server = await speak_and_listen(world, providers, [(2.0, providers[0], trouble)])

        assert SPOKEN == final_words(server)
        assert [1, 1, 0] == [len(provider.requests) for provider in providers]
        assert {"deepgram"} == {result["provider"] for result in results(server)}, "an app sees no key"


async def test_two_that_fail_at_once_are_followed_by_the_third(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one"), coded_speech("two"), coded_speech("three")]
    troubles = [(2.0, providers[1], out_of_credits), (2.1, providers[0], out_of_credits)]
    async with open_world(recognisers=providers) as world:
        server = await speak_and_listen(world, providers, troubles)

        assert SPOKEN == final_words(server)
        assert "three" == results(server)[-1]["provider"]


async def test_an_utterance_keeps_its_id_when_another_recogniser_goes_on_with_it(
    autojump_clock: MockClock,
) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        server = await speak_and_listen(world, providers, [(0.9, providers[0], fail)])

        first = [result for result in results(server) if "w0" in result["text"].split()]
        assert {"one", "two"} == {result["provider"] for result in first}
        assert 1 == len({result["utteranceId"] for result in first})
        lengths = [len(result["text"]) for result in first]
        assert sorted(lengths) == lengths, "what was shown is not shown again word by word"
        ids = [result["utteranceId"] for result in results(server) if result["isFinal"]]
        assert len(SENTENCES) == len(set(ids))


async def test_times_are_those_of_the_session_whoever_heard_it(autojump_clock: MockClock) -> None:
    times = []
    for troubles in ([], [3.0]):
        providers = [coded_speech("one"), coded_speech("two")]
        async with open_world(recognisers=providers) as world:
            server = await speak_and_listen(world, providers, [(at, providers[0], fail) for at in troubles])
            finals = [result for result in results(server) if result["isFinal"]]
            times.append([(final["startTime"], final["endTime"]) for final in finals])

    for (start, end), (start_again, end_again) in zip(*times, strict=True):
        assert abs(start - start_again) <= 200
        assert abs(end - end_again) <= 200


async def test_when_all_fail_the_wearer_is_told_at_once_and_no_word_is_lost(
    autojump_clock: MockClock,
) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, SPEECH[:32_000])
        for provider in providers:
            provider.refuse("network")
        failed_at = trio.current_time()

        await say(phone, SPEECH[32_000:96_000])

        assert "Captions delayed" == phone.texts()[-1]
        assert trio.current_time() - failed_at < 2.5
        for provider in providers:
            provider.resume()
        await say(phone, SPEECH[96_000:] + silence(10))
        assert SPOKEN == final_words(server)
        assert "Captions delayed" != (phone.texts() or [""])[-1], "the notice is gone"


async def test_one_that_takes_over_and_says_nothing_is_told_within_a_second(
    autojump_clock: MockClock,
) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    providers[1].hang()
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, SPEECH[:32_000])
        providers[0].refuse("quota", retry_after_s=60)

        await say(phone, SPEECH[32_000:64_000])

        assert ["Captions delayed"] == phone.texts()[-1:]


async def test_in_silence_nobody_is_told_and_nobody_is_replaced(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        providers[0].hang()

        await say(phone, silence(30))

        assert [] == replaced(world)
        assert [] == [text for text in phone.texts() if "delayed" in text]


async def test_what_a_microphone_said_before_it_was_cut_off_becomes_final(autojump_clock: MockClock) -> None:
    async with open_world(recognisers=[coded_speech("one")]) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)

        await say(phone, sentence(range(3)).rstrip(b"\0"))
        assert [] == final_words(server)
        await trio.sleep(3)

        assert ["w0", "w1", "w2"] == final_words(server)


@pytest.mark.parametrize(("unheard_bytes", "times"), [(16_000, 0), (64_000, 1)])
async def test_the_rest_of_a_microphone_that_was_cut_off_makes_no_recogniser_hang(
    unheard_bytes: int, times: int, autojump_clock: MockClock
) -> None:
    """A recogniser says how far it is in steps: half a second without an answer says nothing of it."""
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, SPEECH[:96_000])
        providers[0].hang()
        await say(phone, SPEECH[96_000 : 96_000 + unheard_bytes])

        await trio.sleep(30)

        assert times == len(replaced(world))


async def test_the_first_choice_comes_back_in_a_pause_of_the_speech(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        server = await speak_and_listen(world, providers, [(2.0, providers[0], fail)])

        assert "one" == results(server)[-1]["provider"]
        assert SPOKEN == final_words(server)
        assert [2, 1] == [len(provider.requests) for provider in providers]


async def test_a_session_is_spared_what_others_have_found_out(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one"), coded_speech("two")]
    providers[0].refuse("quota", retry_after_s=60)
    async with open_world(recognisers=providers) as world:
        for user in (ADA, "bob@example.org", "eve@example.org"):
            phone = await world.phone(user)
            await world.running_app(phone, f"org.example.{user[:3]}", subscriptions=SUBSCRIPTIONS)

        assert [1, 3] == [len(provider.requests) for provider in providers]
        assert 1 == len(world.telemetry.of("speech_provider_paused"))
        for _ in range(12):  # after the pause one tries, and is heard; then all may
            await say(phone, sentence([1, 2]) + silence(10))
        providers[0].resume()
        await say(phone, b"".join(sentence([1, 2]) + silence(3) for _ in range(30)))
        assert "one" == facts(world, "eve@example.org")["provider"]


async def test_a_crash_of_the_stream_loses_no_word(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, SPEECH[:64_000])

        world.find(f"users/{ADA}/speech/en-US").crash(RuntimeError("it was told to"))
        await say(phone, SPEECH[64_000:] + silence(3))

        assert SPOKEN == final_words(server)


async def test_one_that_was_left_says_nothing_more(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        (left,) = world.speech.streams
        left.fail(SpeechError("puppet", "network", "reset", retry_after_s=0))
        await trio.sleep(1)

        left.emit(Final(text="too late", start_ms=0, end_ms=10))
        world.speech.streams[-1].emit(Final(text="in time", start_ms=0, end_ms=10))
        await world.settle()

        assert ["in time"] == [result["text"] for result in results(server)]


async def test_what_a_final_has_settled_is_not_heard_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        (stream,) = world.speech.streams
        await say(phone, word(1, 1.0) + word(2, 0.3))

        stream.emit(Final(text="one", start_ms=0, end_ms=1000))
        stream.fail(SpeechError("puppet", "network", "reset", retry_after_s=0))
        await trio.sleep(1)

        assert word(2, 0.3) == world.speech.streams[-1].offered


async def test_the_tree_shows_who_hears_and_how_late(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        await say(phone, SPEECH[:100_000])

        shown = facts(world)
        assert ("one", False, 0) == (shown["provider"], shown["captions delayed"], shown["switches"])
        assert (0, 0, 0) == (shown["waiting_ms"], shown["unsent_ms"], shown["delivery_ms"])
        # A word is heard after 50 ms of it, a final is one after 300 ms of silence; a frame is 100 ms.
        assert 0 <= shown["interim_ms"] <= 100
        assert 300 <= shown["final_ms"] <= 400


async def test_a_hang_is_seen_in_the_tree_before_it_is_over(autojump_clock: MockClock) -> None:
    providers = [coded_speech("one")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=SUBSCRIPTIONS)
        providers[0].hang()

        await say(phone, b"".join(word(number) for number in range(10)))

        assert 2800 <= facts(world)["waiting_ms"] <= 3000


@pytest.mark.parametrize(("seed", "minutes", "frame_s"), [(0, 120, 0.4), (1, 15, 0.1), (2, 15, 0.1)])
async def test_two_hours_without_a_gap(
    seed: int, minutes: int, frame_s: float, autojump_clock: MockClock
) -> None:
    """Whatever goes wrong about once a minute, every word is there once, and in its order."""
    chance = random.Random(seed)
    providers = [coded_speech("one"), coded_speech("one:2"), coded_speech("two")]
    async with open_world(recognisers=providers) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=SUBSCRIPTIONS)

        async def trouble() -> None:
            while True:
                await trio.sleep(chance.uniform(5, 90))
                provider = chance.choice(providers[:2])
                chance.choice((*TROUBLES, fail))(provider)
                await trio.sleep(chance.uniform(1, 30))
                provider.resume()

        spoken = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trouble)
            began = trio.current_time()
            while trio.current_time() - began < minutes * 60:
                count = chance.randrange(1, 12)
                numbers = [number % 30_000 for number in range(spoken, spoken + count)]
                pause_s = chance.choice((0.5, 1.0, 4.0))
                await say(phone, sentence(numbers, word_s=0.2, pause_s=pause_s), frame_s=frame_s)
                spoken += count
            nursery.cancel_scope.cancel()
        await say(phone, silence(10))

        assert [f"w{number % 30_000}" for number in range(spoken)] == final_words(server)
        assert len(world.telemetry.of("speech_stream_failed")) > minutes / 6
        assert [] == world.telemetry.of("speech_audio_dropped")
