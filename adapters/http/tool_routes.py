"""Tools: what an app can do for an assistant (protocol.md 9.8).

A call is passed on to the app's server and its answer back, status and body. A user may call tools for
themselves. An app may call its own, and an app of the system any, for users who run it: what another app did
with a call would be done in the wearer's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from quart import Response

from actors.cabinet.preferences import is_offered
from actors.cabinet.reading import find_preferences
from actors.directory import ListApps, find_app
from actors.ports import AppDocument, WebhookAnswer, WebhookError
from adapters.http.application import json_response
from adapters.http.callers import json_answer
from adapters.http.desk import Desk
from adapters.http.owners import reachable
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import keeping, timestamps, webhooks
from protocols.error_codes import ErrorCode

CALL_S: Final = 20.0
ATTEMPTS: Final = 2
KEY_HEADER: Final = "X-App-API-Key"

UNSEEN: Final = ("refused", "unreachable", "dns", "tls", "busy")
"""After these it is certain that the app's server did not see the call: it may be tried again."""

CALL_TOOL = Route(
    "POST",
    "/api/tools/apps/<package_name>/tool",
    Caller.USER_OR_APP,
    "the calling user; for an app, users who run it",
    "Have an app's server do something for a user; its answer is passed on.",
    request=keeping.ToolCall,
    statuses=(403, 404, 500, 503),
    has_usual_errors=False,
)
TOOLS_OF_APP = Route[None](
    "GET",
    "/api/tools/apps/<package_name>/tools",
    Caller.USER_OR_APP,
    "what everybody may know of the catalogue",
    "The tools of an app, as its developer declared them.",
    statuses=(404, 503),
    has_usual_errors=False,
)
TOOLS_OF_USER = Route[None](
    "GET",
    "/api/tools/users/<user_id>/tools",
    Caller.USER_OR_APP,
    "the calling user; for an app of the system, users who run it",
    "The tools of all apps on a user's home screen, each with its `appPackageName`.",
    statuses=(403, 503),
)

ROUTES = (CALL_TOOL, TOOLS_OF_APP, TOOLS_OF_USER)


def tool_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("tools", desk)

    async def call_tool(call: Call[keeping.ToolCall], package_name: str) -> Response:
        app = await desk.directory.ask(find_app(package_name))
        if app is None:
            return _error(404, f"App {package_name} not found")
        user_id = await meant(call, call.body.user_id, package_name)
        if not any(_tool(raw).get("id") == call.body.tool_id for raw in app.tools):
            return _error(404, f"{package_name} has no tool {call.body.tool_id}")
        body = msgspec.json.encode(
            webhooks.ToolCall(
                tool_id=call.body.tool_id,
                tool_parameters=msgspec.Raw(msgspec.json.encode(call.body.tool_parameters)),
                user_id=user_id,
                timestamp=timestamps.iso(desk.wall()),
            )
        )
        try:
            answer = await posted(app, body)
        except WebhookError as error:
            desk.telemetry.warning("tool_call_failed", package=package_name, cause=str(error))
            return _error(500, f"The server of {package_name} did not answer: {error.kind}")
        return json_answer(answer.status, answer.body)

    async def posted(app: AppDocument, body: bytes) -> WebhookAnswer:
        url = webhooks.url(app.public_url, "/tool")
        headers = {KEY_HEADER: app.hashed_api_key}
        for left in reversed(range(ATTEMPTS)):
            try:
                return await desk.webhooks.post(url, body, timeout_s=CALL_S, headers=headers)
            except WebhookError as error:
                if not left or error.kind not in UNSEEN:
                    raise
        raise AssertionError("there is at least one attempt")

    async def meant(call: Call[Any], named: str | None, package_name: str | None) -> str:
        """The user that a call is for.

        Raises:
          Failure: they are not the caller's.
        """
        if call.app is None:
            if named is not None and named.lower() != call.user_id:
                raise Failure(403, ErrorCode.PERMISSION_DENIED, "the token is another user's")
            return call.user_id
        if not named:
            raise Failure(400, ErrorCode.INVALID_REQUEST, "userId is missing")
        if not call.app.is_system and call.app.package_name != package_name:
            raise Failure(403, ErrorCode.PERMISSION_DENIED, "only an app of the system sees others' tools")
        await reachable(desk, call.app, named.lower())
        return named.lower()

    async def tools_of_app(call: Call[None], package_name: str) -> Response:
        app = await desk.directory.ask(find_app(package_name))
        if app is None:
            return _error(404, f"App {package_name} not found")
        return json_response([_tool(raw) for raw in app.tools])

    async def tools_of_user(call: Call[None], user_id: str) -> Response:
        owner = await meant(call, user_id, None)
        preferences = await find_preferences(desk.store, owner)
        apps: Sequence[AppDocument] = await desk.directory.ask(ListApps)
        return json_response(
            [
                {**_tool(raw), "appPackageName": app.package_name}
                for app in apps
                if is_offered(preferences, app, installs_all=desk.limits.installs_all)
                for raw in app.tools
            ]
        )

    routes.serve(CALL_TOOL, call_tool)
    routes.serve(TOOLS_OF_APP, tools_of_app)
    routes.serve(TOOLS_OF_USER, tools_of_user)
    return routes


def _tool(raw: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])


def _error(status: int, message: str) -> Response:
    """The form of 9.8."""
    return json_response({"error": True, "message": message}, status=status)
