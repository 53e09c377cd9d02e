"""`GET /metrics` for a Prometheus and `GET /ready` for a balancer or an orchestrator."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence

from quart import Blueprint, Response, request

from .application import json_response
from .routes import Caller, Route

METRICS = Route[None](
    "GET",
    "/metrics",
    Caller.ADMINISTRATION,
    "figures of the server as a whole, without a user's name",
    "The figures, as a Prometheus reads them.",
    has_usual_errors=False,
    answer_type="text/plain",
)
READY = Route[None](
    "GET",
    "/ready",
    Caller.ANYBODY,
    "whether somebody new should be sent here",
    "Whether the server takes new sessions.",
    statuses=(503,),
    has_usual_errors=False,
)

ROUTES = (METRICS, READY)


def metrics_routes(
    *,
    tokens: Sequence[str],
    page: Callable[[], Awaitable[tuple[str, str]]],
    troubles: Callable[[], Sequence[str]],
) -> Blueprint:
    """The routes.

    `/metrics`, with `Authorization: Bearer <token>`: 200 with the figures, or 401. `/ready`, for anybody: 200
    `{"status": "ready"}`, or 503 `{"status": "not ready", "why": [...]}`.

    Args:
      tokens: those that are good; an empty one is none.
      page: the figures and their content type.
      troubles: why nobody new should be sent here now; called for every request, must be quick.
    """
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    async def show_metrics() -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip().encode()
        matches = [hmac.compare_digest(given, token.encode()) for token in tokens if token]
        if not any(matches):
            return json_response({"error": "metrics token missing or wrong"}, status=401)
        text, content_type = await page()
        return Response(text, content_type=content_type)

    @blueprint.get("/ready")
    async def show_ready() -> Response:
        why = list(troubles())
        if why:
            return json_response({"status": "not ready", "why": why}, status=503)
        return json_response({"status": "ready"})

    return blueprint
