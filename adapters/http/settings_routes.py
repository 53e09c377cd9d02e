"""Settings: of apps, as their pages in the phone show them, and the wearer's own (protocol.md 9.1, 9.3).

What is changed here is stored before the answer, and told to the running apps and the phone by the session.
"""

from __future__ import annotations

from typing import Final

from quart import request

from actors.apps.settings_of import keys_of, offered, settings_of
from actors.cabinet.messages import edit_preferences
from actors.cabinet.preferences import (
    Edit,
    NoSuchSettingError,
    Preferences,
    RemoveSystemSetting,
    SetAppSettings,
    SetSystemSettings,
    TooLargeError,
)
from actors.cabinet.reading import find_preferences
from actors.directory import find_app
from actors.ports import AppDocument
from adapters.http.callers import bearer_of
from adapters.http.desk import Desk
from adapters.http.home_routes import permissions_of
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import home, timestamps
from protocols.error_codes import ErrorCode
from protocols.errors import InvalidSessionId
from protocols.session_ids import user_of

OWN = "the caller's own settings"
APP_OWN = "the settings that the wearer made for the caller, an app that runs for them"

Chosen = home.SettingChosen | tuple[home.SettingChosen, ...]
"""One change, or several."""

APP_SETTINGS = Route[None](
    "GET",
    "/appsettings/<package_name>",
    Caller.USER,
    OWN,
    "The settings page of an app.",
    answer=home.AppSettingsPage,
    also=("/tpasettings/<package_name>",),
    statuses=(404, 503),
)
SET_APP_SETTINGS: Final = Route[Chosen](
    "POST",
    "/appsettings/<package_name>",
    Caller.USER,
    OWN,
    "Change settings of an app; it hears of it on its socket and at its server's /settings.",
    request=Chosen,  # type: ignore[arg-type] # a union is no class, and msgspec takes it
    answer=home.Done,
    also=("/tpasettings/<package_name>",),
    statuses=(404, 413, 503),
)
APP_SETTINGS_OF_USER = Route[None](
    "GET",
    "/appsettings/user/<package_name>",
    Caller.APP_SOCKET,
    APP_OWN,
    "The app's settings as its ack has them, for who shows its session id from where its socket is.",
    answer=home.AppSettingsOfUser,
    also=("/tpasettings/user/<package_name>",),
    statuses=(401, 503),
)
USER_SETTINGS = Route[None](
    "GET",
    "/api/client/user/settings",
    Caller.USER,
    OWN,
    "The wearer's system settings, by the phone's names.",
    answer=home.SystemSettingsAnswer,
    statuses=(503,),
)
PUT_USER_SETTINGS = Route(
    "PUT",
    "/api/client/user/settings",
    Caller.USER,
    OWN,
    "Change some of them; running apps and the phone hear of it.",
    request=home.SystemSettings,
    answer=home.SystemSettingsAnswer,
    statuses=(413, 503),
)
POST_USER_SETTINGS = Route(
    "POST",
    "/api/client/user/settings",
    Caller.USER,
    OWN,
    "The same.",
    request=home.SystemSettings,
    answer=home.SystemSettingsAnswer,
    statuses=(413, 503),
)
USER_SETTING = Route[None](
    "GET",
    "/api/client/user/settings/key/<path:key>",
    Caller.USER,
    OWN,
    "One of them.",
    answer=home.OneSettingAnswer,
    statuses=(503,),
)
PUT_USER_SETTING = Route(
    "PUT",
    "/api/client/user/settings/key/<path:key>",
    Caller.USER,
    OWN,
    "Change one of them.",
    request=home.SettingValue,
    answer=home.OneSettingAnswer,
    statuses=(413, 503),
)
REMOVE_USER_SETTING = Route[None](
    "DELETE",
    "/api/client/user/settings/key/<path:key>",
    Caller.USER,
    OWN,
    "Forget one of them, so that its default holds.",
    answer=home.OneSettingAnswer,
    statuses=(413, 503),
)

ROUTES = (
    APP_SETTINGS,
    SET_APP_SETTINGS,
    APP_SETTINGS_OF_USER,
    USER_SETTINGS,
    PUT_USER_SETTINGS,
    POST_USER_SETTINGS,
    USER_SETTING,
    PUT_USER_SETTING,
    REMOVE_USER_SETTING,
)


