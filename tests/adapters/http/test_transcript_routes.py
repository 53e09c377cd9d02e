"""GET /api/transcripts: what was said, for the app that runs for who said it and for nobody else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
import pytest
import trio
from quart.testing import QuartClient
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.ports import Final, Interim
from actors.speech.history_settings import TranscriptSettings
from adapters.http.application import create_application
from adapters.http.transcript_routes import transcript_routes
from adapters.simulated.store import SimulatedDocuments, StoreFaults
from tests.actors.world import ADA, CAPTIONS, KEY, FakeConnection, PuppetStream, World, open_world

BOB = "bob@example.org"
OTHER = "org.example.other"
LAST_HOUR = {"duration": "3600"}


async def get(
    world: World,
    query: Mapping[str, str] = LAST_HOUR,
    *,
    session: str = f"{ADA}-{CAPTIONS}",
    package: str | None = CAPTIONS,
    key: str | None = KEY,
) -> tuple[int, dict[str, Any]]:
    assert world.hall is not None
    wall = world.system.clock.wall
    routes = transcript_routes(
        directory=world.hall.domain.directory,
        roster=world.hall.roster,
        telemetry=world.telemetry,
        wall=wall,
        admits=lambda *_: True,
    )
    application = create_application(world.telemetry, dict, (routes,), wall=wall)
    headers = {"X-Package-Name": package, "X-API-Key": key}
    answer = await cast(QuartClient, application.test_client()).open(
        f"/api/transcripts/{session}?{urlencode(query)}",
        method="GET",
        headers={name: value for name, value in headers.items() if value is not None},
    )
    said: dict[str, Any] = msgspec.json.decode(await answer.get_data(as_text=False))
    return answer.status_code, said


async def texts(world: World, query: Mapping[str, str] = LAST_HOUR, **asker: Any) -> list[str]:
    status, said = await get(world, query, **asker)
    assert 200 == status, said
    return [segment["text"] for segment in said["segments"]]


def stream_of(world: World, language: str) -> PuppetStream:
    return next(one for one in world.speech.running() if one.request.language == language)


async def say(world: World, *pieces: str, language: str = "en-US", pause_s: float = 1.0) -> None:
    """Each of them is heard, then there is a pause."""
    for text in pieces:
        stream_of(world, language).emit(Final(text=text, start_ms=0, end_ms=10))
        await trio.sleep(pause_s)


@contextlib.asynccontextmanager
async def listening(
    documents: SimulatedDocuments | None = None, **transcripts: Any
) -> AsyncIterator[tuple[World, FakeConnection]]:
    """Ada's app hears English and French."""
    settings = DomainSettings(transcripts=TranscriptSettings(**transcripts))
    async with open_world(documents, settings) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=["transcription:en-US", "transcription:fr-FR"])
        yield world, phone


async def test_what_was_said_is_told_with_the_guess_that_runs(autojump_clock: MockClock) -> None:
    async with listening() as (world, _):
        await say(world, "hello", "world")
        stream_of(world, "en-US").emit(Interim(text="and", start_ms=0, end_ms=5))
        await world.settle()

        status, said = await get(world)

        assert (200, "en-US") == (status, said["language"])
        assert [("hello", True), ("world", True), ("and", False)] == [
            (segment["text"], segment["isFinal"]) for segment in said["segments"]
        ]
        for segment in said["segments"]:
            assert {"resultId", "speakerId", "text", "timestamp", "isFinal"} == set(segment)
        assert 3 == len({segment["resultId"] for segment in said["segments"]})


async def test_each_language_is_asked_for_by_itself(autojump_clock: MockClock) -> None:
    async with listening() as (world, _):
        await say(world, "hello")
        await say(world, "bonjour", language="fr-FR")

        assert ["hello"] == await texts(world)
        assert ["bonjour"] == await texts(world, {**LAST_HOUR, "language": "fr-FR"})
        assert [] == await texts(world, {**LAST_HOUR, "language": "de-DE"})


async def test_a_range_of_time_is_kept_to(autojump_clock: MockClock) -> None:
    async with listening() as (world, _):
        began = world.system.clock.wall()
        await say(world, "one", "two", "three", "four", pause_s=10.0)

        assert ["four"] == await texts(world, {"duration": "15"})
        assert ["three", "four"] == await texts(world, {"startTime": str(round((began + 15) * 1000))})
        assert ["one", "two"] == await texts(world, {"endTime": str(round((began + 15) * 1000))})
        between = {"startTime": str(round((began + 5) * 1000)), "endTime": str(round((began + 25) * 1000))}
        assert ["two", "three"] == await texts(world, between)


