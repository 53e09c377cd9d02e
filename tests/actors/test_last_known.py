"""A new subscriber hears at once what the phone said before it came (protocol.md 5.6)."""

from __future__ import annotations

import msgspec
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.session.last_known import MOST_CALENDAR_EVENTS, LastKnown, remember, replays
from protocols import from_phone
from tests.actors.world import open_world

HERE = {"type": "location_update", "lat": 52.5, "lng": 13.4}


def meeting(event_id: str, starts_at_s: float | None, lasts_s: float = 3600) -> from_phone.CalendarEvent:
    if starts_at_s is None:
        return from_phone.CalendarEvent(event_id=event_id)
    ends_at_s = starts_at_s + lasts_s
    return from_phone.CalendarEvent(event_id=event_id, dt_start=starts_at_s * 1000, dt_end=ends_at_s * 1000)


def known_of(*events: from_phone.CalendarEvent, wall: float) -> LastKnown:
    known = LastKnown()
    for event in events:
        known = remember(known, event, f"{event.event_id} {event.dt_start}".encode(), wall)
    return known


def names(known: LastKnown, wall: float) -> list[str]:
    return [raw.decode().split()[0] for raw in replays(known, "calendar_event", wall)]


def test_upcoming_events_come_first_then_those_that_are_over_then_those_without_a_time() -> None:
    known = known_of(
        meeting("dateless", None),
        meeting("long over", 1_000),
        meeting("later", 90_000),
        meeting("just over", 40_000),
        meeting("going on", 49_000),
        meeting("next", 60_000),
        wall=50_000,
    )

    assert ["going", "next", "later", "just", "long", "dateless"] == names(known, 50_000)


def test_an_event_told_again_counts_once_and_each_occurrence_for_itself() -> None:
    known = known_of(meeting("a", 10), meeting("a", 10), meeting("a", 20), wall=0)

    assert 2 == len(replays(known, "calendar_event", 0))


def test_times_may_be_text() -> None:
    events = [
        from_phone.CalendarEvent(event_id=day, dt_start=f"2026-11-{day}T09:00:00Z") for day in ("23", "22")
    ]

    assert ["22", "23"] == names(known_of(*events, wall=1_700_000_000), 1_700_000_000)


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=90, max_size=130), st.integers(0, 10**9)
)
def test_a_calendar_is_bounded_and_keeps_what_comes_next(starts: list[int | None], wall: int) -> None:
    known = known_of(*(meeting(str(number), start) for number, start in enumerate(starts)), wall=wall)

    upcoming = sorted(start for start in starts if start is not None and start >= wall)
    assert len(known.calendar) <= MOST_CALENDAR_EVENTS
    kept = [entry.starts_at for entry in known.calendar.values()]
    assert all(start in kept for start in upcoming[: MOST_CALENDAR_EVENTS // 2])


def test_the_newest_location_answers_for_both_streams_and_nothing_for_others() -> None:
    known = remember(LastKnown(), from_phone.LocationUpdate(lat=1, lng=2), b"first", 0)
    known = remember(known, from_phone.LocationUpdate(lat=3, lng=4), b"second", 0)
    known = remember(known, from_phone.Ping(), b"ping", 0)

    assert (b"second",) == replays(known, "location_update", 0) == replays(known, "location_stream", 0)
    assert () == replays(known, "button_press", 0) == replays(LastKnown(), "location_update", 0)


async def test_an_app_that_starts_later_hears_where_the_wearer_is_and_what_comes(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.say(HERE)
        phone.say(
            {"type": "calendar_event", "eventId": "1", "title": "Surgery", "dtStart": "2026-11-22T09:00:00Z"}
        )

        wanted = ["location_update", "calendar_event", "button_press"]
        server = await world.running_app(phone, subscriptions=wanted)

        heard = [(event["streamType"], event["data"]) for event in server.connection.heard("data_stream")]
        assert ["location_update", "calendar_event"] == [stream for stream, _ in heard]
        assert 52.5 == heard[0][1]["lat"]
        assert "Surgery" == heard[1][1]["title"]


async def test_an_app_without_the_permission_is_not_told_where_the_wearer_is(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.say(HERE)

        server = await world.running_app(
            phone, subscriptions=["location_update", "button_press"], permissions=["MICROPHONE"]
        )

        assert [] == server.connection.heard("data_stream")


async def test_a_list_told_again_replays_nothing_and_one_after_a_reconnect_does(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["location_update"])
        phone.say(HERE)
        server.subscribe()
        await world.settle()
        assert 1 == len(server.connection.heard("data_stream"))

        server.connection.hang_up()
        phone.say(msgspec.json.encode({**HERE, "lat": 48.1}))
        await trio.sleep(1)
        await server.come_back()

        (missed,) = server.connection.heard("data_stream")
        assert 48.1 == missed["data"]["lat"]
