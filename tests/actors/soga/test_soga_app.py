"""The assistant's voice as an app of the server: started, found, crashed and brought back like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.ports import Final, Interim
from actors.soga.settings import SogaSettings
from actors.speaking import Speaking, SpeechTickets
from adapters.simulated.store import SimulatedDocuments
from adapters.simulated.synthesis import ToneSynthesis
from protocols.speech_url import text_of
from tests.actors.soga.desks import Desks
from tests.actors.soga.talk import agent, approval, task
from tests.actors.world import ADA, FakeConnection, World, open_world

SOGA = "com.mentra.soga"
PUBLIC = "https://glass.example.org"
SETTINGS = DomainSettings(soga=SogaSettings(enabled=True, api_key="nobody knows it"))


@asynccontextmanager
async def worn(
    desks: Desks, documents: SimulatedDocuments | None = None
) -> AsyncIterator[tuple[World, FakeConnection]]:
    """A world in which Ada's assistant listens."""
    async with open_world(documents, SETTINGS, desks=desks.spec) as world:
        phone = await world.phone()
        phone.say(
            {"type": "glasses_connection_state", "modelName": "Simulated Glasses", "status": "CONNECTED"}
        )
        phone.say({"type": "start_app", "packageName": SOGA})
        await trio.sleep(2)
        yield world, phone


async def speak(world: World, text: str, *, lasts_s: float = 1.0) -> None:
    """Ada says it, and her recogniser finds it out."""
    (stream,) = world.speech.running()
    now_ms = round(trio.current_time() * 1000)
    stream.emit(Interim(text=text.split()[0], start_ms=now_ms, end_ms=now_ms + 200))
    await trio.sleep(lasts_s)
    stream.emit(Final(text=text, start_ms=now_ms, end_ms=now_ms + round(lasts_s * 1000)))
    await trio.sleep(0.01)


async def test_a_spoken_question_is_asked_allowed_and_answered(autojump_clock: MockClock) -> None:
    desks = Desks()
    async with worn(desks) as (world, phone):
        assert [SOGA] == phone.running()

        await speak(world, "hey glass house fix the failing test")
        await trio.sleep(1.5)
        (query,) = desks.queries
        assert ("fix the failing test", "voice") == (query.query, query.source)
        assert "Thinking…" == phone.texts()[-1]

        desks.tell(agent(step="Running pytest", task_id=desks.task.task_id))
        desks.tell(task(desks.task.task_id, phase="running"))
        await trio.sleep(1)
        assert "Running pytest" == phone.texts()[-1]

        desks.tell(agent(approval(), task_id=desks.task.task_id))
        await trio.sleep(0.1)
        assert "Allow: Bash pytest -q? yes / no" == phone.texts()[-1]
        await trio.sleep(1)
        await speak(world, "yes", lasts_s=0.4)
        assert [("approval_1", "approve")] == [(one.approval_id, one.decision) for one in desks.answers]

        desks.tell(task(desks.task.task_id, answer="All tests pass.", type="agent_result"))
        await trio.sleep(1)
        assert "All tests pass." == phone.texts()[-1]
        await trio.sleep(20)
        assert phone.heard("display_event")[-1]["layout"]["layoutType"] == "text_wall"
        assert "" == phone.texts()[-1], "the lens is clear again"


async def test_without_the_setting_there_is_no_such_app(autojump_clock: MockClock) -> None:
    async with open_world(settings=DomainSettings(), desks=Desks().spec) as world:
        phone = await world.phone()
        phone.say({"type": "start_app", "packageName": SOGA})
        await trio.sleep(2)

        assert [] == phone.running()


async def test_a_stranger_who_guesses_the_key_is_refused(autojump_clock: MockClock) -> None:
    async with worn(Desks()) as (world, phone):
        server = world.known_server(SOGA, key="")
        stranger = await server.dial(f"{ADA}-{SOGA}")

        assert stranger.closed_with == (1008, "Invalid API key")
        assert [SOGA] == phone.running()


async def test_a_stop_from_the_phone_ends_it_and_a_start_begins_anew(autojump_clock: MockClock) -> None:
    desks = Desks()
    async with worn(desks) as (world, phone):
        phone.say({"type": "stop_app", "packageName": SOGA})
        await trio.sleep(10)
        assert [] == phone.running()
        assert world.system.find(f"/glasshouse/soga sessions/{ADA}") is None
        assert [] == world.speech.running()

        phone.say({"type": "start_app", "packageName": SOGA})
        await trio.sleep(2)
        await speak(world, "hey glasshouse what time is it")
        await trio.sleep(2)
        assert ["what time is it"] == [query.query for query in desks.queries]


async def test_an_approval_goes_before_another_apps_words_at_once(autojump_clock: MockClock) -> None:
    desks = Desks()
    async with worn(desks) as (world, phone):
        captions = await world.running_app(phone)
        captions.show("some words")
        await trio.sleep(0.01)
        desks.tell(agent(approval()))
        await trio.sleep(0.05)
        assert "Allow: Bash pytest -q? yes / no" == phone.texts()[-1]

        captions.show("other words")
        await trio.sleep(30)
        assert "Allow: Bash pytest -q? yes / no" == phone.texts()[-1], "it stays until it is answered"
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await trio.sleep(4)

        assert [("approval_1", "approve")] == [(one.approval_id, one.decision) for one in desks.answers]
        assert "other words" == phone.texts()[-1]


