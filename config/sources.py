"""Where settings come from: a TOML file, then the environment, then the command line. The later one counts.

Each value remembers its source, so that `glasshouse config` can tell and a wrong one can be named: the
setting, the source, the value, what was expected. All wrong ones are reported at once. What is not known is
an error in a file or on the command line, where nobody else writes; in the environment it is a notice,
because others do.
"""

from __future__ import annotations

import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
import platformdirs

from actors.front.addresses import network_problem
from actors.webrtc.settings import ice_server
from config.catalogue import PREFIX, Setting, catalogue, group_names
from config.ranges import endpointer_problem
from config.settings import SHORTEST_SECRET_BYTES, Settings, web_url_problem

DEFAULT = "default"
FILE_VARIABLE = f"{PREFIX}CONFIG"
DATA_NAME = "glasshouse"

_NO_SETTINGS = {
    FILE_VARIABLE,
    *(f"{PREFIX}{name}" for name in ("PYTHON", "COMMAND")),  # the script's, ./run
    *(f"{PREFIX}{name}" for name in ("DAEMON", "DAEMON_TOKEN", "DAEMON_SERVER_URL")),  # the desktop daemon's
}
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


class Problem(msgspec.Struct, frozen=True):
    """A wrong setting.

    Attributes:
      setting: its name; for what is no setting, the name that was given.
      source: as in `Loaded.sources`.
      value: as given, masked where it is a secret; None where there is none to show.
      expected: what would do.
    """

    setting: str
    source: str
    value: str | None
    expected: str

    def __str__(self) -> str:
        got = "" if self.value is None else f", got {self.value}"
        return f"{self.setting} (from {self.source}): {self.expected}{got}"


class SettingsError(Exception):
    """Settings that cannot be used; `problems` has every one of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(f"wrong setting: {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Loaded:
    """Settings and where they came from.

    Attributes:
      sources: per setting name the file, `environment NAME`, `--set` or `default`.
      notices: what an operator should know and that is no error, a line each.
    """

    settings: Settings
    sources: Mapping[str, str]
    notices: tuple[str, ...]

    def value(self, name: str) -> Any:
        """The value of the setting `name`."""
        found: Any = self.settings
        for part in name.split("."):
            found = getattr(found, part)
        return found


class _Given(typing.NamedTuple):
    """A value before it is checked. `is_text`: it has no type of its own."""

    value: Any
    source: str
    is_text: bool


def load(*, flags: Mapping[str, str], environ: Mapping[str, str], file: str | None = None) -> Loaded:
    """Read every source and check every value.

    Args:
      flags: text by setting name, from the command line.
      environ: the environment.
      file: the TOML file; None takes the one that `GLASSHOUSE_CONFIG` names, if any.

    Raises:
      SettingsError: names each wrong setting with its source and what was expected.
    """
    problems: list[Problem] = []
    notices: list[str] = []
    given: dict[str, _Given] = {}
    path = file or environ.get(FILE_VARIABLE)
    if path:
        given |= _from_file(Path(path), problems)
    given |= _from_environment(environ, notices)
    given |= _from_flags(flags, problems)

    values: dict[str, Any] = {}
    for name, one in given.items():
        setting = catalogue()[name]
        try:
            values[name] = _convert(setting, one)
        except ValueError:
            problems.append(_problem(setting, one, f"expected {setting.expected}"))
    settings = _build(values)
    for name, expected in _contradictions(settings):
        if name in values:
            problems.append(_problem(catalogue()[name], given[name], expected))
    if problems:
        raise SettingsError(problems)
    notices += _remarks(settings)
    if not settings.data:
        folder = platformdirs.user_data_path(DATA_NAME, appauthor=False)
        settings = msgspec.structs.replace(settings, data=str(folder))
    sources = {name: given[name].source if name in given else DEFAULT for name in catalogue()}
    return Loaded(settings, sources, tuple(notices))


def _from_file(path: Path, problems: list[Problem]) -> dict[str, _Given]:
    source = str(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(Problem("settings file", source, None, f"cannot be read: {error.strerror}"))
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem("settings file", source, None, f"is not TOML: {error}"))
        return {}
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if key in group_names() and isinstance(value, dict):
            flat |= {f"{key}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            flat[key] = value
    given = {}
    for name, value in flat.items():
        if name in catalogue():
            given[name] = _Given(value, source, is_text=False)
        else:
            problems.append(_unknown(name, source))
    return given


def _from_environment(environ: Mapping[str, str], notices: list[str]) -> dict[str, _Given]:
    given = {}
    known = set(_NO_SETTINGS)
    for name, setting in catalogue().items():
        known.update(setting.variables)
        for variable in setting.variables:
            # An empty variable is how a shell script says "not set".
            if environ.get(variable):
                given[name] = _Given(environ[variable], f"environment {variable}", is_text=True)
                break
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known:
            notices.append(f"environment {variable} is no setting{_nearest(variable, known)}")
    return given


def _from_flags(flags: Mapping[str, str], problems: list[Problem]) -> dict[str, _Given]:
    given = {}
    for name, text in flags.items():
        if name in catalogue():
            given[name] = _Given(text, "command line", is_text=True)
        else:
            problems.append(_unknown(name, "command line"))
    return given


def _unknown(name: str, source: str) -> Problem:
    return Problem(name, source, None, f"there is no such setting{_nearest(name, set(catalogue()))}")


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _problem(setting: Setting, given: _Given, expected: str) -> Problem:
    value = "a secret that is not shown" if setting.is_secret else repr(given.value)
    return Problem(setting.name, given.source, value, expected)


def _convert(setting: Setting, given: _Given) -> Any:
    """The value in the setting's type; ValueError when it is none."""
    kind, value = setting.type, given.value
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if given.is_text:
        value = _typed(bare, value)
    elif bare is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    converted = msgspec.convert(value, kind)  # its ValidationError is a ValueError
    if isinstance(converted, float) and not math.isfinite(converted):  # NaN is within any bounds
        raise ValueError(value)
    return converted


