"""A recorded voice, and what a lossy codec makes of it."""

from __future__ import annotations

import random
from array import array
from typing import Final

from clients.recordings import recordings

SPEECH: Final = b"".join(recording.pcm for recording in recordings())
"""PCM s16le, mono, 16 kHz: five sentences with their pauses."""

_FRAME: Final = 640
_LOUD: Final = 1_500


def _is_spoken(frame: bytes) -> bool:
    return max(map(abs, array("h", frame))) >= _LOUD


BREATHLESS: Final = b"".join(
    frame
    for at in range(0, len(SPEECH), _FRAME)
    if len(frame := SPEECH[at : at + _FRAME]) == _FRAME and _is_spoken(frame)
)
"""The same without its pauses."""


def lossy(pcm: bytes, chance: random.Random) -> bytes:
    """As much like the voice as Opus at 24 kbit/s is, which leaves a likeness of 0.8 to 0.93: softer, a
    little muffled, and with noise that follows its loudness.
    """
    copy = array("h")
    before = 0.0
    for sample in array("h", pcm):
        before = 0.7 * sample + 0.3 * before
        copy.append(max(-32_768, min(32_767, round(before + chance.gauss(0.0, 0.25 * abs(before) + 2.0)))))
    return copy.tobytes()
