"""Whose request this is: the core token in a phone's REST call, and the session it belongs to."""

from __future__ import annotations

from collections.abc import Callable

from quart import Request, Response, g

from actors.ports import AppDocument, StorageError, Telemetry, TokenError, Tokens, retry_after_s
from actors.session.messages import SessionMessage
from actors.users.roster import RosterMessage, find_user
from adapters.http.rates import over_limit
from protocols import rest
from protocols.error_codes import ErrorCode
from runtime import Ref, RuntimeFailure

Admits = Callable[[AppDocument], bool]
"""Whether an app's key counts where the request under way comes from."""


async def session_of(
    request: Request, tokens: Tokens, roster: Ref[RosterMessage], telemetry: Telemetry
) -> Ref[SessionMessage] | Response | None:
    """The caller's session, None where there is none, or the 401 of a request without a good token."""
    user_id = caller_of(request, tokens, telemetry)
    return user_id if isinstance(user_id, Response) else await roster.ask(find_user(user_id))


def admit(user_id: str) -> None:
    """Say whose the request under way is, for `caller_of`: whoever calls this has made sure of it."""
    g.admitted = user_id


def is_admitted() -> bool:
    """Whether the request under way comes from one of the console's pages, by its login."""
    return "admitted" in g


def caller_of(request: Request, tokens: Tokens, telemetry: Telemetry) -> str | Response:
    """The user of the request's core token, the 401 of a request without a good one, or the 429 of too many.

    A request that was admitted is its user's: one of the console's pages, by its login.
    """
    admitted: str | None = g.get("admitted")
    if admitted is not None:
        return admitted
    token = bearer_of(request)
    if not token:
        return json_answer(401, rest.unauthorized(rest.AUTHORIZATION_MISSING, ErrorCode.INVALID_TOKEN))
    try:
        user_id = tokens.verify(token)
    except TokenError as error:
        telemetry.warning("rest_refused", cause=error.cause)
        return json_answer(401, rest.unauthorized(rest.INVALID_TOKEN, ErrorCode.INVALID_TOKEN))
    return over_limit(lambda rates, now: rates.user(user_id, now)) or user_id


def bearer_of(request: Request) -> str:
    """What stands behind `Authorization: Bearer`; empty where there is no such header."""
    scheme, _, said = request.headers.get("Authorization", "").partition(" ")
    return said.strip() if scheme.lower() == "bearer" else ""


def json_answer(status: int, body: bytes) -> Response:
    """An answer whose body is JSON already."""
    return Response(body, status=status, content_type="application/json")


def not_now(error: StorageError | RuntimeFailure, otherwise: ErrorCode, *, timestamp: str) -> Response:
    """The 503 with `Retry-After` for a store, or an actor, that cannot answer.

    Args:
      otherwise: the code where it is not the store.
    """
    wait_s = retry_after_s(error)
    code = ErrorCode.STORE_UNAVAILABLE if isinstance(error, StorageError) else otherwise
    message = f"Not now, try again in {wait_s:g} s"
    answer = json_answer(503, rest.failure(message, code, timestamp=timestamp, retry_after_s=wait_s))
    answer.headers["Retry-After"] = str(max(1, round(wait_s)))
    return answer
