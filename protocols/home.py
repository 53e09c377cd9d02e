"""What a phone's home screen and settings pages are answered (protocol.md 1.2, 9.3, 9.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Key = Annotated[str, Meta(min_length=1, max_length=256)]


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class PermissionShown(_Camel, frozen=True, kw_only=True):
    type: str
    description: str = ""


class HardwareShown(_Camel, frozen=True, kw_only=True, omit_defaults=True):
    type: str
    level: str
    description: str | None = None


class Applet(_Camel, frozen=True, kw_only=True, omit_defaults=True):
    """One app on the home screen (9.9). `omit_defaults` leaves out what was never noted."""

    package_name: str
    name: str
    webview_url: str
    logo_url: str
    type: str
    permissions: tuple[PermissionShown, ...] = msgspec.field(name="permissions")
    running: bool
    healthy: bool
    hardware_requirements: tuple[HardwareShown, ...]
    installed_date: str | None = None
    last_active_at: str | None = None


class Applets(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/client/apps`."""

    data: tuple[Applet, ...]
    timestamp: str
    success: bool = True


class AppShown(_Camel, frozen=True, kw_only=True, omit_defaults=True):
    """One app of a list, as generation A's phones read it: `appType` and `logoURL` beside the newer names."""

    package_name: str
    name: str
    description: str
    version: str
    app_type: str
    type: str
    logo_url: str = msgspec.field(name="logoURL")
    webview_url: str = msgspec.field(name="webviewURL")
    permissions: tuple[PermissionShown, ...]
    hardware_requirements: tuple[HardwareShown, ...]
    is_system_app: bool
    is_installed: bool | None = None
    is_running: bool | None = msgspec.field(default=None, name="is_running")


class AppList(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/apps` and the other lists."""

    data: tuple[AppShown, ...]
    timestamp: str
    success: bool = True


class OneApp(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/apps/:packageName`."""

    data: AppShown
    timestamp: str
    success: bool = True


class VersionShown(msgspec.Struct, frozen=True, kw_only=True):
    version: str


class ServerVersion(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/apps/version`."""

    data: VersionShown
    timestamp: str
    success: bool = True


class MinimumVersion(msgspec.Struct, frozen=True, kw_only=True):
    required: str
    recommended: str


class MinimumVersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/client/min-version`."""

    data: MinimumVersion
    timestamp: str
    success: bool = True


class SdkVersion(msgspec.Struct, frozen=True, kw_only=True):
    required: str
    latest: str
    tag: str


class SdkVersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/api/sdk/version`."""

    data: SdkVersion
    timestamp: str
    success: bool = True


class PermissionsAnswer(_Camel, frozen=True, kw_only=True):
    """GET `/api/public/permissions/:pkg`."""

    package_name: str
    permissions: tuple[PermissionShown, ...]


class HealthQuestion(_Camel, frozen=True, kw_only=True):
    """POST `/api/app-uptime/app-pkg-health-check`."""

    package_name: Key


class HealthAnswer(_Camel, frozen=True, kw_only=True):
    package_name: str
    success: bool
    status: int  # 200 or 500, as if the app's server had said so
    timestamp: str


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Most of what is only taken."""

    timestamp: str
    message: str | None = None
    success: bool = msgspec.field(default_factory=lambda: True)


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`resolved`: an app waited for it."""

    resolved: bool
    timestamp: str
    success: bool = True


# ---------------------------------------------------------------------------------------------------------
# Settings


class SettingChosen(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an app's setting."""

    key: Key
    value: Any


class AppSettingsPage(_Camel, frozen=True, kw_only=True):
    """GET `/appsettings/:packageName`: each setting is its schema with what is `selected`."""

    user_id: str
    name: str
    description: str
    uninstallable: bool
    webview_url: str = msgspec.field(name="webviewURL")
    version: str
    settings: Sequence[Mapping[str, Any]]
    permissions: tuple[PermissionShown, ...]
    organization: None = None
    success: bool = True


class AppSettingsOfUser(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/appsettings/user/:packageName`: as an app's ack has them."""

    settings: msgspec.Raw
    success: bool = True


class SystemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone puts, and what it is answered: its own names."""

    settings: Mapping[str, Any]


class SystemSettingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: SystemSettings
    timestamp: str
    success: bool = True


class SettingValue(msgspec.Struct, frozen=True, kw_only=True):
    """PUT `/api/client/user/settings/key/:key`."""

    value: Any


class OneSetting(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    value: Any
    exists: bool


class OneSettingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: OneSetting
    timestamp: str
    success: bool = True
