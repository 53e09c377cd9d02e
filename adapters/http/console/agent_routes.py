"""`/console/agent`: ask, watch, answer and stop.

The page does nothing that has not its route under `/api`: its forms go there, with the login for a token
(`admission`). Here are the page itself, and the events by which it learns what happens.
"""

from __future__ import annotations

from quart import Blueprint, Response, request

from actors.console.settings import ConsoleSettings
from actors.desktop.messages import Desk, EnsureDesk, ensure_desk
from actors.ports import StorageError, Telemetry
from adapters.http.assistant_routes import LONGEST_QUERY
from adapters.http.console.agent_events import EventStream
from adapters.http.console.agent_pieces import AgentPage, Results
from adapters.http.console.feed import Feed
from adapters.http.console.frame import Frame, console_blueprint, said
from adapters.http.console.open_pages import OpenPages
from adapters.http.ending import ending_of
from runtime import ActorSystem, Ref, RuntimeFailure, SupervisorMessage


def agent_routes(
    *,
    frame: Frame,
    system: ActorSystem,
    desks: Ref[EnsureDesk],
    readers: Ref[SupervisorMessage],
    pages: OpenPages,
    settings: ConsoleSettings,
    telemetry: Telemetry,
) -> Blueprint:
    """The page and its events.

    `GET /console/agent` is the page, `GET /console/agent/events` its events: 429 with too many of them open,
    503 while the desk cannot answer.

    Args:
      readers: where the actors of open pages live.
    """
    blueprint = console_blueprint("console agent")
    guard = frame.guard
    results = Results()

    async def desk_of(user_id: str) -> Desk:
        return await desks.ask(ensure_desk(user_id))

    async def show() -> Response:
        session = await guard.session_of(request)
        return frame.page("agents.html", session, longest_query=LONGEST_QUERY)

    async def listen() -> Response:
        session = await guard.session_of(request)
        desk = await desk_of(session.user_id)
        feed = Feed(pieces=settings.pending_pieces, log=settings.pending_log)
        if not pages.add(session.user_id, session.session_id, feed):
            return said("Too many pages are open: close one", status=429)

        async def is_logged_in() -> bool:
            return await guard.is_good(session.session_id)

        stream = EventStream(
            system=system,
            readers=readers,
            desk=desk,
            page=AgentPage(frame, results),
            feed=feed,
            ending=ending_of(request.scope),
            keep_alive_s=settings.keep_alive_s,
            is_logged_in=is_logged_in,
            on_end=lambda: pages.remove(session.user_id, feed),
        )
        answer = Response(stream, content_type="text/event-stream; charset=utf-8")
        answer.headers["X-Accel-Buffering"] = "no"  # what nginx would collect arrives late
        answer.timeout = None
        return answer

    async def not_now(error: RuntimeFailure | StorageError) -> Response:
        telemetry.warning("console_not_now", cause=str(error))
        return said("Not now, try again in a moment", status=503)

    blueprint.register_error_handler(RuntimeFailure, not_now)
    blueprint.register_error_handler(StorageError, not_now)
    here = "/console/agent"
    blueprint.add_url_rule(here, "show", show, methods=["GET"])
    blueprint.add_url_rule(f"{here}/events", "listen", listen, methods=["GET"])
    return blueprint
