"""What a phone reports over REST: its glasses, its place, calendar, notifications, photos; and complaints.

Each report becomes the message that older phones sent on the socket, and goes the same way from there. The
answer leaves when the session has taken it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from actors.session.messages import set_datetime, take_device_state, take_report
from actors.users.roster import find_user
from adapters.http.desk import Desk
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import home, reports, timestamps
from protocols.device_state import AppliedState, GlassesInfo
from protocols.error_codes import ErrorCode
from protocols.errors import MalformedMessage
from protocols.from_phone import PhoneMessage

T = TypeVar("T")

TAKE_S: Final = 2.0
MOST_DATETIME_CHARACTERS: Final = 64
SHOWN_BYTES: Final = 2000
"""Of a complaint in the log; whoever wrote more has said it there."""

OWN = "the caller's own session"


class AppliedAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/client/device/state`."""

    applied_state: AppliedState
    timestamp: str
    success: bool = True


class Photos(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/gallery`: always empty, since photos go to the apps and none is kept here."""

    photos: tuple[str, ...] = ()
    success: bool = True


class Taken(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A complaint is in the log, under this id where it has one."""

    timestamp: str
    incident_id: str | None = None
    success: bool = msgspec.field(default_factory=lambda: True)


DEVICE_STATE = Route(
    "POST",
    "/api/client/device/state",
    Caller.SESSION,
    OWN,
    "What the glasses are, in part; apps hear of what is new.",
    request=GlassesInfo,
    answer=AppliedAnswer,
)
CALENDAR = Route(
    "POST",
    "/api/client/calendar",
    Caller.SESSION,
    OWN,
    "Events of the wearer's calendar, as the socket or as Expo has them.",
    request=reports.CalendarReport,
    answer=home.Done,
)
LOCATION = Route(
    "POST",
    "/api/client/location",
    Caller.SESSION,
    OWN,
    "Where the phone is, as `lat` and `lng` or as Expo's `coords`, bare or as `location`.",
    request=reports.PlaceReport,
    answer=home.Done,
)
POLL_RESPONSE = Route(
    "POST",
    "/api/client/location/poll-response/<correlation_id>",
    Caller.SESSION,
    OWN,
    "The same, as the answer to `request_single_location`.",
    request=reports.PlaceReport,
    answer=home.Resolved,
)
NOTIFICATIONS = Route(
    "POST",
    "/api/client/notifications",
    Caller.SESSION,
    OWN,
    "A notification that came up on the phone.",
    request=reports.NotificationReport,
    answer=home.Done,
)
DISMISSED = Route(
    "POST",
    "/api/client/notifications/dismissed",
    Caller.SESSION,
    OWN,
    "A notification that is gone from the phone.",
    request=reports.DismissalReport,
    answer=home.Done,
)
PHOTO_RESPONSE = Route(
    "POST",
    "/api/client/photo/response",
    Caller.SESSION,
    OWN,
    "What became of a photo that an app had asked for.",
    request=reports.PhotoReport,
    answer=home.Done,
)
BUTTON_PRESS = Route(
    "POST",
    "/api/hardware/button-press",
    Caller.SESSION,
    OWN,
    "A button of the glasses, as generation A reports it.",
    request=reports.ButtonReport,
    answer=home.Done,
)
SET_DATETIME = Route(
    "POST",
    "/api/user-data/set-datetime",
    Caller.USER,
    OWN,
    "The wearer's local date and time; apps with the stream `custom_message` hear of it.",
    request=reports.DatetimeReport,
    answer=home.Done,
    statuses=(403, 404, 503),
)
FEEDBACK = Route(
    "POST",
    "/api/client/feedback",
    Caller.USER,
    "nobody's data: it is written into the log",
    "A word to who runs this server, of any form.",
    request=bytes,
    answer=Taken,
)
INCIDENT = Route(
    "POST",
    "/api/incidents",
    Caller.USER,
    "nobody's data: it is written into the log",
    "A complaint; it gets an id.",
    request=bytes,
    answer=Taken,
)
INCIDENT_LOGS = Route(
    "POST",
    "/api/incidents/<incident_id>/logs",
    Caller.USER,
    "nobody's data: its beginning is written into the log",
    "What belongs to a complaint.",
    request=bytes,
    answer=Taken,
)
ERROR_REPORT = Route(
    "POST",
    "/app/error-report",
    Caller.USER,
    "nobody's data: it is written into the log",
    "A phone app's own error.",
    request=bytes,
    answer=Taken,
)
GALLERY = Route[None](
    "GET",
    "/api/gallery",
    Caller.USER,
    "the caller's own photos, of which none is kept here",
    "Photos of generation A's gallery.",
    answer=Photos,
)
REMOVE_PHOTO = Route[None](
    "DELETE",
    "/api/gallery/<photo_id>",
    Caller.USER,
    "the caller's own photos, of which none is kept here",
    "Remove one, which is never there.",
    statuses=(404,),
    is_never_ok=True,
)

ROUTES = (
    DEVICE_STATE,
    CALENDAR,
    LOCATION,
    POLL_RESPONSE,
    NOTIFICATIONS,
    DISMISSED,
    PHOTO_RESPONSE,
    BUTTON_PRESS,
    SET_DATETIME,
    FEEDBACK,
    INCIDENT,
    INCIDENT_LOGS,
    ERROR_REPORT,
    GALLERY,
    REMOVE_PHOTO,
)


def phone_routes(desk: Desk, *, next_id: Callable[[str], str]) -> Routes:
    """Their views.

    Args:
      next_id: an id that begins with a word, for complaints.
    """
    routes = Routes("phone", desk)

    async def device(call: Call[GlassesInfo]) -> AppliedAnswer:
        applied = await call.session.ask(take_device_state(call.body), timeout_s=TAKE_S)
        return AppliedAnswer(applied_state=applied, timestamp=stamp())

    async def calendar(call: Call[reports.CalendarReport]) -> home.Done:
        for event in converted(reports.calendar_events, call.body):
            await taken(call, event)
        return home.Done(timestamp=stamp())

    async def location(call: Call[reports.PlaceReport]) -> home.Done:
        await taken(call, converted(reports.located, call.body))
        return home.Done(timestamp=stamp())

    async def poll_response(call: Call[reports.PlaceReport], correlation_id: str) -> home.Resolved:
        place = converted(lambda body: reports.located(body, correlation_id=correlation_id), call.body)
        return home.Resolved(resolved=await taken(call, place), timestamp=stamp())

    async def notification(call: Call[reports.NotificationReport]) -> home.Done:
        more = {"packageName": call.body.package_name} if call.body.package_name else {}
        await taken(call, reports.notified(call.body), **more)
        return home.Done(message="Notification received", timestamp=stamp())

    async def dismissal(call: Call[reports.DismissalReport]) -> home.Done:
        await taken(call, reports.dismissed(call.body), packageName=call.body.package_name)
        return home.Done(message="Dismissal received", timestamp=stamp())

    async def photo(call: Call[reports.PhotoReport]) -> home.Done:
        is_awaited = await taken(call, reports.photographed(call.body))
        message = "Photo response received" if is_awaited else "No app waits for this photo any more"
        return home.Done(message=message, timestamp=stamp())

    async def button(call: Call[reports.ButtonReport]) -> home.Done:
        await taken(call, reports.pressed(call.body))
        return home.Done(timestamp=stamp())

    async def datetime(call: Call[reports.DatetimeReport]) -> home.Done:
        said = call.body
        if said.user_id is not None and said.user_id.lower() != call.user_id:
            raise Failure(403, ErrorCode.PERMISSION_DENIED, "the token is another user's")
        if len(said.datetime) > MOST_DATETIME_CHARACTERS or timestamps.parse(said.datetime) is None:
            raise Failure(400, ErrorCode.INVALID_REQUEST, "datetime must be a time: 2026-11-21T06:00:00Z")
        session = await desk.roster.ask(find_user(call.user_id))
        if session is None:
            raise Failure(404, ErrorCode.SESSION_NOT_FOUND, "No active session found")
        await session.ask(set_datetime(said.datetime), timeout_s=TAKE_S)
        return home.Done(timestamp=stamp())

    async def complaint(call: Call[bytes], incident_id: str | None = None) -> Taken:
        text = call.body[:SHOWN_BYTES].decode("utf-8", "replace")
        desk.telemetry.warning(
            "phone_complained", user=call.user_id, incident=incident_id, bytes=len(call.body), text=text
        )
        return Taken(incident_id=incident_id, timestamp=stamp())

    async def incident(call: Call[bytes]) -> Taken:
        return await complaint(call, next_id("incident"))

    async def gallery(call: Call[None]) -> Photos:
        return Photos()

    async def remove_photo(call: Call[None], photo_id: str) -> object:
        raise Failure(404, ErrorCode.NOT_FOUND, "No such photo: none is kept here, photos go to the apps")

    async def taken(call: Call[T], message: PhoneMessage, **more: str) -> bool:
        """Hand a report to the session; whether an app waited for it."""
        return await call.session.ask(
            take_report(message, reports.as_sent(message, **more)), timeout_s=TAKE_S
        )

    def stamp() -> str:
        return timestamps.iso(desk.wall())

    routes.serve(DEVICE_STATE, device)
    routes.serve(CALENDAR, calendar)
    routes.serve(LOCATION, location)
    routes.serve(POLL_RESPONSE, poll_response)
    routes.serve(NOTIFICATIONS, notification)
    routes.serve(DISMISSED, dismissal)
    routes.serve(PHOTO_RESPONSE, photo)
    routes.serve(BUTTON_PRESS, button)
    routes.serve(SET_DATETIME, datetime)
    routes.serve(FEEDBACK, complaint)
    routes.serve(INCIDENT, incident)
    routes.serve(INCIDENT_LOGS, complaint)
    routes.serve(ERROR_REPORT, complaint)
    routes.serve(GALLERY, gallery)
    routes.serve(REMOVE_PHOTO, remove_photo)
    return routes


B = TypeVar("B")


def converted(convert: Callable[[B], T], body: B) -> T:
    """A body in the socket's form, or the 400 that says what it lacks."""
    try:
        return convert(body)
    except MalformedMessage as error:
        raise Failure(400, ErrorCode.INVALID_REQUEST, error.cause) from error
