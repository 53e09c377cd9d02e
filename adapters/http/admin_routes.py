"""What `glasshouse tree` reads, and how the app servers are, for whoever holds the data directory."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

import msgspec
from quart import Blueprint, Response, request

from actors.directory import DirectoryMessage, ListServers
from runtime import Ref

from .application import json_response


def admin_routes(
    *,
    admin_token: str,
    tree: Callable[[], object],
    counters: Callable[[], Mapping[str, int]],
    directory: Ref[DirectoryMessage],
) -> Blueprint:
    """`GET /api/admin/tree` and `GET /api/admin/app-servers`, for `Authorization: Bearer <admin token>`.

    Args:
      admin_token: made at each start and written into the data directory, readable by its owner only.
      tree: the runtime's inspection, as data that msgspec encodes.
    """
    blueprint = Blueprint("admin", __name__)

    @blueprint.get("/api/admin/tree")
    async def show_tree() -> Response:
        if not _is_admin():
            return _refusal()
        body = {"tree": msgspec.to_builtins(tree()), "counters": dict(counters())}
        return json_response(body)

    @blueprint.get("/api/admin/app-servers")
    async def show_app_servers() -> Response:
        if not _is_admin():
            return _refusal()
        return json_response({"appServers": await directory.ask(ListServers)})

    def _is_admin() -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(given.encode(), admin_token.encode())

    def _refusal() -> Response:
        return json_response({"error": "admin token missing or wrong"}, status=401)

    return blueprint
