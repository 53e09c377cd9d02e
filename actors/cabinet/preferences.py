"""A user's preferences, one document: system settings, each app's settings, which apps are installed.

Pure. An edit makes the next document of one document; a document that is not changed is the same object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from ..ports import AppDocument
from .settings import CabinetSettings

COLLECTION: Final = "preferences"


class InstalledApp(msgspec.Struct, frozen=True, omit_defaults=True):
    """An app that the user has installed or started. Times are epoch milliseconds; 0 is never."""

    installed_at_ms: int
    last_active_at_ms: int = 0


class Preferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """One user's.

    Attributes:
      version: goes up with every change: of two, the higher one is the newer.
      system: system settings as the phone calls them (protocol.md 9.1), as far as they were ever set.
      apps: values of the apps' own settings by package and key, as far as they were ever set.
      installed: by package.
      uninstalled: packages that the user does not want, although the catalogue would show them.
    """

    version: int = 0
    system: Mapping[str, Any] = {}
    apps: Mapping[str, Mapping[str, Any]] = {}
    installed: Mapping[str, InstalledApp] = {}
    uninstalled: tuple[str, ...] = ()


NOTHING: Final = Preferences()
"""Of a user who never set anything."""


class SetSystemSettings(msgspec.Struct, frozen=True):
    values: Mapping[str, Any]


class RemoveSystemSetting(msgspec.Struct, frozen=True):
    key: str


class SetAppSettings(msgspec.Struct, frozen=True):
    """`known`: the keys that the app's developer declares; others are refused."""

    package_name: str
    values: Mapping[str, Any]
    known: Collection[str]


class Install(msgspec.Struct, frozen=True):
    """`is_new`: refused where the app is installed already."""

    package_name: str
    at_ms: int
    is_new: bool = True


class Uninstall(msgspec.Struct, frozen=True):
    """`is_offered`: the app is on the home screen without having been installed."""

    package_name: str
    is_offered: bool = False


class NoteRun(msgspec.Struct, frozen=True):
    """The app has come up for the user, which installs it."""

    package_name: str
    at_ms: int


Edit = SetSystemSettings | RemoveSystemSetting | SetAppSettings | Install | Uninstall | NoteRun


class TooLargeError(Exception):
    """What is to be kept is larger than it may be."""


class NoSuchSettingError(Exception):
    """The app declares no such setting."""


class AlreadyInstalledError(Exception):
    """There is nothing to install."""


class NotInstalledError(Exception):
    """There is nothing to uninstall."""


def is_installed(preferences: Preferences, package_name: str) -> bool:
    """Whether the user has installed the app, or started it, and has not uninstalled it since."""
    return package_name in preferences.installed


def is_offered(preferences: Preferences, app: AppDocument, *, installs_all: bool) -> bool:
    """Whether the app is on the user's home screen.

    Args:
      installs_all: what is in the catalogue is there until the user uninstalls it.
    """
    if is_installed(preferences, app.package_name):
        return True
    return (installs_all or app.is_system) and app.package_name not in preferences.uninstalled


def edited(before: Preferences, edit: Edit, limits: CabinetSettings) -> Preferences:
    """The document after `edit`; `before` itself where nothing changes.

    Raises:
      TooLargeError, NoSuchSettingError, AlreadyInstalledError, NotInstalledError: it is refused.
    """
    after = _edited(before, edit, limits)
    if after == before:
        return before
    after = replace(after, version=before.version + 1)
    size = len(msgspec.json.encode(after))
    is_smaller = isinstance(edit, RemoveSystemSetting | Uninstall)
    if size > limits.preferences_bytes and not is_smaller:
        raise TooLargeError(f"a user's settings may have {limits.preferences_bytes} bytes, not {size}")
    return after


def _edited(before: Preferences, edit: Edit, limits: CabinetSettings) -> Preferences:
    match edit:
        case SetSystemSettings(values):
            _check_keys(values, limits)
            return replace(before, system={**before.system, **values})
        case RemoveSystemSetting(key):
            return replace(
                before, system={name: value for name, value in before.system.items() if name != key}
            )
        case SetAppSettings(package_name, values, known):
            unknown = [key for key in values if key not in known]
            if unknown:
                raise NoSuchSettingError(f"{package_name} has no setting {', '.join(sorted(unknown))}")
            mine = {**before.apps.get(package_name, {}), **values}
            return replace(before, apps={**before.apps, package_name: mine})
        case Install(package_name, at_ms, is_new):
            if is_new and package_name in before.installed:
                raise AlreadyInstalledError(f"{package_name} is installed already")
            return _installed(before, package_name, InstalledApp(at_ms))
        case NoteRun(package_name, at_ms):
            known_app = before.installed.get(package_name, InstalledApp(at_ms))
            return _installed(before, package_name, replace(known_app, last_active_at_ms=at_ms))
        case Uninstall(package_name, is_offered):
            is_gone = package_name in before.uninstalled
            if package_name not in before.installed and (is_gone or not is_offered):
                raise NotInstalledError(f"{package_name} is not installed")
            rest = {name: app for name, app in before.installed.items() if name != package_name}
            unwanted = tuple(name for name in before.uninstalled if name != package_name)
            return replace(before, installed=rest, uninstalled=(*unwanted, package_name))


def _installed(before: Preferences, package_name: str, app: InstalledApp) -> Preferences:
    wanted = tuple(name for name in before.uninstalled if name != package_name)
    return replace(before, installed={**before.installed, package_name: app}, uninstalled=wanted)


def _check_keys(values: Mapping[str, Any], limits: CabinetSettings) -> None:
    for key in values:
        if not 0 < len(key) <= limits.key_characters:
            raise TooLargeError(f"a key has 1 to {limits.key_characters} characters, not {len(key)}")
