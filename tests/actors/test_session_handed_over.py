"""A session that another process takes over from a living one: it goes on, and nobody notices.

Two worlds stand beside each other, as two processes do. What the first one's actors know is told to the
second one, which has other connections to the same peers.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors import handover
from actors.apps.state import AppState
from actors.cabinet.messages import edit_preferences
from actors.cabinet.preferences import SetSystemSettings
from actors.domain import DomainSettings
from actors.handover import HandedApp, HandedLink, HandedSession, UnreadableRecordError
from actors.link.actor import LinkState
from actors.ports import Final, Interim
from actors.session.messages import configure_audio
from actors.session.settings import SessionSettings
from actors.session.state import AppEntry, SessionState
from actors.users.roster import adopt_user
from adapters.simulated.lc3 import encode, pcm_of
from adapters.simulated.store import SimulatedDocuments
from adapters.simulated.translation import MarkingTranslator
from adapters.simulated.udp import seal
from protocols import udp
from protocols.audio import lc3_format
from tests.actors.flights import incarnation
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World, open_world

FRAME = b"\7\0" * 1600
PRESS = {"type": "button_press", "buttonId": "main", "pressType": "short"}


def recorded(world: World) -> HandedSession:
    """Ada's session as the next process gets it."""
    session = world.system.state_of(world.find(f"users/{ADA}/session"))
    record = handover.capture(
        session,
        world.system.state_of(world.find(f"users/{ADA}/display")),
        world.system.state_of(world.find(f"users/{ADA}/link")),
        world.system.state_of(world.find(f"users/{ADA}/peer")).negotiation,
        {package: world.system.state_of(entry.ref) for package, entry in session.apps.items()},
        {language: world.system.state_of(entry.ref) for language, entry in session.streams.items()},
        {pair: world.system.state_of(ref) for pair, ref in session.translations.items()},
        world.system.state_of(world.find(f"users/{ADA}/history")),
        world.system.clock.now(),
    )
    return handover.decode(handover.encode(record))


async def take_over(
    world: World, record: HandedSession, connections: Sequence[FakeConnection], settings: DomainSettings
) -> None:
    beginning = handover.adopted(
        record, {one.id: one for one in connections}, world.system.clock.now(), settings
    )
    assert world.hall is not None
    await world.hall.roster.ask(adopt_user(ADA, beginning))
    await world.settle()


def anew(connection: FakeConnection, world: World) -> FakeConnection:
    """The same connection in another process: it has its counters, and nothing was sent on it there."""
    other = FakeConnection(connection.id, world.system.clock.now)
    other.health = msgspec.structs.replace(connection.health)
    return other


@asynccontextmanager
async def after_hand_over(
    before: World,
    documents: SimulatedDocuments,
    server: AppServer,
    phone: FakeConnection,
    settings: DomainSettings | None = None,
) -> AsyncIterator[tuple[World, FakeConnection, FakeConnection]]:
    """The next world, with the phone's and the app's connection in it."""
    settings = settings or DomainSettings()
    async with open_world(documents, settings, translator=before.translator) as world:
        there = world.known_server(server.package, subscriptions=server.subscriptions)
        phone_there, app_there = anew(phone, world), anew(server.connection, world)
        there.connections.append(app_there)
        await take_over(world, recorded(before), [phone_there, app_there], settings)
        yield world, phone_there, app_there


