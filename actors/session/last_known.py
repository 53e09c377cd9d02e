"""What a new subscriber is sent at once: the last location, and the wearer's calendar (protocol.md 5.6).

A phone reports both when they change, which may be hours before an app starts.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols import from_phone, streams, timestamps

MOST_CALENDAR_EVENTS = 100

EventKey = tuple[str, str]
"""A calendar event's id and start: the occurrences of one that recurs share the id."""


class CalendarEntry(msgspec.Struct, frozen=True):
    """One event as the phone sent it. Times are epoch seconds, None where it gave none that can be read."""

    raw: bytes
    starts_at: float | None
    ends_at: float | None


class LastKnown(msgspec.Struct, frozen=True):
    """The newest of what the phone has said of its place and of the wearer's calendar.

    Attributes:
      located_at: the epoch second at which `location` came.
      datetime: the wearer's local date and time, as the phone set it.
    """

    location: bytes | None = None
    calendar: Mapping[EventKey, CalendarEntry] = {}
    located_at: float | None = None
    datetime: str | None = None


def remember(known: LastKnown, message: from_phone.PhoneMessage, raw: bytes, wall: float) -> LastKnown:
    """What is known after `message`, which arrived as `raw` at the epoch second `wall`."""
    match message:
        case from_phone.LocationUpdate():
            return msgspec.structs.replace(known, location=raw, located_at=wall)
        case from_phone.CalendarEvent():
            entry = CalendarEntry(raw, timestamps.parse(message.dt_start), timestamps.parse(message.dt_end))
            key = (message.event_id, str(message.dt_start))
            kept = _by_nearness({**known.calendar, key: entry}, wall)[:MOST_CALENDAR_EVENTS]
            return msgspec.structs.replace(known, calendar=dict(kept))
        case _:
            return known


def replays(known: LastKnown, stream: str, wall: float) -> tuple[bytes, ...]:
    """What a new subscriber of the base `stream` is owed: calendar events with the upcoming ones first."""
    if stream in (streams.LOCATION_UPDATE, streams.LOCATION_STREAM):
        return () if known.location is None else (known.location,)
    if stream == streams.CALENDAR_EVENT:
        return tuple(entry.raw for _, entry in _by_nearness(known.calendar, wall))
    return ()


def _by_nearness(
    calendar: Mapping[EventKey, CalendarEntry], wall: float
) -> list[tuple[EventKey, CalendarEntry]]:
    """Upcoming events by their start, then those that are over, latest first, then those without a time."""

    def order(item: tuple[EventKey, CalendarEntry]) -> tuple[int, float]:
        entry = item[1]
        if entry.starts_at is None:
            return 2, 0.0
        ends_at = entry.starts_at if entry.ends_at is None else entry.ends_at
        return (0, entry.starts_at) if ends_at >= wall else (1, -entry.starts_at)

    return sorted(calendar.items(), key=order)
