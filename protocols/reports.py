"""What a phone says over REST: the bodies, and the messages of its socket that they stand for (1.2, 9.4).

Newer phones report over REST what older ones said on the socket. Whatever came, the rest of the server sees
the socket's message, so apps hear one form of everything.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from protocols import from_phone
from protocols.envelope import Scalar, Timestamp, encode
from protocols.errors import MalformedMessage
from protocols.from_phone import PhoneMessage

Name = Annotated[str, Meta(min_length=1, max_length=1024)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]

MOST_EVENTS = 200


class Coordinates(msgspec.Struct, frozen=True, kw_only=True):
    """Expo's coordinates."""

    latitude: Latitude
    longitude: Longitude
    accuracy: float | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A location in either form: `lat` and `lng`, or Expo's `coords`."""

    lat: Latitude | None = None
    lng: Longitude | None = None
    accuracy: float | None = None
    timestamp: Timestamp = None
    coords: Coordinates | None = None


class PlaceReport(Place, frozen=True, kw_only=True):
    """POST `/api/client/location`: a place, bare or wrapped as `location`."""

    location: Place | None = None


class CalendarItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as the socket has it, or as Expo's calendar does (`id`, `startDate`, ...)."""

    event_id: str | None = None
    title: Scalar = None
    dt_start: Timestamp = None
    dt_end: Timestamp = None
    timezone: Scalar = None
    time_stamp: Timestamp = None
    id: str | None = None
    start_date: Timestamp = None
    end_date: Timestamp = None
    time_zone: Scalar = None


class CalendarReport(msgspec.Struct, frozen=True, kw_only=True):
    """POST `/api/client/calendar`."""

    events: Annotated[tuple[CalendarItem, ...], Meta(max_length=MOST_EVENTS)]


class NotificationReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/client/notifications`."""

    notification_id: Name
    app: Name
    title: str
    content: str
    priority: Scalar = None
    timestamp: Timestamp = None
    package_name: str | None = None


class DismissalReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/client/notifications/dismissed`."""

    notification_id: Name
    notification_key: Name
    package_name: Name


class PhotoReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/client/photo/response`."""

    request_id: Name
    success: bool
    photo_url: str | None = None
    saved_to_gallery: bool | None = None
    error_code: str | None = None
    error_message: str | None = None


class ButtonReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/hardware/button-press`."""

    button_id: Name
    press_type: str = "short"


class DatetimeReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/user-data/set-datetime`. `userId` is what generation A sends; the token says who it is."""

    datetime: Name
    user_id: str | None = None


def located(report: PlaceReport, *, correlation_id: str | None = None) -> from_phone.LocationUpdate:
    """The place in any of its forms.

    Args:
      correlation_id: of the poll that it answers.

    Raises:
      MalformedMessage: no form of it is complete.
    """
    place: Place = report if report.location is None else report.location
    lat, lng, accuracy = place.lat, place.lng, place.accuracy
    if place.coords is not None:
        coords = place.coords
        lat, lng, accuracy = coords.latitude, coords.longitude, coords.accuracy
    if lat is None or lng is None:
        raise MalformedMessage("expected lat and lng, or coords with latitude and longitude")
    return from_phone.LocationUpdate(
        lat=lat, lng=lng, accuracy=accuracy, correlation_id=correlation_id, timestamp=place.timestamp
    )


def calendar_events(report: CalendarReport) -> tuple[from_phone.CalendarEvent, ...]:
    """The events in the socket's form.

    Raises:
      MalformedMessage: one has no id.
    """
    return tuple(map(_calendar_event, report.events))


def _calendar_event(item: CalendarItem) -> from_phone.CalendarEvent:
    event_id = item.event_id or item.id
    if not event_id:
        raise MalformedMessage("expected an eventId, or an id, with every event")
    start = item.start_date if item.dt_start is None else item.dt_start
    end = item.end_date if item.dt_end is None else item.dt_end
    return from_phone.CalendarEvent(
        event_id=event_id,
        title=item.title,
        dt_start=start,
        dt_end=end,
        timezone=item.time_zone if item.timezone is None else item.timezone,
        time_stamp=item.time_stamp,
    )


def notified(report: NotificationReport) -> from_phone.PhoneNotification:
    return from_phone.PhoneNotification(
        notification_id=report.notification_id,
        app=report.app,
        title=report.title,
        content=report.content,
        priority=report.priority or "normal",
        timestamp=report.timestamp,
    )


def dismissed(report: DismissalReport) -> from_phone.PhoneNotificationDismissed:
    return from_phone.PhoneNotificationDismissed(
        notification_id=report.notification_id,
        notification_key=report.notification_key,
        app=report.package_name,
    )


def photographed(report: PhotoReport) -> from_phone.PhotoResponse:
    error = None
    if not report.success:
        error = from_phone.PhotoError(code=report.error_code, message=report.error_message)
    return from_phone.PhotoResponse(
        request_id=report.request_id,
        success=report.success,
        photo_url=report.photo_url,
        saved_to_gallery=report.saved_to_gallery,
        error=error,
    )


def pressed(report: ButtonReport) -> from_phone.ButtonPress:
    return from_phone.ButtonPress(button_id=report.button_id, press_type=report.press_type)


def as_sent(message: PhoneMessage, **more: Any) -> bytes:
    """The message as the phone would have sent it on its socket: what apps are handed.

    Args:
      more: fields that the message's type leaves to whoever passes it on.
    """
    if not more:
        return encode(message)
    return msgspec.json.encode({**msgspec.json.decode(encode(message)), **more})
