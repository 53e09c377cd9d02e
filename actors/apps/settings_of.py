"""An app's own settings as its ack carries them (protocol.md 9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

SETTING_KEYS = ("key", "type", "label", "defaultValue", "options")


def initial_settings(schema: Sequence[msgspec.Raw]) -> msgspec.Raw:
    """The array of settings with their defaults, groups left out.

    An item without `key` (a group, a title) is no setting. What a wearer changed comes with the settings
    routes.
    """
    settings: list[dict[str, Any]] = []
    for item in schema:
        fields = msgspec.json.decode(item, type=dict[str, Any])
        if not isinstance(fields.get("key"), str) or fields.get("type") == "group":
            continue
        setting = {name: fields[name] for name in SETTING_KEYS if name in fields}
        setting["value"] = fields.get("value", fields.get("defaultValue"))
        settings.append(setting)
    return msgspec.Raw(msgspec.json.encode(settings))
