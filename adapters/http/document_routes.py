"""The description of all routes, for whoever writes a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapters.http.application import json_response
from adapters.http.desk import Desk
from adapters.http.routes import Call, Caller, Route, Routes

DOCUMENT = Route[None](
    "GET",
    "/api/docs",
    Caller.ANYBODY,
    "what is public of this program",
    "This document, OpenAPI 3.1.",
)

ROUTES = (DOCUMENT,)


def document_routes(desk: Desk, document: Callable[[], Mapping[str, Any]]) -> Routes:
    """Its view."""
    routes = Routes("document", desk)

    async def show(call: Call[None]) -> object:
        return json_response(document())

    routes.serve(DOCUMENT, show)
    return routes
