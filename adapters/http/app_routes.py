"""Starting and stopping apps over REST (protocol.md 1.2): what a phone's home screen calls."""

from __future__ import annotations

from collections.abc import Callable

from quart import Blueprint, Response, request

from actors.ports import Telemetry, Tokens
from actors.session.messages import Goodbye, SessionMessage, start_app, stop_app
from actors.users.roster import RosterMessage
from adapters.http.callers import json_answer, session_of
from adapters.http.routes import Caller, Route
from protocols import home, rest, timestamps
from protocols.error_codes import ErrorCode
from runtime import Ref, RuntimeFailure

START_TIMEOUT_S = 30.0  # two webhooks of 10 s, a pause and the connect; the start itself goes on
STOP_TIMEOUT_S = 10.0


OWN = "the caller's own session"
STATUS_ANSWERS = (404, 500)

START = Route[None](
    "POST",
    "/apps/<package_name>/start",
    Caller.USER,
    OWN,
    "Start an app. A start that failed is a 200 too: look at `isRunning`.",
    answer=rest.AppStatus,
    also=("/api/apps/<package_name>/start",),
    statuses=STATUS_ANSWERS,
)
STOP = Route[None](
    "POST",
    "/apps/<package_name>/stop",
    Caller.USER,
    OWN,
    "Stop an app.",
    answer=rest.AppStatus,
    also=("/api/apps/<package_name>/stop",),
    statuses=STATUS_ANSWERS,
)
GOODBYE = Route[None](
    "POST",
    "/api/client/goodbye",
    Caller.USER,
    OWN,
    "End the session at once: the wearer has logged out.",
    answer=home.Done,
    statuses=(500,),
)

ROUTES = (START, STOP, GOODBYE)


def app_routes(
    *, tokens: Tokens, roster: Ref[RosterMessage], telemetry: Telemetry, wall: Callable[[], float]
) -> Blueprint:
    """`POST /apps/<package>/start` and `/stop`, also under `/api`; `POST /api/client/goodbye`."""
    blueprint = Blueprint("apps", __name__)

    async def start(package_name: str) -> Response:
        session = await _session()
        if isinstance(session, Response):
            return session
        try:
            is_running = await session.ask(start_app(package_name), timeout_s=START_TIMEOUT_S)
        except RuntimeFailure as error:
            telemetry.warning("rest_start_failed", package=package_name, cause=str(error))
            return _failure(500, "The app could not be started", ErrorCode.INTERNAL_ERROR)
        if is_running is None:
            return _failure(404, "App not found", ErrorCode.PACKAGE_NOT_FOUND)
        return json_answer(200, rest.app_status(is_running=is_running, started=True))

    async def stop(package_name: str) -> Response:
        session = await _session()
        if isinstance(session, Response):
            return session
        try:
            await session.ask(stop_app(package_name), timeout_s=STOP_TIMEOUT_S)
        except RuntimeFailure as error:
            telemetry.warning("rest_stop_failed", package=package_name, cause=str(error))
            return _failure(500, "The app could not be stopped", ErrorCode.INTERNAL_ERROR)
        return json_answer(200, rest.app_status(is_running=False, started=False))

    async def goodbye() -> Response:
        session = await _session()
        if isinstance(session, Response):
            return session
        try:
            await session.ask(Goodbye, timeout_s=STOP_TIMEOUT_S)
        except RuntimeFailure as error:
            telemetry.warning("rest_goodbye_failed", cause=str(error))
            return _failure(500, "The session could not be ended", ErrorCode.INTERNAL_ERROR)
        return json_answer(200, rest.success(timestamp=_stamp()))

    async def _session() -> Ref[SessionMessage] | Response:
        """The caller's session, or the answer that says why there is none."""
        session = await session_of(request, tokens, roster, telemetry)
        if session is None:
            body = rest.unauthorized(rest.NO_ACTIVE_SESSION_FOUND, ErrorCode.SESSION_NOT_FOUND)
            return json_answer(401, body)
        return session

    def _failure(status: int, message: str, code: ErrorCode) -> Response:
        return json_answer(status, rest.failure(message, code, timestamp=_stamp()))

    def _stamp() -> str:
        return timestamps.iso(wall())

    for prefix in ("", "/api"):
        name = "api" if prefix else "plain"
        blueprint.add_url_rule(
            f"{prefix}/apps/<package_name>/start", f"{name}_start", start, methods=["POST"]
        )
        blueprint.add_url_rule(f"{prefix}/apps/<package_name>/stop", f"{name}_stop", stop, methods=["POST"])
    blueprint.add_url_rule("/api/client/goodbye", "goodbye", goodbye, methods=["POST"])
    return blueprint
