"""All that the console serves, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quart import Blueprint

from actors.console.ports import ConsoleKeys
from actors.console.sessions import SessionsMessage
from actors.console.settings import ConsoleSettings
from actors.desktop.messages import EnsureDesk
from actors.ports import Telemetry, Tokens
from adapters.http.console.admission import admission
from adapters.http.console.agent_routes import agent_routes
from adapters.http.console.app_pages import app_pages
from adapters.http.console.frame import Frame, static_routes
from adapters.http.console.guard import Guard
from adapters.http.console.house import House
from adapters.http.console.login_routes import login_routes
from adapters.http.console.look_pieces import LookPieces
from adapters.http.console.look_routes import look_routes
from adapters.http.console.open_pages import OpenPages
from adapters.http.console.streams import Streams
from adapters.http.console.watch import Watch
from runtime import ActorSystem, Ref, SupervisorMessage

Pages = Sequence[Blueprint]


def console_routes(
    *,
    system: ActorSystem,
    house: House,
    sessions: Ref[SessionsMessage],
    readers: Ref[SupervisorMessage],
    desks: Ref[EnsureDesk],
    tokens: Tokens,
    keys: ConsoleKeys,
    settings: ConsoleSettings,
    telemetry: Telemetry,
    public_url: str,
    wall: Callable[[], float],
    new_id: Callable[[], str],
) -> Pages:
    """The blueprints under `/console`, and what lets its pages use `/api`.

    Args:
      readers: where the actors of open pages live.
      public_url: as browsers reach this server from outside.
      wall: epoch seconds.
      new_id: a session id that nobody can guess.
    """
    guard = Guard(
        sessions=sessions,
        keys=keys,
        settings=settings,
        telemetry=telemetry,
        public_url=public_url,
        is_revoked=lambda login: tokens.has_revoked(login.user_id, login.ends_at - settings.session_s),
    )
    frame = Frame(guard)
    pages = OpenPages(settings.streams_per_user)
    watch = Watch(system, house.path)
    pieces = LookPieces(frame, watch, house.logs)
    streams = Streams(guard=guard, pages=pages, settings=settings, telemetry=telemetry, now=system.clock.now)
    return (
        admission(guard, telemetry),
        static_routes(),
        login_routes(
            frame=frame,
            tokens=tokens,
            settings=settings,
            telemetry=telemetry,
            wall=wall,
            new_id=new_id,
            on_logout=pages.logged_out,
        ),
        agent_routes(
            frame=frame,
            system=system,
            desks=desks,
            readers=readers,
            pages=pages,
            settings=settings,
            telemetry=telemetry,
        ),
        look_routes(
            frame=frame,
            house=house,
            watch=watch,
            pieces=pieces,
            streams=streams,
            settings=settings,
            telemetry=telemetry,
        ),
        app_pages(
            frame=frame,
            house=house,
            watch=watch,
            pieces=pieces,
            streams=streams,
            telemetry=telemetry,
            wall=wall,
        ),
    )
