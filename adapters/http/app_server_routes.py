"""What an app server may call when it starts, and while it lives (protocol.md 1.3, 4.7).

Nobody has to: an app server that comes back is found by probes. A call that says so is only quicker.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from quart import Blueprint, Response, request

from actors.app_keys import key_matches
from actors.directory import Call, CallTaken, DirectoryMessage, call_server, find_app
from actors.ports import AppDocument, StorageError, Telemetry
from adapters.http.callers import Admits, json_answer, not_now
from adapters.http.routes import Caller, Route
from protocols import app_servers, rest, timestamps, webhooks
from protocols.app_servers import AppServerCall
from protocols.error_codes import ErrorCode
from protocols.errors import MalformedMessage
from runtime import Ref, RuntimeFailure

_WHO = ("packageName", "apiKey")
_REQUIRED = {Call.REGISTER: (*_WHO, "webhookUrl"), Call.HEARTBEAT: _WHO, Call.RESTART: _WHO}


class CallAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of the call; no id where the server has never registered."""

    registration_id: str | None
    message: str
    sessions: int
    timestamp: str
    success: bool = True


OWN = "the caller's own app and its sessions"
_SAID = {
    Call.REGISTER: "The app's server has started: its sessions are brought back at once.",
    Call.HEARTBEAT: "The app's server lives.",
    Call.RESTART: "As register, for a server that is known.",
}
ROUTES = tuple(
    Route(
        "POST",
        f"/api/app-server/{call.value}",
        Caller.APP_BODY,
        OWN,
        said,
        request=AppServerCall,
        answer=CallAnswer,
    )
    for call, said in _SAID.items()
)


def app_server_routes(
    *,
    directory: Ref[DirectoryMessage],
    telemetry: Telemetry,
    wall: Callable[[], float],
    admits: Admits,
) -> Blueprint:
    """`POST /api/app-server/register`, `/heartbeat` and `/restart`.

    Answers: 200 `{success, registrationId, message, sessions, timestamp}`; 400 for a body that lacks
    something; 401 for an unknown app or a wrong key, which look the same; 503 with `Retry-After` while the
    store cannot answer.
    """
    blueprint = Blueprint("app servers", __name__)

    async def take(call: Call) -> Response:
        try:
            payload = await request.get_data(cache=True, as_text=False, parse_form_data=False)
            body = app_servers.decode(payload, required=_REQUIRED[call])
        except MalformedMessage as error:
            return _failure(400, error.cause, ErrorCode.INVALID_REQUEST)
        try:
            app = await directory.ask(find_app(body.package_name))
            if app is None or not key_matches(app, body.api_key, wall()) or not admits(app):
                cause = "unknown app" if app is None else "wrong key"
                telemetry.warning("app_server_refused", package=body.package_name, cause=cause)
                return _failure(401, "Invalid API key", ErrorCode.INVALID_API_KEY)
            taken = await directory.ask(
                call_server(app.package_name, call, body.webhook_url, body.server_urls)
            )
        except (StorageError, RuntimeFailure) as error:
            telemetry.error("app_server_call_failed", package=body.package_name, cause=str(error))
            return not_now(error, ErrorCode.INTERNAL_ERROR, timestamp=_stamp())
        message = _said(call, taken, app, body)
        return json_answer(
            200,
            rest.success(
                registrationId=taken.registration_id,
                message=message,
                sessions=taken.sessions,
                timestamp=_stamp(),
            ),
        )

    async def register() -> Response:
        return await take(Call.REGISTER)

    async def heartbeat() -> Response:
        return await take(Call.HEARTBEAT)

    async def restart() -> Response:
        return await take(Call.RESTART)

    def _failure(status: int, message: str, code: ErrorCode) -> Response:
        return json_answer(status, rest.failure(message, code, timestamp=_stamp()))

    def _stamp() -> str:
        return timestamps.iso(wall())

    for name, view in (("register", register), ("heartbeat", heartbeat), ("restart", restart)):
        blueprint.add_url_rule(f"/api/app-server/{name}", name, view, methods=["POST"])
    return blueprint


def _said(call: Call, taken: CallTaken, app: AppDocument, body: AppServerCall) -> str:
    """What a developer should know of the outcome."""
    if call is Call.HEARTBEAT:
        return "Heard" if taken.registration_id is not None else "Heard; this server is not registered"
    sessions = "1 session" if taken.sessions == 1 else f"{taken.sessions} sessions"
    message = f"Registered; {sessions} of {app.package_name} told"
    known = webhooks.url(app.public_url, "/webhook")
    if body.webhook_url and body.webhook_url.rstrip("/") not in (known, app.public_url.rstrip("/")):
        message += f". Webhooks go to {known}, the address in the catalogue, not to the one given here"
    return message
