"""What a phone reports over REST reaches the apps as what older phones said on the socket."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.actors.world import AppServer
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, Scene, scene

DEVICE = "/api/client/device/state"
PLACE = {"lat": 1.5, "lng": 2.5, "accuracy": 10.0}
COORDS = {"latitude": 1.5, "longitude": 2.5, "accuracy": 10.0, "altitude": 99}
EVENT = {"eventId": "e1", "title": "Tea", "dtStart": "2026-11-22T15:00:00Z", "dtEnd": "2026-11-22T16:00:00Z"}
EXPO_EVENT = {
    "id": "e2",
    "title": "Walk",
    "startDate": "2026-11-23T15:00:00.000Z",
    "endDate": "2026-11-23T16:00:00.000Z",
    "timeZone": "Europe/Zurich",
}
NOTE = {"notificationId": "n1", "app": "Mail", "title": "Hello", "content": "from Bob", "packageName": "m"}
DISMISSAL = {"notificationId": "n1", "notificationKey": "0|m|1", "packageName": "m"}
PHOTO = {"requestId": "p1", "success": False, "errorCode": "CAMERA_BUSY", "errorMessage": "in use"}
WITH_SESSION = [
    (DEVICE, {"connected": True}),
    ("/api/client/calendar", {"events": [EVENT]}),
    ("/api/client/location", PLACE),
    ("/api/client/location/poll-response/c1", PLACE),
    ("/api/client/notifications", NOTE),
    ("/api/client/notifications/dismissed", DISMISSAL),
    ("/api/client/photo/response", PHOTO),
    ("/api/hardware/button-press", {"buttonId": "main"}),
]


def events(server: AppServer, stream: str) -> list[dict[str, Any]]:
    """What the app heard on a stream."""
    told = server.connection.heard("data_stream")
    return [one["data"] for one in told if one["streamType"] == stream]


@pytest.mark.parametrize(("path", "body"), WITH_SESSION)
async def test_without_a_session_the_answer_is_the_503_that_has_the_phone_dial_again(
    autojump_clock: MockClock, path: str, body: object
) -> None:
    async with scene() as there:
        answer = await there.post(path, body, user=ADA)

        assert (503, "no_active_session") == (answer.status, answer.body["error"])


@pytest.mark.parametrize(("path", "body"), WITH_SESSION)
async def test_what_lacks_something_is_a_400(autojump_clock: MockClock, path: str, body: object) -> None:
    async with scene() as there:
        await there.phone()

        bodies: tuple[object, ...] = ([], 7, {"connected": "perhaps", "events": [{}], "lat": 91, "lng": 0})
        for wrong in bodies:
            answer = await there.post(path, wrong, user=ADA)
            assert (400, "INVALID_REQUEST") == (answer.status, answer.body["code"]), wrong


async def test_the_glasses_state_is_merged_answered_and_told(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        server = await there.running(phone, subscriptions=["glasses_connection_state"])

        answer = await there.post(DEVICE, {"connected": True, "modelName": "Mentra Live"}, user=ADA)
        applied = answer.body["appliedState"]
        assert (200, True, True, "Mentra Live", True) == (
            answer.status,
            applied["isGlassesConnected"],
            applied["isPhoneConnected"],
            applied["modelName"],
            applied["capabilities"]["hasCamera"],
        )
        await there.post(DEVICE, {"batteryLevel": 55, "somethingNew": 1}, user=ADA)
        await there.post(DEVICE, {"batteryLevel": 55}, user=ADA)
        await there.world.settle()

        assert ["Mentra Live"] == [one["modelName"] for one in server.connection.heard("capabilities_update")]
        states = [one["state"] for one in server.connection.heard("device_state_update")][1:]
        assert [{"connected": True, "modelName": "Mentra Live"}, {"batteryLevel": 55.0}] == states
        assert [("CONNECTED", "Mentra Live")] == [
            (one["status"], one["modelName"]) for one in events(server, "glasses_connection_state")
        ]
        later = await there.post(DEVICE, {"connected": False}, user=ADA)
        assert (False, "Mentra Live") == (
            later.body["appliedState"]["isGlassesConnected"],
            later.body["appliedState"]["modelName"],
        )
        assert "DISCONNECTED" == events(server, "glasses_connection_state")[-1]["status"]


async def test_an_unknown_model_has_no_capabilities_before_it_is_said(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.phone()

        answer = await there.post(DEVICE, {}, user=ADA)

        assert answer.body["appliedState"]["capabilities"] is None


async def test_glasses_that_come_back_are_shown_what_they_missed(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        server = await there.running(phone)
        await there.post(DEVICE, {"connected": False, "modelName": "Even Realities G1"}, user=ADA)
        server.show("while they were away")
        await trio.sleep(1)
        assert "while they were away" not in phone.texts()

        await there.post(DEVICE, {"connected": True}, user=ADA)
        await trio.sleep(1)

        assert "while they were away" == phone.texts()[-1]


@pytest.mark.parametrize(
    "body", [PLACE, {"location": PLACE}, {"coords": COORDS}, {"location": {"coords": COORDS, "timestamp": 5}}]
)
async def test_a_place_in_any_form_reaches_the_apps(autojump_clock: MockClock, body: object) -> None:
    async with scene() as there:
        server = await there.running(await there.phone(), subscriptions=["location_update"])

        answer = await there.post("/api/client/location", body, user=ADA)
        await there.world.settle()

        (event,) = events(server, "location_update")
        assert (200, 1.5, 2.5, 10.0, "location_update") == (
            answer.status,
            event["lat"],
            event["lng"],
            event["accuracy"],
            event["type"],
        )


async def test_a_polls_answer_says_whether_an_app_waited_for_it(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        server = await there.running(phone, subscriptions=["button_press"])
        server.connection.say({"type": "location_poll_request", "correlationId": "c1"})
        await there.world.settle()
        assert 1 == len(phone.heard("request_single_location"))

        path = "/api/client/location/poll-response/c1"
        first = await there.post(path, {"coords": COORDS}, user=ADA)
        second = await there.post(path, PLACE, user=ADA)

        assert ((200, True), (200, False)) == (
            (first.status, first.body["resolved"]),
            (second.status, second.body["resolved"]),
        )
        assert ["c1"] == [one["correlationId"] for one in events(server, "location_update")]


async def test_calendar_events_of_both_forms_reach_apps_that_come_later_too(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        phone = await there.phone()

        answer = await there.post("/api/client/calendar", {"events": [EVENT, EXPO_EVENT]}, user=ADA)
        server = await there.running(phone, subscriptions=["calendar_event"])

        assert 200 == answer.status
        heard = events(server, "calendar_event")
        assert [("e1", "Tea"), ("e2", "Walk")] == [(one["eventId"], one["title"]) for one in heard]
        assert ("2026-11-23T15:00:00.000Z", "Europe/Zurich") == (heard[1]["dtStart"], heard[1]["timezone"])


async def test_notifications_come_and_go(autojump_clock: MockClock) -> None:
    async with scene() as there:
        streams = ["phone_notification", "phone_notification_dismissed"]
        server = await there.running(await there.phone(), subscriptions=streams)

        came = await there.post("/api/client/notifications", NOTE, user=ADA)
        went = await there.post("/api/client/notifications/dismissed", DISMISSAL, user=ADA)
        await there.world.settle()

        assert (200, 200) == (came.status, went.status)
        (note,) = events(server, "phone_notification")
        assert ("Mail", "from Bob", "normal", "m") == tuple(
            note[name] for name in ("app", "content", "priority", "packageName")
        )
        (gone,) = events(server, "phone_notification_dismissed")
        assert ("n1", "0|m|1") == (gone["notificationId"], gone["notificationKey"])


async def test_an_app_without_the_permission_hears_of_no_notification(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        server = await there.running(phone, subscriptions=["phone_notification"], permissions=("MICROPHONE",))

        await there.post("/api/client/notifications", NOTE, user=ADA)
        await there.world.settle()

        assert [] == events(server, "phone_notification")


async def test_a_photo_that_failed_is_told_to_the_app_server(autojump_clock: MockClock) -> None:
    async with scene() as there:
        server = await there.running(await there.phone())
        server.connection.say({"type": "photo_request", "requestId": "p1"})
        await there.world.settle()

        first = await there.post("/api/client/photo/response", PHOTO, user=ADA)
        again = await there.post("/api/client/photo/response", PHOTO, user=ADA)
        await there.world.settle()

        posted = [call.body for call in there.world.webhooks.calls if call.path == "/photo-upload"]
        assert 1 == len(posted)
        assert b'"errorCode":"CAMERA_BUSY"' in posted[0]
        assert ("Photo response received", 200) == (first.body["message"], again.status)
        assert "No app waits" in again.body["message"]


async def test_a_button_is_pressed(autojump_clock: MockClock) -> None:
    async with scene() as there:
        server = await there.running(await there.phone(), subscriptions=["button_press"])

        await there.post("/api/hardware/button-press", {"buttonId": "main", "pressType": "long"}, user=ADA)
        await there.world.settle()

        assert [("main", "long")] == [
            (one["buttonId"], one["pressType"]) for one in events(server, "button_press")
        ]


async def test_the_wearers_time_reaches_apps_now_and_later(autojump_clock: MockClock) -> None:
    path, moment = "/api/user-data/set-datetime", "2026-11-22T15:00:00+01:00"
    async with scene() as there:
        early = await there.post(path, {"datetime": moment}, user=ADA)
        phone = await there.phone()
        server = await there.running(phone, subscriptions=["custom_message"])
        now = await there.post(path, {"userId": ADA.upper(), "datetime": moment}, user=ADA)
        await there.world.settle()
        later = await there.running(phone, "org.example.later", key="k", subscriptions=["custom_message"])

        assert (404, 200) == (early.status, now.status)
        for one in (server, later):
            (told,) = one.connection.heard("custom_message")
            assert ("update_datetime", {"datetime": moment, "section": "topLeft"}) == (
                told["action"],
                told["payload"],
            )


async def test_somebody_elses_time_is_not_set_and_no_time_is_none(autojump_clock: MockClock) -> None:
    path = "/api/user-data/set-datetime"
    async with scene() as there:
        phone = await there.phone(BOB)
        server = await there.running(phone, subscriptions=["custom_message"])

        other = await there.post(path, {"userId": BOB, "datetime": "2026-11-22T15:00:00Z"}, user=ADA)
        wrong = await there.post(path, {"datetime": "tea time"}, user=BOB)
        await there.world.settle()

        assert (403, 400) == (other.status, wrong.status)
        assert [] == server.connection.heard("custom_message")


@pytest.mark.parametrize(
    "path", ["/api/client/feedback", "/api/incidents", "/api/incidents/i7/logs", "/app/error-report"]
)
async def test_a_complaint_of_any_form_is_in_the_log(autojump_clock: MockClock, path: str) -> None:
    async with scene() as there:
        answer = await there.call("POST", path, user=ADA, raw=b'{"it": "does not work"} \xff' + b"x" * 5000)
        nobody = await there.call("POST", path, raw=b"{}")

        assert (200, 401) == (answer.status, nobody.status)
        (noted,) = there.world.telemetry.of("phone_complained")
        assert (ADA, 5025) == (noted["user"], noted["bytes"])
        assert 2000 >= len(str(noted["text"]))
        if path == "/api/incidents":
            assert noted["incident"] == answer.body["incidentId"]


async def test_no_photo_is_kept_here(autojump_clock: MockClock) -> None:
    async with scene() as there:
        photos = await there.get("/api/gallery", user=ADA)
        gone = await there.call("DELETE", "/api/gallery/p1", user=ADA)

        assert (200, []) == (photos.status, photos.body["photos"])
        assert (404, "NOT_FOUND") == (gone.status, gone.body["code"])


async def test_a_session_that_has_just_crashed_answers_all_the_same(autojump_clock: MockClock) -> None:
    async with scene() as there:
        server = await there.running(await there.phone(), subscriptions=["location_update"])
        there.world.find(f"users/{ADA}/session").crash(RuntimeError("planned"))

        answer = await _again(there)
        await there.world.settle()

        assert 200 == answer
        assert 1 <= len(events(server, "location_update"))
        assert CAPTIONS == server.package


async def _again(there: Scene) -> int:
    """Send the place until it is taken: a crash may answer 503 once."""
    while True:
        answer = await there.post("/api/client/location", PLACE, user=ADA)
        if answer.status != 503:
            return answer.status
        await trio.sleep(float(answer.headers["Retry-After"]))
