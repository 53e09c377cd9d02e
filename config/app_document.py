"""An app's document from what `glasshouse app add` was given: options, and a file for what is too long for
them. And what becomes of an app that is there already: it keeps whatever it is not given anew.

The file is JSON or TOML with the wire's own names (protocol.md 9.3, 9.5, 9.8, 9.9): name, description,
appType, version, logoUrl, webviewUrl, permissions, settings, tools, hardwareRequirements. An option counts
more than the file. Everything that is wrong is reported at once.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.app_keys import hash_of
from actors.ports import AppDocument, HardwareRequirement, Permission
from config.setting_schema import schema_problems
from config.settings import web_url_problem
from protocols.permissions import PERMISSIONS

APP_TYPES = ("standard", "background", "system_dashboard")
HARDWARE = ("CAMERA", "DISPLAY", "MICROPHONE", "SPEAKER", "IMU", "BUTTON", "LIGHT", "WIFI")
LEVELS = ("REQUIRED", "OPTIONAL")

_PACKAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)+")
_LONGEST_PACKAGE_NAME = 200
_LONGEST_NAME = 100


class AppError(Exception):
    """What was given makes no app; `problems` says what, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AppFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What `--app-file` may hold. Every part may be absent; None means that it is."""

    package_name: str | None = None
    name: str | None = None
    description: str | None = None
    app_type: str | None = None
    version: str | None = None
    logo_url: str | None = None
    webview_url: str | None = None
    permissions: tuple[str | Permission, ...] | None = None
    settings: tuple[dict[str, Any], ...] | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    hardware_requirements: tuple[HardwareRequirement, ...] | None = None


class AppOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line may hold. None, and no permission, means not given."""

    package_name: str
    url: str | None = None
    app_type: str | None = None
    is_system: bool | None = None
    permissions: tuple[str, ...] = ()
    name: str | None = None
    description: str | None = None
    logo_url: str | None = None
    webview_url: str | None = None
    owner: str | None = None


def hash_api_key(api_key: str) -> str:
    """What is stored of a key: sha256 in hex of its text (protocol.md 3.2)."""
    return hash_of(api_key)


def read_app_file(path: Path) -> AppFile:
    """Read an app's file.

    Raises:
      AppError: it is neither JSON nor TOML, or holds what an app does not have.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if path.suffix == ".toml" else msgspec.json.decode(text)
    except OSError as error:
        raise AppError([f"{path}: {error.strerror}"]) from error
    except (UnicodeDecodeError, msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON (name it .toml if it is TOML)"
        raise AppError([f"{path}: not {kind}: {error}"]) from error
    if isinstance(raw, dict):
        known = AppFile.__struct_encode_fields__
        unknown = [key for key in raw if key not in known]
        if unknown:
            raise AppError([f"{path}: {key}: no such part{_nearest(key, known)}" for key in unknown])
    try:
        return msgspec.convert(raw, AppFile)
    except msgspec.ValidationError as error:
        raise AppError([f"{path}: {error}"]) from error


def make_app(
    options: AppOptions,
    file: AppFile | None,
    *,
    hashed_api_key: str,
    allow_http: bool,
    known: AppDocument | None = None,
) -> AppDocument:
    """The document of an app.

    Args:
      allow_http: accept an http:// URL that is not on loopback.
      known: the app as it is stored already; it keeps what neither options nor file give.

    Raises:
      AppError: names everything that is wrong and what was expected.
    """
    file = file or AppFile()
    url = options.url if options.url is not None else known.public_url if known is not None else ""
    given = {
        "name": _first(options.name, file.name),
        "app_type": _first(options.app_type, file.app_type),
        "is_system": options.is_system,
        "description": _first(options.description, file.description),
        "logo_url": _first(options.logo_url, file.logo_url),
        "webview_url": _first(options.webview_url, file.webview_url),
        "version": file.version,
        "permissions": _permissions(options, file),
        "settings_schema": _as_given(file.settings),
        "tools": _as_given(file.tools),
        "hardware": file.hardware_requirements,
        "owner": None if options.owner is None else options.owner.strip().lower(),
    }
    before = known or AppDocument(
        package_name=options.package_name, public_url="", hashed_api_key="", name=options.package_name
    )
    app = msgspec.structs.replace(
        before,
        public_url=url.rstrip("/"),
        hashed_api_key=hashed_api_key,
        **{part: value for part, value in given.items() if value is not None},
    )
    problems = [
        *_package_name_problems(options.package_name, file.package_name),
        *_url_problems(url, app, allow_http=allow_http),
        *_choice_problems(app),
        *_owner_problems(app),
        *schema_problems(file.settings or ()),
        *(problem for item in file.tools or () for problem in _tool_problems(item)),
    ]
    if problems:
        raise AppError(problems)
    return app


def changes(before: AppDocument, after: AppDocument) -> list[str]:
    """What became of an app, a line for each part that is another one now."""
    parts = {
        "URL": (before.public_url, after.public_url),
        "name": (before.name, after.name),
        "type": (before.app_type, after.app_type),
        "system": ("yes" if before.is_system else "no", "yes" if after.is_system else "no"),
        "description": (before.description, after.description),
        "logo URL": (before.logo_url, after.logo_url),
        "webview URL": (before.webview_url, after.webview_url),
        "version": (before.version, after.version),
        "permissions": (permission_names(before), permission_names(after)),
        "owner": (before.owner, after.owner),
    }
    lines = [f"{part}: {old or '-'} -> {new or '-'}" for part, (old, new) in parts.items() if old != new]
    for part, is_same in (
        ("API key", before.hashed_api_key == after.hashed_api_key),
        ("settings", before.settings_schema == after.settings_schema),
        ("tools", before.tools == after.tools),
        ("hardware requirements", before.hardware == after.hardware),
    ):
        if not is_same:
            lines.append(f"{part}: replaced")
    return lines


def permission_names(app: AppDocument) -> str:
    """Its permissions, separated by commas; empty for none."""
    return ",".join(permission.type for permission in app.permissions)


def _first(*values: str | None) -> str | None:
    return next((value for value in values if value is not None), None)


def _as_given(items: Sequence[Mapping[str, Any]] | None) -> tuple[msgspec.Raw, ...] | None:
    return None if items is None else tuple(msgspec.Raw(msgspec.json.encode(item)) for item in items)


def _permissions(options: AppOptions, file: AppFile) -> tuple[Permission, ...] | None:
    """Those of both, once each; the file's description of one is kept. None when neither gives any."""
    if not options.permissions and file.permissions is None:
        return None
    of_file = [Permission(one) if isinstance(one, str) else one for one in file.permissions or ()]
    listed = {one.type.upper(): one.description for one in of_file}
    for name in options.permissions:
        listed.setdefault(name.upper(), "")
    return tuple(Permission(name, description) for name, description in listed.items())


