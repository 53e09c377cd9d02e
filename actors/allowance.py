"""How much one peer may say: a token bucket, so that a flood is its own sender's problem and nobody else's.

What is over the limit is dropped before it is decoded: at 10,000 messages a second decoding alone would hold
the loop. It is never dropped without a word: the first drop is told at once, the others once a second or with
the next message that is heard.
"""

from __future__ import annotations

import msgspec

from .token_bucket import TokenBucket


class TrafficLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may send as text. Microphone frames are not text and not counted.

    Attributes:
      app_messages: messages a second of one app; an SDK's captions are about ten.
      app_burst: messages that an app may send at once after a silence.
      phone_messages: messages a second of one phone; head and touch events are about fifty.
      phone_burst: messages that a phone may send at once after a silence.
      report_s: a peer that goes on over its limit is told, or logged, so often.
    """

    app_messages: float = 200.0
    app_burst: int = 400
    phone_messages: float = 200.0
    phone_burst: int = 400
    report_s: float = 1.0


class Allowance:
    """The bucket of one connection.

    Args:
      rate: messages a second.
      burst: messages at once.
      report_s: seconds between two reports.
    """

    __slots__ = ("_bucket", "_dropped", "_report_s", "_reported_at")

    def __init__(self, rate: float, burst: int, report_s: float) -> None:
        self._bucket = TokenBucket(rate, burst)
        self._report_s = report_s
        self._dropped = 0
        self._reported_at = float("-inf")

    def take(self, now: float) -> bool:
        """Whether a message at `now` (seconds, never going back) is within the limit."""
        if self._bucket.take(now):
            return True
        self._dropped += 1
        return False

    def report(self, now: float) -> int:
        """How many messages were dropped since the last report; 0 when none were or it is too soon to say."""
        if not self._dropped or now - self._reported_at < self._report_s:
            return 0
        dropped, self._dropped, self._reported_at = self._dropped, 0, now
        return dropped
