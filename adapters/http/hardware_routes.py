"""What needs a camera: photos that phones of generation A upload, and what is not offered here.

A photo goes on to the server of the app that asked for it, as newer phones send it themselves (protocol.md
9.6); nothing of it is kept. Streams to several places answer at once that there are none.
"""

from __future__ import annotations

from typing import Any, Final

from quart import Response, request

from actors.ports import WebhookError
from actors.session.messages import take_report
from adapters.http.desk import Desk
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import from_phone, home, reports, timestamps
from protocols.error_codes import ErrorCode

PHOTO_BYTES: Final = 10 * 1024 * 1024
UPLOAD_BYTES: Final = PHOTO_BYTES + 64 * 1024
UPLOAD_S: Final = 20.0
TAKE_S: Final = 2.0

UPLOAD = Route(
    "POST",
    "/api/photos/upload",
    Caller.SESSION,
    "a photo that an app has asked the caller for",
    "A photo as multipart/form-data: `photo` and `requestId`. It goes on to the app's server.",
    request=bytes,
    answer=home.Done,
    statuses=(404, 413, 502),
    body_bytes=UPLOAD_BYTES,
    body_type="multipart/form-data",
)
ADD_OUTPUT = Route[None](
    "POST",
    "/api/streams/<stream_id>/outputs",
    Caller.APP,
    "the caller's own streams",
    "One more place that a stream goes to, which this server does not offer.",
    statuses=(501,),
    is_never_ok=True,
)
OUTPUTS = Route[None](
    "GET",
    "/api/streams/<stream_id>/outputs",
    Caller.APP,
    "the caller's own streams",
    "Those places.",
    statuses=(501,),
    is_never_ok=True,
)
REMOVE_OUTPUT = Route[None](
    "DELETE",
    "/api/streams/<stream_id>/outputs/<output_id>",
    Caller.APP,
    "the caller's own streams",
    "One of them less.",
    statuses=(501,),
    is_never_ok=True,
)

ROUTES = (UPLOAD, ADD_OUTPUT, OUTPUTS, REMOVE_OUTPUT)


def hardware_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("hardware", desk)

    async def upload(call: Call[bytes]) -> home.Done:
        photo, request_id = await parts()
        facts = await desk.facts_of(call.user_id, request_id)
        asked = None if facts is None else facts.photo
        if asked is None or asked.upload_url is None:
            raise Failure(404, ErrorCode.NOT_FOUND, "No app waits for this photo")
        headers = {"Content-Type": request.headers.get("Content-Type", "")}
        if asked.upload_token:
            headers["Authorization"] = f"Bearer {asked.upload_token}"
        try:
            answer = await desk.webhooks.post(
                asked.upload_url, call.body, timeout_s=UPLOAD_S, headers=headers
            )
            cause = None if answer.status < 400 else f"answered with {answer.status}"
        except WebhookError as error:
            cause = error.kind
        said = from_phone.PhotoResponse(request_id=request_id, success=cause is None)
        await call.session.ask(take_report(said, reports.as_sent(said)), timeout_s=TAKE_S)
        if cause is not None:
            desk.telemetry.warning("photo_not_passed_on", package=asked.package_name, cause=cause)
            raise Failure(
                502, ErrorCode.APP_SERVER_FAILED, f"the app's server did not take the photo: {cause}"
            )
        return home.Done(message=f"{photo} bytes passed on", timestamp=timestamps.iso(desk.wall()))

    async def parts() -> tuple[int, str]:
        """The size of the photo, and the request that it answers.

        Raises:
          Failure: the form lacks one of them.
        """
        form, files = await request.form, await request.files
        photo, request_id = files.get("photo"), form.get("requestId", "")
        if photo is None or not request_id:
            message = "expected multipart/form-data with a file `photo` and a field `requestId`"
            raise Failure(400, ErrorCode.INVALID_REQUEST, message)
        size = len(photo.stream.read())
        if size > PHOTO_BYTES:
            raise Failure(413, ErrorCode.TOO_LARGE, f"a photo may have {PHOTO_BYTES} bytes, not {size}")
        return size, request_id

    async def not_offered(call: Call[Any], **parts: str) -> Response:
        raise Failure(501, ErrorCode.NOT_SUPPORTED, "This server does not offer it")

    routes.serve(UPLOAD, upload)
    for route in (ADD_OUTPUT, OUTPUTS, REMOVE_OUTPUT):
        routes.serve(route, not_offered)
    return routes
