"""A session and the process after the one it began in (DESIGN section 6).

The first world dies in mid-flight: nothing of what it still does reaches the disk. The second one opens on
the same documents. Somebody else was there first in the first one, so a session made anew has another id.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.ports import AppDocument, Claim, RemoveApp, SetRunningApps, StorageError
from actors.session.settings import SessionSettings
from adapters.simulated.store import SimulatedDocuments, StoreFaults
from tests.actors.flights import incarnation, mid_flight
from tests.actors.world import ADA, CAPTIONS, open_world

FRAME = b"\7\0" * 1600
NOTES = "org.example.notes"


async def test_phone_and_app_find_the_session_as_it_was(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (world, _, server):
        server.show("a caption")
        before = incarnation(world)

    async with open_world(documents) as world:
        server = world.known_server()
        connection = await server.come_back()
        phone = await world.phone()
        await trio.sleep(1)
        phone.stream(FRAME)
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await trio.sleep(20)

        assert before == incarnation(world)
        assert [] == server.requests, "no webhook: its `onSession` goes on"
        assert ["tpa_connection_ack", "device_state_update", "data_stream"] == connection.kinds()
        assert [FRAME] == connection.frames()
        assert [CAPTIONS] == phone.running()
        assert "a caption" == phone.texts()[0]
        assert phone.heard("microphone_state_change")[0]["isMicrophoneEnabled"] is True
        assert ["en-US"] == [stream.request.language for stream in world.speech.running()]


async def test_a_phone_that_is_back_before_its_app_is_to_listen(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        pass

    async with open_world(documents) as world:
        server = world.known_server()
        phone = await world.phone()
        await trio.sleep(5)
        phone.stream(FRAME)

        assert phone.heard("microphone_state_change")[-1]["isMicrophoneEnabled"] is True
        session = phone.heard("app_state_change")[-1]["userSession"]
        assert session["requiresAudio"] is True
        assert session["isTranscribing"] is True
        (stream,) = world.speech.running()
        assert FRAME == stream.offered
        assert [] == server.requests


async def test_the_session_is_rebuilt_at_an_apps_init_without_a_phone(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        pass

    async with open_world(documents) as world:
        server = world.known_server()
        connection = await server.come_back()

        assert ["tpa_connection_ack"] == [kind for kind in connection.kinds() if kind.startswith("tpa")]
        await trio.sleep(250)
        assert connection.is_open, "the phone was here, so it has the whole grace"
        await trio.sleep(60)
        assert (1000, "User session ended") == connection.closed_with
        assert world.system.find(f"/glasshouse/users/{ADA}") is None
        assert documents.owners[ADA].snapshot is None


async def test_a_phone_that_was_away_has_what_is_left_of_its_grace(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (_, phone, _):
        phone.hang_up()
        await trio.sleep(200)
    await trio.sleep(1000)  # the server is down, which is nobody's fault and does not count

    async with open_world(documents) as world:
        connection = await world.known_server().come_back()
        left_s = 300 - 200
        await trio.sleep(left_s * 0.8)
        assert connection.is_open
        await trio.sleep(left_s * 0.4)

        assert (1000, "User session ended") == connection.closed_with


async def test_what_is_on_the_lens_stays_for_what_is_left_of_its_duration(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (_, _, server):
        server.show("for ten seconds", durationMs=10_000)
        await trio.sleep(5)
    await trio.sleep(100)

    async with open_world(documents) as world:
        phone = await world.phone()
        await world.known_server().come_back()
        await trio.sleep(1)
        assert ["for ten seconds"] == [text for text in phone.texts() if text]
        assert "" != phone.texts()[-1]
        await trio.sleep(4)

        assert "" == phone.texts()[-1]


async def test_an_app_that_does_not_come_back_is_called_after_the_grace(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        pass

    async with open_world(documents) as world:
        server = world.known_server()
        phone = await world.phone()
        await trio.sleep(9)
        assert [] == server.requests
        assert [CAPTIONS] == phone.running()
        await trio.sleep(3)

        assert ["session_request"] == server.kinds()
        assert [CAPTIONS] == phone.running()


async def test_an_app_whose_webhook_is_out_gets_no_second_one(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (world, phone, _):
        notes = await world.app_server(NOTES)
        notes.dials = False
        phone.say({"type": "start_app", "packageName": NOTES})
        await trio.sleep(1)
        assert ["session_request"] == notes.kinds()

    async with open_world(documents) as world:
        notes = world.known_server(NOTES)
        world.known_server()
        phone = await world.phone()
        await trio.sleep(3)
        connection = await notes.come_back()
        await trio.sleep(10)

        assert connection.is_open
        assert [] == notes.requests
        assert NOTES in phone.running()


async def test_an_app_that_started_in_the_last_second_keeps_its_session(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        pass
    last = documents.owners[ADA]
    async with open_world(documents) as world:
        await world.app_server(NOTES, app_type="standard")
        await world.store.commit([SetRunningApps(ADA, (CAPTIONS, NOTES))])
        await world.die()
    assert last == documents.owners[ADA]

    async with open_world(documents) as world:
        notes = world.known_server(NOTES)
        phone = await world.phone()
        await trio.sleep(1)
        assert NOTES == world.system.state_of(world.find(f"users/{ADA}/display")).core
        connection = await notes.come_back()
        await trio.sleep(5)

        assert connection.is_open
        assert [] == notes.requests
        assert [CAPTIONS, NOTES] == phone.running()


async def test_an_app_that_was_stopped_in_the_last_second_stays_stopped(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (_, _, server):
        server.show("a caption")
    async with open_world(documents) as world:
        await world.store.commit([SetRunningApps(ADA, ())])
        await world.die()

    async with open_world(documents) as world:
        server = world.known_server()
        phone = await world.phone()
        connection = await server.come_back()
        await trio.sleep(15)

        assert [] == phone.running()
        assert [] == server.requests
        assert (1008, "App not started for this session") == connection.closed_with
        assert [] == [text for text in phone.texts() if text]


async def test_an_app_that_has_left_the_catalogue_is_not_brought_back(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (world, _, server):
        server.show("a caption")
        await trio.sleep(1.2)
        await world.store.commit([RemoveApp(CAPTIONS)])

    async with open_world(documents) as world:
        server = world.known_server()
        phone = await world.phone()
        await trio.sleep(15)

        assert [] == phone.running()
        assert [] == server.requests
        assert () == documents.users[ADA].running_apps
        assert [] == [text for text in phone.texts() if text]


async def test_until_snapshots_are_readable_an_app_is_told_to_try_again(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        pass

    async with open_world(documents, outage="the disk is not there yet") as world:
        server = world.known_server()
        world.store.outage = None
        early = await server.come_back()
        await trio.sleep(2)
        later = await server.come_back()

        assert early.closed_with is not None
        assert 1013 == early.closed_with[0]
        assert later.is_open
        assert [] == server.requests


async def test_an_app_that_nobody_can_know_of_yet_is_not_refused_for_good(autojump_clock: MockClock) -> None:
    """It was being started, so it stands on no stored list."""
    documents = SimulatedDocuments()
    async with mid_flight(documents) as (world, phone, _):
        notes = await world.app_server(NOTES)
        notes.dials = False
        phone.say({"type": "start_app", "packageName": NOTES})

    async with open_world(documents, outage="the disk is not there yet") as world:
        notes = world.known_server(NOTES)
        world.store.outage = None
        early = await notes.come_back()
        await trio.sleep(1)
        later = await notes.come_back()

        assert early.closed_with is not None
        assert 1013 == early.closed_with[0]
        assert later.is_open


async def test_a_stored_app_is_looked_up_until_the_store_says_what_it_is(autojump_clock: MockClock) -> None:
    """Seed 66: the catalogue could not be read, and the app was off the running list for good."""
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        documents.owners.clear()  # and with them the snapshot

    async with open_world(documents) as world:
        server = world.known_server()
        server.down()
        read = world.store.list_apps
        left = 3

        async def list_apps() -> tuple[AppDocument, ...]:
            nonlocal left
            left -= 1
            if left >= 0:
                raise StorageError("the catalogue is on another disk")
            return await read()

        world.store.list_apps = list_apps  # type: ignore[method-assign]
        phone = await world.phone()
        await trio.sleep(10)

        assert [CAPTIONS] == phone.running(), "its server is awaited"
        assert (CAPTIONS,) == documents.users[ADA].running_apps
        server.up()
        await trio.sleep(1)
        assert ["session_request"] == server.kinds()


async def test_an_unreadable_snapshot_counts_as_none(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with mid_flight(documents):
        pass
    for form in (b"no json", b'{"version":99,"now":0,"session":{}}', b'{"version":1,"now":0,"session":{}}'):
        documents.owners[ADA] = Claim(documents.owners[ADA].epoch, form)

        async with open_world(documents) as world:
            server = world.known_server()
            connection = await server.come_back()
            phone = await world.phone()
            await trio.sleep(1)

            assert connection.closed_with is not None
            assert 1013 == connection.closed_with[0]
            assert ["session_request"] == server.kinds(), "the stored list brings it back"
            assert [CAPTIONS] == phone.running()
            assert 1 == world.telemetry.counters()["snapshot_unreadable"]
            await world.die()


async def test_a_former_owner_writes_nothing_and_says_so(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(2)
        ours = documents.owners[ADA]
        documents.owners[ADA] = Claim(ours.epoch + 1, b"of another process")

        for number in range(3):
            server.show(f"later {number}")
            await trio.sleep(5)

        assert Claim(ours.epoch + 1, b"of another process") == documents.owners[ADA]
        assert 1 == world.telemetry.counters()["snapshot_stale"]


async def test_a_session_that_ends_in_order_leaves_no_snapshot(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        await trio.sleep(2)
        assert documents.owners[ADA].snapshot is not None

        phone.hang_up()
        await trio.sleep(310)

        assert documents.owners[ADA].snapshot is None


async def test_a_session_that_ended_while_storage_was_out_stays_over(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(2)
        before = incarnation(world)
        phone.hang_up()
        await trio.sleep(299)
        world.store.outage = "no space left"
        await trio.sleep(5)
        assert documents.owners[ADA].snapshot is not None
        world.store.outage = None

        await world.phone()
        await trio.sleep(1)

        assert before != incarnation(world)
        assert ["session_request"] * 2 == server.kinds(), "a new session of the app"


async def test_a_phone_that_comes_while_a_session_ends_gets_none_of_it(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        await trio.sleep(2)
        phone.hang_up()
        await trio.sleep(299.9)
        before = incarnation(world)
        world.store.faults = StoreFaults(max_delay_s=0.2)
        await trio.sleep(0.15)
        await world.phone()
        await trio.sleep(1)

        assert before != incarnation(world)
        await trio.sleep(5)
        snapshot = documents.owners[ADA].snapshot
        assert snapshot is not None
        assert before.encode() not in snapshot


async def test_nobody_is_waited_for_longer_than_a_phones_grace(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    settings = DomainSettings(session=SessionSettings(phone_grace_s=30.0))
    async with mid_flight(documents, settings):
        pass

    async with open_world(documents, settings) as world:
        await trio.sleep(29)
        assert documents.owners[ADA].snapshot is not None
        await trio.sleep(2)

        assert documents.owners[ADA].snapshot is None
        connection = await world.known_server().come_back()
        assert connection.closed_with is not None
        assert 1013 == connection.closed_with[0], "the stored list still names it"


async def test_an_orderly_end_writes_what_happened_last(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(1.7)
        server.show("the very last")
        await world.settle()

    async with open_world(documents) as world:
        phone = await world.phone()
        await trio.sleep(1)

        assert "the very last" == phone.texts()[0]


@pytest.mark.parametrize("delay_s", [0.0, 30.0])
async def test_a_store_that_does_not_answer_keeps_no_phone_waiting(
    autojump_clock: MockClock, delay_s: float
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        if delay_s:
            world.store.faults = StoreFaults(max_delay_s=delay_s)
        else:
            world.store.outage = "no disk"
        began = trio.current_time()

        phone = await world.phone()

        assert trio.current_time() - began <= 1.1
        assert phone.is_open
        world.store.outage = None
        world.store.faults = StoreFaults()
        await trio.sleep(120)
        claim = documents.owners[ADA]
        assert claim.snapshot is not None
        assert incarnation(world).encode() in claim.snapshot
        assert 0 == world.telemetry.counters().get("snapshot_stale", 0)


async def test_while_storage_is_out_the_newest_waits_and_is_written_later(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(2)
        world.store.outage = "no space left"
        for number in range(30):
            server.show(f"caption {number}")
            await trio.sleep(1)
        await trio.sleep(60)
        world.store.outage = None
        await trio.sleep(3)

        snapshot = documents.owners[ADA].snapshot
        assert snapshot is not None
        assert b"caption 29" in snapshot
        assert 1 == world.telemetry.counters()["snapshots_not_written"]
        assert 1 == world.telemetry.counters()["snapshots_written_again"]
