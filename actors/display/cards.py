"""The machine's own layouts, and the one thing it has to know of an app's: whether it shows anything."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

LONGEST_BLANK_BYTES = 256  # a longer layout is not looked into: a bitmap can have a megabyte


class _ReferenceCard(msgspec.Struct, frozen=True, rename="camel"):
    title: str
    text: str
    layout_type: str = "reference_card"


class _TextWall(msgspec.Struct, frozen=True, rename="camel"):
    text: str
    layout_type: str = "text_wall"


class _DoubleTextWall(msgspec.Struct, frozen=True, rename="camel"):
    top_text: str
    bottom_text: str
    layout_type: str = "double_text_wall"


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    layout_type: str = ""
    text: str | None = None


_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(_Head).decode


def text_wall(text: str) -> msgspec.Raw:
    return msgspec.Raw(_encode(_TextWall(text)))


def double_text_wall(top_text: str, bottom_text: str) -> msgspec.Raw:
    return msgspec.Raw(_encode(_DoubleTextWall(top_text, bottom_text)))


def boot_card(names: Sequence[str]) -> msgspec.Raw:
    """What the wearer reads while apps start (protocol.md 6.4)."""
    noun = "App" if len(names) == 1 else "Apps"
    return msgspec.Raw(_encode(_ReferenceCard(f"// MentraOS - Starting {noun}", ", ".join(names))))


BLANK = text_wall("")


def is_blank(layout: msgspec.Raw) -> bool:
    """Whether an app clears the view with it: `clear_view`, or a text wall without text (protocol.md 6.1)."""
    if len(memoryview(layout)) > LONGEST_BLANK_BYTES:
        return False
    try:
        head = _head(layout)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False  # unusual, so it is the phone's to judge
    if head.layout_type == "text_wall":
        return head.text is not None and not head.text.strip()
    return head.layout_type == "clear_view"
