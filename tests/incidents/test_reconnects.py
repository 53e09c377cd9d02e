"""What users report of reconnects and dropped sessions (protocol.md 11.1), one test a thread.

The numbers are those of the incumbent's issues and pull requests; docs/incidents.md lists them all.
"""

from __future__ import annotations

import gc
import itertools

import pytest
import trio
from trio.testing import MockClock

from actors.ports import Final
from actors.session.messages import Goodbye
from adapters.simulated.store import SimulatedDocuments, StoreFaults
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World, open_world

FRAME = b"\1\0" * 1600
PRESS = {"type": "button_press", "buttonId": "main", "pressType": "short"}


async def is_served(world: World, phone: FakeConnection, server: AppServer) -> bool:
    """Whether audio, presses and captions go from phone to app, and displays back."""
    before = (len(server.connection.frames()), len(server.connection.heard("data_stream")))
    phone.stream(FRAME)
    phone.say(PRESS)
    (stream,) = world.speech.running()
    stream.emit(Final(text="a caption", start_ms=0, end_ms=100))
    text = f"shown at {world.system.clock.now()}"
    server.show(text)
    await trio.sleep(0.5)
    after = (len(server.connection.frames()), len(server.connection.heard("data_stream")))
    return (before[0] + 1, before[1] + 2) == after and phone.texts()[-1] == text


