"""The pages of apps: their figures over everybody who runs them, their servers' health, their keys.

Nobody's name is on them: they are for the owners of apps, who see their own and no others, and for operators.
A key is shown in the answer that made it and never again: only its hash is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace
from quart import Blueprint, Response, request

from actors.app_keys import hash_of, with_new_key, without_more_keys
from actors.console.overview import Tone
from actors.console.ports import ErrorRates
from actors.console.viewers import Viewer
from actors.directory import ListApps, ListServers, ServerReport
from actors.figures import AppFigures
from actors.ports import AppDocument, PutApp, StorageError, Telemetry
from adapters.http.console.agent_pieces import Order
from adapters.http.console.agent_view import lasted
from adapters.http.console.frame import Frame, console_blueprint, said
from adapters.http.console.guard import Refused
from adapters.http.console.house import House
from adapters.http.console.look_pieces import LookPieces, Pieces, Shown
from adapters.http.console.sheet import Sheet, piece_id
from adapters.http.console.streams import Streams
from adapters.http.console.watch import Watch
from runtime import RuntimeFailure

HERE: Final = "/console/apps"
OVERLAP_S: Final = 7 * 86_400.0
"""As long as `glasshouse app rotate-key` leaves the former key."""


class NewKey(msgspec.Struct, frozen=True):
    """The body of `POST /console/apps/<package>/key`: what becomes of the present key and of tokens."""

    former: Literal["stays", "ends"] = "ends"


class AppLine(msgspec.Struct, frozen=True, kw_only=True):
    """One app, over everybody who runs it."""

    package_name: str
    name: str
    owner: str
    word: str
    tone: Tone
    health: tuple[tuple[str, str], ...]
    sessions: int
    phases: tuple[tuple[str, int], ...]
    restarts: int
    handled: int
    bytes_in: int
    bytes_out: int
    queued_bytes: int
    dropped: int
    rates: ErrorRates


def app_line(
    app: AppDocument, figures: AppFigures | None, report: ServerReport | None, rates: ErrorRates, now: float
) -> AppLine:
    """One app's line.

    Args:
      figures: None where nobody runs it.
      report: None where nothing is known of its server.
      now: epoch seconds.
    """
    figures = figures or AppFigures()
    word, tone = standing_of(report)
    return AppLine(
        package_name=app.package_name,
        name=app.name,
        owner=app.owner,
        word=word,
        tone=tone,
        health=tuple(_health(report, now)),
        sessions=sum(figures.phases.values()),
        phases=tuple(sorted(figures.phases.items())),
        restarts=figures.restarts,
        handled=figures.handled,
        bytes_in=figures.traffic["bytes_in"],
        bytes_out=figures.traffic["bytes_out"],
        queued_bytes=figures.traffic["queued_bytes"],
        dropped=figures.traffic["audio_dropped"],
        rates=rates,
    )


def standing_of(report: ServerReport | None) -> tuple[str, Tone]:
    """How an app's server is, in a word."""
    if report is None or (report.is_up is None and not report.failures):
        return "Not asked yet", "off"
    if report.breaker.value != "closed":
        return "Failing, held back", "bad"
    if report.is_up is False:
        return "Down", "bad"
    return ("Failing", "waits") if report.failures else ("Up", "good")


def _health(report: ServerReport | None, now: float) -> list[tuple[str, str]]:
    if report is None:
        return []
    since = {
        "since": report.since,
        "probed": report.probed_at,
        "registered": report.registered_at,
        "heartbeat": report.heartbeat_at,
    }
    words = [(name, lasted(max(0.0, now - at))) for name, at in since.items() if at is not None]
    if report.failures:
        words.append(("failed webhooks in a row", str(report.failures)))
    if report.last_failure:
        words.append(("the last failure", report.last_failure))
    return words


