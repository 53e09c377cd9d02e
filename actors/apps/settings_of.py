"""An app's own settings as its ack carries them (protocol.md 9.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

SETTING_KEYS = ("key", "type", "label", "defaultValue", "options")


def settings_of(schema: Sequence[msgspec.Raw], stored: Mapping[str, Any]) -> msgspec.Raw:
    """The array of settings with what the wearer chose, or their defaults; groups left out.

    Args:
      stored: values that were ever set, by key.
    """
    settings: list[dict[str, Any]] = []
    for item in schema:
        fields = fields_of(item)
        if is_setting(fields):
            setting = {name: fields[name] for name in SETTING_KEYS if name in fields}
            setting["value"] = value_of(fields, stored)
            settings.append(setting)
    return msgspec.Raw(msgspec.json.encode(settings))


def offered(schema: Sequence[msgspec.Raw], stored: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The schema as a settings page wants it: each setting with what is `selected`, groups as they are."""
    items = [fields_of(item) for item in schema]
    return [{**one, "selected": value_of(one, stored)} if is_setting(one) else one for one in items]


def keys_of(schema: Sequence[msgspec.Raw]) -> tuple[str, ...]:
    """The keys that can be set."""
    return tuple(fields["key"] for fields in map(fields_of, schema) if is_setting(fields))


def fields_of(item: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(item, type=dict[str, Any])


def is_setting(fields: Mapping[str, Any]) -> bool:
    """Whether it is one: an item without `key` is a group or a title."""
    return isinstance(fields.get("key"), str) and fields.get("type") != "group"


def value_of(fields: Mapping[str, Any], stored: Mapping[str, Any]) -> Any:
    """What the wearer chose, or the default."""
    return stored.get(fields["key"], fields.get("value", fields.get("defaultValue")))
