"""App servers that die and come back: registrations, probes, and sockets that only seem to be open."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.directory import Call
from actors.ports import ProbeOutcome
from tests.actors.app_servers import BACK_S, Meter, call, connected, probed, until_up, wearers
from tests.actors.world import CAPTIONS, FakeConnection, World, open_world

# ---------------------------------------------------------------------------------------------------------
# Back within a second


@pytest.mark.parametrize(
    ("kind", "away_s", "users"),
    [(Call.REGISTER, 2.0, 200), (Call.RESTART, 12.0, 200), (Call.REGISTER, 60.0, 50)],
)
async def test_all_sessions_are_back_within_a_second_of_the_registration(
    autojump_clock: MockClock, kind: Call, away_s: float, users: int
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        meter = Meter(server, answer_s=0.05)
        await wearers(world, server, users)
        server.down()
        await trio.sleep(away_s)
        world.webhooks.faults[server.url] = "refused"  # up, and not yet seen by a probe
        meter.up()
        del world.webhooks.faults[server.url]
        server.connections.clear()

        taken = await call(world, kind)
        await trio.sleep(BACK_S)

        assert users == taken.sessions
        assert users == len(connected(server))
        assert users == len(meter.sessions) == len(set(meter.sessions)), "one webhook each"
        assert meter.most_open <= 40, "no storm"
        assert meter.burst(0.02) <= 20
        await trio.sleep(30)
        assert users == len(meter.sessions)


@pytest.mark.parametrize(("away_s", "users"), [(2.0, 50), (12.0, 200), (60.0, 50)])
async def test_all_sessions_are_back_within_a_second_of_the_first_probe_that_is_answered(
    autojump_clock: MockClock, away_s: float, users: int
) -> None:
    async with open_world() as world:
        server = await world.app_server()
        meter = Meter(server, answer_s=0.05)
        await wearers(world, server, users)
        server.down()
        await trio.sleep(away_s)

        meter.up()
        server.connections.clear()
        await until_up(world)
        await trio.sleep(BACK_S)

        assert users == len(connected(server))
        assert users == len(meter.sessions) == len(set(meter.sessions)), "one webhook each"
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

        async def refuse(url: str, *, timeout_s: float) -> ProbeOutcome:
            probes.append(trio.current_time())
            return ProbeOutcome.REFUSED

        world.webhooks.probe = refuse  # type: ignore[method-assign]
        server.down()
        await trio.sleep(1)
        early = len(probes)
        await trio.sleep(300)
        probes.clear()
        await trio.sleep(60)

        assert 4 <= early <= 7, "every 200 ms at first"
        assert 10 <= len(probes) <= 15, "every 5 s later"


async def test_a_server_that_did_not_answer_is_not_probed_again_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.app_server()
        server.down()
        probes = []

        async def refuse(url: str, *, timeout_s: float) -> ProbeOutcome:
            probes.append(trio.current_time())
            return ProbeOutcome.REFUSED

        world.webhooks.probe = refuse  # type: ignore[method-assign]
        began = trio.current_time()
        while trio.current_time() < began + 0.95:
            assert ProbeOutcome.REFUSED is await probed(world, f"{server.url}/health")
            await trio.sleep(0.01)

        assert 8 <= len(probes) <= 10


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
