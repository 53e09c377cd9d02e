"""The settings of the media process, each with its unit, its default and why that default."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the media process is kept and what its peers may cost.

    Attributes:
      most_peers: peers at a time; the next is told BUSY. One costs about 3 % of a core while somebody speaks.
      most_sdp_bytes: the longest offer or answer; a browser's with audio alone has 2,000 to 4,000 bytes. It
        bounds what parsing may take, which grows with the square: 50 ms for the worst of this length.
      most_candidates: in one description, and as many that come after it; the rest is not looked at. A phone
        with two networks and a relay has about twelve.
      connect_s: a peer that has no connection so long after its first description fails.
      lost_after_s: a peer of which nothing was heard for so long, no audio and no answer to a check, is
        DISCONNECTED.
      gone_after_s: and after so long it fails. In between it may come back by itself.
      bitrate: of Opus, in bit/s, asked of the other side at most: enough for speech at 16 kHz with FEC.
      start_s: a process that is not ready by then is killed. It needs about one second.
      heartbeat_s: between two questions whether it still lives.
      hang_s: one that has not answered by then hangs, and is killed.
      restart_first_s, restart_most_s: how long no process is started after one has died, doubled by every
        one that dies within `restart_most_s` of its start.
    """

    most_peers: Annotated[int, Meta(ge=1)] = 200
    most_sdp_bytes: Annotated[int, Meta(ge=1_000, le=65_536)] = 16_384
    most_candidates: Annotated[int, Meta(ge=1)] = 40
    connect_s: Annotated[float, Meta(gt=0)] = 15.0
    lost_after_s: Annotated[float, Meta(gt=0)] = 2.0
    gone_after_s: Annotated[float, Meta(gt=0)] = 10.0
    bitrate: Annotated[int, Meta(ge=6_000, le=128_000)] = 32_000
    start_s: Annotated[float, Meta(gt=0)] = 20.0
    heartbeat_s: Annotated[float, Meta(gt=0)] = 1.0
    hang_s: Annotated[float, Meta(gt=0)] = 5.0
    restart_first_s: Annotated[float, Meta(gt=0)] = 0.2
    restart_most_s: Annotated[float, Meta(gt=0)] = 30.0
