"""What the display actor hears beside the events of its machine (`arbitration.py`)."""

from __future__ import annotations

import msgspec

from ..tracing import Mark
from .arbitration import DisplayEvent, Requested


class ShowNotice(msgspec.Struct, frozen=True):
    """Show a critical text of the system's own for `duration_s`: it skips throttles (DESIGN section 3)."""

    text: str
    duration_s: float


class EndNotice(msgspec.Struct, frozen=True):
    """The system's own text has lost its reason: what it covers, or what waits behind it, follows at once."""


class Surroundings(msgspec.Struct, frozen=True):
    """From the session, to a display that has crashed: how things stand, so that it finds what it missed.

    Attributes:
      apps: packages that have not ended.
      core: as in `CoreAppChanged`.
    """

    is_phone_here: bool
    apps: tuple[str, ...]
    core: str | None


class TracedRequest(msgspec.Struct, frozen=True):
    """An app's request that answers an utterance which is traced."""

    request: Requested
    mark: Mark


DisplayMessage = DisplayEvent | TracedRequest | ShowNotice | EndNotice | Surroundings
