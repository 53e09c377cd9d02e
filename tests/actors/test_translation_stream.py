"""Translations on their way to apps: one recogniser for all, each app's own string, trouble that is told."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.ports import Final, Interim
from actors.speech.translation_settings import TranslationSettings
from adapters.simulated.translation import MarkingTranslator, translation
from tests.actors.world import ADA, AppServer, World, open_world

PAIR = "translation:fr-FR-to-en-US"
PATH = f"users/{ADA}/speech/fr-FR-to-en-US"


def heard(server: AppServer, stream: str = PAIR) -> list[dict[str, Any]]:
    return [e["data"] for e in server.connection.heard("data_stream") if e["streamType"] == stream]


def texts(server: AppServer, stream: str = PAIR) -> list[tuple[str, bool]]:
    return [(data["text"], data["isFinal"]) for data in heard(server, stream)]


def errors(server: AppServer) -> list[tuple[str, str]]:
    return [(error["code"], error["message"]) for error in server.connection.heard("tpa_connection_error")]


def say(
    world: World, text: str, *, is_final: bool = True, language: str | None = None, number: int = 0
) -> None:
    kind = Final if is_final else Interim
    event = kind(text=text, start_ms=0, end_ms=500, detected_language=language, confidence=0.5)
    world.speech.running()[number].emit(event)


async def test_what_is_said_comes_translated_under_the_apps_own_string(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        say(world, "bonjour", is_final=False)
        await world.settle()
        say(world, "bonjour madame")
        await world.settle()

        (event, last) = server.connection.heard("data_stream")
        assert (PAIR, f"{ADA}-{server.package}") == (event["streamType"], event["sessionId"])
        assert "[en-US] bonjour" == event["data"]["text"]
        assert not event["data"]["isFinal"]
        data = last["data"]
        assert {
            "type": "translation",
            "text": "[en-US] bonjour madame",
            "originalText": "bonjour madame",
            "isFinal": True,
            "transcribeLanguage": "fr-FR",
            "translateLanguage": "en-US",
            "didTranslate": True,
            "provider": "test",
            "confidence": 0.5,
        } == {name: data[name] for name in data if name not in ("startTime", "endTime", "utteranceId")}
        assert data["utteranceId"] == event["data"]["utteranceId"]
        assert isinstance(data["startTime"], int)


async def test_words_and_their_translation_share_a_recogniser(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        phone = await world.phone()
        one = await world.running_app(phone, "org.one", subscriptions=["transcription:fr-FR", "audio_chunk"])
        two = await world.running_app(phone, "org.two", subscriptions=[PAIR, "translation:fr-FR-to-de-DE"])

        say(world, "bonjour")
        await world.settle()

        assert ["fr-FR"] == [stream.request.language for stream in world.speech.streams]
        assert [("bonjour", True)] == texts(one, "transcription:fr-FR")
        assert [("[en-US] bonjour", True)] == texts(two)
        assert [("[de-DE] bonjour", True)] == texts(two, "translation:fr-FR-to-de-DE")
        phone.stream(b"\1\2" * 100)
        assert b"\1\2" * 100 == world.speech.running()[0].offered


async def test_the_recogniser_hears_for_a_translation_alone(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=[f"{PAIR}?hints=Ada"])

        phone.stream(b"\1\2" * 100)

        (stream,) = world.speech.running()
        assert b"\1\2" * 100 == stream.offered
        assert ("Ada",) == stream.request.hints


async def test_every_app_hears_its_exact_pair_under_its_own_string(autojump_clock: MockClock) -> None:
    strings = ["translation:fr-FR-to-en-US?hints=Ada", "translation:fr-FR-to-de-DE", "translation"]
    async with open_world(translator=MarkingTranslator()) as world:
        phone = await world.phone()
        servers = [
            await world.running_app(phone, f"org.app{number}", subscriptions=[text])
            for number, text in enumerate(strings)
        ]

        say(world, "oui")
        await world.settle()

        assert [("[en-US] oui", True)] == texts(servers[0], strings[0])
        assert [("[de-DE] oui", True)] == texts(servers[1], strings[1])
        assert {("[en-US] oui", True), ("[de-DE] oui", True)} == set(texts(servers[2], strings[2]))
        assert 1 == len(servers[0].connection.heard("data_stream"))


async def test_one_request_serves_all_apps_of_a_pair(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator()
    async with open_world(translator=translator) as world:
        phone = await world.phone()
        servers = [await world.running_app(phone, f"org.app{n}", subscriptions=[PAIR]) for n in range(3)]

        say(world, "oui")
        await world.settle()

        assert [[("[en-US] oui", True)]] * 3 == [texts(server) for server in servers]
        assert 1 == len(translator.requests)


async def test_a_pair_of_one_language_passes_without_a_translator(autojump_clock: MockClock) -> None:
    stream = "translation:en-US-to-en-GB"
    async with open_world() as world:
        server = await world.running_app(await world.phone(), subscriptions=[stream])

        say(world, "hel", is_final=False)
        say(world, "hello")
        await world.settle()

        assert [("hel", False), ("hello", True)] == texts(server, stream)
        assert [False, False] == [data["didTranslate"] for data in heard(server, stream)]
        assert [] == errors(server)


async def test_without_a_translator_nothing_is_opened_and_the_app_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        ((code, message),) = errors(server)
        assert "LANGUAGE_NOT_SUPPORTED" == code
        assert f"this server has no translator, which {PAIR} needs" == message
        assert [] == world.speech.streams


async def test_a_source_that_nobody_recognises_is_told(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        wanted = ["translation:de-DE-to-en-US", "translation:all-to-en-US"]
        server = await world.running_app(await world.phone(), subscriptions=wanted)

        ((_, message),) = errors(server)
        assert f"no recogniser of this server serves {', '.join(wanted)}" == message


async def test_the_language_that_was_spoken_decides_what_is_translated(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        say(world, "good morning", language="en")
        say(world, "guten Morgen", language="de")
        await world.settle()

        assert [("good morning", True), ("[en-US] guten Morgen", True)] == texts(server)
        assert ["en", "de"] == [data["transcribeLanguage"] for data in heard(server)]
        assert [False, True] == [data["didTranslate"] for data in heard(server)]


async def test_a_slow_translator_keeps_the_order_and_is_asked_for_the_newest(
    autojump_clock: MockClock,
) -> None:
    translator = MarkingTranslator(delay_s=0.4)
    async with open_world(translator=translator) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        for sentence in ("un deux trois quatre cinq six", "sept huit neuf"):
            words = sentence.split()
            for count in range(1, len(words) + 1):
                say(world, " ".join(words[:count]), is_final=False)
                await trio.sleep(0.3)
            say(world, sentence)
        await trio.sleep(2)

        finals = [text for text, is_final in texts(server) if is_final]
        assert ["[en-US] un deux trois quatre cinq six", "[en-US] sept huit neuf"] == finals
        ids = [data["utteranceId"] for data in heard(server)]
        assert sorted(ids, key=ids.index) == ids, "no utterance comes back after the next has begun"
        ends = [data["isFinal"] for data in heard(server)]
        assert ends[-1]
        assert 2 <= len(ends) - 2 <= 4, "a guess a second, not one a word"
        assert translator.most_at_once <= 2


async def test_a_translator_that_hangs_does_not_stop_the_captions(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator()
    async with open_world(translator=translator) as world:
        wanted = [PAIR, "transcription:fr-FR"]
        server = await world.running_app(await world.phone(), subscriptions=wanted)
        translator.hang()

        say(world, "un")
        await trio.sleep(1)
        assert [("un", True)] == texts(server, "transcription:fr-FR")
        assert [] == texts(server)
        await trio.sleep(4.5)

        assert [("un", True)] == texts(server)
        (data,) = heard(server)
        assert not data["didTranslate"]
        ((code, message),) = errors(server)
        assert "TRANSLATION_FAILED" == code
        assert "not translated from fr-FR to en-US: no translation within 5 s" == message
        assert 0 == translator.running, "nobody waits for it any more"

        translator.recover()
        say(world, "deux")
        await world.settle()
        assert ("[en-US] deux", True) == texts(server)[-1]


async def test_a_translator_that_fails_once_is_asked_again(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator()
    async with open_world(translator=translator) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])
        translator.fail("overloaded", retry_after_s=1.0)

        say(world, "un")
        await trio.sleep(2)

        assert [("[en-US] un", True)] == texts(server)
        assert [] == errors(server)
        assert "overloaded" == world.telemetry.of("translation_failed")[0]["kind"]


async def test_apps_are_told_of_trouble_once_and_hear_on(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator()
    async with open_world(translator=translator) as world:
        phone = await world.phone()
        servers = [await world.running_app(phone, f"org.app{n}", subscriptions=[PAIR]) for n in range(2)]
        translator.refuse("quota")

        for number in range(5):
            say(world, f"piece {number}")
            await trio.sleep(1)

        for server in servers:
            assert [(f"piece {number}", True) for number in range(5)] == texts(server)
            assert ["TRANSLATION_FAILED"] == [code for code, _ in errors(server)]
        assert 1 == len(translator.requests), "the next would be refused, too"
        translator.recover()
        await trio.sleep(60)
        say(world, "again")
        await world.settle()
        assert ("[en-US] again", True) == texts(servers[0])[-1]


async def test_a_stream_ends_after_the_last_app_and_so_does_its_source(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])
        stream = world.find(PATH)

        server.subscribe("button_press")
        await trio.sleep(4)
        assert stream.is_alive, "it lingers: the SDK's empty list is not the end"
        server.subscribe(PAIR)
        await trio.sleep(10)
        assert stream.is_alive
        server.subscribe("button_press")
        await trio.sleep(11)

        assert world.system.find(f"/glasshouse/{PATH}") is None
        assert [] == world.speech.running()
        server.subscribe(PAIR)
        await trio.sleep(0.1)
        say(world, "encore")
        await world.settle()
        assert [("[en-US] encore", True)] == texts(server)


async def test_nothing_is_asked_for_when_nobody_reads(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator()
    async with open_world(translator=translator) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR, "transcription:fr-FR"])
        server.subscribe("transcription:fr-FR")
        await world.settle()

        say(world, "un")
        await world.settle()

        assert [] == translator.requests


async def test_a_crash_of_a_translation_stream_loses_no_final_under_way(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator(delay_s=1.0)
    async with open_world(translator=translator) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])
        say(world, "un")
        await world.settle()

        world.find(PATH).crash(RuntimeError("planned"))
        await trio.sleep(2)
        say(world, "deux")
        await trio.sleep(2)

        assert [("[en-US] un", True), ("[en-US] deux", True)] == texts(server)


async def test_a_crash_of_the_source_keeps_its_listeners(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        world.find(f"users/{ADA}/speech/fr-FR").crash(RuntimeError("planned"))
        await trio.sleep(1)
        say(world, "un")
        await world.settle()

        assert [("[en-US] un", True)] == texts(server)


async def test_a_crash_of_the_branch_brings_translations_back(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        world.find(f"users/{ADA}/speech").crash(RuntimeError("planned"))
        await trio.sleep(2)
        say(world, "un")
        await world.settle()

        assert [("[en-US] un", True)] == texts(server)


async def test_a_session_that_crashes_keeps_its_translations(autojump_clock: MockClock) -> None:
    async with open_world(translator=MarkingTranslator()) as world:
        server = await world.running_app(await world.phone(), subscriptions=[PAIR])

        world.find(f"users/{ADA}/session").crash(RuntimeError("planned"))
        await trio.sleep(1)
        say(world, "un")
        await world.settle()

        assert [("[en-US] un", True)] == texts(server)
        assert 1 == len(world.speech.running())


async def test_the_tree_shows_how_translation_goes(autojump_clock: MockClock) -> None:
    translator = MarkingTranslator(delay_s=1.0)
    settings = DomainSettings(translation=TranslationSettings(attempts=1))
    async with open_world(settings=settings, translator=translator) as world:
        await world.running_app(await world.phone(), subscriptions=[PAIR])
        translator.fail("auth")
        say(world, "un")
        await trio.sleep(2)
        say(world, "deux")
        await world.settle()

        facts = world.system.tree(world.find(PATH)).facts

        assert ("test", 0, 0, 1) == tuple(
            facts[name] for name in ("translator", "waiting", "translated", "failed")
        )
        assert 0 < facts["pauses for s"] <= 60  # type: ignore[operator]


def test_the_twin_marks_its_translations() -> None:
    assert "[de-DE] hello" == translation("hello", "de-DE")
