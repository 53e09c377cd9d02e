"""How much one peer may say and hold, so that a flood is its own sender's problem and nobody else's.

What is over the limit is dropped before it is decoded: at 10,000 messages a second decoding alone would hold
the loop. It is never dropped without a word: the first drop is told at once, the others once a second or with
the next message that is heard.
"""

from __future__ import annotations

import msgspec

from .token_bucket import TokenBucket


class TrafficLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one app, one phone and one wearer may send and hold. An app over a limit is told so.

    Attributes:
      app_messages: messages a second on one socket of an app; an SDK's captions are about ten.
      app_burst: messages that an app may send at once after a silence.
      app_bytes: bytes a second on one socket of an app.
      app_burst_bytes: bytes that an app may send at once after a silence; a larger message passes alone and
        is paid for afterwards.
      phone_messages: texts a second of one phone; head and touch events are about fifty.
      phone_burst: texts that a phone may send at once after a silence.
      phone_frames: microphone frames a second of one phone; they come 10 to 100 times a second.
      phone_burst_frames: microphone frames that may come at once, as after a stall of its network.
      phone_bytes: bytes a second of one phone's texts, and as many of its audio; 16 kHz PCM has 32,000.
      phone_burst_bytes: bytes that a phone may send at once after a silence: two minutes of 16 kHz PCM.
      sockets_per_user: open sockets of one wearer, the phone and all apps; also dials of one wearer's phones
        that wait to be let in.
      subscriptions: entries of one app's subscription list; the first ones count.
      display_text: characters of all texts of one display, or of one dashboard line.
      display_bitmap_bytes: bytes of all bitmaps of one display, as they are sent (base64 or hex).
      display_elements: values in one display's layout, frames of an animation among them.
      report_s: a peer that goes on over its limit is told, or logged, so often.
    """

    app_messages: float = 200.0
    app_burst: int = 400
    app_bytes: int = 1_000_000
    app_burst_bytes: int = 4_000_000
    phone_messages: float = 200.0
    phone_burst: int = 400
    phone_frames: float = 500.0
    phone_burst_frames: int = 5_000
    phone_bytes: int = 512_000
    phone_burst_bytes: int = 4_000_000
    sockets_per_user: int = 100
    subscriptions: int = 200
    display_text: int = 10_000
    display_bitmap_bytes: int = 1_000_000
    display_elements: int = 100
    report_s: float = 1.0


class Allowance:
    """What one connection may still say.

    Args:
      messages: how many.
      volume: how many bytes.
      report_s: seconds between two reports.
    """

    __slots__ = ("_dropped", "_messages", "_report_s", "_reported_at", "_volume")

    def __init__(self, messages: TokenBucket, volume: TokenBucket, report_s: float) -> None:
        self._messages = messages
        self._volume = volume
        self._report_s = report_s
        self._dropped = 0
        self._reported_at = float("-inf")

    def take(self, now: float, size_bytes: int) -> bool:
        """Whether a message at `now` (seconds, never going back) is within the limits."""
        if self._volume.holds(now, size_bytes) and self._messages.take(now):
            self._volume.take(now, size_bytes)
            return True
        self._dropped += 1
        return False

    def drop(self) -> None:
        """A message was dropped for another reason, and is to be reported with the others."""
        self._dropped += 1

    def report(self, now: float) -> int:
        """How many messages were dropped since the last report; 0 when none were or it is too soon to say."""
        if not self._dropped or now - self._reported_at < self._report_s:
            return 0
        dropped, self._dropped, self._reported_at = self._dropped, 0, now
        return dropped

    def wait_s(self, now: float) -> float:
        """Seconds until a small message is let through again."""
        return max(self._messages.wait_s(now), self._volume.wait_s(now))


def app_allowance(limits: TrafficLimits) -> Allowance:
    """Of one socket of an app."""
    return Allowance(
        TokenBucket(limits.app_messages, limits.app_burst),
        TokenBucket(limits.app_bytes, limits.app_burst_bytes),
        limits.report_s,
    )


def phone_allowances(limits: TrafficLimits) -> tuple[Allowance, Allowance]:
    """Of one phone's texts, and of its microphone's frames: a flood of the one must not stop the other."""
    texts = TokenBucket(limits.phone_messages, limits.phone_burst)
    frames = TokenBucket(limits.phone_frames, limits.phone_burst_frames)
    bytes_of_texts = TokenBucket(limits.phone_bytes, limits.phone_burst_bytes)
    bytes_of_frames = TokenBucket(limits.phone_bytes, limits.phone_burst_bytes)
    return (
        Allowance(texts, bytes_of_texts, limits.report_s),
        Allowance(frames, bytes_of_frames, limits.report_s),
    )
