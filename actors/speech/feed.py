"""The microphone's audio on its way to a recogniser, and the part of it that is kept for the next one.

Every frame is kept until the words in it are settled. A recogniser that takes over is given what is kept
first, faster than it was spoken, and the frames that come meanwhile behind it; so what it hears has no hole
and nothing twice. Positions count the bytes of the stream's audio since its beginning, whoever heard it.

Silence is not for a recogniser (`actors.audio.voice`): it is stepped over wherever it is, so that a
recogniser's own time is shorter than the stream's, and `position_of` knows by how much. What may be the
beginning of something waits until that is known.

It outlives the incarnations of its actor: hot and mutable, fed by plain calls from the audio router.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from protocols.audio import BYTES_A_SECOND
from runtime import Ref

from ..audio.loudness import is_loud
from ..audio.voice import Verdict, VoiceGate
from ..latency import Transit
from ..ports import SpeechStream

_PAUSE_BYTES: Final = BYTES_A_SECOND * 3 // 10
_MOST_PAUSES: Final = 200  # more than there are in what is kept
_ROUNDING: Final = 64  # bytes: a recogniser's times are whole milliseconds
_STEP_BYTES: Final = BYTES_A_SECOND * 12 // 10  # Deepgram says how far it is once a second

END_S: Final = 1.5
"""A microphone that brings nothing for so long has been cut off, whatever it was saying."""


def bytes_of(milliseconds: float) -> int:
    """How much audio so long is; whole samples."""
    return int(milliseconds * BYTES_A_SECOND / 1000) // 2 * 2


def milliseconds_of(audio_bytes: int) -> int:
    return audio_bytes * 1000 // BYTES_A_SECOND


class _Cut(NamedTuple):
    """From `offset` in the recogniser's own audio on, positions are `shift` further."""

    offset: int
    shift: int


class _Frame:
    __slots__ = ("arrived_at", "begin", "end", "given_at", "is_voice", "is_withheld", "pcm")

    def __init__(self, begin: int, pcm: bytes, arrived_at: float) -> None:
        self.begin = begin
        self.end = begin + len(pcm)
        self.pcm = pcm
        self.arrived_at = arrived_at
        self.given_at: float | None = None
        self.is_voice = False
        self.is_withheld = False


