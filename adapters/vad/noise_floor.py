"""Whether somebody speaks: louder than the room has been lately, and shaped like a voice.

Two judges, for each hides the other's fault. The level over the noise floor tells steady noise from speech
however loud it is, which no shape does (`pocketsphinx.Vad`, which is WebRTC's, calls a fan speech for as long
as it runs). The shape tells speech from a room's rumble that is briefly louder than its floor. The floor is
the quietest moment of the last seconds, so it is right as soon as somebody pauses, and noise that begins is
taken for a voice until it has lasted that long: what is unsure is heard.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

from actors.ports import VoiceHeard

SAMPLE_RATE_HZ: Final = 16_000
FRAME_MS: Final = 30
_FRAME_BYTES: Final = SAMPLE_RATE_HZ * 2 * FRAME_MS // 1000
_DIGITAL_SILENCE: Final = bytes(_FRAME_BYTES)

_MODE: Final = 2  # of Vad's 0 to 3; 3 hears nothing in quiet speech
_STRIDE: Final = 4  # every so many samples are enough for a level
_FLOOR_FRAMES: Final = 5_000 // FRAME_MS
_LOWEST: Final = 20.0  # RMS of 16-bit samples, -64 dBFS: a quieter room is as good as silent
_SMOOTHING: Final = 0.3
_BEGINS: Final = 10 ** (6 / 20)  # times the floor, to begin
_GOES_ON: Final = 10 ** (3 / 20)  # and to go on
_CLEAR: Final = 10 ** (20 / 20)  # the loudest of a voice that stands out of all noise
_FORGETS: Final = 0.98  # a frame: the loudest of 2 s ago counts 12 dB less
_SHORT_PAUSE: Final = 10  # frames; a single one brings the voice back within it
_SURE: Final = 2  # frames of `_OF`, to begin: a click is one
_OF: Final = 3


class NoiseFloorVoices:
    """`actors.ports.Voices`."""

    def warm_up(self) -> None:
        """Import PocketSphinx, which takes 4 MB and 20 ms: the first detector would hold the loop for it."""
        import pocketsphinx  # type: ignore[import-untyped]  # noqa: F401

    def detector(self) -> NoiseFloorDetector:
        return NoiseFloorDetector()


class NoiseFloorDetector:
    """One microphone. 9 us a frame of 30 ms, 7 kB."""

    def __init__(self) -> None:
        from pocketsphinx import Vad

        self._vad: Any = Vad(_MODE, SAMPLE_RATE_HZ, FRAME_MS / 1000)
        self._rest = b""
        self._frames = 0
        self._level: float | None = None  # smoothed
        self._floors: deque[tuple[int, float]] = deque()  # falling to the newest; the first is the quietest
        self._loudest = 0.0
        self._recent: deque[bool] = deque([False] * _OF, maxlen=_OF)
        self._quiet = 0  # frames since the last voice
        self._is_on = False

    def hear(self, pcm: bytes) -> VoiceHeard:
        data = self._rest + pcm if self._rest else pcm
        whole = len(data) // _FRAME_BYTES * _FRAME_BYTES
        for begin in range(0, whole, _FRAME_BYTES):
            self._frame(data[begin : begin + _FRAME_BYTES])
        self._rest = data[whole:]
        return VoiceHeard(self._quiet * FRAME_MS, self._loudest >= self._floor() * _CLEAR)

    def _frame(self, frame: bytes) -> None:
        level = self._hear_level(frame)
        threshold = self._floor() * (_GOES_ON if self._is_on else _BEGINS)
        is_voice = level > threshold and bool(self._vad.is_speech(frame))
        self._recent.append(is_voice)
        if is_voice and (self._quiet <= _SHORT_PAUSE or sum(self._recent) >= _SURE):
            self._quiet = 0
            self._is_on = True
            self._loudest = max(level, self._loudest * _FORGETS)
        else:
            self._quiet += 1
            if self._quiet > _SHORT_PAUSE:
                self._is_on = False

    def _hear_level(self, frame: bytes) -> float:
        """The frame's RMS; the floor hears it too."""
        if frame == _DIGITAL_SILENCE:
            level = 0.0
        else:
            samples = memoryview(frame).cast("h")[::_STRIDE]
            level = math.hypot(*samples) / math.sqrt(len(samples))
        before = level if self._level is None else self._level
        smooth = self._level = before + _SMOOTHING * (level - before)
        self._frames += 1
        floors = self._floors
        while floors and floors[-1][1] >= smooth:
            floors.pop()
        floors.append((self._frames, smooth))
        if floors[0][0] <= self._frames - _FLOOR_FRAMES:
            floors.popleft()
        return level

    def _floor(self) -> float:
        return max(_LOWEST, self._floors[0][1]) if self._floors else _LOWEST
