"""One fact as one line of text, whatever is in it.

Much of what is logged was sent by a peer. So a value may not end its line, forge another field, move the
cursor of whoever reads it, or fill the disk: it is cut at 200 characters, and what is not printable is
escaped. Both forms below can be read back without guessing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

VALUE_LIMIT: Final = 200
_NEEDS_QUOTES: Final = frozenset(' "=\\')
_SHORT_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def text_line(
    time: str, level: str, event: str, fields: Mapping[str, object], *, value_limit: int = VALUE_LIMIT
) -> str:
    """`2026-11-21T06:00:00.000Z info  phone_refused peer=10.0.0.7 cause="bad signature"`.

    Args:
      value_limit: a longer text is cut after so many characters, and how many it had is said.
    """
    parts = [time, f"{level:<7}", _quoted(event, VALUE_LIMIT)]
    parts += [
        f"{_quoted(key, VALUE_LIMIT)}={_quoted(_text(value), value_limit)}" for key, value in fields.items()
    ]
    return " ".join(parts)


def json_line(
    time: str, level: str, event: str, fields: Mapping[str, object], *, value_limit: int = VALUE_LIMIT
) -> str:
    """The same as one JSON object in ASCII. A field named `time`, `level` or `event` gets a `_` behind it."""
    document: dict[str, object] = {"time": time, "level": level, "event": event}
    for key, value in fields.items():
        name = f"{key}_" if key in ("time", "level", "event") else key
        document[name] = value if _is_json(value) else _cut(_text(value), value_limit)
    return json.dumps(document, separators=(",", ":"))


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
