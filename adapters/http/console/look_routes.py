"""The pages of figures: who is connected, one wearer's actors and log, the server's own actors.

Each page is rendered with what there is, and has a stream of events by which it goes on. What changes
something is a POST of JSON beside it, from this origin, with the mark of the login, as everything in the
console.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from actors.console.settings import ConsoleSettings
from actors.console.viewers import Viewer
from actors.directory import ListApps
from actors.display.messages import ShowNotice
from actors.ports import AppDocument, StorageError, Telemetry
from actors.session.messages import SessionMessage, start_app, stop_app
from actors.users.roster import find_user
from adapters.http.admin_routes import KilledByAdmin
from adapters.http.app_routes import START_TIMEOUT_S, STOP_TIMEOUT_S
from adapters.http.console.agent_pieces import Order
from adapters.http.console.frame import Frame, console_blueprint, said
from adapters.http.console.guard import Refused
from adapters.http.console.house import House
from adapters.http.console.look_pieces import LookPieces
from adapters.http.console.sheet import Sheet, Tail
from adapters.http.console.streams import Streams
from adapters.http.console.watch import Watch
from runtime import Ref, RuntimeFailure

LONGEST_TEXT: Final = 200
SHOWN_S: Final = 8.0

Body = TypeVar("Body")


class Start(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The body of `POST /console/wearer/start` and `/stop`."""

    user: str
    package_name: str