async def test_a_microphone_that_sends_lc3_is_still_heard(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        await before.find(f"users/{ADA}/session").ask(configure_audio(lc3_format(60)))
        await before.settle()
        async with after_hand_over(before, documents, server, phone) as (_, phone_there, app_there):
            phone_there.stream(encode(500, 60))

            assert [pcm_of(500)] == app_there.frames(), "without a word from the phone"


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_microphone_that_sends_datagrams_is_still_heard(
    autojump_clock: MockClock, is_encrypted: bool
) -> None:
    documents = SimulatedDocuments()
    payload, home = b"\7\0" * 500, ("192.0.2.1", 4000)
    async with open_world(documents) as before:
        assert before.hall is not None
        before.hall.domain.udp.address = ("glass.example.org", 8000)
        query = {"udpEncryption": "true"} if is_encrypted else {}
        phone = await before.phone(query=query)
        server = await before.running_app(phone)
        phone.say({"type": "udp_register", "userIdHash": udp.user_hash(ADA)})
        await before.settle()
        (ack,) = phone.heard("connection_ack")
        sealed = seal(b64decode(ack["udpEncryption"]["key"]), payload) if is_encrypted else payload
        async with after_hand_over(before, documents, server, phone) as (world, _, app_there):
            assert world.hall is not None
            data = udp.encode(udp.Datagram(udp.user_hash(ADA), 7, sealed))
            world.hall.domain.udp.receive(data, home, world.system.clock.now())

            assert [payload] == app_there.frames(), "it does not ping again"


async def test_nobody_is_told_anything_and_everything_goes_on(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        server.show("a caption")
        await trio.sleep(3)
        known = incarnation(before)
        async with after_hand_over(before, documents, server, phone) as (world, phone_there, app_there):
            await trio.sleep(0.5)
            assert [] == phone_there.sent, "no ack, no display, no list, no microphone"
            assert [] == app_there.sent, "no ack, no full state"
            assert (0, 0) == (phone_there.pings, app_there.pings)
            assert known == incarnation(world)

            phone_there.stream(FRAME)
            phone_there.say(PRESS)
            await world.settle()
            assert [FRAME] == app_there.frames()
            assert ["data_stream"] == app_there.kinds()
            app_there.say(
                {
                    "type": "display_event",
                    "packageName": CAPTIONS,
                    "layout": {"layoutType": "text_wall", "text": "another"},
                }
            )
            phone_there.say({"type": "start_app", "packageName": CAPTIONS})
            await trio.sleep(0.5)
            assert ["another"] == phone_there.texts()
            assert [CAPTIONS] == phone_there.running()
            assert ["en-US"] == [stream.request.language for stream in world.speech.running()]
            (stream,) = world.speech.running()
            assert FRAME == stream.offered, "nothing was under way before"
            assert ["session_request"] == server.kinds()


async def test_sentence_under_way_is_recognised_from_its_beginning_in_the_next_process(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        phone.stream(FRAME)
        (stream,) = before.speech.running()
        stream.emit(Interim(text="hello", start_ms=0, end_ms=100))
        await before.settle()
        async with after_hand_over(before, documents, server, phone) as (world, phone_there, app_there):
            (stream,) = world.speech.running()
            assert FRAME == stream.offered
            phone_there.stream(FRAME)
            assert FRAME + FRAME == stream.offered
            stream.emit(Final(text="hello there", start_ms=0, end_ms=200))
            await world.settle()

            (guess,) = server.connection.heard("data_stream")
            said = [one for one in app_there.heard("data_stream") if "transcribe" in str(one)]
            (final,) = said
            assert guess["data"]["utteranceId"] == final["data"]["utteranceId"]


async def test_microphone_is_kept_on_and_goes_off_when_nobody_wants_it(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        async with after_hand_over(before, documents, server, phone) as (_, phone_there, app_there):
            app_there.say(
                {"type": "subscription_update", "packageName": CAPTIONS, "subscriptions": ["button_press"]}
            )
            await trio.sleep(20)

            states = phone_there.heard("microphone_state_change")
            assert [False] == [state["isMicrophoneEnabled"] for state in states[-1:]]


async def test_lost_phone_has_its_grace_in_the_next_process(autojump_clock: MockClock) -> None:
    settings = DomainSettings(session=SessionSettings(phone_grace_s=60.0))
    documents = SimulatedDocuments()
    async with open_world(documents, settings) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        async with after_hand_over(before, documents, server, phone, settings) as (
            world,
            phone_there,
            app_there,
        ):
            phone_there.hang_up()
            await trio.sleep(50)
            assert app_there.is_open
            await trio.sleep(15)

            assert (1000, "User session ended") == app_there.closed_with
            assert world.system.find(f"/glasshouse/users/{ADA}") is None
            assert documents.owners[ADA].snapshot is None


async def test_grace_under_way_keeps_its_remaining_time(autojump_clock: MockClock) -> None:
    settings = DomainSettings(session=SessionSettings(phone_grace_s=60.0))
    documents = SimulatedDocuments()
    async with open_world(documents, settings) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        phone.hang_up()
        await trio.sleep(40)
        async with after_hand_over(before, documents, server, phone, settings) as (_, _, app_there):
            await trio.sleep(15)
            assert app_there.is_open
            await trio.sleep(10)
            assert (1000, "User session ended") == app_there.closed_with


@pytest.mark.parametrize("lost", ["phone", "app"])
async def test_connection_that_broke_on_the_way_is_a_lost_one(autojump_clock: MockClock, lost: str) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        record = recorded(before)
        async with open_world(documents) as world:
            there = world.known_server()
            phone_there, app_there = anew(phone, world), anew(server.connection, world)
            there.connections.append(app_there)
            kept = app_there if lost == "phone" else phone_there
            await take_over(world, record, [kept], DomainSettings())
            await trio.sleep(1)
            if lost == "phone":
                session = world.system.state_of(world.find(f"users/{ADA}/session"))
                assert session.phone is None
                assert session.grace_ends_at is not None
            else:
                back = await there.come_back()
                assert "tpa_connection_ack" in back.kinds()
                assert [] == there.requests, "no webhook: its session goes on"


async def test_silent_phone_is_suspected_no_sooner_for_the_hand_over(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone(token_in_query=True)
        server = await before.running_app(phone)
        phone.say({"type": "ping"})
        await trio.sleep(3)
        record = recorded(before)
        await trio.sleep(60)  # the way there took a minute, which nobody can blame the phone for
        async with open_world(documents) as world:
            phone_there, app_there = anew(phone, world), anew(server.connection, world)
            by_s = world.system.clock.now() - record.now
            phone_there.health.last_activity_at += by_s
            app_there.health.last_activity_at += by_s
            await take_over(world, record, [phone_there, app_there], DomainSettings())
            await trio.sleep(2)
            assert 0 == world.telemetry.counters().get("phone_suspected", 0)
            await trio.sleep(3)
            assert 1 == world.telemetry.counters().get("phone_suspected", 0)


async def test_start_that_was_under_way_comes_to_its_end(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.app_server()
        server.dials = False
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(0.5)
        record = recorded(before)
        assert ["session_request"] == server.kinds()
        async with open_world(documents) as world:
            there = world.known_server()
            phone_there = anew(phone, world)
            await take_over(world, record, [phone_there], DomainSettings())
            await there.come_back()
            await trio.sleep(1)

            assert [CAPTIONS] == phone_there.running()
            assert [] == there.requests


async def test_user_is_claimed_by_the_next_process_and_written_by_it_alone(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        await trio.sleep(2)
        epoch = documents.owners[ADA].epoch
        async with after_hand_over(before, documents, server, phone) as (_, _, app_there):
            app_there.say(
                {"type": "subscription_update", "packageName": CAPTIONS, "subscriptions": ["button_press"]}
            )
            await trio.sleep(3)

            assert documents.owners[ADA].epoch > epoch
            snapshot = documents.owners[ADA].snapshot
            assert snapshot is not None
            assert b"button_press" in snapshot


async def test_a_final_whose_translation_is_under_way_is_told_by_the_next_process(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    pair = "translation:fr-FR-to-en-US"
    async with open_world(documents, translator=MarkingTranslator(delay_s=1.0)) as before:
        phone = await before.phone()
        server = await before.running_app(phone, subscriptions=[pair])
        before.speech.streams[0].emit(Final(text="un", start_ms=0, end_ms=10))
        await before.settle()
        async with after_hand_over(before, documents, server, phone) as (there, _, app_there):
            await trio.sleep(1.1)
            there.speech.running()[0].emit(Final(text="deux", start_ms=0, end_ms=10))
            await trio.sleep(1.1)

            told = app_there.heard("data_stream")
            assert ["[en-US] un", "[en-US] deux"] == [event["data"]["text"] for event in told]
            assert [pair, pair] == [event["streamType"] for event in told]


async def test_what_was_said_is_remembered_by_the_next_process(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone, subscriptions=["transcription:en-US"])
        before.speech.streams[0].emit(Final(text="stored", start_ms=0, end_ms=10))
        await trio.sleep(2)
        before.speech.streams[0].emit(Final(text="not stored yet", start_ms=0, end_ms=10))
        await before.settle()
        async with after_hand_over(before, documents, server, phone) as (there, _, _):
            await trio.sleep(2)

            history = there.system.state_of(there.find(f"users/{ADA}/history")).history
            assert ["stored", "not stored yet"] == [one.text for one in history["en-US"].finals]
            assert 2 == len(documents.transcripts)


async def test_what_an_app_has_asked_of_the_phone_is_still_answered(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    poll = {"type": "location_poll_request", "correlationId": "c1"}
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        server.connection.say(poll)
        server.connection.say({"type": "rtmp_stream_request", "rtmpUrl": "rtmp://x"})
        await before.settle()
        async with after_hand_over(before, documents, server, phone) as (world, phone_there, app_there):
            phone_there.say({"type": "location_update", "lat": 1, "lng": 2, "correlationId": "c1"})
            await world.settle()
            assert ["c1"] == [one["data"]["correlationId"] for one in app_there.heard("data_stream")]
            await trio.sleep(16)
            assert 1 == len(phone_there.heard("keep_rtmp_stream_alive"))


async def test_what_the_wearer_prefers_is_still_known_and_nobody_is_told_again(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as before:
        phone = await before.phone()
        server = await before.running_app(phone)
        await before.find("cabinet").ask(edit_preferences(ADA, SetSystemSettings({"brightness": 7})))
        await before.settle()
        async with after_hand_over(before, documents, server, phone) as (world, phone_there, app_there):
            await world.settle()
            assert [] == app_there.heard("augmentos_settings_update")
            phone_there.say({"type": "request_settings"})
            await world.settle()

            assert 7 == phone_there.heard("settings_update")[-1]["settings"]["brightness"]


def test_every_field_of_a_state_is_handed_over_or_knowingly_not() -> None:
    """A field that is added to a state has to be thought of here."""
    renamed = {"phone", "acked", "routing", "streams", "starting", "announced", "sockets", "heard"}
    of_this_process = {"saving", "tokens", "has_left", "unserved"}
    handed = set(HandedSession.__struct_fields__)
    assert set(SessionState.__struct_fields__) - renamed - of_this_process <= handed
    entry = set(AppEntry.__struct_fields__) - {"ref", "phase"}
    assert entry <= set(HandedApp.__struct_fields__)
    told_anew = {"glasses", "handler", "settings"}
    over_before = {"dialled", "parting", "asked"}
    of_others = {"era", "doubted", "overloads_told"}
    counted_anew = {"errors"}  # as every figure of a process is
    app = set(AppState.__struct_fields__) - told_anew - over_before - of_others - counted_anew
    assert app <= set(HandedApp.__struct_fields__)
    assert set(LinkState.__struct_fields__) == set(HandedLink.__struct_fields__)


def test_record_that_is_damaged_is_refused() -> None:
    with pytest.raises(UnreadableRecordError):
        handover.decode(b'{"now":1}')
