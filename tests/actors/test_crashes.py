"""Whatever actor crashes, captions and buttons go on: nobody's socket closes, nobody is started again."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.ports import Final
from adapters.simulated.store import SimulatedDocuments
from protocols.close_codes import SERVICE_RESTART
from tests.actors.world import ADA, CAPTIONS, World, open_world

FRAME = b"\7\0" * 1600

ACTORS = (
    f"users/{ADA}/session",
    f"users/{ADA}/display",
    f"users/{ADA}/audio",
    f"users/{ADA}/peer",
    f"users/{ADA}/link",
    f"users/{ADA}/apps/{CAPTIONS}",
    f"users/{ADA}/speech/en-US",
    "journal",
    "directory",
    "snapshots",
    "farewell",
    "roster",
    "front door/doorman",
)


class ProvokedError(Exception):
    """The crash of a test."""


@pytest.mark.parametrize("path", ACTORS)
async def test_captions_go_on_after_a_crash_of(autojump_clock: MockClock, path: str) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("before")
        await trio.sleep(1)
        shown = len(phone.texts())

        world.find(path).crash(ProvokedError(path))
        await trio.sleep(1)

        phone.stream(FRAME)
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        world.speech.running()[-1].emit(Final(text="after", start_ms=0, end_ms=10))
        server.show("after")
        await trio.sleep(1)
        assert FRAME in server.connection.frames()
        kinds = [event["data"]["type"] for event in server.connection.heard("data_stream")]
        assert ["button_press", "transcription"] == sorted(kinds)
        assert ["after"] == phone.texts()[shown:], "nothing was cleared or shown again in between"
        assert phone.is_open
        assert server.connection.is_open
        assert ["session_request"] == server.kinds()
        assert [CAPTIONS] == phone.running()
        assert (CAPTIONS,) == documents.users[ADA].running_apps
        assert 1 == world.system.tree(world.find(path)).restarts


@pytest.mark.parametrize("path", ACTORS)
async def test_a_crash_while_an_app_starts_only_delays_it(autojump_clock: MockClock, path: str) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)
        other = await world.app_server("org.example.other")

        phone.say({"type": "start_app", "packageName": "org.example.other"})
        world.find(path).crash(ProvokedError(path))
        await trio.sleep(8)

        assert [CAPTIONS, "org.example.other"] == sorted(phone.running())
        assert ["session_request"] == other.kinds()


async def test_one_users_crashes_do_not_reach_another(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await world.phone("bob@example.org")

        await crash_until_given_up(world, "users/bob@example.org/session")

        server.show("still here")
        await trio.sleep(1)
        assert "still here" == phone.texts()[-1]
        assert phone.is_open


async def crash_until_given_up(world: World, path: str) -> None:
    for number in range(12):
        ref = world.system.find(f"/glasshouse/{path}")
        if ref is not None:
            ref.crash(ProvokedError(str(number)))
        await trio.sleep(0.01)
    await trio.sleep(40)


async def test_a_user_past_the_intensity_is_rebuilt_around_the_same_phone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        await crash_until_given_up(world, f"users/{ADA}/session")
        phone.say({"type": "ping"})
        phone.stream(FRAME)
        await world.settle()

        assert phone.is_open
        assert 2 <= len(phone.heard("connection_ack")), "it is taken up anew by each rebuilt session"
        assert "pong" == phone.kinds()[-1]
        assert [CAPTIONS] == phone.running(), "what ran is brought back from the stored list"
        assert FRAME in server.connection.frames()


async def test_a_phone_that_nobody_knows_any_more_is_told_to_dial_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        lost = await world.phone()
        await crash_until_given_up(world, "roster")

        for connection in (phone, lost):
            if connection.is_open:
                connection.say({"type": "ping"})
        await world.settle()

        assert (1012, "Server restarting") == lost.closed_with
        back = await world.phone()
        assert back.heard("connection_ack")


async def test_apps_whose_supervisor_crashed_are_awaited_and_not_called(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("before")
        await trio.sleep(1)

        world.find(f"users/{ADA}/apps").crash(ProvokedError("apps"))
        await trio.sleep(1)
        closed = server.connection
        await server.come_back()  # as the SDK does after a second

        assert closed.closed_with is not None
        assert SERVICE_RESTART == closed.closed_with[0]
        phone.stream(FRAME)
        server.show("after")
        await trio.sleep(1)
        assert server.connection.is_open
        assert FRAME in server.connection.frames(), "its subscriptions stand"
        assert "after" == phone.texts()[-1]
        assert ["session_request"] == server.kinds(), "no webhook: onSession does not run again"
        assert [CAPTIONS] == phone.running()
        assert (CAPTIONS,) == documents.users[ADA].running_apps


async def test_an_app_that_does_not_dial_after_that_gets_its_webhook_and_can_be_stopped(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        world.find(f"users/{ADA}/apps").crash(ProvokedError("apps"))
        await trio.sleep(30)
        kinds = server.kinds()
        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(10)

        assert ["session_request", "session_request"] == kinds, "one, after its grace"
        assert [] == phone.running()


async def test_captions_go_on_after_a_crash_of_the_supervisor_of_streams(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        world.find(f"users/{ADA}/speech").crash(ProvokedError("speech"))
        await trio.sleep(2)
        (stream,) = world.speech.running()
        stream.emit(Final(text="after", start_ms=0, end_ms=10))
        await trio.sleep(1)

        kinds = [event["data"]["type"] for event in server.connection.heard("data_stream")]
        assert ["transcription"] == kinds
        assert ["session_request"] == server.kinds()
