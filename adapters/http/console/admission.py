"""Lets the console's pages use the routes under `/api`, with their login for a core token.

A request with a page's mark is looked at before any route sees it: it has to come from a page of this origin
and to have the cookie and the mark of one login; then it is that user's. Whatever else comes goes by its core
token as before. So there is one way to ask, to answer and to stop, and the console has it too.
"""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request

from actors.ports import StorageError, Telemetry
from adapters.http.application import json_response
from adapters.http.callers import admit
from adapters.http.console.guard import MARK_HEADER, Guard, Refused
from protocols.error_codes import ErrorCode
from runtime import RuntimeFailure

API: Final = "/api/"


def admission(guard: Guard, telemetry: Telemetry) -> Blueprint:
    """What looks at every request to `/api`."""
    blueprint = Blueprint("console admission", __name__)

    async def look() -> Response | None:
        if MARK_HEADER not in request.headers or not request.path.startswith(API):
            return None
        try:
            session = await guard.acting(request)
        except Refused as refused:
            body = {"success": False, "error": refused.message, "code": ErrorCode.INVALID_TOKEN}
            return json_response(body, status=refused.status)
        except (RuntimeFailure, StorageError) as error:
            telemetry.warning("console_not_now", cause=str(error))
            return json_response({"success": False, "error": "Not now, try again in a moment"}, status=503)
        admit(session.user_id)
        return None

    blueprint.before_app_request(look)
    return blueprint
