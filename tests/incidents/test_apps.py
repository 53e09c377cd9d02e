"""Apps that stop, do not start, or look as if they ran (protocol.md 11.2): one test a thread."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.ports import Final
from actors.session.messages import Goodbye
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World, open_world

START = {"type": "start_app", "packageName": CAPTIONS}
STOP = {"type": "stop_app", "packageName": CAPTIONS}


async def live(world: World, phone: FakeConnection, server: AppServer, *, seconds: int) -> None:
    """Phone and app answer what they are asked, and nobody says a word."""
    for _ in range(seconds // 5):
        phone.say({"type": "ping"})
        await trio.sleep(5)
        for connection in (phone, server.connection):
            connection.health.missed_pongs = 0
            connection.health.has_shown_pongs = True
            connection.health.last_activity_at = world.system.clock.now()


async def hears(world: World, server: AppServer, text: str) -> bool:
    """Whether what a wearer hears reaches the app as a caption."""
    (stream,) = world.speech.running()
    stream.emit(Final(text=text, start_ms=0, end_ms=100))
    await world.settle()
    heard: object = server.connection.heard("data_stream")[-1]["data"].get("text")
    return heard == text


async def test_issue_2323_captions_go_on_for_hours_without_a_restart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for half_hour in range(6):
            await live(world, phone, server, seconds=1800)
            phone.stream(b"\1\0" * 1600)
            assert await hears(world, server, f"after {half_hour}")

        assert ["session_request"] == server.kinds()
        assert 1 == len(server.connections)
        assert 6 == len(server.connection.frames())


async def test_issue_2793_an_app_that_dies_in_the_background_is_missed(autojump_clock: MockClock) -> None:
    """Its server is gone for an hour of notes: it comes back by itself, and the wearer was told meanwhile."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, name="Notes")
        await trio.sleep(60)

        server.down()
        await trio.sleep(30)
        told = [text for text in phone.texts() if "Notes" in text and "not answer" in text]
        await live(world, phone, server, seconds=3600)
        server.up()
        await trio.sleep(10)

        assert 1 == len(told), "said once"
        assert server.connection.is_open
        assert await hears(world, server, "noted")
        assert [CAPTIONS] == phone.running()


async def test_issue_2128_the_running_list_is_the_truth_all_the_time(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        other = await world.running_app(phone, "org.example.other")

        server.connection.hang_up()  # a loss that its app mends
        await trio.sleep(1)
        await server.come_back()
        phone.hang_up()
        await trio.sleep(20)
        phone = await world.phone()
        await trio.sleep(2)
        assert [CAPTIONS, other.package] == phone.running()
        changes = len(phone.heard("app_state_change"))

        phone.say({"type": "stop_app", "packageName": other.package})
        await trio.sleep(6)

        lists = [one["userSession"]["activeAppSessions"] for one in phone.heard("app_state_change")[changes:]]
        assert [CAPTIONS] == lists[-1]
        assert all(CAPTIONS in one for one in lists), "it never vanished while it ran"


@pytest.mark.parametrize("fault", ["refused", "timeout", "status", "no dial"])
async def test_issue_2297_an_app_that_failed_starts_without_a_new_phone_session(
    autojump_clock: MockClock, fault: str
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        if fault == "status":
            server.status = 500
        elif fault == "no dial":
            server.dials = False
        else:
            world.webhooks.faults[server.url] = fault
        phone.say(START)
        await trio.sleep(40)
        state = phone.heard("app_state_change")[-1]["userSession"]
        assert [] == state["loadingApps"]

        server.status, server.dials = 200, True
        world.webhooks.faults.clear()
        phone.say(START)
        await trio.sleep(12)

        assert [CAPTIONS] == phone.running()
        assert phone.is_open


async def test_issue_2260_one_app_that_is_not_available_takes_no_other_with_it(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        broken = await world.app_server("org.example.broken")
        broken.down()
        for _ in range(10):
            phone.say({"type": "start_app", "packageName": broken.package})
            await trio.sleep(3)

        await world.running_app(phone)

        errors = [one["error"] for one in phone.heard("app_state_change") if one.get("error")]
        assert errors
        assert all(broken.package in error or "Broken" in error or "broken" in error for error in errors)
        assert [CAPTIONS] == phone.running()


@pytest.mark.parametrize("ends_by", ["goodbye", "grace"])
async def test_issue_1066_the_stop_hook_runs_when_the_phone_app_is_closed(
    autojump_clock: MockClock, ends_by: str
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        if ends_by == "goodbye":
            await world.find(f"users/{ADA}/session").ask(Goodbye)
        else:
            phone.hang_up(1001)
            await trio.sleep(DomainSettings().session.phone_grace_s)
        await trio.sleep(6)

        assert "app_stopped" == server.connection.kinds()[-1]
        assert server.connection.closed_with is not None
        assert 1000 == server.connection.closed_with[0], "with it the SDK calls the app's `onStop`"


async def test_issue_1135_an_app_is_started_and_stopped_again_and_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for _ in range(20):
            phone.say(STOP)
            await trio.sleep(6)
            assert [] == phone.running()
            assert not server.connection.is_open
            phone.say(START)
            await trio.sleep(1)
            assert [CAPTIONS] == phone.running()
            assert server.connection.is_open

        assert 21 == server.kinds().count("session_request")
        assert await hears(world, server, "still here")


async def test_issue_887_starting_many_apps_at_once_lags_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        many = [await world.app_server(f"org.example.app{number}") for number in range(25)]

        for each in many:
            phone.say({"type": "start_app", "packageName": each.package})
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        phone.say({"type": "ping"})
        await world.settle()
        pressed = [one["streamType"] for one in server.connection.heard("data_stream")]
        assert ["button_press"] == pressed, "at once, with 25 starts under way"
        assert "pong" in phone.kinds()
        await trio.sleep(5)

        assert {CAPTIONS, *(each.package for each in many)} == set(phone.running())
        assert [["session_request"]] * 25 == [each.kinds() for each in many]
