"""A token bucket: so much a second, and so much at once after a silence."""

from __future__ import annotations


class TokenBucket:
    """Full at first.

    What is larger than the bucket is let through when the bucket is full, and paid for afterwards: otherwise
    it would never pass, however long its sender waited.

    Args:
      rate: what flows in, a second; more than 0.
      burst: what it holds.
      now: seconds, as in every call; they never go back.
    """

    __slots__ = ("_burst", "_filled_at", "_left", "_rate")

    def __init__(self, rate: float, burst: float, *, now: float = 0.0) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = self._burst
        self._filled_at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take `amount` out if it is there at `now`; take nothing if it is not."""
        if not self.holds(now, amount):
            return False
        self._left -= amount
        return True

    def holds(self, now: float, amount: float = 1.0) -> bool:
        """Whether `take` would succeed."""
        left = self._left + (now - self._filled_at) * self._rate
        self._left = left = min(left, self._burst)
        self._filled_at = now
        return left >= min(amount, self._burst)

    def wait_s(self, now: float, amount: float = 1.0) -> float:
        """Seconds until `take` succeeds if nobody else takes; 0 when it would now."""
        if self.holds(now, amount):
            return 0.0
        return (min(amount, self._burst) - self._left) / self._rate
