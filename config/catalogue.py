"""The settings as a list: name, type, unit, default, what it is for.

Nothing is written down twice. Names, types and defaults are those of the structs in `settings`, the words
those of their docstrings' `Attributes:` sections, the unit is the end of the name.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from config.ranges import LONGEST_S, MOST, bounds_of
from config.settings import ALIASES, Settings

PREFIX = "GLASSHOUSE_"

_NO_NEWS = {"at least 0", f"at most {LONGEST_S}", f"at most {MOST}"}
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_hz": "hertz"}


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
      name: as in `--set`: `port`, `display.throttle_s`.
      unit: of a number, where its name ends with one; else empty.
    """

    name: str
    type: Any
    default: Any
    description: str
    unit: str
    is_secret: bool

    @property
    def variable(self) -> str:
        """Its own environment variable."""
        return PREFIX + self.name.replace(".", "_").upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that means it, the one that counts most first."""
        return (self.variable, *ALIASES.get(self.name, ()))

    @property
    def expected(self) -> str:
        """What a value of it looks like, in words."""
        return _in_words(self.type, self.unit)

    @property
    def bounds(self) -> str:
        """The least and the greatest value of a number, in words; empty where there are no special ones."""
        metas = get_args(self.type)[1:] if get_origin(self.type) is Annotated else ()
        words = "".join(_bounds_in_words(meta) for meta in metas if isinstance(meta, msgspec.Meta))
        parts = [part for part in words.split(", ") if part and part not in _NO_NEWS]
        return ", ".join(parts) if isinstance(self.default, int | float) else ""


@cache
def catalogue() -> dict[str, Setting]:
    """Every setting by name: first those of no group, then group by group."""
    defaults = Settings()
    listed = fields_of(defaults, prefix="")
    for group in group_names():
        listed += fields_of(getattr(defaults, group), prefix=f"{group}.")
    return {setting.name: setting for setting in listed}


def group_names() -> tuple[str, ...]:
    """The names of the groups, which are the tables of a TOML file."""
    return tuple(field.name for field in msgspec.structs.fields(Settings) if _is_group(field.type))


def descriptions(struct: type) -> dict[str, str]:
    """What the `Attributes:` section of a class says about each of its fields."""
    _, _, section = inspect.cleandoc(struct.__doc__ or "").partition("Attributes:\n")
    # Indented below the heading, or not where the docstring begins with it. An entry may be about several.
    head = r"\w+(?:, \w+)*: "
    entries = re.findall(
        rf"^(?:  )?(\w+(?:, \w+)*): (.+(?:\n  (?:  )?(?!{head}).+)*)", section, flags=re.MULTILINE
    )
    return {name: re.sub(r"\s+", " ", words) for names, words in entries for name in names.split(", ")}


def fields_of(defaults: msgspec.Struct, prefix: str) -> list[Setting]:
    """The settings of one struct, those of its groups left out."""
    struct = type(defaults)
    words = descriptions(struct)
    hints = get_type_hints(struct, include_extras=True)
    settings = []
    for field in msgspec.structs.fields(struct):
        if _is_group(field.type):
            continue
        extra = _extra_of(hints[field.name])
        settings.append(
            Setting(
                name=f"{prefix}{field.name}",
                type=_bounded(f"{prefix}{field.name}", hints[field.name]),
                default=getattr(defaults, field.name),
                description=_description(field.name, words),
                unit=next((unit for end, unit in _UNITS.items() if field.name.endswith(end)), ""),
                is_secret=bool(extra.get("secret")),
            )
        )
    return settings


def _bounded(name: str, kind: Any) -> Any:
    """The type of a number with its bounds; any other type as it is."""
    bare, *metas = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if not {int, float} & {bare, *get_args(bare)}:
        return kind
    for bounds in bounds_of(name, [meta for meta in metas if isinstance(meta, msgspec.Meta)]):
        kind = Annotated[kind, bounds]
    return kind


def _description(field: str, words: dict[str, str]) -> str:
    """Its own words, or where to find them: one entry may speak of two fields that belong together."""
    beside = next((other for other, text in words.items() if f"`{field}`" in text), None)
    return words.get(field, "" if beside is None else f"See `{beside}`.")


def _is_group(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _extra_of(kind: object) -> dict[str, object]:
    found: dict[str, object] = {}
    if get_origin(kind) is Annotated:
        for meta in get_args(kind)[1:]:
            if isinstance(meta, msgspec.Meta):
                found |= meta.extra or {}
    return found


def _in_words(kind: Any, unit: str) -> str:
    if get_origin(kind) is Annotated:
        bare, *metas = get_args(kind)
        bounds = "".join(_bounds_in_words(meta) for meta in metas)
        return _in_words(bare, unit) + bounds
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_in_words(part, unit) for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        return f"a list of {_in_words(get_args(kind)[0], '')} (in the environment separated by commas)"
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        what = "a whole number" if kind is int else "a number"
        return f"{what} of {unit}" if unit else what
    return "text"


def _bounds_in_words(meta: object) -> str:
    if not isinstance(meta, msgspec.Meta):
        return ""
    bounds = ((meta.gt, "more than"), (meta.ge, "at least"), (meta.lt, "less than"), (meta.le, "at most"))
    words = [f"{sign} {bound}" for bound, sign in bounds if bound is not None]
    if meta.min_length is not None:
        words.append(f"{meta.min_length} characters or more")
    if meta.pattern is not None:
        words.append(f"matching {meta.pattern}")
    return "".join(f", {text}" for text in words)
