"""How long an app's request of the phone may take."""

from __future__ import annotations

import msgspec


class RequestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every request of an app is answered before its SDK gives up: by the phone, or by an error.

    Attributes:
      photo_s: a photo; the SDK waits 30 s (protocol.md 9.6).
      location_s: a location that is asked for; the SDK waits 15 s.
      light_s: a light of the glasses; the SDK does not wait.
      most: requests of one wearer's apps that may wait for the phone at the same time.
      keep_alive_s: while the camera streams the phone is asked so often whether it goes on (protocol.md 9.7).
      keep_alive_ack_s: it has so long to answer.
      keep_alives_missed: after so many unanswered ones in a row the stream is over.
      stream_silence_s: without any word of the stream for so long it is over.
    """

    photo_s: float = 28.0
    location_s: float = 13.0
    light_s: float = 10.0
    most: int = 100
    keep_alive_s: float = 15.0
    keep_alive_ack_s: float = 10.0
    keep_alives_missed: int = 3
    stream_silence_s: float = 60.0
