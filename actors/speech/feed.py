"""The microphone's audio on its way to a recogniser, and the part of it that is kept for the next one.

Every frame is kept until the words in it are settled. A recogniser that takes over is given what is kept
first, faster than it was spoken, and the frames that come meanwhile behind it; so what it hears has no hole
and nothing twice. Positions count the bytes of the stream's audio since its beginning, whoever heard it.

It outlives the incarnations of its actor: hot and mutable, fed by plain calls from the audio router.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from runtime import Ref

from ..ports import SpeechStream

BYTES_A_SECOND: Final = 32_000
_VOICE: Final = 500  # a sample this loud is a voice, or noise as loud as one: -36 dBFS
_STRIDE: Final = 8  # every so many samples are looked at; 2 kHz is enough to see a peak


def bytes_of(milliseconds: float) -> int:
    """How much audio so long is; whole samples."""
    return int(milliseconds * BYTES_A_SECOND / 1000) // 2 * 2


def milliseconds_of(audio_bytes: int) -> int:
    return audio_bytes * 1000 // BYTES_A_SECOND


def is_loud(pcm: bytes) -> bool:
    """Whether something in it is as loud as a voice. 6 us for 100 ms."""
    samples = memoryview(pcm)[: len(pcm) // 2 * 2].cast("h")[::_STRIDE]
    return len(samples) > 0 and (max(samples) >= _VOICE or min(samples) <= -_VOICE)


class _Frame:
    __slots__ = ("arrived_at", "begin", "end", "is_loud", "pcm")

    def __init__(self, begin: int, pcm: bytes, arrived_at: float) -> None:
        self.begin = begin
        self.end = begin + len(pcm)
        self.pcm = pcm
        self.arrived_at = arrived_at
        self.is_loud = is_loud(pcm)


class AudioFeed:
    """One stream's audio.

    Args:
      clock: the system's, for when a frame arrived.
      keep_s: how much is kept at most; the oldest goes beyond that.

    Attributes:
      owner: whose crash it is when a recogniser cannot take a frame.
      head: the position behind the newest frame.
      given: what the recogniser has been given, up to here.
      base: where the recogniser's own audio begins.
      lost_bytes: audio that went before a recogniser was there to hear it.
    """

    def __init__(self, clock: Callable[[], float], keep_s: float) -> None:
        self.owner: Ref[Any] | None = None
        self.head = 0
        self.given = 0
        self.base = 0
        self.lost_bytes = 0
        self._clock = clock
        self._keep_bytes = round(keep_s * BYTES_A_SECOND)
        self._frames: deque[_Frame] = deque()
        self._stream: SpeechStream | None = None
        self._is_finalizing = False
        self._openings = 0
        self._settled = 0

    # the audio router's calls

    def offer(self, pcm: bytes) -> None:
        """Keep one frame, and hand it on unless older ones wait for the recogniser."""
        if not pcm:
            return
        is_live = self.given == self.head
        self._frames.append(_Frame(self.head, pcm, self._clock()))
        self.head += len(pcm)
        if self.head - self._frames[0].begin > self._keep_bytes:
            self._drop_oldest()
        if self._stream is not None and is_live:
            self._give(pcm)

    def finalize(self) -> None:
        """Speech is over, says the phone: so it is for the recogniser when it has heard all there is."""
        if self._stream is None or self.given < self.head:
            self._is_finalizing = True
        else:
            self._stream.finalize()

    # the stream actor's calls

    @property
    def is_live(self) -> bool:
        """The recogniser has been given all there is."""
        return self._stream is not None and self.given == self.head

    def count_opening(self) -> int:
        """A number for a recogniser's stream that no other has or had."""
        self._openings += 1
        return self._openings

    def attach(self, stream: SpeechStream, position: int) -> None:
        """From now on `stream` hears, beginning at `position`; what is kept from there comes by `replay`."""
        self._stream = stream
        self.given = self.base = self.kept_from(position)

    def detach(self) -> None:
        """Nobody hears; the audio is kept."""
        self._stream = None

    def kept_from(self, position: int) -> int:
        """The first position at or behind this one that is still there."""
        oldest = self._frames[0].begin if self._frames else self.head
        return min(max(position, oldest), self.head)

    def replay(self, most_bytes: int) -> None:
        """Hand on up to this much of what waits, in whole frames but for the first."""
        if self._stream is None:
            return
        end = self.given + most_bytes
        for frame in list(self._frames):
            if self._stream is None or frame.begin >= end:
                return
            if frame.end > self.given:
                self._give(frame.pcm[max(0, self.given - frame.begin) :])
        if self._is_finalizing and self._stream is not None:
            self._is_finalizing = False
            self._stream.finalize()

    def settle(self, position: int) -> None:
        """Nobody will need the audio before this again."""
        self._settled = max(self._settled, position)
        while self._frames and self._frames[0].end <= position and self._frames[0].end <= self.given:
            self._frames.popleft()

    def unsettled(self) -> bytes:
        """What nobody has settled: the next process hears it again."""
        begin = self.kept_from(self._settled)
        return b"".join(
            frame.pcm[max(0, begin - frame.begin) :] for frame in self._frames if frame.end > begin
        )

    def spoken_at(self, position: int) -> float | None:
        """When the audio at this position was spoken, on the clock; None where it is not kept.

        A frame arrives when its last sample was spoken, give or take the network.
        """
        for frame in reversed(self._frames):
            if frame.begin <= position <= frame.end:
                return frame.arrived_at - (frame.end - position) / BYTES_A_SECOND
            if frame.end < position:
                return None
        return None

    def waiting_s(self, position: int) -> float:
        """How long the oldest voice behind this position has waited; 0 when there is none."""
        oldest = math.inf
        for frame in reversed(self._frames):
            if frame.end <= position:
                break
            if frame.is_loud and frame.begin >= position:
                oldest = frame.arrived_at
        return max(0.0, self._clock() - oldest) if math.isfinite(oldest) else 0.0

    def _give(self, pcm: bytes) -> None:
        assert self._stream is not None
        try:
            self._stream.offer(pcm)
        except Exception as error:
            self._stream = None
            if self.owner is not None:
                self.owner.crash(error)
            return
        self.given += len(pcm)

    def _drop_oldest(self) -> None:
        while self.head - self._frames[0].begin > self._keep_bytes:
            frame = self._frames.popleft()
            if self.given < frame.end:  # no recogniser will hear it: what follows moves up in its audio
                unheard = frame.end - max(self.given, frame.begin)
                self.lost_bytes += unheard
                self.base += unheard
                self.given = frame.end
