"""`/console/login` and `/console/logout`: in with a core token or a one-time link, out for good."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Final

from quart import Blueprint, Response, request

from actors.console.sessions import CloseSession, ConsoleSession, open_session
from actors.console.settings import ConsoleSettings
from actors.front.rates import RateLimit, key_of
from actors.ports import Telemetry, TokenError, Tokens
from adapters.http.application import json_response
from adapters.http.console.frame import Frame, console_blueprint, said, to_page
from adapters.http.console.guard import fields_of
from adapters.http.rates import address_here
from runtime import RuntimeFailure

HOME: Final = "/console"
LOGIN: Final = "/console/login"
LINK_PREFIX: Final = "link."

_LONGEST: Final = 8_192
_WRONG: Final = "That is no token or link of this server, or its time is over."
_USED: Final = "That link was used before. Make another one."


def login_routes(
    *,
    frame: Frame,
    tokens: Tokens,
    settings: ConsoleSettings,
    telemetry: Telemetry,
    wall: Callable[[], float],
    new_id: Callable[[], str],
    on_logout: Callable[[str], None],
) -> Blueprint:
    """The login page and what its forms send.

    `POST /console/login`, field `token`: 303 to the page with the cookie; 401 for what is no token, 403 from
    another origin, 429 with `Retry-After` after too many failures, 503 while the sessions do not answer.
    `POST /console/logout`: 303 to the login, and the session is over. `GET /console/session`: `{isLoggedIn}`.

    Args:
      new_id: a session id that nobody can guess.
      on_logout: told the id of a session that has ended.
    """
    blueprint = console_blueprint("console login")
    guard = frame.guard
    # A good token passes all the same: behind a proxy that says nothing all come from one address.
    failures = RateLimit(1 / settings.login_wait_s, settings.login_attempts)

    async def show() -> Response:
        if await guard.find(request) is not None:
            return to_page(_wanted(request.args.get("next", "")))
        return await _page()

    async def log_in() -> Response:
        guard.check_origin(request)
        given = "".join((await fields_of(request)).get("token", "").split())
        try:
            session = await _open(given)
        except _LoginFailed as error:
            return await _failed(error, address_here())
        answer = to_page(_wanted((await fields_of(request)).get("next", "")))
        guard.log_in(request, answer, session, wall())
        return answer

    async def _open(given: str) -> ConsoleSession:
        user_id, link_id, is_operator = _read(given)
        opening = open_session(new_id(), user_id, link_id, is_operator=is_operator)
        session = await guard.sessions.ask(opening)
        if session is None:
            raise _LoginFailed(_USED, "the link was used before")
        return session

    def _read(given: str) -> tuple[str, str, bool]:
        """Whose token or code that is, the link's id, and whether it makes an operator."""
        if len(given) > _LONGEST:
            raise _LoginFailed(_WRONG, "it is too long")
        if given.startswith(LINK_PREFIX):
            link = guard.keys.read_link(given)
            if link is None or link.until <= wall():
                raise _LoginFailed(_WRONG, "the link is not ours" if link is None else "the link is too old")
            if tokens.has_revoked(link.user_id, link.until - settings.link_s):
                raise _LoginFailed(_WRONG, "all tokens of its user were revoked")
            return link.user_id, link.link_id, link.is_operator
        try:
            return tokens.verify(given), "", False
        except TokenError as error:
            raise _LoginFailed(_WRONG, error.cause) from error

    async def _failed(error: _LoginFailed, address: str) -> Response:
        wait_s = math.ceil(failures.take(key_of(address), wall()))
        if wait_s == 0:
            telemetry.warning("console_login_failed", cause=error.cause)
            return await _page(error.message, 401)
        telemetry.warning("console_login_limited", peer=address)
        answer = await _page(f"{error.message} Too many failed: wait {wait_s} s.", 429)
        answer.headers["Retry-After"] = str(wait_s)
        return answer

    async def _page(problem: str = "", status: int = 200) -> Response:
        wanted = _wanted(request.args.get("next") or (await fields_of(request)).get("next", ""))
        return frame.page("login.html", None, status=status, problem=problem, wanted=wanted)

    async def log_out() -> Response:
        session = await guard.acting(request)
        await guard.sessions.ask(partial(CloseSession, session.session_id))
        on_logout(session.session_id)
        answer = to_page(LOGIN)
        guard.log_out(answer)
        return answer

    async def look() -> Response:
        return json_response({"isLoggedIn": await guard.find(request) is not None})

    async def not_now(error: RuntimeFailure) -> Response:
        telemetry.warning("console_not_now", cause=str(error))
        return said("Not now, try again in a moment", status=503)

    blueprint.register_error_handler(RuntimeFailure, not_now)
    blueprint.add_url_rule(LOGIN, "show", show, methods=["GET"])
    blueprint.add_url_rule(LOGIN, "log_in", log_in, methods=["POST"])
    blueprint.add_url_rule("/console/logout", "log_out", log_out, methods=["POST"])
    blueprint.add_url_rule("/console/session", "look", look, methods=["GET"])
    return blueprint


def _wanted(path: str) -> str:
    """Where a login leads: the page of the console that was asked for, else the first one."""
    return path if re.fullmatch(r"/console(/[a-z/]*)?(\?[!-~]{1,400})?", path) else HOME


class _LoginFailed(Exception):  # noqa: N818 - says what happened
    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
