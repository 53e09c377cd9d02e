"""One fact as one line, whatever is in it: what structlog's renderers are given, and which.

Much of what is logged was sent by a peer. So a value may not end its line, forge another field, move the
cursor of whoever reads it, or fill the disk: it is cut at 200 characters, and what is not printable is
escaped. Both forms below can be read back without guessing.

structlog draws the columns, the colours and the JSON. Its own way to quote leaves a terminal's escapes and
backslashes as they are, so the text of a value is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

Form = Literal["text", "coloured", "json"]
Renderer = Callable[[Mapping[str, object], int], str]

VALUE_LIMIT: Final = 200
_NEEDS_QUOTES: Final = frozenset(' "=\\')
_SHORT_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_RENDERERS_OWN: Final = ("stack", "exception", "exc_info")
_HEAD: Final = ("time", "level", "event")


def renderer(form: Form) -> Renderer:
    """What makes a line of a fact's fields, `time`, `level` and `event` first among them.

    `text`: `2026-11-21T06:00:00.000Z info    phone_refused peer=10.0.0.7 cause="bad signature"`. `coloured`:
    the same with a terminal's colours. `json`: one object in ASCII. A field that has a name of the line's own
    gets a `_` behind it.

    The renderer takes the fields and a limit: a longer text is cut after so many characters, and how many it
    had is said.
    """
    return _Json() if form == "json" else _Text(is_coloured=form == "coloured")


def named(fields: Mapping[str, object]) -> dict[str, object]:
    """`fields`, none of which is taken for a part of the line."""
    return {f"{key}_" if key in _HEAD else key: value for key, value in fields.items()}


class _Json:
    def __init__(self) -> None:
        from structlog.processors import JSONRenderer

        self._draw = JSONRenderer(separators=(",", ":"))

    def __call__(self, fields: Mapping[str, object], limit: int) -> str:
        document = {
            key: value if _is_json(value) else _cut(_text(value), limit) for key, value in fields.items()
        }
        return str(self._draw(None, "", document))


class _Text:
    def __init__(self, *, is_coloured: bool) -> None:
        from structlog.dev import Column, ConsoleRenderer

        styles = ConsoleRenderer.get_default_column_styles(is_coloured)
        levels = ConsoleRenderer.get_default_level_styles(is_coloured)

        def level(key: str, value: object) -> str:
            return f"{levels[str(value)]}{value:<7}{styles.reset}"

        def time(key: str, value: object) -> str:
            return f"{styles.timestamp}{value}{styles.reset}"

        def event(key: str, value: object) -> str:
            return f"{styles.bright}{_quoted(str(value), VALUE_LIMIT)}{styles.reset}"

        def field(key: str, value: object) -> str:
            key = _quoted(key, VALUE_LIMIT)
            return f"{styles.kv_key}{key}{styles.reset}={styles.kv_value}{value}{styles.reset}"

        self._draw = ConsoleRenderer(
            columns=[
                Column("time", time),
                Column("level", level),
                Column("event", event),
                Column("", field),
            ],
            sort_keys=False,
        )

    def __call__(self, fields: Mapping[str, object], limit: int) -> str:
        drawn = {
            f"{key}_" if key in _RENDERERS_OWN else key: value
            if key in _HEAD
            else _quoted(_text(value), limit)
            for key, value in fields.items()
        }
        return self._draw(None, "", drawn)


def _is_json(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)  # json refuses the hugest


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray):
        return bytes(value[: 4 * VALUE_LIMIT]).decode("utf-8", "backslashreplace")
    try:
        return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception as error:
        # A log line must not crash whoever logs, and some values' text is made by code of a library.
        return f"({type(value).__name__} whose text raises {type(error).__name__})"


def _quoted(text: str, limit: int) -> str:
    text = _cut(text, limit)
    if text and text.isprintable() and _NEEDS_QUOTES.isdisjoint(text):
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}...({len(text)} characters)"


def _escaped(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    return character if character.isprintable() else character.encode("unicode_escape").decode()
