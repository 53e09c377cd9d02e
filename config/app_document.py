"""An app's document from what `glasshouse app add` was given: options, and a file for what is too long for
them.

The file is JSON or TOML with the wire's own names (protocol.md 9.3, 9.5, 9.8, 9.9): name, description,
appType, version, logoUrl, webviewUrl, permissions, settings, tools, hardwareRequirements. An option counts
more than the file. Everything that is wrong is reported at once.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.ports import AppDocument, HardwareRequirement, Permission
from config.settings import web_url_problem
from protocols.permissions import PERMISSIONS

APP_TYPES = ("standard", "background", "system_dashboard")
HARDWARE = ("CAMERA", "DISPLAY", "MICROPHONE", "SPEAKER", "IMU", "BUTTON", "LIGHT", "WIFI")
LEVELS = ("REQUIRED", "OPTIONAL")
SETTING_TYPES = (
    *("toggle", "text", "select", "slider", "group", "text_no_save_button", "select_with_search"),
    *("multiselect", "titleValue", "numeric_input", "time_picker"),
)

_WITHOUT_KEY = {"group", "titleValue"}
_PACKAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)+")
_LONGEST_PACKAGE_NAME = 200


class AppError(Exception):
    """What was given makes no app; `problems` says what, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AppFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What `--config` may hold. Every part may be absent."""

    package_name: str | None = None
    name: str = ""
    description: str = ""
    app_type: str = ""
    version: str = "1.0.0"
    logo_url: str = ""
    webview_url: str = ""
    permissions: tuple[str | Permission, ...] = ()
    settings: tuple[dict[str, Any], ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    hardware_requirements: tuple[HardwareRequirement, ...] = ()


class AppOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line may hold. Empty means not given."""

    package_name: str
    url: str
    app_type: str = ""
    is_system: bool = False
    permissions: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    logo_url: str = ""
    webview_url: str = ""


def hash_api_key(api_key: str) -> str:
    """What is stored of a key: sha256 in hex of its text (protocol.md 3.2)."""
    return hashlib.sha256(api_key.encode()).hexdigest()


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
    options: AppOptions, file: AppFile | None, *, hashed_api_key: str, allow_http: bool
) -> AppDocument:
    """The document of an app.

    Args:
      allow_http: accept an http:// URL that is not on loopback.

    Raises:
      AppError: names everything that is wrong and what was expected.
    """
    file = file or AppFile()
    app = AppDocument(
        package_name=options.package_name,
        public_url=options.url.rstrip("/"),
        hashed_api_key=hashed_api_key,
        name=options.name or file.name or options.package_name,
        app_type=options.app_type or file.app_type or "background",
        is_system=options.is_system,
        description=options.description or file.description,
        logo_url=options.logo_url or file.logo_url,
        webview_url=options.webview_url or file.webview_url,
        version=file.version,
        permissions=_permissions(options, file),
        settings_schema=tuple(msgspec.Raw(msgspec.json.encode(item)) for item in file.settings),
        tools=tuple(msgspec.Raw(msgspec.json.encode(item)) for item in file.tools),
        hardware=file.hardware_requirements,
    )
    problems = [
        *_package_name_problems(options.package_name, file.package_name),
        *_url_problems(options.url, app, allow_http=allow_http),
        *_choice_problems(app),
        *(problem for item in file.settings for problem in _setting_problems(item)),
        *(problem for item in file.tools for problem in _tool_problems(item)),
    ]
    if problems:
        raise AppError(problems)
    return app


def _permissions(options: AppOptions, file: AppFile) -> tuple[Permission, ...]:
    """Those of both, once each; the file's description of one is kept."""
    of_file = [Permission(one) if isinstance(one, str) else one for one in file.permissions]
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
    if wrong:
        problems.append(f"--url: {wrong}, got {url!r}")
    for what, address in (("logo URL", app.logo_url), ("webview URL", app.webview_url)):
        if address and not re.match(r"https?://[^/\s]", address):
            problems.append(f"{what}: expected http(s)://..., got {address!r}")
    return problems


def _choice_problems(app: AppDocument) -> list[str]:
    problems = []
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


def _setting_problems(item: Mapping[str, Any]) -> list[str]:
    if item.get("type") not in SETTING_TYPES:
        return [f"setting: expected a type of {', '.join(SETTING_TYPES)}, got {item.get('type')!r}"]
    if item["type"] not in _WITHOUT_KEY and not (isinstance(item.get("key"), str) and item["key"]):
        return [f"setting of type {item['type']}: expected a key, got {item.get('key')!r}"]
    return []


def _tool_problems(item: Mapping[str, Any]) -> list[str]:
    wanting = [
        part for part in ("id", "description") if not isinstance(item.get(part), str) or not item[part]
    ]
    return [f"tool {item.get('id', '')!r}: expected text as its {part}" for part in wanting]


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f" (there are {', '.join(known)})"
