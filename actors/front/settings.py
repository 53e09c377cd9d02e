"""Patience of the front door."""

from __future__ import annotations

import msgspec


class FrontDoorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long whom is waited for at the door.

    Attributes:
      init_s: an app's socket has so long for its `tpa_connection_init`; the SDK itself waits 5 s for the ack.
      admit_s: a phone's upgrade waits so long for its session.
      error_interval_s: malformed input of one app is answered at most so often (protocol.md 13.13).
    """

    init_s: float = 5.0
    admit_s: float = 5.0
    error_interval_s: float = 1.0
