"""Speech for machines: PCM in which every sample of a word is that word's number, up or down.

The sign is a buzz of 125 Hz, so that a voice detector takes it for a voice.

A recogniser without a model can hear what was said in it, and wherever it begins to listen it hears what is
left to hear, as a real one does: that is what a stream which takes over from another one has to be tried
with. Half a word is a word too when enough of it is left.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Final, NamedTuple

SAMPLE_RATE_HZ: Final = 16_000
BYTES_A_SECOND: Final = SAMPLE_RATE_HZ * 2
STEP_S: Final = 0.01
_STEP_BYTES: Final = int(STEP_S * BYTES_A_SECOND)
_FIRST: Final = 1_000  # samples from here on are words; below is noise
MOST_WORDS: Final = 32_767 - _FIRST
_BUZZ_HZ: Final = 125
_SHORTEST_STEPS: Final = 5  # of a word to be one: 50 ms


class SpokenWord(NamedTuple):
    """A word and where it is, in seconds of the stream's audio."""

    number: int
    start_s: float
    end_s: float


def word(number: int, seconds: float = 0.3) -> bytes:
    """The PCM of one word. `number` counts from 0 to `MOST_WORDS` - 1."""
    if not 0 <= number < MOST_WORDS:
        raise ValueError(f"word {number}; expected 0 to {MOST_WORDS - 1}")
    count = round(seconds * SAMPLE_RATE_HZ)
    level = _FIRST + number
    half = SAMPLE_RATE_HZ // _BUZZ_HZ // 2
    wave = array.array("h", [level] * half + [-level] * half)
    return (wave * (count // len(wave) + 1))[:count].tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * SAMPLE_RATE_HZ))


def sentence(numbers: Sequence[int], *, word_s: float = 0.3, pause_s: float = 1.0) -> bytes:
    """Words one after the other, then a pause."""
    return b"".join(word(number, word_s) for number in numbers) + silence(pause_s)


class CodedEar:
    """Hears the words in coded audio, whatever the chunks it comes in.

    Attributes:
      heard_s: how much audio there was.
      words: all words so far; the last one may still grow.
      quiet_s: how long it has been silent by now.
    """

    def __init__(self) -> None:
        self.words: list[SpokenWord] = []
        self.heard_s = 0.0
        self.quiet_s = 0.0
        self._rest = b""
        self._steps = 0
        self._number: int | None = None
        self._run = 0  # steps of `_number` so far

    def hear(self, pcm: bytes) -> None:
        data = self._rest + pcm
        whole = len(data) // _STEP_BYTES * _STEP_BYTES
        self._rest = data[whole:]
        for offset in range(0, whole, _STEP_BYTES):
            sample = abs(int.from_bytes(data[offset : offset + 2], "little", signed=True))
            self._step(sample - _FIRST if sample >= _FIRST else None)

    def _step(self, number: int | None) -> None:
        if number != self._number:
            self._number, self._run = number, 0
        self._run += 1
        self._steps += 1
        self.heard_s = self._steps * STEP_S
        if number is None:
            self.quiet_s = self._run * STEP_S
            return
        self.quiet_s = 0.0
        if self._run >= _SHORTEST_STEPS:
            if self._run > _SHORTEST_STEPS:
                self.words.pop()
            self.words.append(SpokenWord(number, (self._steps - self._run) * STEP_S, self.heard_s))
