"""Whose request this is: the core token in a phone's REST call, and the session it belongs to."""

from __future__ import annotations

from quart import Request, Response

from actors.ports import Telemetry, TokenError, Tokens
from actors.session.messages import SessionMessage
from actors.users.roster import RosterMessage, find_user
from protocols import rest
from protocols.error_codes import ErrorCode
from runtime import Ref


async def session_of(
    request: Request, tokens: Tokens, roster: Ref[RosterMessage], telemetry: Telemetry
) -> Ref[SessionMessage] | Response | None:
    """The caller's session, None where there is none, or the 401 of a request without a good token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return json_answer(401, rest.unauthorized(rest.AUTHORIZATION_MISSING, ErrorCode.INVALID_TOKEN))
    try:
        user_id = tokens.verify(token.strip())
    except TokenError as error:
        telemetry.warning("rest_refused", cause=error.cause)
        return json_answer(401, rest.unauthorized(rest.INVALID_TOKEN, ErrorCode.INVALID_TOKEN))
    return await roster.ask(find_user(user_id))


def json_answer(status: int, body: bytes) -> Response:
    """An answer whose body is JSON already."""
    return Response(body, status=status, content_type="application/json")
