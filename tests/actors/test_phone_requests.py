"""What apps ask of the phone and the glasses: passed on, answered, or refused with the hop and the reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.ports import WebhookAnswer
from adapters.simulated.webhooks import Call
from protocols import location_tiers
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World, open_world

LIVE = "Mentra Live"  # with camera, light, Wi-Fi
G1 = "Even Realities G1"  # without
PHOTO = {"type": "photo_request", "requestId": "p1", "size": "small"}
LIGHT = {"type": "rgb_led_control", "requestId": "l1", "action": "on", "color": "red"}
WIFI = {"type": "request_wifi_setup", "reason": "to upload"}
PLACE = {"type": "location_poll_request", "correlationId": "c1", "accuracy": "high"}
RTMP = {"type": "rtmp_stream_request", "rtmpUrl": "rtmp://example.org/live", "video": {"width": 640}}
UPLOAD = f"https://{CAPTIONS}.example.org/photo-upload"


class Stage:
    """A phone with glasses and an app that asks for things."""

    def __init__(self, world: World, phone: FakeConnection, server: AppServer) -> None:
        self.world = world
        self.phone = phone
        self.server = server

    async def ask(self, message: Mapping[str, object], *, server: AppServer | None = None) -> None:
        (server or self.server).connection.say(message)
        await self.world.settle()

    async def answer(self, message: Mapping[str, object]) -> None:
        self.phone.say(message)
        await self.world.settle()

    async def glasses(self, model: str, *, status: str = "CONNECTED") -> None:
        await self.answer({"type": "glasses_connection_state", "modelName": model, "status": status})

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What the app heard of a type."""
        return self.server.connection.heard(kind)

    def posted(self, path: str = "/photo-upload") -> list[dict[str, Any]]:
        """What its server was POSTed under a path."""
        calls = self.world.webhooks.calls
        return [msgspec.json.decode(call.body) for call in calls if call.path == path]


@asynccontextmanager
async def asking(*, model: str | None = LIVE, **fields: Any) -> AsyncIterator[Stage]:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, **{"subscriptions": ["button_press"], **fields})
        stage = Stage(world, phone, server)
        if model is not None:
            await stage.glasses(model)
        yield stage


async def test_a_photo_is_asked_for_with_the_apps_own_id_and_upload_address(
    autojump_clock: MockClock,
) -> None:
    async with asking() as stage:
        await stage.ask(PHOTO)

        (request,) = stage.phone.heard("photo_request")
        assert ("p1", CAPTIONS, UPLOAD, "small") == tuple(
            request[name] for name in ("requestId", "appId", "webhookUrl", "size")
        )
        await stage.answer({"type": "photo_response", "requestId": "p1", "success": True})
        await trio.sleep(60)
        assert [] == stage.posted()
        assert [] == stage.told("photo_response")


