"""What `glasshouse tree` reads: the actor tree and the counters, for whoever holds the data directory."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

import msgspec
from quart import Blueprint, Response, request

from .application import json_response


def admin_routes(
    *, admin_token: str, tree: Callable[[], object], counters: Callable[[], Mapping[str, int]]
) -> Blueprint:
    """`GET /api/admin/tree`, for `Authorization: Bearer <admin token>`.

    Args:
      admin_token: made at each start and written into the data directory, readable by its owner only.
      tree: the runtime's inspection, as data that msgspec encodes.
    """
    blueprint = Blueprint("admin", __name__)

    @blueprint.get("/api/admin/tree")
    async def show_tree() -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), admin_token.encode()):
            return json_response({"error": "admin token missing or wrong"}, status=401)
        body = {"tree": msgspec.to_builtins(tree()), "counters": dict(counters())}
        return json_response(body)

    return blueprint
