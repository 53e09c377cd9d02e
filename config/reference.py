"""docs/configuration.md, written from the settings themselves, and the errors in docs/apps.md, from their
table. Tests compare; `python -m config.reference` writes.

Defaults that are the machine's (the data directory) are described, not printed.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from config.catalogue import Setting, catalogue, fields_of, group_names
from config.daemon.home import DaemonFile
from config.rest_reference import rest_reference
from config.settings import Settings
from protocols.error_codes import ERRORS

ERRORS_BEGIN = "<!-- errors -->"
ERRORS_END = "<!-- end of errors -->"

_HEAD = """# Configuration

Every setting, its default, and what it is for. Written by `python -m config.reference` from the settings
themselves; a test compares.

A value comes from the first of these that has it:

1. the command line: `--host`, `--port`, `--data`, and `--set NAME=VALUE` for any setting;
2. the environment: `GLASSHOUSE_` and the name in capitals, with `_` for the dot
   (`display.throttle_s` is `GLASSHOUSE_DISPLAY_THROTTLE_S`); an empty variable counts as not set;
3. the TOML file that `--config` (or `GLASSHOUSE_CONFIG`) names: settings without a dot at the top, the
   others in the table of their group;
4. the default.

A number is 0 or more, and at most a year or a billion; other bounds stand beside its unit.

`glasshouse config` shows each value and where it came from, secrets masked. A wrong setting is named with its
source and what was expected, and nothing starts.

```toml
port = 8002
public_url = "https://glasses.example.org"

[display]
throttle_s = 0.3
```
"""

_DAEMON = """## The desktop daemon's own file

`daemon.toml` in the daemon's folder, on the wearer's own computer ([desktop.md](desktop.md)). No server can
change any of it, and no secret stands in it. Nothing of a screen is sent anywhere unless `observer.model`
names a model: from then on a screen that is not understood goes to that model's provider, with whatever
stands on it.
"""

_DAEMON_GROUPS = ("agents", "terminal", "observer", "reconnect", "reports")


def configuration_reference() -> str:
    """The whole document."""
    settings = list(catalogue().values())
    general = [one for one in settings if "." not in one.name]
    parts = [_HEAD, "## General\n\n" + _table(general)]
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for group in group_names():
        inner = [one for one in settings if one.name.startswith(f"{group}.")]
        parts.append(f"## {group}\n\n{_summary(kinds[group])}\n\n" + _table(inner))
    return "\n".join((*parts, *_daemon_parts()))


def daemon_settings() -> list[Setting]:
    """What stands in the desktop daemon's own file: those of no group, then group by group."""
    defaults = DaemonFile()
    listed = fields_of(defaults, prefix="")
    for group in _DAEMON_GROUPS:
        listed += fields_of(getattr(defaults, group), prefix=f"{group}.")
    return listed


def _daemon_parts() -> list[str]:
    settings = daemon_settings()
    parts = [_DAEMON + "\n" + _daemon_table([one for one in settings if "." not in one.name])]
    for group in _DAEMON_GROUPS:
        inner = [one for one in settings if one.name.startswith(f"{group}.")]
        summary = _summary(type(getattr(DaemonFile(), group)))
        parts.append(f"### [{group}]\n\n{summary}\n\n" + _daemon_table(inner))
    return parts


def with_errors(page: str) -> str:
    """docs/apps.md with the table of errors between its two marks.

    Raises:
      ValueError: the page has no such marks.
    """
    before, begin, rest = page.partition(ERRORS_BEGIN)
    _, end, after = rest.partition(ERRORS_END)
    if not end:
        raise ValueError(f"the page has no {ERRORS_BEGIN} with {ERRORS_END} after it")
    rows = ["| Code | Means | Refused by | What to do | Waiting helps |", "| --- | --- | --- | --- | --- |"]
    rows += [
        f"| `{code}` | {kind.meaning} | {kind.hop} | {kind.remedy} | {_waiting(kind.retry_after_s)} |"
        for code, kind in ERRORS.items()
    ]
    return before + begin + "\n" + "\n".join(rows) + "\n" + end + after


def undescribed() -> list[str]:
    """Settings whose struct says nothing about them."""
    return [one.name for one in (*catalogue().values(), *daemon_settings()) if not one.description]


def _waiting(retry_after_s: float | None) -> str:
    return "no" if retry_after_s is None else f"yes, {retry_after_s:g} s"


def _table(settings: list[Setting]) -> str:
    return _rows(
        [["Setting", "Default", "Unit or kind", "Environment", "What it is for"], *map(_row, settings)]
    )


def _daemon_table(settings: list[Setting]) -> str:
    """Without the environment: this file alone says these."""
    head = ["Setting", "Default", "Unit or kind", "What it is for"]
    return _rows([head, *([*cells[:3], cells[4]] for cells in map(_row, settings))])


def _rows(rows: list[list[str]]) -> str:
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(setting: Setting) -> list[str]:
    cells = [
        f"`{setting.name}`",
        _default(setting),
        ", ".join(part for part in (setting.unit or _kind(setting.type), setting.bounds) if part),
        ", ".join(f"`{variable}`" for variable in setting.variables),
        setting.description,
    ]
    return [cell.replace("|", "\\|") for cell in cells]


def _default(setting: Setting) -> str:
    if setting.name == "data":
        return "the user's data directory"
    if setting.default in ("", (), None):
        return "empty"
    if isinstance(setting.default, bool):
        return f"`{str(setting.default).lower()}`"
    return f"`{setting.default}`"


def _kind(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _kind(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "list"
    if get_origin(kind) in (Union, UnionType):
        return _kind(next(part for part in get_args(kind) if part is not type(None)))
    return {bool: "true or false", int: "number", float: "number"}.get(kind, "text")


def _summary(struct: type) -> str:
    first = inspect.cleandoc(struct.__doc__ or "").partition("\n")[0]
    source = f"Defaults in `{struct.__module__}`."
    return source if first in ("", "Attributes:") else f"{first} {source}"


if __name__ == "__main__":
    docs = Path(__file__).parent.parent / "docs"
    (docs / "configuration.md").write_text(configuration_reference(), encoding="utf-8")
    (docs / "rest.md").write_text(rest_reference(), encoding="utf-8")
    page = docs / "apps.md"
    page.write_text(with_errors(page.read_text(encoding="utf-8")), encoding="utf-8")