async def test_issue_2302_after_a_short_disconnect_the_app_works_by_itself(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.hang_up()
        await trio.sleep(2)
        phone = await world.phone()
        await trio.sleep(1)

        assert await is_served(world, phone, server)
        assert [CAPTIONS] == phone.running()
        assert ["session_request"] == server.kinds(), "nobody started it again"


async def test_issue_1739_an_app_survives_the_loss_of_its_own_socket(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.hang_up()
        await trio.sleep(1)
        await server.come_back()
        await trio.sleep(1)

        assert await is_served(world, phone, server)
        assert ["session_request"] == server.kinds()
        assert [CAPTIONS] == phone.running()


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 4000, 4999])
async def test_issue_1601_whatever_ended_the_phones_socket_the_next_finds_its_way(
    autojump_clock: MockClock, code: int
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.hang_up(code)
        await trio.sleep(5)
        phone = await world.phone()
        await trio.sleep(1)

        assert "connection_ack" == phone.kinds()[0]
        assert await is_served(world, phone, server)


async def test_issue_1089_a_phone_back_in_the_foreground_replaces_its_dead_socket_unnoticed(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        dead = await world.phone()
        server = await world.running_app(
            dead,
            subscriptions=["transcription:en-US", "audio_chunk", "button_press", "glasses_connection_state"],
        )
        told = len(server.connection.heard("data_stream"))

        phone = await world.phone()
        await trio.sleep(1)

        assert not dead.is_open
        assert "connection_ack" == phone.kinds()[0]
        states = [one["data"]["status"] for one in server.connection.heard("data_stream")[told:]]
        assert "DISCONNECTED" not in states
        assert await is_served(world, phone, server)


async def test_issue_1419_drops_of_a_second_show_nothing_on_the_lens(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("a caption")
        await trio.sleep(1)

        for _ in range(5):
            phone.hang_up()
            await trio.sleep(1)
            phone = await world.phone()
            await trio.sleep(60)
            assert ["a caption"] == phone.texts(), "what stood there, and nothing of the connection"


async def test_issue_2369_of_two_phones_on_one_account_the_newer_has_the_session(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        first = await world.phone()
        server = await world.running_app(first)

        second = await world.phone()
        await trio.sleep(1)
        frames = len(server.connection.frames())
        first_frames = len(first.sent)
        assert await is_served(world, second, server)

        assert first.closed_with is not None
        assert "replaced" in first.closed_with[1].lower() or first.closed_with[0] >= 4000
        assert [CAPTIONS] == second.running(), "what runs is seen where it runs"
        assert second.heard("microphone_state_change")[-1]["isMicrophoneEnabled"] is True
        assert frames + 1 == len(server.connection.frames())
        assert first_frames == len(first.sent), "and nothing goes to the other"


async def test_issue_376_a_start_under_way_at_a_drop_ends_one_way_or_the_other(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        server.dials = False  # it answers its webhook and never connects
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(1)

        phone.hang_up()
        phone = await world.phone()
        await trio.sleep(30)

        state = phone.heard("app_state_change")[-1]["userSession"]
        assert [] == state["loadingApps"], "no endless Connecting"
        server.dials = True
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(2)
        assert [CAPTIONS] == phone.running()


async def test_pr_2368_four_drops_in_four_minutes_leave_the_captions_alive(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for _ in range(4):
            server.connection.hang_up()
            phone.hang_up()
            await trio.sleep(1)
            connection = await server.dial(f"{ADA}-{CAPTIONS}")
            server.connections.append(connection)
            connection.say({"type": "subscription_update", "packageName": CAPTIONS, "subscriptions": []})
            phone = await world.phone()
            await trio.sleep(0.3)
            server.subscribe()
            await trio.sleep(58)
            assert phone.heard("microphone_state_change")[-1]["isMicrophoneEnabled"] is True
            phone = await world.phone()  # it was silent for a minute
            await trio.sleep(1)
            assert await is_served(world, phone, server)

        assert ["session_request"] == server.kinds(), "no manual restart"


async def test_pr_2355_a_lost_phone_is_logged_with_code_silence_and_count(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await trio.sleep(3)
        phone.hang_up()
        await trio.sleep(1)
        phone = await world.phone()
        phone.hang_up(1001)
        await world.settle()

        first, second = world.telemetry.of("phone_lost")
        assert (1006, 1001) == (first["code"], second["code"])
        assert first["silent_s"] == pytest.approx(3.0, abs=0.1)
        assert (0, 1) == (first["reconnects"], second["reconnects"])


async def test_pr_2592_a_phone_that_opens_87_sockets_a_minute_harms_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        calm = await world.phone("bob@example.org")
        phone = await world.phone()
        server = await world.running_app(phone)
        gc.collect()
        before = len(gc.get_objects())

        for _ in range(200):
            phone = await world.phone()
            await trio.sleep(60 / 87)
            calm.say({"type": "ping"})
        await world.settle()

        assert await is_served(world, phone, server)
        assert calm.is_open
        assert 201 <= calm.kinds().count("pong") + 1
        assert ["session_request"] == server.kinds()
        calm.sent.clear()
        gc.collect()
        assert len(gc.get_objects()) - before < 20_000, "what a takeover leaves behind goes with it"


@pytest.mark.parametrize("is_pinging", [True, False])
async def test_pr_2064_a_dead_phone_socket_is_noticed_within_seconds(
    autojump_clock: MockClock, is_pinging: bool
) -> None:
    """A phone that pings owes nothing but its next ping; one that was asked owes an answer."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        for _ in range(3):
            if is_pinging:
                phone.say({"type": "ping"})
            phone.health.missed_pongs = 0
            phone.health.has_shown_pongs = True
            await trio.sleep(2)

        await trio.sleep(12)

        assert not phone.is_open
        assert server.connection.is_open, "the apps stay"


async def test_pr_2206_an_idle_app_socket_is_kept_alive_without_a_word(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["button_press"])
        said = len(server.connection.sent)
        at = []

        for _ in range(600):
            pings = server.connection.pings
            phone.say({"type": "ping"})
            await trio.sleep(1)
            server.connection.health.missed_pongs = 0
            server.connection.health.last_activity_at = world.system.clock.now()
            if server.connection.pings > pings:
                at.append(world.system.clock.now())

        assert server.connection.is_open
        assert said == len(server.connection.sent), "a 2.x app hears no message that it does not know"
        assert max(later - earlier for earlier, later in itertools.pairwise(at)) < 30, "proxies cut at 60"


async def test_pr_454_an_app_that_does_not_return_in_time_is_started_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.hang_up()
        await trio.sleep(15)

        assert ["session_request", "session_request"] == server.kinds(), "one webhook, not two"
        phone = await world.phone()
        await trio.sleep(1)
        assert await is_served(world, phone, server)
        assert [CAPTIONS] == phone.running()


async def test_pr_1502_after_a_reconnect_everything_uses_the_new_socket(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        old = server.connection

        await server.come_back()  # the old socket is half-open and says nothing of its end
        await trio.sleep(1)
        heard = len(old.sent)

        assert await is_served(world, phone, server)
        assert heard == len(old.sent)
        assert not old.is_open


async def test_pr_2717_what_an_actor_spends_is_seen_for_each_message(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)
        link = world.find(f"users/{ADA}/link")
        world.system.trace_messages(link, on=True)

        for _ in range(3):
            phone.say(PRESS)
        await world.settle()

        node = world.system.tree(link)
        assert [3] == [spent.count for name, spent in node.spent.items() if "PhoneSaid" in name]
        assert 0 == node.depth
        assert node.oldest_age_s is None


async def test_issue_1488_a_hundred_sessions_leave_nothing_behind(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:

        async def objects() -> int:
            await trio.sleep(600)  # a timer that was cancelled is remembered until it would have been due
            # What keeps the most recent of everything on purpose, and the store, are not what is looked at.
            world.system.dead_letters.recent.clear()
            world.telemetry.facts.clear()
            documents.owners.clear()
            gc.collect()
            return len(gc.get_objects())

        await _come_and_go(world, 20, "warm")
        before, actors = await objects(), len(list(world.system.tree().walk()))

        await _come_and_go(world, 100, "many")

        assert actors == len(list(world.system.tree().walk()))
        assert await objects() - before < 100, "not one a session"


async def test_issue_1488_a_slow_database_keeps_no_phone_waiting(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.store.faults = StoreFaults(max_delay_s=20.0)

        with trio.fail_after(3):
            phone = await world.phone()

        assert "connection_ack" == phone.kinds()[0]


async def _come_and_go(world: World, count: int, name: str) -> None:
    phones = [await world.phone(f"{name}{number}@example.org") for number in range(count)]
    await trio.sleep(1)
    for number in range(count):
        assert await world.find(f"users/{name}{number}@example.org/session").ask(Goodbye)
    await trio.sleep(5)
    assert not any(phone.is_open for phone in phones)
