"""The server's calendar on this computer, whose own may be wrong.

Every `welcome` says what time the server has. From there the monotonic clock counts, so nobody who sets this
computer's clock moves a report or an expiry.
"""

from __future__ import annotations

from runtime import Clock


class ServerTime:
    """One for the whole daemon. Until the first welcome it is this computer's own calendar."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms: float | None = None

    def learn(self, server_ms: int) -> None:
        """It is `server_ms` now, epoch milliseconds."""
        self._offset_ms = server_ms - self._clock.now() * 1000

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        if self._offset_ms is None:
            return round(self._clock.wall() * 1000)
        return round(self._offset_ms + self._clock.now() * 1000)
