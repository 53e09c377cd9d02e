"""App servers that die, fail and come back: registrations, probes, the breaker, for every user's sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.directory import (
    BreakerSettings,
    Call,
    CallTaken,
    DirectorySettings,
    ListServers,
    ServerReport,
    call_server,
)
from actors.directory.breaker import Mode
from actors.domain import DomainSettings
from actors.ports import RemoveApp, WebhookAnswer
from actors.session.messages import start_app
from adapters.simulated.webhooks import Call as HttpCall
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World, open_world

USERS = 200
BACK_S = 1.0  # DESIGN section 6


class Meter:
    """Looks at an app server's webhooks: when each came, and how many were open at once.

    Attributes:
      answer_s: what the server takes before it dials.
    """

    def __init__(self, server: AppServer, *, answer_s: float = 0.0) -> None:
        self.server = server
        self.answer_s = answer_s
        self.times: list[float] = []
        self.sessions: list[str] = []
        self.most_open = 0
        self._open = 0

    def up(self) -> None:
        self.server.world.webhooks.serve(self.server.url, self._answer)

    def burst(self, within_s: float) -> int:
        """The most webhooks that came within so long."""
        return max(sum(begin <= other < begin + within_s for other in self.times) for begin in self.times)

    async def _answer(self, call: HttpCall) -> WebhookAnswer:
        if call.path != "/webhook":
            return WebhookAnswer(200)
        self.times.append(trio.current_time())
        self.sessions.append(msgspec.json.decode(call.body)["sessionId"])
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            await trio.sleep(self.answer_s)
            return await self.server._answer(call)
        finally:
            self._open -= 1


def user(number: int) -> str:
    return f"user{number:03}@example.org"


async def wearers(world: World, server: AppServer, count: int = USERS) -> list[FakeConnection]:
    """Phones of so many users, each with the app running."""
    phones = []
    for number in range(count):
        phone = await world.phone(user(number))
        phone.say({"type": "start_app", "packageName": server.package})
        phones.append(phone)
    await trio.sleep(3)
    assert all([server.package] == phone.running() for phone in phones)
    return phones


def connected(server: AppServer) -> set[str]:
    """Sessions with an open socket that was acknowledged."""
    return {
        connection.heard("tpa_connection_ack")[-1]["sessionId"]
        for connection in server.connections
        if connection.is_open and connection.heard("tpa_connection_ack")
    }


async def call(world: World, kind: Call, package: str = CAPTIONS) -> CallTaken:
    taken: CallTaken = await world.find("directory").ask(call_server(package, kind))
    return taken


async def known(world: World, package: str = CAPTIONS) -> ServerReport:
    reports: Sequence[ServerReport] = await world.find("directory").ask(ListServers)
    (report,) = (report for report in reports if report.package_name == package)
    return report


async def until(world: World, holds: Callable[[ServerReport], bool]) -> None:
    while not holds(await known(world)):  # noqa: ASYNC110 - a report is asked for
        await trio.sleep(0.01)


async def until_up(world: World) -> None:
    """Until a probe or a webhook was answered."""
    await until(world, lambda report: report.is_up is True)


async def start(world: World, who: str = ADA) -> bool | None:
    outcome: bool | None = await world.find(f"users/{who}/session").ask(start_app(CAPTIONS), timeout_s=60)
    return outcome


# ---------------------------------------------------------------------------------------------------------
# Back within a second


@pytest.mark.parametrize("kind", [Call.REGISTER, Call.RESTART])
@pytest.mark.parametrize("away_s", [2.0, 12.0, 60.0])
async def test_two_hundred_sessions_are_back_within_a_second_of_the_registration(
    autojump_clock: MockClock, kind: Call, away_s: float
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        meter = Meter(server, answer_s=0.05)
        await wearers(world, server)
        server.down()
        await trio.sleep(away_s)
        world.webhooks.faults[server.url] = "refused"  # up, and not yet seen by a probe
        meter.up()
        del world.webhooks.faults[server.url]
        server.connections.clear()

        taken = await call(world, kind)
        await trio.sleep(BACK_S)

        assert USERS == taken.sessions
        assert USERS == len(connected(server))
        assert USERS == len(meter.sessions) == len(set(meter.sessions)), "one webhook each"
        assert meter.most_open <= 40, "no storm"
        assert meter.burst(0.02) <= 20
        await trio.sleep(30)
        assert USERS == len(meter.sessions)


@pytest.mark.parametrize("away_s", [2.0, 12.0, 60.0])
async def test_two_hundred_sessions_are_back_within_a_second_of_the_first_probe_that_is_answered(
    autojump_clock: MockClock, away_s: float
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        meter = Meter(server, answer_s=0.05)
        await wearers(world, server)
        server.down()
        await trio.sleep(away_s)

        meter.up()
        server.connections.clear()
        await until_up(world)
        await trio.sleep(BACK_S)

        assert USERS == len(connected(server))
        assert USERS == len(meter.sessions) == len(set(meter.sessions)), "one webhook each"
        assert meter.most_open <= 40, "no storm"


async def test_an_hour_of_absence_ends_with_the_first_probe_that_is_answered(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        await wearers(world, server, 5)
        server.down()
        await trio.sleep(3600)

        server.up()
        server.connections.clear()
        await until_up(world)
        await trio.sleep(BACK_S)

        assert 5 == len(connected(server))
        assert ["session_request"] * 10 == server.kinds()


async def test_the_first_probe_that_is_answered_counts_for_sessions_that_probe_at_other_times(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        await wearers(world, server, 10)
        world.webhooks.faults[server.url] = "refused"
        for connection in server.connections:
            connection.hang_up()
            await trio.sleep(7)
        await trio.sleep(300)
        server.connections.clear()

        del world.webhooks.faults[server.url]
        await until_up(world)
        await trio.sleep(BACK_S)

        assert 10 == len(connected(server))


async def test_the_sessions_of_an_app_share_the_probes_of_their_server(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.app_server()
        await wearers(world, server, 50)
        probes = []

        async def refuse(url: str, *, timeout_s: float) -> bool:
            probes.append(trio.current_time())
            return False

        world.webhooks.probe = refuse  # type: ignore[method-assign]
        server.down()
        await trio.sleep(1)
        early = len(probes)
        await trio.sleep(300)
        probes.clear()
        await trio.sleep(60)

        assert 4 <= early <= 7, "every 200 ms at first"
        assert 10 <= len(probes) <= 15, "every 5 s later"


async def test_a_registration_ends_the_pause_of_a_start_that_found_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        server.down()
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(0.1)

        server.up()
        await call(world, Call.REGISTER)
        await trio.sleep(0.5)

        assert [CAPTIONS] == phone.running()
        assert ["session_request"] == server.kinds()


async def test_a_crash_of_the_directory_loses_nobody_who_is_to_be_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.app_server()
        await wearers(world, server, 60)
        server.down()
        await trio.sleep(60)
        server.up()
        server.connections.clear()

        await call(world, Call.REGISTER)
        world.find("directory").crash(RuntimeError("in the middle of it"))
        await trio.sleep(BACK_S)

        assert 60 == len(connected(server))


# ---------------------------------------------------------------------------------------------------------
# A registration and sockets that seem to be open


class Vanishing(FakeConnection):
    """A connection whose peer answers pings until its host is gone."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_there = True
        self.health.has_shown_pongs = True

    def ping(self) -> None:
        super().ping()
        if self.is_there:
            self.health.last_activity_at = self._now()
            self.health.missed_pongs = 0


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(world: World) -> FakeConnection:
        world._count += 1
        return Vanishing(f"connection-{world._count}", world.system.clock.now)

    monkeypatch.setattr(World, "connect", connect)


