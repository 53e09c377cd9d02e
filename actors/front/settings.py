"""Patience of the front door."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class FrontDoorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long whom is waited for at the door.

    Attributes:
      init_s: an app's socket has so long for its `tpa_connection_init`; the SDK itself waits 5 s for the ack.
      admit_s: a phone's upgrade waits so long for its session.
      error_interval_s: malformed input of one app is answered at most so often (protocol.md 13.13).
      system_app_addresses: where the keys of system apps count, as 127.0.0.1 or 10.0.0.0/8; empty: anywhere.
      proxy_hops: with `behind_proxy`, how many proxies stand in front, each of which adds to
        `X-Forwarded-For` whom it was asked by.
    """

    init_s: float = 5.0
    admit_s: float = 5.0
    error_interval_s: float = 1.0
    system_app_addresses: tuple[str, ...] = ()
    proxy_hops: Annotated[int, Meta(ge=0, le=10)] = 1
