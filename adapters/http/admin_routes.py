"""What `glasshouse tree` reads, and how the app servers are, for whoever holds the data directory.

Where a setting asks for it, also a way to crash one actor of the tree: `glasshouse bench resilience` shows
with it what the wearer notices.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from actors.directory import DirectoryMessage, ListServers
from runtime import Ref

from .application import json_response
from .routes import Caller, Route


class KilledByAdmin(Exception):  # noqa: N818 - says what happened
    """What an actor that the administration kills crashes with; its supervisor decides, as for any crash."""


class Kill(msgspec.Struct, frozen=True):
    """The body of `POST /api/admin/kill`: the actor's path, as `glasshouse tree --json` shows it."""

    path: str


SERVER = "everything: who can read the data directory runs the server"
TREE = Route[None](
    "GET",
    "/api/admin/tree",
    Caller.ADMINISTRATION,
    SERVER,
    "The actors and the counters.",
    has_usual_errors=False,
)
APP_SERVERS = Route[None](
    "GET",
    "/api/admin/app-servers",
    Caller.ADMINISTRATION,
    SERVER,
    "How the app servers are.",
    has_usual_errors=False,
)
KILL = Route(
    "POST",
    "/api/admin/kill",
    Caller.ADMINISTRATION,
    SERVER,
    "Crash an actor; only where `admin.allow_kill` says so.",
    request=Kill,
    statuses=(404,),
    has_usual_errors=False,
)

ROUTES = (TREE, APP_SERVERS, KILL)


def admin_routes(
    *,
    admin_token: str,
    tree: Callable[[], object],
    counters: Callable[[], Mapping[str, int]],
    directory: Ref[DirectoryMessage],
    find: Callable[[str], Ref[Any] | None] | None = None,
) -> Blueprint:
    """`GET /api/admin/tree` and `GET /api/admin/app-servers`, for `Authorization: Bearer <admin token>`.

    With `find` also `POST /api/admin/kill`: 200 when the actor was told to crash, 404 when there is none at
    that path, 400 for a body that names none.

    Args:
      admin_token: made at each start and written into the data directory, readable by its owner only.
      tree: the runtime's inspection, as data that msgspec encodes.
      find: the actor at a path; None leaves the route out.
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

    async def kill() -> Response:
        if not _is_admin():
            return _refusal()
        try:
            path = msgspec.json.decode(await request.get_data(as_text=False), type=Kill).path
        except msgspec.MsgspecError as error:
            return json_response({"error": str(error)}, status=400)
        actor = None if find is None else find(path)
        if actor is None:
            return json_response({"error": f"no actor at {path}"}, status=404)
        actor.crash(KilledByAdmin(f"{path}: asked for by the administration"))
        return json_response({"killed": actor.path})

    if find is not None:
        blueprint.add_url_rule("/api/admin/kill", "kill", kill, methods=["POST"])

    def _is_admin() -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(given.encode(), admin_token.encode())

    def _refusal() -> Response:
        return json_response({"error": "admin token missing or wrong"}, status=401)

    return blueprint
