"""What is wrong with the items of an app's settings schema (protocol.md 9.3), item by item.

The phone draws a form from them and keeps what a wearer chose by `key`. A default that its own item does not
allow would reach the app as a value that no wearer can choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

TYPES: Final = (
    *("toggle", "text", "select", "slider", "group", "text_no_save_button", "select_with_search"),
    *("multiselect", "titleValue", "numeric_input", "time_picker"),
)

_WITHOUT_KEY: Final = {"group", "titleValue"}
_OF_TEXT: Final = {"text", "text_no_save_button"}
_OF_CHOICE: Final = {"select", "select_with_search", "multiselect"}
_OF_NUMBER: Final = {"slider", "numeric_input"}


def schema_problems(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with them, a sentence each."""
    keys = Counter(item["key"] for item in items if isinstance(item.get("key"), str))
    return [
        *(problem for item in items for problem in _item_problems(item)),
        *(
            f"setting {key!r}: expected another key, {count} have this one"
            for key, count in keys.items()
            if count > 1
        ),
    ]


def _item_problems(item: Mapping[str, Any]) -> list[str]:
    kind, key = item.get("type"), item.get("key")
    if kind not in TYPES:
        return [f"setting: expected a type of {', '.join(TYPES)}, got {kind!r}"]
    if kind in _WITHOUT_KEY:
        return []
    if not isinstance(key, str) or not key:
        return [f"setting of type {kind}: expected a key, got {key!r}"]
    if kind in _OF_CHOICE and not _choices(item):
        return [f"setting {key!r}: expected options, each with a label and a value"]
    problems = []
    for part in ("defaultValue", "value"):
        expected = "" if item.get(part) is None else _expected(kind, item[part], item)
        if expected:
            problems.append(f"setting {key!r}: expected {expected} as its {part}, got {item[part]!r}")
    return problems


def _expected(kind: str, value: object, item: Mapping[str, Any]) -> str:
    """What a value of this kind looks like, where `value` does not."""
    if kind == "toggle":
        return "" if isinstance(value, bool) else "true or false"
    if kind in _OF_TEXT:
        return "" if isinstance(value, str) else "text"
    if kind in _OF_NUMBER:
        low, high = _number(item.get("min"), float("-inf")), _number(item.get("max"), float("inf"))
        number = _number(value, None)
        if number is not None and low <= number <= high:
            return ""
        return "a number" if high - low == float("inf") else f"a number from {low:g} to {high:g}"
    if kind not in _OF_CHOICE:
        return ""
    choices = _choices(item)
    named = ", ".join(map(repr, choices))
    if kind != "multiselect":
        return "" if value in choices else f"one of {named}"
    return "" if isinstance(value, list) and all(one in choices for one in value) else f"a list of {named}"


def _choices(item: Mapping[str, Any]) -> list[object]:
    """The values of its options; empty where one of them is none."""
    options = item.get("options")
    if not isinstance(options, list):
        return []
    if not all(isinstance(one, dict) and {"label", "value"} <= one.keys() for one in options):
        return []
    return [one["value"] for one in options]


def _number(value: object, otherwise: float | None) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else otherwise