class Display(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /console/wearer/display`."""

    user: str
    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]


class KillActor(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /console/kill`: of which page, empty for the server's, and the actor's path."""

    path: str
    user: str = ""


def look_routes(
    *,
    frame: Frame,
    house: House,
    watch: Watch,
    pieces: LookPieces,
    streams: Streams,
    settings: ConsoleSettings,
    telemetry: Telemetry,
) -> Blueprint:
    """The routes.

    `GET /console`: who is connected, all of them for an operator; `?q=` leaves out names without that.
    `GET /console/wearer`, `?user=` of another for an operator. `GET /console/server` for operators. Each with
    `/events`. `POST /console/wearer/start`, `/stop` and `/display`; `POST /console/kill`, for operators where
    `admin.allow_kill` says so: 403 for whom it is not, 404 for what is not there, 409 without a phone.
    """
    blueprint = console_blueprint("console look")
    guard = frame.guard

    async def apps() -> tuple[AppDocument, ...]:
        return await house.directory.ask(ListApps)

    def wearer_of(viewer: Viewer) -> str:
        """Whose page is asked for."""
        user_id = request.args.get("user") or viewer.user_id
        if not viewer.may_see_session(user_id):
            raise Refused(403, "Only operators see other people's sessions")
        return user_id

    def only_operators(viewer: Viewer) -> None:
        if not viewer.is_operator:
            raise Refused(403, "Only for operators")

    # -- Pages

    async def overview() -> Response:
        session = await guard.session_of(request)
        viewer, asked = guard.viewer(session), request.args.get("q", "").strip()[:100]
        own = [app for app in await apps() if viewer.may_see_app(app)]
        shown = await pieces.overview(viewer, asked)
        return frame.page("overview.html", session, asked=asked, own=own, shown=shown.on_page())

    async def wearer() -> Response:
        session = await guard.session_of(request)
        viewer = guard.viewer(session)
        user_id = wearer_of(viewer)
        may_kill = house.allow_kill and viewer.is_operator
        shown = pieces.wearer(user_id, may_kill=may_kill)
        log = "".join(f"{line}\n" for line in house.logs.log_of(user_id).lines)
        return frame.page(
            "wearer.html",
            session,
            user=user_id,
            apps=await apps(),
            log=log,
            may_kill=may_kill,
            longest=LONGEST_TEXT,
            kept=settings.log_lines,
            shown=shown.on_page(),
        )

    async def server() -> Response:
        session = await guard.session_of(request)
        only_operators(guard.viewer(session))
        shown = await pieces.server(may_kill=house.allow_kill)
        return frame.page("server.html", session, may_kill=house.allow_kill, shown=shown.on_page())

    # -- Their events

    async def overview_events() -> Response:
        session = await guard.session_of(request)
        viewer, asked = guard.viewer(session), request.args.get("q", "").strip()[:100]
        sheet = Sheet()

        async def look() -> Sequence[Order]:
            return (await pieces.overview(viewer, asked)).orders(sheet)

        return streams.open(session, look)

    async def wearer_events() -> Response:
        session = await guard.session_of(request)
        viewer = guard.viewer(session)
        user_id = wearer_of(viewer)
        may_kill = house.allow_kill and viewer.is_operator
        sheet, tail = Sheet(), Tail("log")

        async def look() -> Sequence[Order]:
            kept = house.logs.log_of(user_id)
            shown = pieces.wearer(user_id, may_kill=may_kill)
            return [*shown.orders(sheet), *tail.put(kept.count, kept.lines)]

        return streams.open(session, look)

    async def server_events() -> Response:
        session = await guard.session_of(request)
        only_operators(guard.viewer(session))
        sheet = Sheet()

        async def look() -> Sequence[Order]:
            return (await pieces.server(may_kill=house.allow_kill)).orders(sheet)

        return streams.open(session, look)

    # -- What they can do

    async def acting() -> Viewer:
        return guard.viewer(await guard.acting(request))

    async def session_for(viewer: Viewer, user_id: str) -> Ref[SessionMessage]:
        if not viewer.may_see_session(user_id):
            raise Refused(403, "Only operators reach other people's sessions")
        session = await house.roster.ask(find_user(user_id))
        if session is None:
            raise Refused(404, "There is no session: put the glasses on first")
        return session

    async def start() -> Response:
        viewer, body = await acting(), await read(Start)
        session = await session_for(viewer, body.user)
        did(viewer, "start", body.user, body.package_name)
        is_running = await session.ask(start_app(body.package_name), timeout_s=START_TIMEOUT_S)
        if is_running is None:
            return said("There is no such app", status=404)
        if not is_running:
            return said("It did not start: the log says why", status=409)
        return said("Started")

    async def stop() -> Response:
        viewer, body = await acting(), await read(Start)
        session = await session_for(viewer, body.user)
        did(viewer, "stop", body.user, body.package_name)
        await session.ask(stop_app(body.package_name), timeout_s=STOP_TIMEOUT_S)
        return said("Stopped")

    async def display() -> Response:
        viewer, body = await acting(), await read(Display)
        await session_for(viewer, body.user)
        lens = watch.display_of(body.user)
        if lens is None or not watch.has_phone(body.user):
            return said("No phone is connected: nobody would see it", status=409)
        did(viewer, "display", body.user, "")
        lens.tell(ShowNotice(body.text, SHOWN_S))
        return said(f"On the lens for {SHOWN_S:g} s")

    async def kill() -> Response:
        viewer, body = await acting(), await read(KillActor)
        only_operators(viewer)
        if not house.allow_kill:
            raise Refused(403, "No actor may be killed here: admin.allow_kill is not set")
        actor = watch.find(body.path, body.user or None)
        if actor is None:
            return said("There is no such actor", status=404)
        did(viewer, "kill", body.user, body.path)
        actor.crash(KilledByAdmin(f"{body.path}: asked for in the console"))
        return said("Killed; its supervisor brings it back")

    async def read(kind: type[Body]) -> Body:
        try:
            return msgspec.json.decode(await request.get_data(as_text=False), type=kind)
        except msgspec.MsgspecError as error:
            raise Refused(400, str(error)) from error

    def did(viewer: Viewer, what: str, user_id: str, on: str) -> None:
        telemetry.info("console_acted", by=viewer.user_id, what=what, user=user_id, on=on)

    async def not_now(error: RuntimeFailure | StorageError) -> Response:
        telemetry.warning("console_not_now", cause=str(error))
        return said("Not now, try again in a moment", status=503)

    blueprint.register_error_handler(RuntimeFailure, not_now)
    blueprint.register_error_handler(StorageError, not_now)
    for path, show, listen in (
        ("/console", overview, overview_events),
        ("/console/wearer", wearer, wearer_events),
        ("/console/server", server, server_events),
    ):
        blueprint.add_url_rule(path, show.__name__, show, methods=["GET"])
        blueprint.add_url_rule(f"{path}/events", listen.__name__, listen, methods=["GET"])
    for path, act in (
        ("/console/wearer/start", start),
        ("/console/wearer/stop", stop),
        ("/console/wearer/display", display),
        ("/console/kill", kill),
    ):
        blueprint.add_url_rule(path, act.__name__, act, methods=["POST"])
    return blueprint
