"""App servers that fail: the breaker for the sessions of all users, and what is known of a server."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.directory import BreakerSettings, Call, DirectorySettings, ListServers
from actors.directory.breaker import Mode
from actors.domain import DomainSettings
from actors.ports import RemoveApp, WebhookAnswer
from actors.session.messages import start_app
from adapters.simulated.webhooks import Call as HttpCall
from tests.actors.app_servers import (
    BACK_S,
    Meter,
    call,
    connected,
    known,
    start,
    until,
    until_up,
    user,
    wearers,
)
from tests.actors.world import ADA, CAPTIONS, open_world

# ---------------------------------------------------------------------------------------------------------
# The breaker


@pytest.mark.parametrize("how", [500, "timeout", "refused"])
async def test_a_failing_app_server_stops_getting_webhooks_from_every_session_at_once(
    autojump_clock: MockClock, how: int | str
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        posted = []
        post = world.webhooks.post

        async def count(url: str, body: bytes, *, timeout_s: float, **more: Any) -> WebhookAnswer:
            posted.append(trio.current_time())
            return await post(url, body, timeout_s=timeout_s)

        world.webhooks.post = count  # type: ignore[method-assign]
        if isinstance(how, int):
            server.status = how
        else:
            world.webhooks.faults[server.url] = how
        for number in range(50):
            await world.phone(user(number))

        outcomes: list[bool | None] = []

        async def begin(who: str) -> None:
            outcomes.append(await start(world, who))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                await trio.sleep(0.5)
                nursery.start_soon(begin, user(number))

        assert [False] * 50 == outcomes
        limit = BreakerSettings().failures
        out_already = 5 / 0.5 if how == "timeout" else 1 / 0.5
        assert limit <= len(posted) <= limit + out_already + 25 / BreakerSettings().pause_s
        assert "app_server_failing" in world.telemetry.counters()


async def test_a_start_that_is_held_back_says_why_and_when_to_try_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        server.status = 500
        for _ in range(3):
            await start(world)
        posted = len(server.requests)

        began = trio.current_time()
        outcome = await start(world)

        assert outcome is False
        assert trio.current_time() - began < 0.1, "it does not wait for what it knows"
        assert posted == len(server.requests)
        errors = [said["error"] for said in phone.heard("app_state_change") if said.get("error")]
        assert CAPTIONS in errors[-1]
        assert "answered with 500" in errors[-1]
        assert "try again in " in errors[-1]
        assert [] == phone.running()


async def test_one_trial_goes_out_and_its_success_brings_everybody_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.app_server()
        await wearers(world, server, 40)
        server.status = 500
        meter = Meter(server)
        meter.up()
        for connection in server.connections:
            connection.hang_up(1011)
        server.connections.clear()
        await trio.sleep(12)
        assert "open" == (await known(world)).breaker.value
        meter.times.clear()
        await trio.sleep(15)
        trials = len(meter.times)

        server.status = 200
        await until(world, lambda report: report.breaker is Mode.CLOSED)
        await trio.sleep(BACK_S)

        assert 2 <= trials <= 8, "one at a time, with a pause between them"
        assert 40 == len(connected(server))


async def test_who_was_held_back_hears_of_the_trial_that_worked(autojump_clock: MockClock) -> None:
    settings = DomainSettings(breaker=BreakerSettings(pause_s=20.0, longest_s=20.0))
    async with open_world(settings=settings) as world:
        server = await world.app_server()
        await wearers(world, server, 40)
        server.status = 500
        for connection in server.connections:
            connection.hang_up(1011)
        server.connections.clear()
        await until(world, lambda report: report.breaker is Mode.OPEN)

        server.status = 200
        await until(world, lambda report: report.breaker is Mode.CLOSED)
        await trio.sleep(BACK_S)

        assert 40 == len(connected(server)), "nobody waits for the end of a pause that is over"


async def test_a_registration_closes_the_breaker_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.phone()
        server = await world.app_server()
        server.status = 500
        for _ in range(3):
            await start(world)
        assert "open" == (await known(world)).breaker.value

        server.status = 200
        await call(world, Call.REGISTER)

        assert "closed" == (await known(world)).breaker.value
        assert await start(world)


async def test_an_open_breaker_does_not_delay_what_an_answered_probe_sets_off(
    autojump_clock: MockClock,
) -> None:
    settings = DomainSettings(breaker=BreakerSettings(pause_s=600.0, longest_s=600.0))
    async with open_world(settings=settings) as world:
        server = await world.app_server()
        await wearers(world, server, 20)
        server.down()
        other = await world.phone()
        for _ in range(3):
            assert not await start(world)
        assert "open" == (await known(world)).breaker.value

        server.up()
        server.connections.clear()
        await until_up(world)
        await trio.sleep(BACK_S)

        assert 20 == len(connected(server))
        assert await start(world)
        assert [CAPTIONS] == other.running()


async def test_a_stop_webhook_is_not_sent_to_a_server_that_is_held_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.status = 500
        for number in range(3):
            await world.phone(user(number))
            assert not await start(world, user(number))
        posted = len(server.requests)

        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(1)

        assert posted == len(server.requests)
        assert (1000, "App stopped") == server.connection.closed_with
        assert [] == phone.running()


async def test_a_server_that_dials_before_it_answers_its_webhook_is_well(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.app_server()
        meter = Meter(server)

        async def answer_never(http: HttpCall) -> WebhookAnswer:
            await meter._answer(http)
            await trio.sleep_forever()
            raise AssertionError

        world.webhooks.serve(server.url, answer_never)

        for number in range(10):
            phone = await world.phone(user(number))
            phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(60)

        assert 10 == len(connected(server))
        assert "closed" == (await known(world)).breaker.value


# ---------------------------------------------------------------------------------------------------------
# What is known


async def test_what_is_known_of_an_app_server_is_in_its_report(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        await world.running_app(await world.phone())
        well = await known(world)
        heard = await call(world, Call.HEARTBEAT)
        registered = await call(world, Call.REGISTER)
        silent = await world.app_server("org.example.silent")
        silent.down()
        await trio.sleep(0.2)  # the catalogue is read again
        begun = world.system.clock.wall()
        session = world.find(f"users/{ADA}/session")
        assert not await session.ask(start_app("org.example.silent"), timeout_s=60)

        report = await known(world)
        down = await known(world, "org.example.silent")

        assert (True, 1, "closed") == (well.is_up, well.sessions, well.breaker.value)
        assert heard.registration_id is None
        assert registered.registration_id == report.registration_id is not None
        assert None not in (report.registered_at, report.heartbeat_at)
        assert (False, None) == (down.is_up, down.heartbeat_at)
        assert down.since == pytest.approx(begun, abs=1)
        assert "refused" in down.last_failure


async def test_an_app_that_is_removed_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.running_app(await world.phone())
        await world.store.commit([RemoveApp(CAPTIONS)])
        await trio.sleep(1)

        assert () == await world.find("directory").ask(ListServers)
        await world.app_server()
        await trio.sleep(1)
        assert (await known(world)).is_up is None


async def test_a_line_of_webhooks_is_as_long_as_is_set(autojump_clock: MockClock) -> None:
    settings = DomainSettings(directory=DirectorySettings(webhooks_at_once=4, line_s=0.2, lot_s=0.1))
    async with open_world(settings=settings) as world:
        server = await world.app_server()
        meter = Meter(server)
        await wearers(world, server, 24)
        server.down()
        await trio.sleep(60)
        meter.up()
        began = trio.current_time()

        await call(world, Call.REGISTER)
        await trio.sleep(1)

        assert [0.0, 0.1, 0.2] == sorted({round(at - began, 1) for at in meter.times})
        assert 10 == meter.burst(0.05), "four at once, and twenty in two lots"