def settings_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("settings", desk)

    async def app_settings(call: Call[None], package_name: str) -> home.AppSettingsPage:
        app = await known(package_name)
        preferences = await find_preferences(desk.store, call.user_id)
        return home.AppSettingsPage(
            user_id=call.user_id,
            name=app.name,
            description=app.description,
            uninstallable=not app.is_system,
            webview_url=app.webview_url,
            version=app.version,
            settings=offered(app.settings_schema, preferences.apps.get(package_name, {})),
            permissions=permissions_of(app),
        )

    async def set_app_settings(call: Call[Chosen], package_name: str) -> home.Done:
        app = await known(package_name)
        chosen = call.body if isinstance(call.body, tuple) else (call.body,)
        values = {one.key: one.value for one in chosen}
        await edited(call.user_id, SetAppSettings(package_name, values, keys_of(app.settings_schema)))
        return home.Done(message="Settings updated", timestamp=stamp())

    async def app_settings_of_user(call: Call[None], package_name: str) -> home.AppSettingsOfUser:
        app = await desk.directory.ask(find_app(package_name))
        user_id = await wearer_of(call, package_name)
        if app is None or user_id is None:
            cause = "no such session runs, or from elsewhere"
            desk.telemetry.warning("rest_refused", package=package_name, cause=cause)
            raise Failure(401, ErrorCode.INVALID_API_KEY, "Invalid session")
        preferences = await find_preferences(desk.store, user_id)
        stored = preferences.apps.get(package_name, {})
        return home.AppSettingsOfUser(settings=settings_of(app.settings_schema, stored))

    async def wearer_of(call: Call[None], package_name: str) -> str | None:
        """The wearer of an app session that the bearer names and whose socket comes from where the call does.

        The SDK shows its session id here, and knows nothing that would prove it (protocol.md 1.3).
        """
        bearer = bearer_of(request)
        if call.is_forwarded or not bearer:
            return None
        try:
            user_id = user_of(bearer, package_name)
        except InvalidSessionId:
            user_id = bearer.lower()
        facts = await desk.facts_of(user_id)
        peer = "" if facts is None else facts.peers.get(package_name, "")
        return user_id if peer and peer.rpartition(":")[0].strip("[]") == call.peer else None

    async def user_settings(call: Call[None]) -> home.SystemSettingsAnswer:
        return shown(await find_preferences(desk.store, call.user_id))

    async def put_user_settings(call: Call[home.SystemSettings]) -> home.SystemSettingsAnswer:
        return shown(await edited(call.user_id, SetSystemSettings(call.body.settings)))

    async def user_setting(call: Call[None], key: str) -> home.OneSettingAnswer:
        return one_of(await find_preferences(desk.store, call.user_id), key)

    async def put_user_setting(call: Call[home.SettingValue], key: str) -> home.OneSettingAnswer:
        return one_of(await edited(call.user_id, SetSystemSettings({key: call.body.value})), key)

    async def remove_user_setting(call: Call[None], key: str) -> home.OneSettingAnswer:
        return one_of(await edited(call.user_id, RemoveSystemSetting(key)), key)

    async def edited(user_id: str, edit: Edit) -> Preferences:
        try:
            return await desk.cabinet.ask(edit_preferences(user_id, edit))
        except NoSuchSettingError as error:
            raise Failure(400, ErrorCode.INVALID_REQUEST, str(error)) from error
        except TooLargeError as error:
            raise Failure(413, ErrorCode.TOO_LARGE, str(error)) from error

    async def known(package_name: str) -> AppDocument:
        app = await desk.directory.ask(find_app(package_name))
        if app is None:
            raise Failure(404, ErrorCode.PACKAGE_NOT_FOUND, "App not found")
        return app

    def shown(preferences: Preferences) -> home.SystemSettingsAnswer:
        return home.SystemSettingsAnswer(
            data=home.SystemSettings(settings=preferences.system), timestamp=stamp()
        )

    def one_of(preferences: Preferences, key: str) -> home.OneSettingAnswer:
        system = preferences.system
        data = home.OneSetting(key=key, value=system.get(key), exists=key in system)
        return home.OneSettingAnswer(data=data, timestamp=stamp())

    def stamp() -> str:
        return timestamps.iso(desk.wall())

    routes.serve(APP_SETTINGS, app_settings)
    routes.serve(SET_APP_SETTINGS, set_app_settings)
    routes.serve(APP_SETTINGS_OF_USER, app_settings_of_user)
    routes.serve(USER_SETTINGS, user_settings)
    routes.serve(PUT_USER_SETTINGS, put_user_settings)
    routes.serve(POST_USER_SETTINGS, put_user_settings)
    routes.serve(USER_SETTING, user_setting)
    routes.serve(PUT_USER_SETTING, put_user_setting)
    routes.serve(REMOVE_USER_SETTING, remove_user_setting)
    return routes