async def test_a_photo_may_go_to_an_address_of_the_apps_own(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask({**PHOTO, "customWebhookUrl": "https://other.example.org/up", "authToken": "t"})

        (request,) = stage.phone.heard("photo_request")
        assert ("https://other.example.org/up", "t") == (request["webhookUrl"], request["authToken"])


async def test_a_photo_that_failed_is_posted_to_the_app_server(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(PHOTO)

        error = {"code": "CAMERA_CAPTURE_FAILED", "message": "too dark"}
        await stage.answer({"type": "photo_response", "requestId": "p1", "success": False, "error": error})

        expected = {
            "requestId": "p1",
            "errorCode": "CAMERA_CAPTURE_FAILED",
            "errorMessage": "too dark",
            "type": "photo_error",
            "success": False,
        }
        assert [expected] == stage.posted()


async def test_a_photo_that_the_phone_never_answers_is_an_error_before_the_sdk_gives_up(
    autojump_clock: MockClock,
) -> None:
    async with asking() as stage:
        await stage.ask(PHOTO)
        await trio.sleep(29)

        assert ["PHONE_TIMEOUT"] == [one["errorCode"] for one in stage.posted()]
        await stage.answer({"type": "photo_response", "requestId": "p1", "success": False})
        assert 1 == len(stage.posted())


async def test_an_app_of_generation_a_hears_of_its_photo_on_its_socket(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask({"type": "photo_request"})
        (request,) = stage.phone.heard("photo_request")

        await stage.answer(
            {"type": "photo_response", "requestId": request["requestId"], "photoUrl": "https://x/p.jpg"}
        )

        (response,) = stage.told("photo_response")
        assert (True, "https://x/p.jpg") == (response["success"], response["photoUrl"])


async def test_a_lost_phone_ends_every_wait_at_once(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(LIGHT)
        await stage.ask(PHOTO)

        stage.phone.hang_up()
        await stage.world.settle()

        (response,) = stage.told("rgb_led_control_response")
        assert "was lost" in response["error"]
        assert ["NETWORK_ERROR"] == [one["errorCode"] for one in stage.posted()]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (LIGHT, "rgb_led_control_response"),
        (RTMP, "rtmp_stream_status"),
        (WIFI, "tpa_connection_error"),
        (PLACE, "tpa_connection_error"),
        ({"type": "photo_request"}, "photo_response"),
    ],
)
async def test_without_a_phone_every_request_is_refused_at_once(
    autojump_clock: MockClock, request_: dict[str, object], answer: str
) -> None:
    async with asking() as stage:
        stage.phone.hang_up()
        await stage.world.settle()
        began = trio.current_time()

        await stage.ask(request_)

        (refused,) = stage.told(answer)
        assert "phone is not connected" in str(refused)
        assert trio.current_time() - began < 0.05


@pytest.mark.parametrize(
    ("request_", "answer"),
    [(LIGHT, "rgb_led_control_response"), (RTMP, "rtmp_stream_status"), (WIFI, "tpa_connection_error")],
)
async def test_without_glasses_the_refusal_names_them(
    autojump_clock: MockClock, request_: dict[str, object], answer: str
) -> None:
    async with asking() as stage:
        await stage.glasses(LIVE, status="DISCONNECTED")

        await stage.ask(request_)

        (refused,) = stage.told(answer)
        assert "no glasses are connected" in str(refused)
        assert [] == stage.phone.heard(str(request_["type"]))


async def test_a_photo_without_glasses_fails_at_once_at_the_app_server(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.glasses(LIVE, status="DISCONNECTED")
        began = trio.current_time()

        await stage.ask(PHOTO)

        assert ["PHONE_GLASSES_NOT_CONNECTED"] == [one["errorCode"] for one in stage.posted()]
        assert trio.current_time() - began < 0.05


async def test_glasses_without_the_part_are_named(autojump_clock: MockClock) -> None:
    async with asking(model=G1) as stage:
        await stage.ask(RTMP)
        await stage.ask(PHOTO)

        (status,) = stage.told("rtmp_stream_status")
        assert ("HARDWARE_MISSING", "glasses", f"{G1} has no camera") == (
            status["code"],
            status["hop"],
            status["errorDetails"],
        )
        assert ["CAMERA_INIT_FAILED"] == [one["errorCode"] for one in stage.posted()]


@pytest.mark.parametrize("model", [None, "Glasses Of Tomorrow"])
async def test_glasses_of_which_nothing_is_known_are_asked(
    autojump_clock: MockClock, model: str | None
) -> None:
    async with asking(model=None) as stage:
        await stage.ask(PHOTO)

        assert 1 == len(stage.phone.heard("photo_request")), model


@pytest.mark.parametrize(
    ("request_", "answer", "needed"),
    [(RTMP, "rtmp_stream_status", "CAMERA"), (PLACE, "tpa_connection_error", "LOCATION")],
)
async def test_what_is_not_declared_is_not_asked_for(
    autojump_clock: MockClock, request_: dict[str, object], answer: str, needed: str
) -> None:
    async with asking(permissions=("MICROPHONE",)) as stage:
        await stage.answer({"type": "location_update", "lat": 1.0, "lng": 2.0})

        await stage.ask(request_)
        await stage.ask(PHOTO)

        (refused,) = stage.told(answer)
        assert "PERMISSION_DENIED" == refused["code"]
        assert needed in str(refused)
        assert ["PERMISSION_DENIED"] == [one["errorCode"] for one in stage.posted()]
        assert [] == stage.phone.heard("request_single_location") == stage.phone.heard("photo_request")


async def test_lights_and_wifi_reach_the_phone_and_its_answer_the_app(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(LIGHT)
        await stage.ask(WIFI)

        assert ["red"] == [one["color"] for one in stage.phone.heard("rgb_led_control")]
        assert [("to upload", CAPTIONS)] == [
            (one["reason"], one["appPackageName"]) for one in stage.phone.heard("show_wifi_setup")
        ]
        await stage.answer({"type": "rgb_led_control_response", "requestId": "l1", "success": True})
        assert [True] == [one["success"] for one in stage.told("rgb_led_control_response")]


async def test_a_wearer_whose_apps_ask_for_too_much_is_spared(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        for number in range(101):
            await stage.ask({**LIGHT, "requestId": f"l{number}"})

        (refused,) = stage.told("rgb_led_control_response")
        assert ("l100", True) == (refused["requestId"], "wait for the phone already" in refused["error"])
        assert 100 == len(stage.phone.heard("rgb_led_control"))


# ---------------------------------------------------------------------------------------------------------
# Where the wearer is


async def test_a_poll_is_answered_from_a_place_that_is_new_enough(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.answer({"type": "location_update", "lat": 1.5, "lng": 2.5, "floor": 3})
        await trio.sleep(location_tiers.MAX_AGE_S["high"] - 1)

        await stage.ask(PLACE)

        (event,) = stage.told("data_stream")
        assert ("location_update", f"{ADA}-{CAPTIONS}") == (event["streamType"], event["sessionId"])
        assert {
            "lat": 1.5,
            "lng": 2.5,
            "floor": 3,
            "correlationId": "c1",
            "type": "location_update",
        } == event["data"]
        assert [] == stage.phone.heard("request_single_location")


async def test_a_poll_that_needs_a_newer_place_asks_the_phone(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.answer({"type": "location_update", "lat": 1.5, "lng": 2.5})
        await trio.sleep(location_tiers.MAX_AGE_S["high"] + 1)

        await stage.ask(PLACE)
        (request,) = stage.phone.heard("request_single_location")
        assert ("high", "c1") == (request["accuracy"], request["correlationId"])
        await stage.answer({"type": "location_update", "lat": 7.0, "lng": 8.0, "correlationId": "c1"})

        (event,) = stage.told("data_stream")
        assert (7.0, "c1") == (event["data"]["lat"], event["data"]["correlationId"])


async def test_a_poll_without_an_answer_is_an_error_within_the_sdks_patience(
    autojump_clock: MockClock,
) -> None:
    async with asking() as stage:
        await stage.ask(PLACE)
        await trio.sleep(14)

        (error,) = stage.told("tpa_connection_error")
        assert ("PHONE_TIMEOUT", True) == (error["code"], "c1" in error["message"])


async def test_the_phone_locates_as_finely_as_the_most_demanding_app(autojump_clock: MockClock) -> None:
    async with asking() as stage:

        def tiers() -> list[str]:
            return [one["tier"] for one in stage.phone.heard("set_location_tier")]

        assert [] == tiers()
        stage.server.subscribe({"stream": "location_stream", "rate": "realtime"})
        await stage.world.settle()
        stage.server.subscribe({"stream": "location_stream", "rate": "realtime"}, "button_press")
        await stage.world.settle()
        stage.server.subscribe("location_update")
        await stage.world.settle()
        stage.phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(3)

        assert ["realtime", "standard", "reduced"] == tiers()


async def test_a_phone_that_returns_hears_the_tier_again(autojump_clock: MockClock) -> None:
    async with asking(subscriptions=["location_update"]) as stage:
        stage.phone.hang_up()
        phone = await stage.world.phone()

        assert ["standard"] == [one["tier"] for one in phone.heard("set_location_tier")]


# ---------------------------------------------------------------------------------------------------------
# The camera's stream


async def stream_id(stage: Stage) -> str:
    return str(stage.phone.heard("start_rtmp_stream")[-1]["streamId"])


async def test_a_stream_is_started_reported_and_kept_alive(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(RTMP)
        (start,) = stage.phone.heard("start_rtmp_stream")
        assert ("rtmp://example.org/live", CAPTIONS, {"width": 640}) == (
            start["rtmpUrl"],
            start["appId"],
            start["video"],
        )
        id = await stream_id(stage)
        await stage.answer({"type": "rtmp_stream_status", "streamId": id, "status": "active"})
        for number in range(6):
            await trio.sleep(15.1)
            question = stage.phone.heard("keep_rtmp_stream_alive")[number]
            await stage.answer({"type": "keep_alive_ack", "streamId": id, "ackId": question["ackId"]})

        assert ["initializing", "active"] == [one["status"] for one in stage.told("rtmp_stream_status")]
        await stage.ask({"type": "stream_status_check"})
        (check,) = stage.told("stream_status_check_response")
        assert (True, "active") == (check["hasActiveStream"], check["streamInfo"]["status"])


async def test_a_stream_that_the_phone_forgets_ends_with_an_error(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(RTMP)
        await trio.sleep(60)

        assert ["initializing", "error"] == [one["status"] for one in stage.told("rtmp_stream_status")]
        assert "PHONE_TIMEOUT" == stage.told("rtmp_stream_status")[-1]["code"]
        assert 1 == len(stage.phone.heard("stop_rtmp_stream"))


async def test_a_stream_is_stopped_by_its_app_and_with_its_app(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(RTMP)
        await stage.ask({"type": "rtmp_stream_stop"})
        assert ["initializing", "stopped"] == [one["status"] for one in stage.told("rtmp_stream_status")]

        await stage.ask(RTMP)
        stage.world.webhooks.faults[stage.server.url] = "timeout"  # its end takes a while
        stage.phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await stage.world.settle()

        assert 2 == len(stage.phone.heard("stop_rtmp_stream"))


async def test_the_camera_streams_for_one_app_and_takes_no_photo_meanwhile(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        other = await stage.world.running_app(
            stage.phone, "org.example.other", key="k", subscriptions=["VAD"]
        )
        await stage.ask(RTMP)

        await stage.ask(RTMP, server=other)
        await stage.ask(PHOTO)

        (refused,) = other.connection.heard("rtmp_stream_status")
        assert ("error", "CAMERA_BUSY", "session") == (refused["status"], refused["code"], refused["hop"])
        assert ["CAMERA_BUSY"] == [one["errorCode"] for one in stage.posted()]
        await stage.ask({"type": "stream_status_check"}, server=other)
        assert [False] == [
            one["hasActiveStream"] for one in other.connection.heard("stream_status_check_response")
        ]


async def test_an_app_that_streams_anew_takes_the_place_of_its_own_stream(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(RTMP)
        first = await stream_id(stage)
        await stage.ask(RTMP)

        assert [first] == [one["streamId"] for one in stage.phone.heard("stop_rtmp_stream")]
        assert first != await stream_id(stage)


async def test_a_crash_of_the_session_forgets_no_request(autojump_clock: MockClock) -> None:
    async with asking() as stage:
        await stage.ask(PLACE)

        stage.world.find(f"users/{ADA}/session").crash(RuntimeError("planned"))
        await trio.sleep(14)

        assert ["PHONE_TIMEOUT"] == [one["code"] for one in stage.told("tpa_connection_error")]


async def test_an_app_server_that_cannot_be_told_of_a_photo_is_noted(autojump_clock: MockClock) -> None:
    async def refuse(call: Call) -> WebhookAnswer:
        return WebhookAnswer(500)

    async with asking(model=G1) as stage:
        stage.world.webhooks.serve(stage.server.url, refuse)

        await stage.ask(PHOTO)

        (noted,) = stage.world.telemetry.of("app_server_not_told")
        assert "/photo-upload" == noted["path"]
