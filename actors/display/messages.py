"""What the display actor hears beside the events of its machine (`arbitration.py`)."""

from __future__ import annotations

import msgspec

from .arbitration import DisplayEvent


class ShowNotice(msgspec.Struct, frozen=True):
    """Show a critical text of the system's own for `duration_s`: it skips throttles (DESIGN section 3)."""

    text: str
    duration_s: float


class EndNotice(msgspec.Struct, frozen=True):
    """The system's own text has lost its reason: what it covers, or what waits behind it, follows at once."""


DisplayMessage = DisplayEvent | ShowNotice | EndNotice
