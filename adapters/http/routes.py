"""A route as data: path, caller, bodies, statuses, and what serves it.

The table of all routes (`table.py`) is made of these; the OpenAPI document and docs/rest.md are generated
from it. A view gets a `Call`: who calls is settled then, and the body is what the route says. It returns the
body of its 200, or raises a `Failure`; a store or an actor that cannot answer is a 503 with `Retry-After`.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec
from quart import Blueprint, Response, request

from actors.ports import AppDocument, StorageError
from actors.session.messages import SessionMessage
from actors.users.roster import find_user
from adapters.http.callers import caller_of, json_answer, not_now
from adapters.http.desk import Desk
from adapters.http.rates import over_limit
from protocols import envelope, rest, timestamps
from protocols.error_codes import ErrorCode
from protocols.errors import MalformedMessage
from runtime import Ref, RuntimeFailure

B = TypeVar("B")

ASK_S: Final = 5.0


class Caller(enum.Enum):
    """Who may call, and what shows it."""

    ANYBODY = "anybody"
    USER = "the user of the core token"
    SESSION = "the user of the core token, with a live session"
    APP = "the app of the key"
    APP_HEADERS = "the app of the key in its headers"
    APP_BODY = "the app of the key in the body"
    USER_OR_APP = "the user of the core token, or the app of the key"
    APP_SOCKET = "the app whose socket is open at the caller's address"
    ADMINISTRATION = "who can read the data directory"


@dataclass(frozen=True)
class Route(Generic[B]):
    """One route of protocol.md 1.2 or 1.3.

    Attributes:
      path: as quart has it, `<name>` for a part of it.
      also: other paths of the same.
      owner: whose data it reaches, and whose it does not: the rule that tests/adapters/http/test_owners.py
        holds it to.
      request: the type of the body; None where there is none, bytes where it is no JSON.
      answer: the type of the body of a 200.
      statuses: that it answers beside 200 and what its caller and its body bring along.
      query: parameters and whether they must be there.
      body_bytes: the largest body, where it is not the application's.
      body_type: of a body that is bytes.
      answer_type: of a 200.
      has_usual_errors: what is no 200 has the form of `rest.failure`.
      is_never_ok: it answers no 200.
    """

    method: str
    path: str
    caller: Caller
    owner: str
    summary: str
    request: type[B] | None = None
    answer: Any = None
    also: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    query: Mapping[str, bool] = field(default_factory=dict)
    body_bytes: int | None = None
    body_type: str = "application/json"
    answer_type: str = "application/json"
    has_usual_errors: bool = True
    is_never_ok: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, *self.also)


class Failure(Exception):  # noqa: N818 - it is an answer
    """A view's answer that is no 200."""

    def __init__(
        self, status: int, code: ErrorCode, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class _Refused(Exception):  # noqa: N818 - it is an answer
    """An answer that is made already."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Call(Generic[B]):
    """A request whose caller is known.

    Attributes:
      body: as the route's `request` says; None where it has none.
      user_id: the core token's user; empty where an app or nobody in particular calls.
      app: the app of the key, where one calls.
      peer: the host that the request came from.
      is_forwarded: a proxy passed it on, so `peer` is the proxy's.
    """

    body: B
    query: Mapping[str, str]
    user_id: str = ""
    app: AppDocument | None = None
    peer: str = ""
    is_forwarded: bool = False
    live: Ref[SessionMessage] | None = None

    @property
    def session(self) -> Ref[SessionMessage]:
        """The user's session; for routes that demand one."""
        assert self.live is not None, "the route says Caller.SESSION"
        return self.live

    @property
    def caller_app(self) -> AppDocument:
        """The app; for routes that only an app may call."""
        assert self.app is not None, "the route says Caller.APP"
        return self.app


View = Callable[..., Awaitable[object]]


class Routes(Blueprint):
    """A group of routes with their views."""

    def __init__(self, name: str, desk: Desk) -> None:
        super().__init__(name, __name__)
        self.desk = desk

    def serve(self, route: Route[B], view: Callable[..., Awaitable[object]]) -> None:
        """Have `view` answer the route, on all of its paths.

        It is called with the `Call` and the parts of the path, and returns a body, or a `Response`.
        """
        decoder = None
        if route.request not in (None, bytes):
            decoder = msgspec.json.Decoder(route.request)

        async def answer(**parts: str) -> Response:
            stamp = timestamps.iso(self.desk.wall())
            try:
                call = await self._call(route, decoder)
                said = await view(call, **parts)
            except _Refused as refused:
                return refused.answer
            except Failure as failure:
                return _failed(failure, stamp)
            except (StorageError, RuntimeFailure) as error:
                self.desk.telemetry.warning("rest_not_now", path=request.path, cause=str(error))
                return not_now(error, ErrorCode.TRY_AGAIN, timestamp=stamp)
            return said if isinstance(said, Response) else json_answer(200, msgspec.json.encode(said))

        for number, path in enumerate(route.paths):
            endpoint = f"{route.method} {route.path} {number}".replace(".", " ")
            self.add_url_rule(path, endpoint, answer, methods=[route.method])

    async def _call(self, route: Route[B], decoder: msgspec.json.Decoder[B] | None) -> Call[B]:
        is_forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For"))
        query = dict(request.args)
        user_id, app = await self._caller(route.caller)
        live = None
        if route.caller is Caller.SESSION:
            live = await self.desk.roster.ask(find_user(user_id), timeout_s=ASK_S)
            if live is None:
                raise _Refused(json_answer(503, rest.no_active_session("No active session found")))
        missing = [name for name, is_needed in route.query.items() if is_needed and not query.get(name)]
        if missing:
            raise Failure(400, ErrorCode.INVALID_REQUEST, f"missing in the query: {', '.join(missing)}")
        body: Any = None
        if route.request is not None:
            payload = await request.get_data(cache=True, as_text=False, parse_form_data=False)
            body = payload if decoder is None else _decoded(decoder, payload)
        return Call(body, query, user_id, app, request.remote_addr or "", is_forwarded, live)

    async def _caller(self, caller: Caller) -> tuple[str, AppDocument | None]:
        """Who calls: a user's id or an app, as the route demands.

        Raises:
          _Refused: the 401 of who shows nothing good.
        """
        match caller:
            case Caller.USER | Caller.SESSION:
                return self._user(), None
            case Caller.APP:
                return "", await self._app()
            case Caller.USER_OR_APP:
                app = await self.desk.app_of(request)
                return ("", self._within(app)) if app is not None else (self._user(), None)
            case _:
                return "", None

    def _user(self) -> str:
        user_id = caller_of(request, self.desk.tokens, self.desk.telemetry)
        if isinstance(user_id, Response):
            raise _Refused(user_id)
        return user_id

    async def _app(self) -> AppDocument:
        app = await self.desk.app_of(request)
        if app is None:
            self.desk.telemetry.warning("rest_refused", cause="unknown app or wrong key")
            raise Failure(401, ErrorCode.INVALID_API_KEY, "Invalid API key")
        return self._within(app)

    def _within(self, app: AppDocument) -> AppDocument:
        """The app, unless too many requests came with its key. Raises _Refused."""
        limited = over_limit(lambda rates, now: rates.app(app.package_name, now))
        if limited is not None:
            raise _Refused(limited)
        return app


def _decoded(decoder: msgspec.json.Decoder[B], payload: bytes) -> B:
    try:
        return envelope.decode_with(decoder, payload)
    except MalformedMessage as error:
        raise Failure(400, ErrorCode.INVALID_REQUEST, error.cause) from error


def _failed(failure: Failure, stamp: str) -> Response:
    body = rest.failure(failure.message, failure.code, timestamp=stamp, retry_after_s=failure.retry_after_s)
    answer = json_answer(failure.status, body)
    if failure.retry_after_s is not None:
        answer.headers["Retry-After"] = str(max(1, round(failure.retry_after_s)))
    return answer
