"""What the incumbent's clouds paid for (protocol.md 4.8), one test a lesson."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.actors.world import ADA, CAPTIONS, FakeConnection, open_world

FRAME = b"\1\0" * 1600


def microphone_is_on(phone: FakeConnection) -> bool:
    on: bool = phone.heard("microphone_state_change")[-1]["isMicrophoneEnabled"]
    return on


@pytest.mark.parametrize("pause_s", [0.1, 1.0, 4.0, 7.9, 8.1])
async def test_issue_073_reconnects_in_quick_succession_lose_no_subscription(
    autojump_clock: MockClock, pause_s: float
) -> None:
    """The original ignored empty lists for 8 s after a reconnect, and the real ones with them."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for _ in range(5):
            server.connection.hang_up()
            connection = await server.dial(f"{ADA}-{CAPTIONS}")
            server.connections.append(connection)
            connection.say({"type": "subscription_update", "packageName": CAPTIONS, "subscriptions": []})
            server.subscribe()
            await trio.sleep(pause_s)
        await trio.sleep(10)
        phone = await world.phone()
        await trio.sleep(1)
        phone.stream(FRAME)

        assert microphone_is_on(phone)
        assert [FRAME] == server.connection.frames()
        assert 1 == len(world.speech.running())


async def test_note_006_an_empty_list_that_is_meant_is_obeyed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.connection.say({"type": "subscription_update", "packageName": CAPTIONS, "subscriptions": []})
        await world.settle()
        phone.stream(FRAME)
        assert [] == server.connection.frames(), "applied at once"

        await trio.sleep(15)

        assert not microphone_is_on(phone)
        assert [] == world.speech.running()


async def test_note_008_subscriptions_apply_in_the_order_they_were_sent(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        press = {"type": "button_press", "buttonId": "main", "pressType": "short"}

        for number in range(50):
            server.subscribe("audio_chunk" if number % 2 else "button_press")
        await world.settle()
        phone.say(press)
        phone.stream(FRAME)
        await world.settle()

        assert [FRAME] == server.connection.frames()
        assert [] == server.connection.heard("data_stream"), "the last list alone counts"


async def test_notes_034_035_046_both_directions_of_idle_sockets_are_kept_busy(
    autojump_clock: MockClock,
) -> None:
    """A proxy closes a direction in which nothing passed for 60 s."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["button_press"])
        quiet = [0.0, 0.0]

        for _ in range(300):
            before = (phone.pings + len(phone.sent), server.connection.pings)
            phone.health.last_activity_at = server.connection.health.last_activity_at = (
                world.system.clock.now()
            )
            phone.health.missed_pongs = server.connection.health.missed_pongs = 0
            await trio.sleep(1)
            after = (phone.pings + len(phone.sent), server.connection.pings)
            quiet = [
                0.0 if was != now else since + 1 for since, was, now in zip(quiet, before, after, strict=True)
            ]
            assert max(quiet) < 45


async def test_note_017_a_proxy_that_eats_pongs_makes_no_disconnect_loop(autojump_clock: MockClock) -> None:
    """It was a 13 minute outage: the phone lived, its pongs did not arrive."""
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)

        for _ in range(13 * 60 // 5):
            phone.say({"type": "ping"})
            await trio.sleep(5)

        assert phone.is_open
        assert phone.health.missed_pongs > 0


async def test_a_dead_app_holds_up_no_phones_ack(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.down()
        world.webhooks.faults[server.url] = "timeout"
        phone.hang_up()
        await trio.sleep(400)  # the session ended; the next one begins with the stored list

        with trio.fail_after(0.1):
            phone = await world.phone()

        assert "connection_ack" == phone.kinds()[0]
