"""What an actor of a user's subtree says after a crash.

Its state survives; the message that it was handling does not, nor what it had asked for. So it has the
session tell it again how things stand, and the session likewise asks everybody else after a crash of its own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime import Ref


class NeighbourBack(msgspec.Struct, frozen=True):
    """To the session: tell this actor again what it may have lost.

    Attributes:
      neighbour: the display, the audio actor, a transcription stream or an app session.
      is_clean: after too many crashes in a row it starts with nothing.
    """

    neighbour: Ref[Any]
    is_clean: bool = False