def app_pages(
    *,
    frame: Frame,
    house: House,
    watch: Watch,
    pieces: LookPieces,
    streams: Streams,
    telemetry: Telemetry,
    wall: Callable[[], float],
) -> Blueprint:
    """`GET /console/apps` and `/console/apps/<package>`, each with `/events`; `POST .../<package>/key`.

    404 for an app that is not there and for one that is not the caller's, alike.
    """
    blueprint = console_blueprint("console apps")
    guard = frame.guard

    async def apps_of(viewer: Viewer) -> tuple[AppDocument, ...]:
        return tuple(app for app in await house.directory.ask(ListApps) if viewer.may_see_app(app))

    async def app_of(viewer: Viewer, package_name: str) -> AppDocument:
        found = [app for app in await apps_of(viewer) if app.package_name == package_name]
        if not found:
            raise Refused(404, "You have no such app")
        return found[0]

    async def lines(apps: Sequence[AppDocument]) -> list[AppLine]:
        seen = await watch.overview()
        reports = {one.package_name: one for one in await house.directory.ask(ListServers)}
        return [
            app_line(
                app,
                seen.figures.apps.get(app.package_name),
                reports.get(app.package_name),
                house.logs.rates(app.package_name),
                wall(),
            )
            for app in apps
        ]

    async def all_shown(viewer: Viewer) -> Shown:
        rows: Pieces = {
            (one := piece_id("app", line.package_name)): frame.render(
                "app_line.html", id=one, line=line, with_owner=viewer.is_operator
            )
            for line in await lines(await apps_of(viewer))
        }
        return Shown({"apps": rows})

    async def one_shown(viewer: Viewer, package_name: str) -> Shown:
        (line,) = await lines([await app_of(viewer, package_name)])
        return Shown(
            {
                "figures": {
                    "app-figures": frame.render("app_figures.html", id="app-figures", line=line),
                    piece_id("rates", package_name): pieces.rates(package_name),
                }
            }
        )

    async def show_all() -> Response:
        session = await guard.session_of(request)
        shown = await all_shown(guard.viewer(session))
        return frame.page("apps.html", session, shown=shown.on_page())

    async def show_one(package_name: str) -> Response:
        session = await guard.session_of(request)
        viewer = guard.viewer(session)
        shown = await one_shown(viewer, package_name)
        app = await app_of(viewer, package_name)
        return frame.page("app.html", session, shown=shown.on_page(), app=app, keys=keys_of(app))

    async def events_of_all() -> Response:
        session = await guard.session_of(request)
        viewer, sheet = guard.viewer(session), Sheet()

        async def look() -> Sequence[Order]:
            return (await all_shown(viewer)).orders(sheet)

        return streams.open(session, look)

    async def events_of_one(package_name: str) -> Response:
        session = await guard.session_of(request)
        viewer, sheet = guard.viewer(session), Sheet()
        await app_of(viewer, package_name)

        async def look() -> Sequence[Order]:
            return (await one_shown(viewer, package_name)).orders(sheet)

        return streams.open(session, look)

    async def make_key(package_name: str) -> Response:
        viewer = guard.viewer(await guard.acting(request))
        await app_of(viewer, package_name)
        known = await house.store.find_app(package_name)
        if known is None:
            raise Refused(404, "It is part of the server, or was removed just now")
        try:
            asked = msgspec.json.decode(await request.get_data(as_text=False), type=NewKey)
        except msgspec.MsgspecError as error:
            raise Refused(400, str(error)) from error
        key = house.make_key()
        app = renewed(known, key, wall(), keeps_former=asked.former == "stays")
        await house.store.commit([PutApp(app)])
        telemetry.info("console_acted", by=viewer.user_id, what="key", user=viewer.user_id, on=package_name)
        return said("A new key", key=key, package=package_name)

    async def not_now(error: RuntimeFailure | StorageError) -> Response:
        telemetry.warning("console_not_now", cause=str(error))
        return said("Not now, try again in a moment", status=503)

    blueprint.register_error_handler(RuntimeFailure, not_now)
    blueprint.register_error_handler(StorageError, not_now)
    blueprint.add_url_rule(HERE, "all", show_all, methods=["GET"])
    blueprint.add_url_rule(f"{HERE}/events", "events_of_all", events_of_all, methods=["GET"])
    blueprint.add_url_rule(f"{HERE}/<package_name>", "one", show_one, methods=["GET"])
    blueprint.add_url_rule(f"{HERE}/<package_name>/events", "events_of_one", events_of_one, methods=["GET"])
    blueprint.add_url_rule(f"{HERE}/<package_name>/key", "make_key", make_key, methods=["POST"])
    return blueprint


def renewed(app: AppDocument, key: str, now: float, *, keeps_former: bool) -> AppDocument:
    """The app with another key; those before it end at once, or the present one a week later."""
    if keeps_former:
        return with_new_key(app, hash_of(key), now=now, overlap_s=OVERLAP_S)
    return without_more_keys(replace(app, hashed_api_key=hash_of(key)))


def keys_of(app: AppDocument) -> Sequence[Any]:
    """What can be said of an app's keys: how each begins to be told from the others, by its hash."""
    return (app.hashed_api_key[:8], *(key.hashed[:8] for key in app.more_keys))
