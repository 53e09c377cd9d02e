"""Layouts: what is shown on the glasses (protocol.md 6.1).

A display's layout passes through the server as `msgspec.Raw`. These types are for whoever makes one (the
server its boot screen and the dashboard, apps their captions) or looks at one (the simulated glasses).
"""

from __future__ import annotations

import msgspec

from protocols.envelope import Codec, encode

MAIN = "main"
DASHBOARD = "dashboard"


class _Layout(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="layoutType",
    tag="",
    rename="camel",
    omit_defaults=True,
):
    pass


class TextWall(_Layout, frozen=True, kw_only=True, tag="text_wall"):
    """By far the most common. The empty text clears."""

    text: str


class DoubleTextWall(_Layout, frozen=True, kw_only=True, tag="double_text_wall"):
    top_text: str
    bottom_text: str


class ReferenceCard(_Layout, frozen=True, kw_only=True, tag="reference_card"):
    title: str
    text: str


class DashboardCard(_Layout, frozen=True, kw_only=True, tag="dashboard_card"):
    left_text: str
    right_text: str


class BitmapView(_Layout, frozen=True, kw_only=True, tag="bitmap_view"):
    data: str  # a BMP as base64 or hex, under 1 MB


class BitmapAnimation(_Layout, frozen=True, kw_only=True, tag="bitmap_animation"):
    frames: tuple[str, ...]
    interval: int | float | None = None  # ms
    repeat: bool | None = None


class ClearView(_Layout, frozen=True, tag="clear_view"):
    pass


Layout = TextWall | DoubleTextWall | ReferenceCard | DashboardCard | BitmapView | BitmapAnimation | ClearView

_codec: Codec[Layout] = Codec(Layout)


def to_raw(layout: Layout) -> msgspec.Raw:
    """The layout as a display message carries it."""
    return msgspec.Raw(encode(layout))


def decode(raw: msgspec.Raw) -> Layout:
    """What a display's layout says.

    Raises:
      MalformedMessage: not one of the seven layouts.
    """
    return _codec.decode(bytes(raw))
