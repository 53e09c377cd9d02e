"""What users report of the display (protocol.md 11.4), one test a thread."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.actors.world import CAPTIONS, open_world


async def test_issue_2138_words_of_a_caption_never_go_back(autojump_clock: MockClock) -> None:
    """A stale frame after a newer one is what made the last word appear, vanish and appear."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        seen = len(phone.texts())
        words = [" ".join(f"word{number}" for number in range(count)) for count in range(1, 60)]

        for text in words:
            server.show(text)
            await trio.sleep(0.07)
        await trio.sleep(1)

        lengths = [words.index(text) for text in phone.texts()[seen:]]
        assert sorted(set(lengths)) == lengths, "each is newer than the one before"
        assert len(words) - 1 == lengths[-1]


async def test_issue_2201_the_dashboard_leaves_the_foreground_app_where_it_was(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, app_type="standard")
        server.show("a caption")
        await trio.sleep(1)
        shown = len(phone.heard("display_event"))

        for position in ("up", "down", "up", "down"):
            phone.say({"type": "head_position", "position": position})
            await trio.sleep(1)
        views = [one["view"] for one in phone.heard("display_event")[shown:]]
        server.show("the next caption")
        await trio.sleep(1)

        assert "main" not in views, "nothing was put over the app"
        assert "the next caption" == phone.texts()[-1]


async def test_issue_1150_no_reconnect_flashes_connected(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)

        texts = []
        for _ in range(10):
            phone.hang_up()
            await trio.sleep(5)
            phone = await world.phone()
            await trio.sleep(5)
            texts += phone.texts()

        assert not [text for text in texts if "connect" in text.lower()]


async def test_pr_3279_what_was_shown_while_the_phone_was_away_is_one_frame(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.hang_up()
        for number in range(600):
            server.show(f"caption {number}")
            await trio.sleep(0.1)
        phone = await world.phone()
        await trio.sleep(5)

        assert ["caption 599"] == phone.texts(), "the newest, and no flood"


async def test_pr_3279_a_burst_is_never_queued(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        seen = len(phone.texts())

        for number in range(150):
            server.show(f"caption {number}")
        await trio.sleep(0.4)

        assert "caption 149" == phone.texts()[-1]
        assert len(phone.texts()) - seen <= 2, "one at once, and 300 ms later the newest"


async def test_issue_2197_the_screen_does_not_freeze_after_twenty_minutes(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for second in range(40 * 60):
            phone.say({"type": "ping"})
            server.show(f"second {second}")
            await trio.sleep(0.5)
            assert f"second {second}" == phone.texts()[-1]
            phone.sent.clear()
            server.connection.health.missed_pongs = 0
            server.connection.health.last_activity_at = world.system.clock.now()
            await trio.sleep(0.5)

        assert 1 == len(server.connections)


async def test_issue_3043_the_dashboard_shows_what_apps_have_to_say(autojump_clock: MockClock) -> None:
    """What a useful one says comes from apps; each wearer's is there without being asked for."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.say(
            {
                "type": "dashboard_content_update",
                "packageName": CAPTIONS,
                "content": "3 captions today",
                "modes": ["main"],
            }
        )
        await trio.sleep(1)

        dashboards = [one for one in phone.heard("display_event") if one["view"] == "dashboard"]
        assert "3 captions today" in str(dashboards[-1]["layout"])


async def test_pr_229_the_display_after_a_crash_of_its_manager_is_the_one_before(
    autojump_clock: MockClock,
) -> None:
    """The rewrites asked for a display manager that cannot be wedged: its crash shows nothing else."""
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("a caption")
        await trio.sleep(1)
        shown = [text for text in phone.texts() if text]

        world.find("users/ada@example.org/display").tell(object())
        await trio.sleep(2)
        server.show("the next")
        await trio.sleep(1)

        assert [*shown, "the next"] == [text for text in phone.texts() if text]
