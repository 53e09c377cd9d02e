"""Deepgram's provider over real sockets: the suite of every provider, and the loopback server's faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from actors.ports import Final, Interim, SpeechError, SpeechRequest
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.speech import DeepgramProvider, DeepgramSettings
from clients.coded_audio import BYTES_A_SECOND, sentence, silence, word
from clients.deepgram_loopback import NET_0001, QUOTA, Close, Faults, Loopback, open_loopback
from tests.adapters.speech.conformance import Ear, SpeechConformance, World, offer, raising, reached

WORDS = tuple(f"word{number}" for number in range(100))
KEY = "a key of the tests"
FAST = DeepgramSettings(keep_alive_s=0.1, connect_s=1.0, close_s=0.2)


class DeepgramWorld(World):
    def __init__(self, loopback: Loopback, settings: DeepgramSettings = FAST) -> None:
        self.loopback = loopback
        settings = DeepgramSettings(
            url=loopback.url,
            keep_alive_s=settings.keep_alive_s,
            connect_s=settings.connect_s,
            close_s=settings.close_s,
            keep_s=settings.keep_s,
            longest_utterance_s=settings.longest_utterance_s,
        )
        self.provider = DeepgramProvider(key=KEY, telemetry=RecordingTelemetry(), settings=settings)
        self.speech = silence(0.3) + sentence(range(5), pause_s=0)
        self.pause = silence(1.2)

    async def break_provider(self) -> None:
        await reached(lambda: self.loopback.opened and self.loopback.opened[-1].is_open)
        await self.loopback.break_all()


@asynccontextmanager
async def open_world(
    settings: DeepgramSettings = FAST, *, interim_s: float = 0.3, idle_s: float = 10.0, answer_s: float = 0.0
) -> AsyncIterator[DeepgramWorld]:
    loopback = Loopback(WORDS, keys=frozenset({KEY}), interim_s=interim_s, idle_s=idle_s, answer_s=answer_s)
    async with open_loopback(loopback):
        yield DeepgramWorld(loopback, settings)


@pytest.fixture
async def world() -> AsyncIterator[DeepgramWorld]:
    async with open_world() as world:
        yield world


class TestDeepgramConformance(SpeechConformance):
    pass


async def failure_of(world: DeepgramWorld, audio: bytes = b"") -> SpeechError:
    """How a stream that is offered this fails."""
    stream = world.open(Ear())
    offer(stream, audio)
    with pytest.raises(SpeechError) as raised:
        async with raising(stream):
            pass
    return raised.value


async def test_the_words_are_those_that_were_spoken_with_their_times(world: DeepgramWorld) -> None:
    ear = Ear()

    async with world.listening(ear) as stream:
        offer(stream, silence(0.5) + sentence(range(4)) + sentence(range(10, 13)))
        await ear.until_finals(2)

    assert ["word0 word1 word2 word3", "word10 word11 word12"] == [final.text for final in ear.finals]
    # The silence by which a stream begins is not the microphone's.
    assert (500, 1700) == (ear.finals[0].start_ms, ear.finals[0].end_ms)
    assert (2700, 3600) == (ear.finals[1].start_ms, ear.finals[1].end_ms)


async def test_an_utterance_of_several_final_spans_is_one_final(world: DeepgramWorld) -> None:
    ear = Ear()

    async with world.listening(ear) as stream:
        offer(stream, b"".join(word(number) + silence(0.1) for number in range(20)) + silence(0.5))
        await ear.until_finals(1)

    assert [" ".join(WORDS[:20])] == [final.text for final in ear.finals]


async def test_who_speaks_on_without_a_pause_gets_finals_all_the_same() -> None:
    async with open_world(DeepgramSettings(keep_alive_s=0.1, longest_utterance_s=4.0)) as world:
        ear = Ear()

        async with world.listening(ear) as stream:
            offer(stream, b"".join(word(number) + silence(0.1) for number in range(40)) + silence(0.5))
            await ear.until(lambda: ear.finals and ear.finals[-1].text.endswith("word39"))

    assert len(ear.finals) >= 3
    assert list(WORDS[:40]) == " ".join(final.text for final in ear.finals).split()


async def test_a_stream_asks_for_what_its_request_says(world: DeepgramWorld) -> None:
    request = SpeechRequest(language="de-AT", user_id="ada@example.org", hints=("Grüß Gott", "Ada & Bob"))
    stream = world.provider.open(request, Ear())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        await reached(lambda: world.loopback.opened)
        nursery.cancel_scope.cancel()

    opened = world.loopback.opened[0]
    assert KEY == opened.key
    assert ["nova-3"] == opened.parameters["model"]
    assert ["de"] == opened.parameters["language"], "a region it does not know is heard as its language"
    assert ["Grüß Gott", "Ada & Bob"] == opened.parameters["keyterm"]
    assert ["60"] == opened.parameters["endpointing"]


async def test_any_language_is_heard_by_the_multilingual_model(world: DeepgramWorld) -> None:
    request = SpeechRequest(language="auto", user_id="ada@example.org", hints=("en-US", "ja", "Glasshouse"))
    ear = Ear()
    stream = world.provider.open(request, ear)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        offer(stream, sentence([1, 2]))
        await ear.until_finals(1)
        nursery.cancel_scope.cancel()

    parameters = world.loopback.opened[0].parameters
    assert ["multi"] == parameters["language"]
    assert ["en-US", "ja"] == parameters["language_hint"]
    assert ["Glasshouse"] == parameters["keyterm"]
    assert "en" == ear.finals[0].detected_language


def test_languages_it_does_not_know_are_left_to_others() -> None:
    provider = DeepgramProvider(key=KEY, telemetry=RecordingTelemetry(), settings=FAST)

    assert provider.supports("en-US")
    assert provider.supports("auto")
    assert provider.supports("pt-BR")
    assert not provider.supports("tlh-QO")


async def test_a_silent_microphone_keeps_its_connection() -> None:
    async with open_world(idle_s=0.5) as world:
        ear = Ear()

        async with world.listening(ear) as stream:
            await trio.sleep(1.2)
            offer(stream, sentence([7]))
            await ear.until_finals(1)

        opened = world.loopback.opened[0]
        assert ["word7"] == [final.text for final in ear.finals]
        assert opened.texts.count("KeepAlive") >= 5


async def test_a_silent_connection_without_keep_alives_would_be_closed() -> None:
    async with open_world(DeepgramSettings(keep_alive_s=5.0), idle_s=0.3) as world:
        error = await failure_of(world)

        assert "network" == error.kind
        assert NET_0001[:40] in error.cause


async def test_a_stream_ends_in_order(world: DeepgramWorld) -> None:
    async with world.listening(Ear()) as stream:
        offer(stream, sentence([1]))
        await trio.sleep(0.1)
    await reached(lambda: not world.loopback.opened[0].is_open)

    assert "CloseStream" == world.loopback.opened[0].texts[-1]
    assert world.loopback.opened[0].closed == 1000


async def test_a_server_that_does_not_close_holds_nobody_up(world: DeepgramWorld) -> None:
    world.loopback.plan(KEY, Faults(hang_at_s=0.01))
    began = trio.current_time()

    async with world.listening(Ear()) as stream:
        offer(stream, sentence([1]))
        await trio.sleep(0.1)

    assert trio.current_time() - began < 1.5


@pytest.mark.parametrize(
    ("status", "kind", "least_retry_s"),
    [(401, "auth", 300), (402, "quota", 60), (403, "auth", 300), (429, "rate", 5), (500, "network", 0.1)],
)
async def test_a_refusal_says_what_it_is_for(
    world: DeepgramWorld, status: int, kind: str, least_retry_s: float
) -> None:
    world.loopback.plan(KEY, Faults(refuse=status))

    error = await failure_of(world)

    assert ("deepgram", kind) == (error.provider, error.kind)
    assert error.retry_after_s >= least_retry_s
    assert str(status) in error.cause


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        (Faults(close_at_s=0.5), "network"),
        (Faults(close_at_s=0.5, close=Close(1008, "DATA-0000")), "protocol"),
        (Faults(close_at_s=0.5, close=QUOTA), "quota"),
        (Faults(close_at_s=0.5, close=Close(1011), error="Too many requests"), "rate"),
        (Faults(close_at_s=0.5, close=Close(1013, "try later")), "rate"),
        (Faults(close_at_s=0.5, close=Close(1000)), "closed"),
        (Faults(lose_at_s=0.5), "network"),
        (Faults(garbage_at_s=0.5), "protocol"),
    ],
)
async def test_an_end_in_mid_stream_says_what_it_was(world: DeepgramWorld, faults: Faults, kind: str) -> None:
    world.loopback.plan(KEY, faults)

    error = await failure_of(world, sentence(range(5)))

    assert kind == error.kind


async def test_a_wrong_key_is_named_by_its_refusal_and_never_shown() -> None:
    async with open_world() as world:
        telemetry = RecordingTelemetry()
        settings = DeepgramSettings(url=world.loopback.url)
        world.provider = DeepgramProvider(key="wrong key 17", telemetry=telemetry, settings=settings)

        error = await failure_of(world)

        assert "auth" == error.kind
        assert "wrong key 17" not in str(error)
        assert "wrong key 17" not in repr(telemetry.facts)


async def test_nobody_at_the_address_is_a_network_error() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    for listener in listeners:
        await listener.aclose()
    settings = DeepgramSettings(url=f"ws://127.0.0.1:{port}")
    world = DeepgramWorld(Loopback(WORDS))
    world.provider = DeepgramProvider(key=KEY, telemetry=RecordingTelemetry(), settings=settings)

    error = await failure_of(world)

    assert "network" == error.kind


async def test_an_address_that_takes_a_connection_and_says_nothing_fails_in_time() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    settings = DeepgramSettings(url=f"ws://127.0.0.1:{port}", connect_s=0.2)
    world = DeepgramWorld(Loopback(WORDS))
    world.provider = DeepgramProvider(key=KEY, telemetry=RecordingTelemetry(), settings=settings)

    with trio.fail_after(2):
        error = await failure_of(world)

    assert ("network", "no connection within 0.2 s") == (error.kind, error.cause)
    for listener in listeners:
        await listener.aclose()


async def test_more_audio_than_may_wait_fails_the_stream() -> None:
    async with open_world(DeepgramSettings(keep_s=1.0)) as world:
        error = await failure_of(world, silence(1.2))

        assert "network" == error.kind
        assert "1 s of audio" in error.cause


async def test_a_receiver_that_raises_ends_its_own_stream(world: DeepgramWorld) -> None:
    def receive(event: object) -> None:
        raise RuntimeError("full")

    stream = world.provider.open(SpeechRequest(language="en-US", user_id="ada@example.org"), receive)
    offer(stream, sentence(range(5)))

    with pytest.raises(SpeechError, match="full") as raised:
        async with raising(stream):
            pass

    assert "closed" == raised.value.kind


async def test_a_frame_goes_to_the_socket_at_once_and_not_by_a_clock(world: DeepgramWorld) -> None:
    async with world.listening(Ear()) as stream:
        stream.offer(silence(0.02))
        await reached(lambda: stream.progress.sent_ms == 20)
        for count in range(2, 20):
            stream.offer(silence(0.02))
            await trio.testing.wait_all_tasks_blocked()

            assert count * 20 == stream.progress.sent_ms


async def test_what_an_interim_showed_is_in_its_final(world: DeepgramWorld) -> None:
    ear = Ear()

    async with world.listening(ear) as stream:
        for begin in range(0, 3 * BYTES_A_SECOND, 3200):
            stream.offer(sentence(range(6), pause_s=1.2)[begin : begin + 3200])
            await trio.sleep(0.002)
        await ear.until_finals(1)

    shown = [event.text for event in ear.of(Interim) if isinstance(event, Interim)]
    final = ear.of(Final)[0]
    assert isinstance(final, Final)
    assert all(final.text.startswith(text) for text in shown)
