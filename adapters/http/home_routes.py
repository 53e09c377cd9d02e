"""The phone's home screen: which apps there are, install and uninstall, and what its own version must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from quart import Response

from actors.cabinet.messages import edit_preferences
from actors.cabinet.preferences import (
    AlreadyInstalledError,
    Install,
    NotInstalledError,
    Preferences,
    TooLargeError,
    Uninstall,
    is_offered,
)
from actors.cabinet.reading import find_preferences
from actors.directory import ListApps, ListServers, find_app, probe_server
from actors.ports import AppDocument, ProbeOutcome
from actors.session.messages import stop_app
from actors.users.roster import find_user
from adapters.http.application import json_response
from adapters.http.desk import Desk
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import home, timestamps, webhooks
from protocols.error_codes import ErrorCode

STOP_S: Final = 10.0
PROBE_S: Final = 10.0

PUBLIC = "what everybody may know of the catalogue"
OWN = "the caller's own home screen"

MIN_VERSION = Route[None](
    "GET",
    "/api/client/min-version",
    Caller.ANYBODY,
    PUBLIC,
    "The oldest phone app that may be used, and the one that should be.",
    answer=home.MinimumVersionAnswer,
)
CLIENT_APPS = Route[None](
    "GET",
    "/api/client/apps",
    Caller.USER,
    OWN,
    "The home screen: apps with whether they run and whether their servers are well.",
    answer=home.Applets,
    statuses=(503,),
)
APPS = Route[None](
    "GET",
    "/api/apps",
    Caller.USER,
    OWN,
    "The home screen in the form of generation A.",
    answer=home.AppList,
    also=("/api/apps/", "/apps", "/apps/"),
    statuses=(503,),
)
INSTALLED = Route[None](
    "GET",
    "/api/apps/installed",
    Caller.USER,
    OWN,
    "Apps that the user has installed or started.",
    answer=home.AppList,
    statuses=(503,),
)
AVAILABLE = Route[None](
    "GET",
    "/api/apps/available",
    Caller.USER,
    OWN,
    "All apps of the catalogue, with which of them the user has installed.",
    answer=home.AppList,
    statuses=(503,),
)
PUBLIC_APPS = Route[None](
    "GET",
    "/api/apps/public",
    Caller.ANYBODY,
    PUBLIC,
    "All apps of the catalogue.",
    answer=home.AppList,
    statuses=(503,),
)
SEARCH = Route[None](
    "GET",
    "/api/apps/search",
    Caller.ANYBODY,
    PUBLIC,
    "Apps whose name, package or description has the text in it. Organisations are not known here.",
    answer=home.AppList,
    statuses=(400, 503),
    query={"query": True, "organizationId": False},
)
VERSION = Route[None](
    "GET",
    "/api/apps/version",
    Caller.ANYBODY,
    PUBLIC,
    "The version of this server.",
    answer=home.ServerVersion,
)
ONE_APP = Route[None](
    "GET",
    "/api/apps/<package_name>",
    Caller.ANYBODY,
    PUBLIC,
    "One app of the catalogue.",
    answer=home.OneApp,
    statuses=(404, 503),
)
INSTALL = Route[None](
    "POST",
    "/api/apps/install/<package_name>",
    Caller.USER,
    OWN,
    "Put an app on the home screen. The phone hears of it by `app_state_change`.",
    answer=home.Done,
    statuses=(400, 404, 413, 503),
)
UNINSTALL = Route[None](
    "POST",
    "/api/apps/uninstall/<package_name>",
    Caller.USER,
    OWN,
    "Take an app off the home screen, stopping it if it runs. What it has kept stays.",
    answer=home.Done,
    statuses=(400, 404, 413, 503),
)
PERMISSIONS = Route[None](
    "GET",
    "/api/public/permissions/<package_name>",
    Caller.ANYBODY,
    PUBLIC,
    "What an app has declared that it needs.",
    answer=home.PermissionsAnswer,
    statuses=(404, 503),
)
HEALTH_CHECK = Route(
    "POST",
    "/api/app-uptime/app-pkg-health-check",
    Caller.ANYBODY,
    PUBLIC,
    "Whether the app's server answers: its /health is asked, once for all who want to know.",
    request=home.HealthQuestion,
    answer=home.HealthAnswer,
    statuses=(503,),
)
SDK_VERSION = Route[None](
    "GET",
    "/api/sdk/version",
    Caller.ANYBODY,
    PUBLIC,
    "The version of the SDK that apps should have.",
    answer=home.SdkVersionAnswer,
    query={"tag": False},
)

ROUTES = (
    MIN_VERSION,
    CLIENT_APPS,
    APPS,
    INSTALLED,
    AVAILABLE,
    PUBLIC_APPS,
    SEARCH,
    VERSION,
    ONE_APP,
    INSTALL,
    UNINSTALL,
    PERMISSIONS,
    HEALTH_CHECK,
    SDK_VERSION,
)


def home_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("home", desk)

    async def min_version(call: Call[None]) -> Response:
        versions = desk.versions
        data = home.MinimumVersion(required=versions.phone_required, recommended=versions.phone_recommended)
        answer = json_response(home.MinimumVersionAnswer(data=data, timestamp=stamp()))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def client_apps(call: Call[None]) -> home.Applets:
        running = await running_of(call.user_id)
        preferences = await find_preferences(desk.store, call.user_id)
        reports = await desk.directory.ask(ListServers)
        down = {one.package_name for one in reports if one.is_up is False}
        apps = [app for app in await desk.directory.ask(ListApps) if on_screen(app, preferences, running)]
        data = tuple(
            _applet(
                app, preferences, is_running=app.package_name in running, is_well=app.package_name not in down
            )
            for app in apps
        )
        return home.Applets(data=data, timestamp=stamp())

    async def list_own(
        call: Call[None], *, only_installed: bool = False, every: bool = False
    ) -> home.AppList:
        running = await running_of(call.user_id)
        preferences = await find_preferences(desk.store, call.user_id)
        shown = tuple(
            _shown(app, preferences, running)
            for app in await desk.directory.ask(ListApps)
            if every
            or (
                app.package_name in preferences.installed
                if only_installed
                else on_screen(app, preferences, running)
            )
        )
        return home.AppList(data=shown, timestamp=stamp())

    async def installed(call: Call[None]) -> home.AppList:
        return await list_own(call, only_installed=True)

    async def available(call: Call[None]) -> home.AppList:
        return await list_own(call, every=True)

    async def public_apps(call: Call[None]) -> home.AppList:
        wanted = call.query.get("query", "").casefold()
        found = tuple(
            _shown(app)
            for app in await desk.directory.ask(ListApps)
            if wanted in f"{app.name}\n{app.package_name}\n{app.description}".casefold()
        )
        return home.AppList(data=found, timestamp=stamp())

    async def version(call: Call[None]) -> home.ServerVersion:
        return home.ServerVersion(data=home.VersionShown(version=desk.server_version), timestamp=stamp())

    async def one_app(call: Call[None], package_name: str) -> home.OneApp:
        return home.OneApp(data=_shown(await known(package_name)), timestamp=stamp())

    async def install(call: Call[None], package_name: str) -> home.Done:
        app = await known(package_name)
        at_ms = round(desk.wall() * 1000)
        try:
            await desk.cabinet.ask(edit_preferences(call.user_id, Install(package_name, at_ms)))
        except AlreadyInstalledError as error:
            raise Failure(400, ErrorCode.INVALID_REQUEST, str(error)) from error
        except TooLargeError as error:
            raise Failure(413, ErrorCode.TOO_LARGE, str(error)) from error
        return home.Done(message=f"{app.name} is installed", timestamp=stamp())

    async def uninstall(call: Call[None], package_name: str) -> home.Done:
        app = await known(package_name)
        preferences = await find_preferences(desk.store, call.user_id)
        is_shown = is_offered(preferences, app, installs_all=desk.limits.installs_all)
        try:
            edit = Uninstall(package_name, is_offered=is_shown)
            await desk.cabinet.ask(edit_preferences(call.user_id, edit))
        except NotInstalledError as error:
            raise Failure(400, ErrorCode.INVALID_REQUEST, str(error)) from error
        session = await desk.roster.ask(find_user(call.user_id))
        if session is not None:
            await session.ask(stop_app(package_name), timeout_s=STOP_S)
        return home.Done(message=f"{app.name} is uninstalled", timestamp=stamp())

    async def permissions(call: Call[None], package_name: str) -> home.PermissionsAnswer:
        app = await known(package_name)
        return home.PermissionsAnswer(package_name=app.package_name, permissions=permissions_of(app))

    async def health_check(call: Call[home.HealthQuestion]) -> home.HealthAnswer:
        package_name = call.body.package_name
        app = await desk.directory.ask(find_app(package_name))
        is_well = False
        if app is not None:
            url = webhooks.url(app.public_url, "/health")
            outcome = await desk.directory.ask(probe_server(package_name, url), timeout_s=PROBE_S)
            is_well = outcome is ProbeOutcome.ANSWERS
        return home.HealthAnswer(
            package_name=package_name, success=is_well, status=200 if is_well else 500, timestamp=stamp()
        )

    async def sdk_version(call: Call[None]) -> home.SdkVersionAnswer:
        versions = desk.versions
        tag = call.query.get("tag") or "latest"
        data = home.SdkVersion(required=versions.sdk_required, latest=versions.sdk_latest, tag=tag)
        return home.SdkVersionAnswer(data=data, timestamp=stamp())

    async def known(package_name: str) -> AppDocument:
        app = await desk.directory.ask(find_app(package_name))
        if app is None:
            raise Failure(404, ErrorCode.PACKAGE_NOT_FOUND, "App not found")
        return app

    async def running_of(user_id: str) -> tuple[str, ...]:
        facts = await desk.facts_of(user_id)
        return () if facts is None else facts.running

    def on_screen(app: AppDocument, preferences: Preferences, running: tuple[str, ...]) -> bool:
        if app.package_name in running:
            return True
        return is_offered(preferences, app, installs_all=desk.limits.installs_all)

    def stamp() -> str:
        return timestamps.iso(desk.wall())

    routes.serve(MIN_VERSION, min_version)
    routes.serve(CLIENT_APPS, client_apps)
    routes.serve(APPS, list_own)
    routes.serve(INSTALLED, installed)
    routes.serve(AVAILABLE, available)
    routes.serve(PUBLIC_APPS, public_apps)
    routes.serve(SEARCH, public_apps)
    routes.serve(VERSION, version)
    routes.serve(ONE_APP, one_app)
    routes.serve(INSTALL, install)
    routes.serve(UNINSTALL, uninstall)
    routes.serve(PERMISSIONS, permissions)
    routes.serve(HEALTH_CHECK, health_check)
    routes.serve(SDK_VERSION, sdk_version)
    return routes


def permissions_of(app: AppDocument) -> tuple[home.PermissionShown, ...]:
    """What the app declares."""
    return tuple(home.PermissionShown(type=one.type, description=one.description) for one in app.permissions)


def _hardware_of(app: AppDocument) -> tuple[home.HardwareShown, ...]:
    return tuple(
        home.HardwareShown(type=one.type, level=one.level, description=one.description or None)
        for one in app.hardware
    )


def _applet(app: AppDocument, preferences: Preferences, *, is_running: bool, is_well: bool) -> home.Applet:
    noted = preferences.installed.get(app.package_name)
    return home.Applet(
        package_name=app.package_name,
        name=app.name,
        webview_url=app.webview_url,
        logo_url=app.logo_url,
        type=app.app_type,
        permissions=permissions_of(app),
        running=is_running,
        healthy=is_well,
        hardware_requirements=_hardware_of(app),
        installed_date=None if noted is None else _moment(noted.installed_at_ms),
        last_active_at=None if noted is None else _moment(noted.last_active_at_ms),
    )


def _shown(
    app: AppDocument, preferences: Preferences | None = None, running: tuple[str, ...] = ()
) -> home.AppShown:
    """The app for a list; with what is the user's own, where the list is a user's."""
    is_own = preferences is not None
    installed: Mapping[str, object] = {} if preferences is None else preferences.installed
    return home.AppShown(
        package_name=app.package_name,
        name=app.name,
        description=app.description,
        version=app.version,
        app_type=app.app_type,
        type=app.app_type,
        logo_url=app.logo_url,
        webview_url=app.webview_url,
        permissions=permissions_of(app),
        hardware_requirements=_hardware_of(app),
        is_system_app=app.is_system,
        is_installed=app.package_name in installed if is_own else None,
        is_running=app.package_name in running if is_own else None,
    )


def _moment(epoch_ms: int) -> str | None:
    return timestamps.iso(epoch_ms / 1000) if epoch_ms else None
