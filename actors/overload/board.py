"""What the overload's actor has decided, where others read it by plain calls: one value for the whole server.

Audio meets it at every frame, so reading costs one attribute while all is well.
"""

from __future__ import annotations

from ..ports import Connection
from .machine import OverloadSettings, OverloadState

_USUAL_BYTE_RATE = 32_000.0  # 16 kHz PCM, until a stream's own is known
_RATE_WINDOW_S = 1.0
_GOLDEN = 0.618033988749895  # multiples of it spread evenly over 0 to 1, however many there are


class OverloadBoard:
    """The state of the server, and what was shed.

    Attributes:
      state: written by the overload's actor alone.
      shed_frames: microphone frames that were shed since the actor last counted them.
    """

    __slots__ = ("_streams", "settings", "shed_frames", "state")

    def __init__(self, settings: OverloadSettings | None = None) -> None:
        self.settings = settings or OverloadSettings()
        self.state = OverloadState()
        self.shed_frames = 0
        self._streams = 0

    @property
    def is_on(self) -> bool:
        return self.state.is_on

    def post(self, state: OverloadState) -> None:
        self.state = state

    def take_shed(self) -> int:
        """The frames that were shed since the last call."""
        shed, self.shed_frames = self.shed_frames, 0
        return shed

    def shedder(self) -> Shedder:
        """What decides for one stream of audio. The streams' gaps are spread evenly over time."""
        self._streams += 1
        return Shedder(self, self._streams * _GOLDEN % 1.0)


class Shedder:
    """Which frames of one stream are shed while the server is overloaded.

    Args:
      phase: where in each `gap_s` this stream's gap begins, from 0 to 1.
    """

    __slots__ = ("_bytes", "_counted_from", "_last_at", "_phase", "_rate", "board", "shed_frames")

    def __init__(self, board: OverloadBoard, phase: float) -> None:
        self.board = board
        self.shed_frames = 0
        self._phase = phase
        self._rate = _USUAL_BYTE_RATE
        self._bytes = 0
        self._counted_from = 0.0
        self._last_at = float("-inf")

    def sheds(self, connection: Connection, frame_bytes: int) -> bool:
        """Whether to drop the frame in hand; only asked while the server is overloaded."""
        return self.sheds_at(connection.health.last_activity_at, connection.waiting_bytes, frame_bytes)

    def sheds_at(self, now: float, waiting_bytes: int, frame_bytes: int) -> bool:
        """The same of a frame that came at `now` and has `waiting_bytes` behind it."""
        board = self.board
        self._measure(frame_bytes, now)
        settings = board.settings
        age_s = waiting_bytes / self._rate
        if age_s <= settings.oldest_audio_s:
            position = (now / settings.gap_s + self._phase) % 1.0
            if position >= board.state.share:
                return False
        self.shed_frames += 1
        board.shed_frames += 1
        return True

    def _measure(self, frame_bytes: int, now: float) -> None:
        """Keep the stream's byte rate, by which waiting bytes are turned into an age."""
        if now - self._last_at > _RATE_WINDOW_S:  # it paused, or has just begun
            self._bytes, self._counted_from = 0, now
        elif now - self._counted_from >= _RATE_WINDOW_S:
            self._rate = max(1.0, self._bytes / (now - self._counted_from))
            self._bytes, self._counted_from = 0, now
        self._bytes += frame_bytes
        self._last_at = now