def _package_name_problems(given: str, of_file: str | None) -> list[str]:
    problems = []
    if not _PACKAGE_NAME.fullmatch(given) or len(given) > _LONGEST_PACKAGE_NAME:
        expected = "two or more parts of letters, digits, - and _, joined by dots, as org.example.captions"
        problems.append(f"package name: expected {expected}, got {given!r}")
    if of_file is not None and of_file != given:
        problems.append(f"package name: the file is that of {of_file!r}, not of {given!r}")
    return problems


def _url_problems(url: str, app: AppDocument, *, allow_http: bool) -> list[str]:
    problems = []
    wrong = web_url_problem(url, allow_http=allow_http)
    if not url:
        problems.append("--url: expected the address of the app's server")
    elif wrong:
        problems.append(f"--url: {wrong}, got {url!r}")
    elif app.public_url.endswith("/webhook"):
        problems.append(f"--url: expected the address without /webhook, which is added to it, got {url!r}")
    for what, address in (("logo URL", app.logo_url), ("webview URL", app.webview_url)):
        if address and not re.match(r"https?://[^/\s]", address):
            problems.append(f"{what}: expected http(s)://..., got {address!r}")
    return problems


def _owner_problems(app: AppDocument) -> list[str]:
    if not app.owner or re.fullmatch(r"[^@\s/]{1,100}@[^@\s/]{1,100}", app.owner):
        return []
    return [f"owner: expected a mail address, as ada@example.org, got {app.owner!r}"]


def _choice_problems(app: AppDocument) -> list[str]:
    problems = []
    if not app.name.isprintable() or not app.name.strip() or len(app.name) > _LONGEST_NAME:
        problems.append(f"name: expected one line of {_LONGEST_NAME} characters at most, got {app.name!r}")
    if app.app_type not in APP_TYPES:
        problems.append(f"app type: expected one of {', '.join(APP_TYPES)}, got {app.app_type!r}")
    for permission in app.permissions:
        if permission.type not in PERMISSIONS:
            expected = ", ".join(sorted(PERMISSIONS))
            problems.append(f"permission: expected one of {expected}, got {permission.type!r}")
    for need in app.hardware:
        if need.type not in HARDWARE or need.level not in LEVELS:
            expected = f"a type of {', '.join(HARDWARE)} with a level of {' or '.join(LEVELS)}"
            problems.append(f"hardware requirement: expected {expected}, got {need.type!r} {need.level!r}")
    return problems


def _tool_problems(item: Mapping[str, Any]) -> list[str]:
    wanting = [
        part for part in ("id", "description") if not isinstance(item.get(part), str) or not item[part]
    ]
    return [f"tool {item.get('id', '')!r}: expected text as its {part}" for part in wanting]


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f" (there are {', '.join(known)})"