async def test_iso_times_are_understood(autojump_clock: MockClock) -> None:
    async with listening() as (world, _):
        await say(world, "one")

        assert ["one"] == await texts(world, {"startTime": "1970-01-01T00:00:00.000Z"})
        assert [] == await texts(world, {"startTime": "2999-01-01T00:00:00Z"})


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"language": "en-US"},
        {"duration": "soon"},
        {"duration": "0"},
        {"duration": "-5"},
        {"duration": "inf"},
        {"duration": "nan"},
        {"startTime": "yesterday"},
        {"endTime": "9" * 30},
    ],
)
async def test_a_question_without_a_good_range_is_a_400(
    autojump_clock: MockClock, query: dict[str, str]
) -> None:
    async with listening() as (world, _):
        status, said = await get(world, query)

        assert (400, "INVALID_REQUEST") == (status, said["code"])


@pytest.mark.parametrize(
    "asker",
    [
        {"key": "another key"},
        {"key": None},
        {"package": None},
        {"package": "org.example.unknown"},
        {"package": OTHER, "key": "other key"},  # its own key, and the session of another app
        {"session": ADA},
        {"session": f"-{CAPTIONS}"},
    ],
)
async def test_whoever_is_not_the_sessions_app_is_refused_and_learns_nothing(
    autojump_clock: MockClock, asker: dict[str, Any]
) -> None:
    async with listening() as (world, phone):
        await world.running_app(phone, OTHER, key="other key")
        await say(world, "a secret")

        status, said = await get(world, **asker)

        assert (401, "INVALID_API_KEY") == (status, said["code"])
        assert "secret" not in str(said)


async def test_an_app_reads_nothing_of_wearers_who_do_not_run_it(autojump_clock: MockClock) -> None:
    async with listening() as (world, _):
        phone = await world.phone(BOB)
        await world.app_server(OTHER, key="other key")
        await world.running_app(phone, "org.example.bobs", subscriptions=["transcription:en-US"])
        await say(world, "a secret of Ada's")

        for user in (ADA, BOB, "eve@example.org"):
            session = f"{user}-{OTHER}"
            status, said = await get(world, session=session, package=OTHER, key="other key")
            assert (404, "SESSION_NOT_FOUND") == (status, said["code"]), user
        status, _ = await get(world, session=f"{BOB}-{CAPTIONS}")
        assert 404 == status, "Bob does not run it"


async def test_an_app_that_was_stopped_reads_no_more(autojump_clock: MockClock) -> None:
    async with listening() as (world, phone):
        await world.running_app(phone, OTHER, key="other key", subscriptions=["transcription:en-US"])
        await say(world, "a secret")
        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(1)

        assert 404 == (await get(world))[0]
        asker: dict[str, Any] = {"session": f"{ADA}-{OTHER}", "package": OTHER, "key": "other key"}
        assert ["a secret"] == await texts(world, **asker)


async def test_an_app_without_the_microphone_reads_nothing(autojump_clock: MockClock) -> None:
    async with listening() as (world, phone):
        await world.running_app(
            phone, OTHER, key="other key", permissions=["LOCATION"], subscriptions=["button_press"]
        )
        await say(world, "a secret")

        asker: dict[str, Any] = {"session": f"{ADA}-{OTHER}", "package": OTHER, "key": "other key"}
        status, said = await get(world, **asker)

        assert (403, "PERMISSION_DENIED") == (status, said["code"])


async def test_nothing_is_remembered_that_no_app_asked_to_hear(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["transcription:en-US"])
        (stream,) = world.speech.running()
        server.subscribe("button_press")
        await world.settle()

        stream.emit(Final(text="after the last subscriber", start_ms=0, end_ms=10))
        await trio.sleep(3)

        assert [] == await texts(world)
        assert {} == documents.transcripts


async def test_what_is_only_translated_is_remembered_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.running_app(await world.phone(), subscriptions=["translation:en-US-to-en-GB"])

        await say(world, "hello")

        assert ["hello"] == await texts(world)


