"""Where utterances begin and end in a stream of audio.

PocketSphinx's Endpointer (30 ms frames, a voice detector, a window) decides; 6 us a frame, so it runs in the
server. Its decisions are used and its audio is not: it hands audio out a whole window late, which the first
partial and the final would both wait for. The utterance gets the audio as it arrives, from a pre-roll on.

Its voice detector takes a room's noise after speech for speech, for up to half a second. So an utterance ends
also when nothing within `quiet_db` of its loudest has been heard for `quiet_s`. People who speak on without a
pause are cut at the first short one after `utterance_soft_s`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from .settings import PocketSphinxSettings

SAMPLE_RATE_HZ: Final = 16_000
BYTES_A_SECOND: Final = SAMPLE_RATE_HZ * 2
FRAME_S: Final = 0.03
FRAME_BYTES: Final = int(FRAME_S * BYTES_A_SECOND)
_LOUDEST_DECAY: Final = 0.995  # a frame: what was loud 5 s ago counts 7 dB less
_RESUMING_FRAMES: Final = 2  # loud ones in a row by which speech goes on after a quiet end


def milliseconds(audio_bytes: int) -> int:
    """How long this much audio is."""
    return audio_bytes * 1000 // BYTES_A_SECOND


@dataclass(frozen=True)
class Began:
    """Speech began at `start_ms` of the stream; `pcm` is what there is from the pre-roll, at `audio_ms`."""

    start_ms: int
    audio_ms: int
    pcm: bytes


@dataclass(frozen=True)
class Continued:
    pcm: bytes


@dataclass(frozen=True)
class Ended:
    """Speech ended at `end_ms` of the stream.

    Attributes:
      is_silent: the silence by which that was noticed was given too; else the audio ends within speech.
    """

    end_ms: int
    is_silent: bool


Cut = Began | Continued | Ended


class UtteranceCutter:
    """Cuts one stream's audio. Chunks may have any length; times count from the first byte."""

    def __init__(self, settings: PocketSphinxSettings) -> None:
        self._settings = settings
        self._rest = bytearray()  # less than a frame
        self._position = 0  # bytes that went through the endpointer
        self._is_open = False
        self._is_quiet = False  # ended by level while the endpointer still hears speech
        self._utterance_bytes = 0
        self._levels = _Levels(settings)
        self._recent: deque[bytes] = deque(  # frames since the utterance before, as many as a beginning needs
            maxlen=math.ceil((settings.window_s + settings.pre_roll_s) / FRAME_S) + 1
        )
        self._pauses: Any = None  # a Vad, made when somebody speaks that long
        self._start_endpointer()

    @property
    def position_ms(self) -> int:
        """How much audio has been looked at."""
        return milliseconds(self._position)

    def feed(self, pcm: bytes) -> list[Cut]:
        """What this chunk means, in order."""
        self._rest += pcm
        whole = len(self._rest) // FRAME_BYTES * FRAME_BYTES
        chunk = bytes(self._rest[:whole])
        del self._rest[:whole]
        cuts: list[Cut] = []
        for offset in range(0, whole, FRAME_BYTES):
            self._frame(chunk[offset : offset + FRAME_BYTES], cuts)
        return cuts

    def finish(self) -> list[Cut]:
        """Somebody knows that speech is over: end the utterance now, without waiting for the window."""
        self._start_endpointer()
        return [self._end(self._position, is_silent=False)] if self._is_open else []

    def _start_endpointer(self) -> None:
        from pocketsphinx import Endpointer  # type: ignore[import-untyped]  # here: 4 MB, 20 ms

        settings = self._settings
        self._endpointer = Endpointer(
            settings.window_s, settings.ratio, settings.vad_mode, SAMPLE_RATE_HZ, FRAME_S
        )
        self._endpointer_began = self._position
        self._is_quiet = False

    def _frame(self, frame: bytes, cuts: list[Cut]) -> None:
        self._endpointer.process(frame)
        self._position += FRAME_BYTES
        if self._is_open:
            self._continue(frame, cuts)
            return
        self._recent.append(frame)
        if not self._endpointer.in_speech:
            self._is_quiet = False
        elif not self._is_quiet:
            self._levels.restart()
            cuts.append(self._begin(self._bytes_at(self._endpointer.speech_start)))
        else:
            self._levels.hear(frame)
            if self._levels.loud_frames >= _RESUMING_FRAMES:
                self._is_quiet = False
                cuts.append(self._begin(self._position - _RESUMING_FRAMES * FRAME_BYTES))

    def _continue(self, frame: bytes, cuts: list[Cut]) -> None:
        self._utterance_bytes += FRAME_BYTES
        if cuts and isinstance(cuts[-1], Continued):
            cuts[-1] = Continued(cuts[-1].pcm + frame)
        else:
            cuts.append(Continued(frame))
        self._levels.hear(frame)
        if not self._endpointer.in_speech:
            cuts.append(self._end(self._bytes_at(self._endpointer.speech_end), is_silent=True))
        elif self._levels.quiet_s >= self._settings.quiet_s:
            self._is_quiet = True
            quiet_bytes = round(self._levels.quiet_s * BYTES_A_SECOND)
            cuts.append(self._end(self._position - quiet_bytes, is_silent=True))
        elif self._has_gone_on_too_long(frame):
            cuts.append(self._end(self._position, is_silent=False))
            cuts.append(self._begin(self._position))

    def _bytes_at(self, endpointer_s: float) -> int:
        """The position in the stream of a moment of the endpointer's."""
        return self._endpointer_began + round(endpointer_s / FRAME_S) * FRAME_BYTES

    def _begin(self, started: int) -> Began:
        wanted = self._position - started + round(self._settings.pre_roll_s * BYTES_A_SECOND)
        pcm = b"".join(self._recent)[-wanted:]
        self._recent.clear()
        self._is_open = True
        self._utterance_bytes = len(pcm)
        return Began(milliseconds(started), milliseconds(self._position - len(pcm)), pcm)

    def _end(self, position: int, *, is_silent: bool) -> Ended:
        self._is_open = False
        return Ended(milliseconds(position), is_silent)

    def _has_gone_on_too_long(self, frame: bytes) -> bool:
        settings = self._settings
        length_s = self._utterance_bytes / BYTES_A_SECOND
        if length_s < settings.utterance_soft_s:
            return False
        if length_s >= settings.utterance_hard_s:
            return True
        if self._pauses is None:
            from pocketsphinx import Vad

            self._pauses = Vad(Vad.STRICT, SAMPLE_RATE_HZ, FRAME_S)
        return not bool(self._pauses.is_speech(frame))


class _Levels:
    """How loud frames are beside the loudest of their utterance; 16 us a frame, and only within speech.

    Attributes:
      quiet_s: how long it has been quiet now.
      loud_frames: how many in a row were not.
    """

    def __init__(self, settings: PocketSphinxSettings) -> None:
        self._quiet_share = 10 ** (-settings.quiet_db / 20)
        self.restart()

    def restart(self) -> None:
        self._loudest = 0.0
        self.quiet_s = 0.0
        self.loud_frames = 0

    def hear(self, frame: bytes) -> None:
        samples = memoryview(frame).cast("h")[::4]
        level = max(max(samples), -min(samples))
        self._loudest = max(level, self._loudest * _LOUDEST_DECAY)
        if level < self._loudest * self._quiet_share:
            self.quiet_s += FRAME_S
            self.loud_frames = 0
        else:
            self.quiet_s = 0.0
            self.loud_frames += 1
