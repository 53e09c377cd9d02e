"""The quart-trio application: health, JSON errors, and the place where routes are registered.

The routes themselves are blueprints that the assembly hands in. Here is what holds for all of them: an
error is JSON in the shape the wire's clients expect (protocol.md 1.2: `{success: false, message, code,
..., timestamp}`), an exception in a route is a 500 that says nothing about it and an event in telemetry that
does, a body has a limit, and every path is also served under `/o/<owner>/` (an SDK keeps the prefix of the
WebSocket URL it was given).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

import msgspec
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Blueprint, Response, request
from quart.routing import QuartRule
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest
from werkzeug.exceptions import HTTPException

from actors.ports import Telemetry
from adapters.http.routes import Caller, Route
from protocols import paths, rest, timestamps

_NO_SUCH_PATH = "/\x00"  # no route matches it


HEALTH = Route[None](
    "GET",
    "/health",
    Caller.ANYBODY,
    "counts of the server as a whole",
    "Whether the server is well.",
    statuses=(503,),
    has_usual_errors=False,
)

ROUTES = (HEALTH,)


class ApplicationLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    body_bytes: largest request body; past it 413. Simple storage takes 1 MB in one request (protocol.md 1.3).
    body_s: seconds a request has to send its body; past it 408.
    answer_s: seconds a peer has to take an answer.
    """

    body_bytes: int = 2 * 1024 * 1024
    body_s: float = 20.0
    answer_s: float = 60.0


def create_application(
    telemetry: Telemetry,
    health: Callable[[], Mapping[str, object]],
    blueprints: Iterable[Blueprint] = (),
    *,
    wall: Callable[[], float],
    node_name: str | None = None,
    limits: ApplicationLimits | None = None,
    large_bodies: Mapping[str, int] | None = None,
) -> QuartTrio:
    """The application with `GET /health` and `blueprints`.

    Args:
      health: counts to show beside `{"status": "ok"}`; called for every request, must be quick. It may say
        another `status` itself, which makes the answer a 503.
      wall: epoch seconds, for timestamps.
      node_name: this node's name in `/o/<owner>/`; None accepts every owner, otherwise others get 404.
      large_bodies: bytes that a request's body may have, by path, where that is more than elsewhere.
    """
    limits = limits or ApplicationLimits()
    application = _Application(telemetry, node_name)
    application.request_class = _with_limits(large_bodies or {})
    application.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
    application.config["BODY_TIMEOUT"] = limits.body_s
    application.config["RESPONSE_TIMEOUT"] = limits.answer_s

    async def answer_health() -> Response:
        body = {"status": "ok", **health()}
        return json_response(body, status=200 if body["status"] == "ok" else 503)

    async def answer_error(error: HTTPException) -> Response:
        # An exception of a route arrives here as a 500 around it: its text stays inside.
        message = "Internal server error" if error.code == 500 else error.name
        status = error.code or 500
        body = rest.refusal(status, message, timestamp=timestamps.iso(wall()))
        answer = Response(body, status=status, content_type="application/json")
        for name, value in error.get_headers():
            if name == "Allow":  # quart holds the methods in a set: a seeded run would not replay
                value = ", ".join(sorted(value.split(", ")))
            if name not in ("Content-Type", "Content-Length"):
                answer.headers[name] = value
        return answer

    async def name_the_type(answer: Response) -> Response:
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        return answer

    application.after_request(name_the_type)
    application.add_url_rule("/health", "health", answer_health)
    application.register_error_handler(HTTPException, answer_error)
    for blueprint in blueprints:
        application.register_blueprint(blueprint)
    return application


def json_response(body: object, *, status: int = 200) -> Response:
    """`body` as a JSON answer; msgspec structs are encoded by their own rules."""
    return Response(msgspec.json.encode(body), status=status, content_type="application/json")


def _with_limits(large_bodies: Mapping[str, int]) -> type[TrioRequest]:
    """quart decides on the limit when it makes the request, before any route is known."""

    class LimitedRequest(TrioRequest):
        def __init__(
            self, method: str, scheme: str, path: str, *rest: Any, max_content_length: int | None, **more: Any
        ) -> None:
            limit = large_bodies.get(path, max_content_length)
            super().__init__(method, scheme, path, *rest, max_content_length=limit, **more)
            self.max_content_length = limit  # of the parser of forms

    return LimitedRequest


class _MatchedRule(QuartRule):
    """A path for requests to match, from which no URL is built.

    werkzeug compiles two functions a path for that, together half of what the start of the server costs its
    processor, and pages here are linked to by their paths.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _build_nothing


def _build_nothing(rule: object, **_values: object) -> tuple[str, str]:
    raise NotImplementedError(f"{rule} is written where it is linked to")


class _Application(QuartTrio):
    url_rule_class = _MatchedRule  # type: ignore[assignment]  # as quart says it of its own

    def __init__(self, telemetry: Telemetry, node_name: str | None) -> None:
        super().__init__(__name__, static_folder=None)
        self._telemetry = telemetry
        self._node_name = node_name

    async def asgi_app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Take the owner's prefix off the path before any route sees it."""
        if scope["type"] == "http":
            owner, path = paths.split_owner(scope["path"])
            if owner is not None and self._node_name not in (None, owner):
                path = _NO_SUCH_PATH
            scope = {**scope, "path": path}
        await super().asgi_app(scope, receive, send)

    def log_exception(
        self,
        exception_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """An exception in a route: an event, where quart would write the peer's path to a log as it is."""
        error = exception_info[1]
        self._telemetry.error(
            "http.route_failed",
            method=request.method,
            path=request.path,
            cause=repr(error),
            traceback="".join(traceback.format_exception(error)),
        )
