"""What the wearer sees, and everything that was shown before, with its time."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from protocols import layouts
from protocols.layouts import DASHBOARD, MAIN, Layout
from protocols.to_phone import DisplayEvent

HISTORY: Final = 10_000


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One display. `at` is the glasses' clock; `duration_ms` is for the cloud to act on, not for us."""

    at: float
    view: str
    package_name: str
    layout: Layout
    duration_ms: int | float | None = None

    @property
    def text(self) -> str:
        """What can be read, line by line."""
        return text_of(self.layout)


class Lens:
    """The display of the glasses.

    Attributes:
      main, dashboard: what stands in each view; None before the first display.
      history: every display in order, the oldest beyond 10,000 forgotten.
    """

    def __init__(self) -> None:
        self.main: Shown | None = None
        self.dashboard: Shown | None = None
        self.history: deque[Shown] = deque(maxlen=HISTORY)

    @property
    def text(self) -> str:
        """What can be read in the main view."""
        return "" if self.main is None else self.main.text

    def show(self, event: DisplayEvent, at: float) -> Shown:
        """Show a display event; raises MalformedMessage where it has no layout that glasses know."""
        shown = Shown(
            at=at,
            view=event.view,
            package_name=event.package_name,
            layout=layouts.decode(event.layout),
            duration_ms=event.duration_ms,
        )
        self.history.append(shown)
        if event.view == MAIN:
            self.main = shown
        elif event.view == DASHBOARD:
            self.dashboard = shown
        return shown


def text_of(layout: Layout) -> str:
    """What can be read of a layout."""
    match layout:
        case layouts.TextWall(text=text):
            return text
        case layouts.DoubleTextWall(top_text=first, bottom_text=second):
            return f"{first}\n{second}"
        case layouts.ReferenceCard(title=first, text=second):
            return f"{first}\n{second}"
        case layouts.DashboardCard(left_text=first, right_text=second):
            return f"{first}\n{second}"
        case _:
            return ""