async def test_after_half_an_hour_it_is_forgotten_in_memory_and_in_the_store(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with listening(documents, keep_s=60.0) as (world, _):
        await say(world, "old", pause_s=61.0)
        assert [] == await texts(world)

        await say(world, "new", pause_s=2.0)

        assert ["new"] == await texts(world)
        assert [b'"new"' in one.body for one in documents.transcripts.values()] == [True]


async def test_a_killed_server_remembers_all_but_the_last_second(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, _):
        await say(world, "one", "two", pause_s=2.0)
        await say(world, "lost", pause_s=0.5)
        await world.die()
    async with open_world(documents) as after:
        server = after.known_server(subscriptions=["transcription:en-US"])
        await after.phone()
        await server.come_back()
        await trio.sleep(2)

        assert ["one", "two"] == await texts(after)
        await say(after, "three", pause_s=2.0)
        assert ["one", "two", "three"] == await texts(after)


async def test_the_end_of_the_session_is_the_end_of_what_was_said(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, phone):
        await say(world, "one", pause_s=2.0)
        assert 1 == len(documents.transcripts)
        phone.hang_up()
        await trio.sleep(world.hall.domain.settings.session.phone_grace_s + 5)  # type: ignore[union-attr]
        assert {} == documents.transcripts

        phone = await world.phone()
        await trio.sleep(2)
        assert [] == await texts(world)


async def test_a_new_session_forgets_what_an_older_one_may_have_left(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, _):
        await say(world, "one", pause_s=2.0)
        await world.die()
    documents.owners.clear()  # the snapshot is lost, and what was said is not
    async with open_world(documents) as after:
        after.known_server(subscriptions=["transcription:en-US"])
        await after.phone()
        await trio.sleep(2)

        assert [] == await texts(after)
        assert {} == documents.transcripts


async def test_it_may_be_kept_out_of_the_store(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents, store=False) as (world, _):
        await say(world, "one", pause_s=3.0)

        assert ["one"] == await texts(world)
        assert {} == documents.transcripts


async def test_while_the_store_is_out_it_is_told_from_memory_and_stored_later(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, _):
        world.store.outage = "the simulated disk is full"
        await say(world, "one", "two", pause_s=2.0)
        assert {} == documents.transcripts
        status, said = await get(world, session=f"{ADA}-{CAPTIONS}")
        assert status == 503 or ["one", "two"] == [segment["text"] for segment in said["segments"]]

        world.store.outage = None
        await trio.sleep(3)

        assert ["one", "two"] == await texts(world)
        assert 2 == len(documents.transcripts)
        assert 1 == len(world.telemetry.of("transcripts_not_stored"))
        assert 1 == len(world.telemetry.of("transcripts_stored_again"))


async def test_a_crash_of_the_memory_loses_nothing(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, _):
        await say(world, "one", pause_s=0.5)
        for _ in range(4):  # the fourth begins with nothing but the store
            world.find(f"users/{ADA}/history").crash(RuntimeError("planned"))
            await trio.sleep(2)
            await say(world, "again", pause_s=2.0)

        assert ["one", *["again"] * 4] == await texts(world)


async def test_a_crash_amid_a_write_has_it_written_again(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, _):
        world.store.faults = StoreFaults(max_delay_s=60.0)
        await say(world, "one", pause_s=1.1)
        assert {} == documents.transcripts, "it is on its way"

        world.find(f"users/{ADA}/history").crash(RuntimeError("planned"))
        await world.settle()
        world.store.faults = StoreFaults()
        await trio.sleep(61)

        assert 1 == len(documents.transcripts)


async def test_an_app_that_is_being_started_reads_nothing_yet(autojump_clock: MockClock) -> None:
    async with listening() as (world, phone):
        await say(world, "a secret")
        other = await world.app_server(OTHER, key="other key")
        other.dials = False
        phone.say({"type": "start_app", "packageName": OTHER})
        await trio.sleep(1)

        assert 404 == (await get(world, session=f"{ADA}-{OTHER}", package=OTHER, key="other key"))[0]


async def test_what_is_stored_and_unreadable_is_left_out(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with listening(documents) as (world, _):
        await say(world, "one", "two", pause_s=2.0)
        await world.die()
    damaged = next(iter(documents.transcripts))
    documents.transcripts[damaged] = msgspec.structs.replace(documents.transcripts[damaged], body=b"\1\2")
    async with open_world(documents) as after:
        server = after.known_server(subscriptions=["transcription:en-US"])
        await after.phone()
        await server.come_back()
        await trio.sleep(2)

        assert ["two"] == await texts(after)
        assert 1 == len(after.telemetry.of("transcript_unreadable"))