async def test_a_crash_in_mid_question_loses_nothing_of_it(autojump_clock: MockClock) -> None:
    desks = Desks()
    async with worn(desks) as (world, phone):
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await speak(world, "fix the")
        world.find(f"soga sessions/{ADA}").crash(RuntimeError("in a test"))
        world.find("soga").crash(RuntimeError("in a test"))
        await trio.sleep(0.1)
        await speak(world, "failing test")
        await trio.sleep(2)

        assert ["fix the failing test"] == [query.query for query in desks.queries]
        assert [SOGA] == phone.running()


async def test_one_that_starts_clean_is_connected_again_and_shows_what_is_open(
    autojump_clock: MockClock,
) -> None:
    desks = Desks()
    async with worn(desks) as (world, phone):
        desks.tell(agent(approval()))
        await trio.sleep(0.5)
        for _ in range(3):
            world.find(f"soga sessions/{ADA}").crash(RuntimeError("in a test"))
            await trio.sleep(2.6)
        shown = len(phone.texts())
        phone.say({"type": "head_position", "position": "down"})
        await trio.sleep(5)
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "long"})
        await trio.sleep(1)

        assert len(phone.texts()) >= shown
        assert [("approval_1", "deny")] == [(one.approval_id, one.decision) for one in desks.answers]


async def test_a_killed_server_brings_it_back_with_what_is_open(autojump_clock: MockClock) -> None:
    desks, documents = Desks(), SimulatedDocuments()
    async with worn(desks, documents) as (world, phone):
        await speak(world, "hey glasshouse fix the failing test")
        await trio.sleep(3)
        desks.tell(agent(approval(), task_id=desks.task.task_id))
        await trio.sleep(1.5)
        await world.die()
    desks.listeners = []
    async with open_world(documents, SETTINGS, desks=desks.spec) as world:
        phone = await world.phone()
        await trio.sleep(1)
        assert [SOGA] == phone.running()
        assert "Allow: Bash pytest -q? yes / no" == phone.texts()[-1]

        await trio.sleep(1)
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await trio.sleep(1)
        assert [("approval_1", "approve")] == [(one.approval_id, one.decision) for one in desks.answers]
        desks.tell(task(desks.task.task_id, answer="All tests pass.", type="agent_result"))
        await trio.sleep(1)
        assert "All tests pass." == phone.texts()[-1]


async def test_desks_that_do_not_answer_are_asked_again_and_the_wearer_is_told(
    autojump_clock: MockClock,
) -> None:
    desks = Desks()
    desks.is_deaf = True
    async with worn(desks) as (world, phone):
        await speak(world, "hey glasshouse what time is it")
        await trio.sleep(2)
        assert phone.texts()[-1].startswith("The assistant does not answer")
        desks.is_deaf = False
        await trio.sleep(10)
        await speak(world, "hey glasshouse what time is it")
        await trio.sleep(2)

        assert ["what time is it"] == [query.query for query in desks.queries]


async def test_its_sockets_are_watched_like_any_apps(autojump_clock: MockClock) -> None:
    async with worn(Desks()) as (world, phone):
        await world.system.suspend(world.find(f"soga sessions/{ADA}"))
        await trio.sleep(40)
        assert world.telemetry.of("app_silent")
        await world.system.resume(world.find(f"soga sessions/{ADA}"))
        await trio.sleep(20)

        assert [SOGA] == phone.running()
        assert 1 == sum(node.path.endswith(f"soga sessions/{ADA}") for node in world.system.tree().walk())


async def test_an_answer_is_heard_where_there_is_a_speaker(autojump_clock: MockClock) -> None:
    desks = Desks()
    speaking = Speaking(ToneSynthesis(), SpeechTickets(b"a key"))
    for model, is_heard in (("Simulated Glasses", True), ("Even Realities G1", False)):
        async with open_world(settings=SETTINGS, desks=desks.spec, speaking=speaking) as world:
            phone = await world.phone()
            phone.say({"type": "glasses_connection_state", "modelName": model, "status": "CONNECTED"})
            phone.say({"type": "start_app", "packageName": SOGA})
            await trio.sleep(2)
            await speak(world, "hey glasshouse what time is it")
            await trio.sleep(2)
            desks.tell(task(desks.task.task_id, answer="It is ten."))
            await trio.sleep(1)

            urls = [text_of(one["audioUrl"], [PUBLIC]) for one in phone.heard("audio_play_request")]
            assert ["It is ten."] * is_heard == urls
            assert "It is ten." == phone.texts()[-1]
            phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
            await trio.sleep(0.1)
            assert is_heard == bool(phone.heard("audio_stop_request")), "who asks on has heard enough"
