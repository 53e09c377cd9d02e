"""A crash loses the message in hand: whose arrival it was is noticed all the same."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from adapters.simulated.store import SimulatedDocuments
from protocols.close_codes import SESSION_NOT_READY as CLOSE
from runtime.testing import CrashPoint, crash
from tests.actors.world import ADA, CAPTIONS, open_world


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("name", ["session", "link"])
async def test_a_phone_is_welcomed_though_a_crash_loses_a_message_of_its_arrival(
    autojump_clock: MockClock, name: str, after: int
) -> None:
    async with open_world() as world:
        first = await world.phone()
        await world.running_app(first)
        first.hang_up()
        await trio.sleep(5)
        # The session's first message admits the phone; if that is lost the phone is refused, and dials again.
        skipped = after + (name == "session")
        crash(world.find(f"users/{ADA}/{name}"), CrashPoint.BEFORE_HANDLER, after=skipped)

        phone = await world.phone()
        await trio.sleep(2)

        assert phone.is_open
        assert phone.heard("connection_ack")
        assert [CAPTIONS] == phone.running()
        assert phone.heard("microphone_state_change")[-1]["requiredData"]


@pytest.mark.parametrize("name", ["session", "link"])
async def test_a_phone_is_missed_though_a_crash_loses_its_end(autojump_clock: MockClock, name: str) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)
        ref = world.find(f"users/{ADA}/{name}")
        crash(ref, CrashPoint.BEFORE_HANDLER)

        phone.hang_up()
        await trio.sleep(1)

        assert 1 == world.system.tree(ref).restarts
        assert world.system.state_of(world.find(f"users/{ADA}/session")).phone is None


@pytest.mark.parametrize("after", range(4))
async def test_an_app_whose_dial_a_crash_of_the_doorman_loses_is_asked_to_dial_again(
    autojump_clock: MockClock, after: int
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.connection.hang_up()
        await trio.sleep(1)
        crash(world.find("front door/doorman"), CrashPoint.BEFORE_HANDLER, after=after)

        await server.come_back()
        await trio.sleep(0.6)
        is_told = not server.connection.is_open and server.connection.closed_with == (1013, CLOSE.reason)
        if not server.connection.is_open:
            await server.come_back()
        await world.settle()

        assert is_told == (after in (1, 2, 3))
        assert server.connection.is_open
        assert server.connection.heard("tpa_connection_ack")
        assert ["session_request"] == server.kinds(), "it goes on with the session it has"


async def test_a_stop_is_announced_though_a_crash_of_the_journal_loses_its_commit(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        await world.running_app(phone)
        crash(world.find("journal"), CrashPoint.BEFORE_HANDLER)

        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(5)

        assert [] == phone.running()
        assert () == documents.users[ADA].running_apps


async def test_a_crash_of_the_directory_is_no_sign_that_an_app_server_died(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        crash(world.find("directory"), CrashPoint.BEFORE_HANDLER)

        server.connection.hang_up()
        await trio.sleep(3)
        await server.come_back()
        await trio.sleep(30)

        assert 1 == world.system.tree(world.find("directory")).restarts
        assert ["session_request"] == server.kinds(), "its retry was waited for"
        assert server.connection.is_open


async def test_an_app_dials_again_from_memory_while_the_store_is_not_well(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.connection.hang_up()
        await trio.sleep(1)
        world.store.outage = "no space left"

        await server.come_back()
        await trio.sleep(1)

        assert server.connection.is_open
        assert server.connection.heard("tpa_connection_ack")


async def test_a_lost_app_is_brought_back_though_a_crash_loses_the_end_of_its_socket(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        ref = world.find(f"users/{ADA}/apps/{CAPTIONS}")
        crash(ref, CrashPoint.BEFORE_HANDLER)

        server.down()
        await trio.sleep(1)
        server.up()
        await trio.sleep(2)

        assert 1 == world.system.tree(ref).restarts
        assert ["session_request"] * 2 == server.kinds()
        assert server.connection.is_open
