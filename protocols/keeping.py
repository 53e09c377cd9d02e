"""Bodies of simple storage and of tools (protocol.md 1.3, 9.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from protocols.envelope import Timestamp


class StoredValues(msgspec.Struct, frozen=True, kw_only=True):
    """All of an app's values for a user; what it puts, and what it is answered. Texts only."""

    data: Mapping[str, str]


class StoredValuesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: Mapping[str, str]
    success: bool = True


class StoredValue(msgspec.Struct, frozen=True, kw_only=True):
    value: str


class StoredValueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: str
    success: bool = True


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """It is stored."""

    success: bool = True


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """POST `/api/tools/apps/:pkg/tool`."""

    tool_id: Annotated[str, Meta(min_length=1, max_length=256)]
    tool_parameters: Mapping[str, Any] = {}
    user_id: str | None = None
    timestamp: Timestamp = None
