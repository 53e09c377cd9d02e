"""The cabinet: an edit is answered when it is stored, whatever fails, and the session hears of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.cabinet.messages import (
    PreferencesChanged,
    edit_preferences,
    edit_storage,
    issue_ticket,
    redeem_ticket,
)
from actors.cabinet.preferences import Install, Preferences, SetAppSettings, SetSystemSettings, TooLargeError
from actors.cabinet.reading import UnreadableDocumentError, find_preferences, find_storage
from actors.cabinet.storage import ClearValues, PutValues, RemoveValue
from actors.document_ports import PutDocument
from actors.ports import StorageError
from adapters.simulated.store import SimulatedDocuments, StoreFaults
from runtime import Ref, RuntimeFailure
from tests.actors.world import ADA, CAPTIONS, World, open_world

SCHEMA = b'{"type":"toggle","key":"loud","label":"Loud","defaultValue":false}'


def cabinet(world: World) -> Ref[Any]:
    return world.find("cabinet")


async def test_what_was_answered_is_stored_and_read_back(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        answered = await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7})))
        values = await cabinet(world).ask(edit_storage(ADA, CAPTIONS, PutValues({"a": "1"})))
        await world.die()
    async with open_world(documents) as after:
        assert {"brightness": 7} == answered.system
        assert answered == await find_preferences(after.store, ADA)
        assert values == await find_storage(after.store, ADA, CAPTIONS)
        assert {} == await find_storage(after.store, ADA, "org.example.other")


async def test_edits_of_one_document_lose_nothing_of_each_other(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.store.faults = StoreFaults(max_delay_s=0.5)

        async def put(number: int) -> None:
            await cabinet(world).ask(
                edit_storage(ADA, CAPTIONS, PutValues({f"k{number}": "v"})), timeout_s=60.0
            )

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(put, number)

        assert {f"k{number}" for number in range(50)} == set(await find_storage(world.store, ADA, CAPTIONS))


async def test_a_refused_edit_fails_alone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        outcomes: dict[str, Any] = {}

        async def put(key: str, value: str) -> None:
            try:
                outcomes[key] = await cabinet(world).ask(edit_storage(ADA, CAPTIONS, PutValues({key: value})))
            except TooLargeError as error:
                outcomes[key] = error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, "a", "1")
            nursery.start_soon(put, "b", "x" * 200_000)
            nursery.start_soon(put, "c", "3")

        assert isinstance(outcomes["b"], TooLargeError)
        assert {"a": "1", "c": "3"} == await find_storage(world.store, ADA, CAPTIONS)


async def test_removed_and_cleared_values_are_gone_from_the_store(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        await cabinet(world).ask(edit_storage(ADA, CAPTIONS, PutValues({"a": "1", "b": "2"})))
        assert {"b": "2"} == await cabinet(world).ask(edit_storage(ADA, CAPTIONS, RemoveValue("a")))

        await cabinet(world).ask(edit_storage(ADA, CAPTIONS, ClearValues()))

        assert {} == documents.documents


async def test_a_store_that_is_out_fails_the_edit_and_says_when_to_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        world.store.outage = "no space left"
        with pytest.raises(StorageError):
            await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"a": 1})))
        world.store.outage = None

        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"b": 1})))

        assert {"b": 1} == (await find_preferences(world.store, ADA)).system


async def test_a_crash_of_cabinet_or_journal_amid_a_write_loses_no_edit(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for name in ("cabinet", "journal", "cabinet"):
            world.store.faults = StoreFaults(max_delay_s=3.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_edit, world, name)
                await trio.sleep(0.2)
                world.find(name).crash(RuntimeError("planned"))
                await trio.sleep(0.2)
                world.store.faults = StoreFaults()
            await trio.sleep(10)

            assert name in (await find_preferences(world.store, ADA)).system


async def _edit(world: World, name: str) -> None:
    with suppress(RuntimeFailure):  # who asked may hear of the crash; the edit was taken all the same
        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({name: 1})), timeout_s=30.0)


async def test_what_cannot_be_read_is_not_overwritten(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        damaged = PutDocument(
            collection="preferences", key=ADA, user_id=ADA, document=b"[1]", updated_at_ms=0
        )
        await world.store.commit([damaged])

        with pytest.raises(UnreadableDocumentError):
            await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"a": 1})))
        phone = await world.phone()

        assert 1 == len(phone.heard("connection_ack"))
        assert 1 == len(world.telemetry.of("preferences_unreadable"))
        assert b"[1]" == documents.documents["preferences", ADA].document


async def test_a_ticket_is_used_once_by_its_own_app(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for token, package in (("one", CAPTIONS), ("two", CAPTIONS), ("three", CAPTIONS)):
            assert await cabinet(world).ask(issue_ticket(token, ADA, package))

        assert ADA == await cabinet(world).ask(redeem_ticket("one", CAPTIONS))
        assert await cabinet(world).ask(redeem_ticket("one", CAPTIONS)) is None
        assert await cabinet(world).ask(redeem_ticket("two", "org.example.other")) is None
        assert await cabinet(world).ask(redeem_ticket("two", CAPTIONS)) is None, "it was tried by another app"
        await trio.sleep(60)
        assert await cabinet(world).ask(redeem_ticket("three", CAPTIONS)) is None, "it is too old"


async def test_of_a_users_tickets_the_newest_are_kept(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        for number in range(40):
            await cabinet(world).ask(issue_ticket(f"t{number}", ADA, CAPTIONS))
            await trio.sleep(0.01)

        assert 32 == len(documents.documents)
        assert ADA == await cabinet(world).ask(redeem_ticket("t39", CAPTIONS))


# ---------------------------------------------------------------------------------------------------------
# What the session makes of it


async def test_changed_system_settings_reach_the_phone_and_every_app_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7, "mine": "x"})))
        await world.settle()

        (told,) = server.connection.heard("augmentos_settings_update")
        assert (7, "x", True) == tuple(
            told["settings"][key] for key in ("brightness", "mine", "contextualDashboard")
        )
        (told,) = phone.heard("settings_update")
        assert 7 == told["settings"]["brightness"]
        phone.say({"type": "request_settings"})
        await world.settle()
        assert 7 == phone.heard("settings_update")[-1]["settings"]["brightness"]


async def test_changed_app_settings_reach_the_app_on_both_ways_and_its_next_ack(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, settings_schema=(msgspec.Raw(SCHEMA),))
        other = await world.running_app(phone, "org.example.other", key="k")

        await cabinet(world).ask(edit_preferences(ADA, SetAppSettings(CAPTIONS, {"loud": True}, ("loud",))))
        await world.settle()

        (told,) = server.connection.heard("settings_update")
        assert [("loud", True)] == [(one["key"], one["value"]) for one in told["settings"]]
        assert CAPTIONS == told["packageName"]
        (call,) = [call for call in world.webhooks.calls if call.path == "/settings"]
        assert b'"userIdForSettings":"ada@example.org"' in call.body
        assert [] == other.connection.heard("settings_update")
        assert ["settings_update", "augmentos_settings_update"] == server.connection.kinds()[-2:]
        assert [] == other.connection.heard("augmentos_settings_update")
        server.connection.hang_up()
        connection = await server.come_back()
        (ack,) = connection.heard("tpa_connection_ack")
        assert [("loud", True)] == [(one["key"], one["value"]) for one in ack["settings"]]


async def test_a_session_begins_with_what_was_stored(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7})))
        server = await world.running_app(await world.phone())
        (ack,) = server.connection.heard("tpa_connection_ack")
        assert 7 == ack["mentraosSettings"]["brightness"] == ack["augmentosSettings"]["brightness"]
        await trio.sleep(2)
        await world.die()
    async with open_world(documents) as after:
        server = after.known_server()
        await after.phone()
        connection = await server.come_back()
        (ack,) = connection.heard("tpa_connection_ack")
        assert 7 == ack["mentraosSettings"]["brightness"]


async def test_a_session_that_could_not_wait_for_the_store_hears_of_the_settings_later(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7})))
        await world.die()
    async with open_world(documents, outage="not there yet") as after:
        phone = await after.phone()
        phone.say({"type": "request_settings"})
        await after.settle()
        assert 50 == phone.heard("settings_update")[-1]["settings"]["brightness"]
        after.store.outage = None
        await trio.sleep(3)

        assert 7 == phone.heard("settings_update")[-1]["settings"]["brightness"]


async def test_the_microphone_bypasses_the_voice_detector_when_the_wearer_says_so(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=["transcription:en-US"])
        await trio.sleep(2)
        assert phone.heard("microphone_state_change")[-1]["bypassVad"] is False

        for wish in (True, False):
            await cabinet(world).ask(
                edit_preferences(ADA, SetSystemSettings({"bypass_vad_for_debugging": wish}))
            )
            await trio.sleep(2)
            assert phone.heard("microphone_state_change")[-1]["bypassVad"] is wish


async def test_the_phone_is_told_to_fetch_its_list_when_an_app_was_installed(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        known = len(phone.heard("app_state_change"))

        await cabinet(world).ask(edit_preferences(ADA, Install("org.example.new", 5)))
        await world.settle()

        assert known + 1 == len(phone.heard("app_state_change"))


async def test_an_app_that_was_started_is_the_users_from_then_on(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.running_app(await world.phone())

        known = await find_preferences(world.store, ADA)

        assert {CAPTIONS} == set(known.installed)
        assert known.installed[CAPTIONS].last_active_at_ms > 0


async def test_a_crash_of_the_session_forgets_no_setting(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7})))
        await world.settle()

        for name in ("session", f"apps/{CAPTIONS}"):
            world.find(f"users/{ADA}/{name}").crash(RuntimeError("planned"))
            await trio.sleep(1)
        server.connection.hang_up()
        connection = await server.come_back()

        assert 7 == connection.heard("tpa_connection_ack")[0]["mentraosSettings"]["brightness"]


async def test_an_older_version_of_the_settings_changes_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        session = world.find(f"users/{ADA}/session")
        session.tell(PreferencesChanged(Preferences(version=5, system={"brightness": 5})))
        session.tell(PreferencesChanged(Preferences(version=4, system={"brightness": 4})))
        await world.settle()

        assert [5] == [one["settings"]["brightness"] for one in phone.heard("settings_update")]


async def test_a_write_that_the_journal_lost_is_asked_for_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        actor: Any = cabinet(world).cell.actor
        journal, lost = actor.journal, list[Any]()

        class Forgetful:
            def tell(self, message: Any) -> bool:
                if lost:
                    return bool(journal.tell(message))
                lost.append(message)
                return True

        actor.journal = Forgetful()
        answered = await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"a": 1})))

        assert ({"a": 1}, 1) == (answered.system, len(lost))


async def test_a_crash_before_the_session_was_told_has_it_told_afterwards(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        roster = world.find("roster")
        await world.system.suspend(roster)  # it cannot say where the session is
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_edit, world, "brightness")
            await trio.sleep(1)
            cabinet(world).crash(RuntimeError("planned"))
            await world.system.resume(roster)
            await trio.sleep(1)

        assert 1 == phone.heard("settings_update")[-1]["settings"]["brightness"]


async def test_an_app_session_that_starts_clean_has_the_wearers_settings_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await cabinet(world).ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7})))
        for _ in range(4):
            world.find(f"users/{ADA}/apps/{CAPTIONS}").crash(RuntimeError("planned"))
            await trio.sleep(2)

        connection = await server.come_back()

        assert 7 == connection.heard("tpa_connection_ack")[0]["mentraosSettings"]["brightness"]