def _typed(kind: Any, text: str) -> Any:
    """What `text` means where a `kind` is wanted; ValueError when it means none."""
    if get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if kind is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    if kind is int or kind is float:
        return kind(text)
    if get_origin(kind) is tuple:
        return tuple(_typed(get_args(kind)[0], part.strip()) for part in text.split(",") if part.strip())
    return text


def _build(values: Mapping[str, Any]) -> Settings:
    """The settings with `values` in the place of their defaults."""
    settings = Settings()
    changes: dict[str, Any] = {name: value for name, value in values.items() if "." not in name}
    for group in group_names():
        inner = {
            name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{group}.")
        }
        if inner:
            changes[group] = msgspec.structs.replace(getattr(settings, group), **inner)
    return msgspec.structs.replace(settings, **changes)


def _contradictions(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with values that each have the right type: setting name, what was expected."""
    found = []
    for name, url in (("public_url", settings.public_url), ("internal_url", settings.internal_url)):
        # Inside a private network nobody terminates TLS in front of the server.
        is_private = name == "internal_url"
        problem = web_url_problem(url, allow_http=is_private or settings.allow_http_apps) if url else None
        if problem:
            found.append((name, problem))
    for provider in ("supabase_keys_url", "authing_keys_url"):
        url = getattr(settings.identity, provider)
        problem = web_url_problem(url, allow_http=False) if url else None
        if problem:
            found.append((f"identity.{provider}", problem))
    for network in settings.front_door.system_app_addresses:
        if problem := network_problem(network):
            found.append(("front_door.system_app_addresses", problem))
    sphinx = settings.pocketsphinx
    problem = endpointer_problem(sphinx.window_s, sphinx.ratio)
    if problem:
        found += [("pocketsphinx.ratio", problem), ("pocketsphinx.window_s", problem)]
    if any(ice_server(text) is None for text in settings.webrtc.ice_servers):
        found.append(("webrtc.ice_servers", "expected stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT each"))
    if not settings.is_loopback and not settings.behind_proxy:
        expected = (
            "expected a loopback address: tokens and audio would travel in the clear. Behind a proxy that"
            " ends TLS say so with --behind-proxy (behind_proxy=true)"
        )
        found.append(("host", expected))
    if _is_weak(settings.jwt_secret) and not settings.is_loopback:
        expected = (
            f"expected {SHORTEST_SECRET_BYTES} bytes or more, since a shorter key can be guessed from one"
            " token (a loopback host accepts it for trying things out); leave it out and one is made"
        )
        found.append(("jwt_secret", expected))
    is_private = settings.is_loopback and not settings.public_url
    if settings.desktop.legacy_email_auth and not is_private:
        expected = (
            "expected false: with it whoever reaches the server can be anybody, so it is for a server on"
            " loopback, without a public URL"
        )
        found.append(("desktop.legacy_email_auth", expected))
    if settings.store == "mongodb" and not settings.mongodb_uri:
        found.append(("store", "expected mongodb_uri beside it, which says where MongoDB is"))
    if _is_weak(settings.storage_key):
        expected = f"expected {SHORTEST_SECRET_BYTES} bytes or more, as `openssl rand -base64 32` prints"
        found.append(("storage_key", expected))
    return found


def _remarks(settings: Settings) -> list[str]:
    remarks = []
    if _is_weak(settings.jwt_secret):
        remarks.append(
            f"jwt_secret is shorter than {SHORTEST_SECRET_BYTES} bytes: good for trying things out only"
        )
    if settings.mongodb_uri and settings.store != "mongodb":
        remarks.append("mongodb_uri is set but does nothing: store is sqlite; store=mongodb uses it")
    return remarks


def _is_weak(secret: str) -> bool:
    return 0 < len(secret.encode()) < SHORTEST_SECRET_BYTES
