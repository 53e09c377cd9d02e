"""Whether a display is too large to be shown: a pure look at its layout, before it reaches the display."""

from __future__ import annotations

from typing import Any

import msgspec

from ..allowance import TrafficLimits

_BITMAPS = frozenset({"data", "frames"})  # of bitmap_view and bitmap_animation (protocol.md 6.1)


def too_large(layout: msgspec.Raw, limits: TrafficLimits) -> str | None:
    """What of a layout is over which limit, in words; None for one that may be shown.

    Args:
      layout: a complete JSON value, as the decoder of app messages leaves it.
    """
    try:
        waiting: list[tuple[Any, bool]] = [(msgspec.json.decode(layout), False)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Unusual, so it is the phone's to judge: here only its length can be.
        size_bytes = len(memoryview(layout))
        return text_too_long(size_bytes, limits) if size_bytes > limits.display_text else None
    text, bitmap_bytes, elements = 0, 0, 0
    while waiting:
        value, is_bitmap = waiting.pop()
        if isinstance(value, str):
            if is_bitmap:
                bitmap_bytes += len(value)
            else:
                text += len(value)
        elif isinstance(value, dict | list):
            elements += len(value)
            if elements > limits.display_elements:
                return f"a display may have {limits.display_elements} elements, this one has more"
            if isinstance(value, dict):
                waiting += [(each, key in _BITMAPS) for key, each in value.items()]
            else:
                waiting += [(each, is_bitmap) for each in value]
    if text > limits.display_text:
        return text_too_long(text, limits)
    if bitmap_bytes > limits.display_bitmap_bytes:
        return f"bitmaps of a display may have {limits.display_bitmap_bytes} bytes, these have {bitmap_bytes}"
    return None


def text_too_long(characters: int, limits: TrafficLimits) -> str:
    """The sentence about a text over its limit."""
    return f"the texts of a display may have {limits.display_text} characters, these have {characters}"