@pytest.mark.usefixtures("vanishing")
async def test_a_host_that_vanished_is_noticed_when_its_app_server_registers_anew(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        old = server.connection
        assert isinstance(old, Vanishing)
        old.is_there = False

        await call(world, Call.REGISTER)
        await trio.sleep(BACK_S)

        assert not old.is_open
        assert server.connection is not old
        assert server.connection.is_open
        assert ["session_request"] * 2 == server.kinds()
        assert [CAPTIONS] == phone.running()


@pytest.mark.usefixtures("vanishing")
async def test_a_second_process_of_an_app_server_leaves_the_sessions_of_the_first_alone(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        server = await world.running_app(await world.phone())
        old = server.connection

        for _ in range(5):
            await call(world, Call.REGISTER)
            await trio.sleep(2)

        assert old.is_open
        assert ["session_request"] == server.kinds()


@pytest.mark.usefixtures("vanishing")
async def test_a_socket_whose_end_comes_after_the_registration_is_not_awaited(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        server = await world.running_app(await world.phone())
        old = server.connection

        await call(world, Call.REGISTER)
        await trio.sleep(0.1)
        old.hang_up()
        await trio.sleep(BACK_S)

        assert server.connection is not old
        assert ["session_request"] * 2 == server.kinds()


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

        async def count(url: str, body: bytes, *, timeout_s: float) -> WebhookAnswer:
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
