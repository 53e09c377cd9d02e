"""What of a session is written, and when: its snapshots (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from actors.ports import Change
from actors.snapshots.snapshot import SessionSnapshot, decode
from adapters.simulated.store import SimulatedDocuments
from tests.actors.flights import incarnation, mid_flight
from tests.actors.world import ADA, CAPTIONS, open_world

NOTES = "org.example.notes"


async def test_a_list_that_is_not_stored_yet_is_in_no_snapshot(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        await world.running_app(phone)
        notes = await world.app_server(NOTES)
        await trio.sleep(2)
        disk = trio.Event()
        commit = world.store.commit

        async def slow_commit(changes: Sequence[Change]) -> None:
            await disk.wait()
            await commit(changes)

        monkeypatch.setattr(world.store, "commit", slow_commit)
        phone.say({"type": "start_app", "packageName": NOTES})
        await trio.sleep(5)

        snapshot = documents.owners[ADA].snapshot
        assert snapshot is not None
        assert b'"phase":"connecting"' not in snapshot
        assert f'"{NOTES}","lifecycle":{{"phase":"running"'.encode() not in snapshot
        assert notes.connection.is_open
        disk.set()
        await trio.sleep(2)
        later = documents.owners[ADA].snapshot
        assert later is not None
        assert f'"{NOTES}","lifecycle":{{"phase":"running"'.encode() in later


async def test_whatever_changes_of_a_session_is_written(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()

    def kept() -> SessionSnapshot:
        snapshot = documents.owners[ADA].snapshot
        assert snapshot is not None
        return decode(snapshot).session

    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        notes = await world.app_server(NOTES)
        notes.dials = False
        await trio.sleep(20)

        phone.say({"type": "glasses_battery_update", "level": 50, "charging": False})
        await trio.sleep(1.1)
        assert 50 == kept().glasses.battery_level
        release = {"type": "ownership_release", "packageName": CAPTIONS, "sessionId": f"{ADA}-{CAPTIONS}"}
        server.connection.say({**release, "reason": "clean_shutdown"})
        await trio.sleep(1.1)
        assert kept().apps[0].lifecycle.is_released
        server.subscribe("audio_chunk")
        await trio.sleep(1.1)
        assert ["audio_chunk"] == [one.text for one in kept().apps[0].subscriptions]
        notes.status = 500
        phone.say({"type": "start_app", "packageName": NOTES})
        await trio.sleep(2.2)
        assert 2 == len(notes.requests)
        notes.status = 200
        server.subscribe("button_press")
        await trio.sleep(1.1)
        off_at = kept().microphone.off_at
        assert off_at is not None
        phone.hang_up()
        await trio.sleep(1.1)
        assert not kept().had_phone
        await trio.sleep(6)
        assert not kept().microphone.target.is_enabled


async def test_a_second_webhook_of_a_start_is_known_to_the_next_process(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        notes = await world.app_server(NOTES)
        notes.down()
        phone.say({"type": "start_app", "packageName": NOTES})
        await trio.sleep(0.5)
        notes.dials = False
        notes.up()
        await trio.sleep(2.2)
        assert ["session_request"] == notes.kinds()

        snapshot = documents.owners[ADA].snapshot
        assert snapshot is not None
        assert 2 == decode(snapshot).session.apps[0].lifecycle.awaited


async def test_a_session_in_which_nothing_happens_is_not_written_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await trio.sleep(5)
        before = world.store.saves

        for _ in range(60):
            phone.say({"type": "ping"})
            phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
            await trio.sleep(1)

        assert before == world.store.saves


async def test_a_deadline_that_comes_nearer_is_written_now_and_then(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        await trio.sleep(2)
        phone.hang_up()
        await trio.sleep(2)
        before = world.store.saves

        await trio.sleep(280)

        assert 10 <= world.store.saves - before <= 60


async def test_a_display_too_large_for_a_snapshot_is_left_out_of_it(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (_, _, server):
        server.show("x" * 300_000)

    async with open_world(documents) as world:
        server = world.known_server()
        connection = await server.come_back()
        phone = await world.phone()
        await trio.sleep(1)

        assert connection.is_open
        assert [CAPTIONS] == phone.running()
        assert [] == phone.texts()


@pytest.mark.parametrize("crashes", [3, 4], ids=["its actor starts clean", "its subtree is rebuilt"])
async def test_what_starts_clean_does_not_begin_with_the_process_before(
    autojump_clock: MockClock, crashes: int
) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (world, _, server):
        before = incarnation(world)
        server.show("of the process before")

    async with open_world(documents) as world:
        await world.known_server().come_back()
        phone = await world.phone()
        assert before == incarnation(world)
        assert ["of the process before"] == phone.texts()
        for child in ("display", "session"):
            for number in range(crashes):
                ref = world.system.find(f"/glasshouse/users/{ADA}/{child}")
                if ref is not None:
                    ref.crash(RuntimeError(str(number)))
                await trio.sleep(0.01)
            await trio.sleep(3)

        again = await world.phone()
        await trio.sleep(1)

        assert before != incarnation(world)
        assert [] == again.texts()


async def test_a_crash_of_the_writer_loses_nothing(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (world, _, server):
        world.find("snapshots").crash(RuntimeError("provoked"))
        await trio.sleep(0.1)
        server.show("after the crash")

    snapshot = documents.owners[ADA].snapshot
    assert snapshot is not None
    assert b"after the crash" in snapshot