class AudioFeed:
    """One stream's audio.

    Args:
      clock: the system's, for when a frame arrived.
      keep_s: how much is kept at most; the oldest goes beyond that.
      gate: says what is silence; None where the recogniser hears all there is.
      pre_roll_s: so much silence before a voice is heard with it.
      notes_times: `given_at` is asked.

    Attributes:
      owner: whose crash it is when a recogniser cannot take a frame.
      head: the position behind the newest frame.
      decided: what is before this is for the recogniser, or withheld from it; the rest waits for a voice.
      given: what the recogniser has been given, or was not to hear, up to here.
      base: where the recogniser's own audio begins.
      lost_bytes: audio that went before a recogniser was there to hear it.
      withheld_bytes: silence that no recogniser was to hear.
      transit: from the microphone to here.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        keep_s: float,
        *,
        gate: VoiceGate | None = None,
        pre_roll_s: float = 0.0,
        notes_times: bool = False,
    ) -> None:
        self.owner: Ref[Any] | None = None
        self.head = 0
        self.decided = 0
        self.given = 0
        self.base = 0
        self.lost_bytes = 0
        self.withheld_bytes = 0
        self.transit = Transit()
        self._clock = clock
        self._gate = gate
        self._notes_times = notes_times
        self._keep_bytes = round(keep_s * BYTES_A_SECOND)
        self._pre_roll_bytes = round(pre_roll_s * BYTES_A_SECOND)
        self._frames: deque[_Frame] = deque()
        self._waiting: deque[_Frame] = deque()  # the last of them, which are not decided
        self._stream: SpeechStream | None = None
        self._pauses: deque[int] = deque(maxlen=_MOST_PAUSES)  # behind them the recogniser is to finish
        self._cuts: deque[_Cut] = deque([_Cut(0, 0)])
        self._openings = 0
        self._settled = 0
        self._is_over = True

    # the audio router's calls

    def offer(self, pcm: bytes) -> None:
        """Keep one frame, and hand it on unless older ones wait for the recogniser, or all for a voice."""
        if not pcm:
            return
        frame = _Frame(self.head, pcm, self._clock())
        self._is_over = False
        self._frames.append(frame)
        self.head = frame.end
        self.transit.heard(frame.end * 1000 / BYTES_A_SECOND, frame.arrived_at)
        if self.head - self._frames[0].begin > self._keep_bytes:
            self._drop_oldest()
        if self._gate is None:
            frame.is_voice = is_loud(pcm)
            self._decide(frame)
            return
        verdict, has_paused = self._gate.hear(pcm)
        frame.is_voice = self._gate.is_voice and is_loud(pcm)
        waiting = self._waiting
        waiting.append(frame)
        if verdict is Verdict.SPEECH:
            while waiting:
                self._decide(waiting.popleft())
        else:
            while waiting and waiting[0].end <= self.head - self._pre_roll_bytes:
                waiting[0].is_withheld = True
                self.withheld_bytes += len(waiting[0].pcm)
                self._decide(waiting.popleft())
        if has_paused:
            self.finalize()

    def finalize(self) -> None:
        """Speech is over: so it is for the recogniser when it has heard all that was said."""
        if self._stream is not None and self.given >= self.decided:
            self._stream.finalize()
        else:
            self._pauses.append(self.decided)

    def look_for_the_end(self) -> None:
        """Speech is over where nothing has come for `END_S`: no phone says that it is gone."""
        if not self._is_over and self._is_cut_off():
            self._is_over = True
            self.finalize()

    def reported(self) -> None:
        """The phone has said whether somebody speaks: it decides what it sends."""
        if self._gate is not None:
            self._gate.reported()

    # the stream actor's calls

    @property
    def is_live(self) -> bool:
        """The recogniser has been given all that it is to hear."""
        return self._stream is not None and self.given >= self.decided

    def count_opening(self) -> int:
        """A number for a recogniser's stream that no other has or had."""
        self._openings += 1
        return self._openings

    def attach(self, stream: SpeechStream, position: int) -> None:
        """From now on `stream` hears, beginning at `position`; what is kept from there comes by `replay`."""
        self._stream = stream
        self.given = self.base = min(self.kept_from(position), self.decided)
        self._cuts = deque([_Cut(0, self.base)])
        while self._pauses and self._pauses[0] <= self.given:
            self._pauses.popleft()

    def detach(self) -> None:
        """Nobody hears; the audio is kept."""
        self._stream = None

    def kept_from(self, position: int) -> int:
        """The first position at or behind this one that is still there."""
        oldest = self._frames[0].begin if self._frames else self.head
        return min(max(position, oldest), self.head)

    def position_of(self, stream_ms: float, *, is_end: bool = False) -> int:
        """Where a moment of the recogniser's own audio is.

        Args:
          is_end: where silence was withheld at that moment, the position before it and not the one behind.
        """
        offset = bytes_of(stream_ms)
        found = self._cuts[0]
        for cut in self._cuts:
            if cut.offset > (offset - _ROUNDING if is_end else offset + _ROUNDING):
                break
            found = cut
        return max(offset, found.offset) + found.shift

    def replay(self, most_bytes: int) -> None:
        """Hand on up to this much of what waits, in whole frames but for the first."""
        if self._stream is None:
            return
        left = most_bytes
        for frame in list(self._frames):
            if self._stream is None or frame.begin >= self.decided or left <= 0:
                return
            if frame.end > self.given:
                left -= 0 if frame.is_withheld else frame.end - max(frame.begin, self.given)
                self._hand_on(frame)

    def settle(self, position: int) -> None:
        """Nobody will need the audio before this again."""
        self._settled = max(self._settled, position)
        while self._frames and self._frames[0].end <= position and self._frames[0].end <= self.given:
            self._frames.popleft()
        cuts = self._cuts
        while len(cuts) > 1 and cuts[1].offset + cuts[1].shift <= position:
            cuts.popleft()

    def unsettled(self) -> bytes:
        """What nobody has settled and somebody is to hear: the next process hears it again."""
        begin = self.kept_from(self._settled)
        return b"".join(
            frame.pcm[max(0, begin - frame.begin) :]
            for frame in self._frames
            if frame.end > begin and not frame.is_withheld
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

    def given_at(self, position: int) -> float | None:
        """When the recogniser was given the audio at this position; None where that is not known."""
        for frame in reversed(self._frames):
            if frame.begin <= position <= frame.end:
                return frame.given_at
            if frame.end < position:
                return None
        return None

    def onset(self) -> int:
        """Where the voice that is heard now, or was heard last, began; the head where none is kept."""
        begin = self.head
        for frame in reversed(self._frames):
            if frame.is_voice:
                begin = frame.begin
            elif begin < self.head and begin - frame.begin > _PAUSE_BYTES:
                break
        return begin

    def withhold(self, begin: int, end: int) -> bool:
        """No recogniser is to hear this: somebody else has. False where one has been given some of it."""
        for frame in self._frames:
            if begin <= frame.begin and frame.end <= end:
                frame.is_withheld = True
        return self.given <= begin

    def waiting_s(self, position: int) -> float:
        """How long the oldest voice behind this position has waited; 0 when there is none.

        A recogniser tells how far it is in steps. The last voice of a microphone that was cut off may end
        within one: nothing more is said of that, and nobody waits for it.
        """
        if self.head - position < _STEP_BYTES and self._is_cut_off():
            return 0.0
        oldest = math.inf
        for frame in reversed(self._frames):
            if frame.end <= position:
                break
            if frame.is_voice and not frame.is_withheld and position <= frame.begin < self.decided:
                oldest = frame.arrived_at
        return max(0.0, self._clock() - oldest) if math.isfinite(oldest) else 0.0

    # its own

    def _is_cut_off(self) -> bool:
        return bool(self._frames) and self._clock() - self._frames[-1].arrived_at >= END_S

    def _decide(self, frame: _Frame) -> None:
        """Whether it is to be heard is known; it is handed on, unless others wait before it."""
        is_live = self._stream is not None and self.given >= self.decided
        self.decided = frame.end
        if is_live:
            self._hand_on(frame)

    def _hand_on(self, frame: _Frame) -> None:
        """Give the recogniser what is left of this frame, or step over it."""
        assert self._stream is not None
        if frame.is_withheld:
            self._skip(frame.end)
        else:
            pcm = frame.pcm if self.given <= frame.begin else frame.pcm[self.given - frame.begin :]
            try:
                self._stream.offer(pcm)
            except Exception as error:
                self._stream = None
                if self.owner is not None:
                    self.owner.crash(error)
                return
            self.given = frame.end
            if self._notes_times:
                frame.given_at = self._clock()
        pauses, is_over = self._pauses, False
        while pauses and pauses[0] <= self.given:
            pauses.popleft()
            is_over = True
        if is_over:
            self._stream.finalize()

    def _skip(self, position: int) -> None:
        """The recogniser does not hear what is before `position`: what follows moves up in its audio."""
        last = self._cuts[-1]
        cut = _Cut(self.given - last.shift, last.shift + position - self.given)
        if last.offset == cut.offset and len(self._cuts) > 1:
            self._cuts.pop()
        self._cuts.append(cut)
        self.given = position

    def _drop_oldest(self) -> None:
        while self.head - self._frames[0].begin > self._keep_bytes:
            frame = self._frames.popleft()
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()
                self.decided = frame.end
            if self.given < frame.end:
                if not frame.is_withheld:
                    self.lost_bytes += frame.end - max(self.given, frame.begin)
                self._skip(frame.end)
