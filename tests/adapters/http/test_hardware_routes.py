"""Photos that phones upload to the cloud go on to the app's server; what is not offered says so at once."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.ports import WebhookAnswer
from adapters.simulated.webhooks import Call
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, Answer, Scene, key_of, scene

UPLOAD = "/api/photos/upload"
BOUNDARY = "a-boundary"
JPEG = b"\xff\xd8\xff" + bytes(5000)


def form(*, photo: bytes | None = JPEG, request_id: str | None = "p1") -> bytes:
    """A photo as a phone uploads it."""
    parts = b""
    if request_id is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="requestId"\r\n\r\n'
        parts += f"{head}{request_id}\r\n".encode()
    if photo is not None:
        parts += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        parts += photo + b"\r\n"
    return parts + f"--{BOUNDARY}--\r\n".encode()


async def upload(there: Scene, body: bytes, user: str = ADA) -> Answer:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await there.call("POST", UPLOAD, raw=body, user=user, headers=headers)


async def asked(there: Scene, **request: object) -> list[Call]:
    """An app of Ada's waits for a photo; what its server is POSTed."""
    server = await there.running(await there.phone())
    server.connection.say({"type": "photo_request", "requestId": "p1", **request})
    await there.world.settle()
    return there.world.webhooks.calls


async def test_a_photo_goes_on_to_the_app_that_asked_for_it(autojump_clock: MockClock) -> None:
    async with scene() as there:
        calls = await asked(there, authToken="the app's token")

        answer = await upload(there, form())
        again = await upload(there, form())
        await trio.sleep(60)

        assert (200, 404) == (answer.status, again.status)
        (call,) = [call for call in calls if call.path == "/photo-upload"]
        assert form() == call.body
        assert ("Bearer the app's token", True) == (
            call.headers["Authorization"],
            call.headers["Content-Type"].startswith("multipart/form-data; boundary="),
        )


async def test_a_photo_that_the_apps_server_does_not_take_is_an_error_for_both(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        calls = await asked(there)

        async def refuse(call: Call) -> WebhookAnswer:
            return WebhookAnswer(404 if call.headers.get("Content-Type") else 200)

        there.world.webhooks.serve(f"https://{CAPTIONS}.example.org", refuse)
        answer = await upload(there, form())
        await there.world.settle()

        assert (502, "APP_SERVER_FAILED", "app server") == (
            answer.status,
            answer.body["code"],
            answer.body["hop"],
        )
        told = [call for call in calls if call.path == "/photo-upload"][-1]
        assert "photo_error" == msgspec.json.decode(told.body)["type"]


async def test_a_photo_that_nobody_asked_this_wearer_for_goes_nowhere(autojump_clock: MockClock) -> None:
    async with scene() as there:
        calls = await asked(there)
        await there.phone(BOB)

        of_another = await upload(there, form(), BOB)
        unknown = await upload(there, form(request_id="p2"))

        assert (404, 404) == (of_another.status, unknown.status)
        assert [] == [call for call in calls if call.path == "/photo-upload"]


async def test_a_photo_for_an_address_that_is_not_the_apps_server_is_not_passed_on(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        await asked(there, customWebhookUrl="http://127.0.0.1:1/internal")

        assert 404 == (await upload(there, form())).status


@pytest.mark.parametrize("body", [b"", b"{}", form(photo=None), form(request_id=None), form()[:50]])
async def test_what_is_no_photo_is_a_400(autojump_clock: MockClock, body: bytes) -> None:
    async with scene() as there:
        await asked(there)

        answer = await upload(there, body)

        assert (400, "INVALID_REQUEST") == (answer.status, answer.body["code"])


async def test_a_photo_may_have_ten_megabytes_and_no_more(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await asked(there)

        small = await upload(there, form(photo=bytes(9 * 2**20)))
        large = await upload(there, form(photo=bytes(10 * 2**20 + 1)))
        huge = await upload(there, form(photo=bytes(11 * 2**20)))

        assert (200, 413, 413) == (small.status, large.status, huge.status)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/streams/s1/outputs"),
        ("GET", "/api/streams/s1/outputs"),
        ("DELETE", "/api/streams/s1/outputs/o1"),
    ],
)
async def test_what_is_not_offered_says_so_at_once(autojump_clock: MockClock, method: str, path: str) -> None:
    async with scene() as there:
        await there.world.app_server()
        began = trio.current_time()

        answer = await there.call(method, path, bearer=key_of())

        assert (501, "NOT_SUPPORTED", "cloud") == (answer.status, answer.body["code"], answer.body["hop"])
        assert trio.current_time() - began < 0.05
