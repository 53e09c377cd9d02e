"""Where a piece of a voice is in another recording of the same voice.

The two came by different ways: the one is late, and may have been through a lossy codec. Correlating them in
full costs 25 million multiplications, which is no work for a loop. What is compared first are signs alone:
those of the smoothed voice at 2 kHz, one bit a sample, packed into an integer, so that a place is tried with
a shift, an XOR and a count of bits. The few places that differ least are looked at with every sample, and
the best of those is judged by its correlation.

Measured on recorded speech, with 150 ms in 0.75 s (`tests/actors/test_alignment.py` has the cases): 1 to 2 ms
on a busy core.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from heapq import nsmallest
from operator import add, mul
from typing import Final, NamedTuple

_STRIDE: Final = 8  # samples of one that is compared first
_PLACES: Final = 6  # are looked at with every sample
_NEAR: Final = 2  # strides around each of them
_JUDGED: Final = 2  # of them are judged by their correlation
_JUDGED_STRIDE: Final = 4  # samples of one that the correlation looks at: a voice has little above 2 kHz

_PLACE_BITS: Final = 24
_PLACE: Final = (1 << _PLACE_BITS) - 1

_SIGNS: Final = bytes(b"10"[byte < 128] for byte in range(256))
_IS_NEGATIVE: Final = "01"


class Match(NamedTuple):
    """Where it is found.

    Attributes:
      offset: in samples from the beginning of what was searched.
      likeness: correlation there, from -1 to 1; a voice and its lossy copy have 0.8 and more. 0 where one of
        them is silent.
    """

    offset: int
    likeness: float


NOWHERE: Final = Match(0, 0.0)


def find(piece: bytes, recording: bytes) -> Match:
    """The best match of `piece` in `recording`, both PCM s16le; NOWHERE if that is the shorter one."""
    length, room = len(piece) // 2, (len(recording) - len(piece)) // 2
    if room < 0 or length < _STRIDE:
        return NOWHERE
    signs = _signs(piece)
    places = []
    for place in _likely_places(array("h", piece), array("h", recording)):
        first = max(0, (place - _NEAR) * _STRIDE)
        last = min(room, (place + _NEAR) * _STRIDE)
        window = recording[2 * first : 2 * (last + length)]
        places.append(min(_differences(signs, length, _signs(window), last - first + 1)) + first)
    offsets = [place & _PLACE for place in nsmallest(_JUDGED, places)]
    matches = (
        Match(offset, likeness(piece, recording[2 * offset : 2 * (offset + length)])) for offset in offsets
    )
    best = max(matches, key=lambda match: match.likeness, default=NOWHERE)
    return best if best.likeness > 0.0 else NOWHERE


def likeness(one: bytes, other: bytes) -> float:
    """The correlation of two recordings of one length, from -1 to 1; 0 where one of them is silent."""
    these, those = array("h", one)[::_JUDGED_STRIDE], array("h", other)[::_JUDGED_STRIDE]
    count = len(these)
    if not count:
        return 0.0
    mean, other_mean = sum(these) / count, sum(those) / count
    power = sum(map(mul, these, these)) - count * mean * mean
    other_power = sum(map(mul, those, those)) - count * other_mean * other_mean
    if power < count or other_power < count:  # within one step of silence
        return 0.0
    together = sum(map(mul, these, those)) - count * mean * other_mean
    return float(together / math.sqrt(power * other_power))


def _likely_places(piece: array[int], recording: array[int]) -> list[int]:
    """Offsets in strides, the likeliest first; neighbours of a likelier one are left out."""
    short, long = _smoothed(piece), _smoothed(recording)
    length = len(short)
    found = _differences(_packed(short), length, _packed(long), len(long) - length + 1)
    places: list[int] = []
    for one in nsmallest(_PLACES * (2 * _NEAR + 1), found):
        place = one & _PLACE
        if all(abs(place - other) > _NEAR for other in places):
            places.append(place)
            if len(places) == _PLACES:
                break
    return places


def _smoothed(samples: array[int]) -> Sequence[int]:
    """Every eighth, as a sum of four around it."""
    first, second, third, fourth = (samples[at::_STRIDE] for at in (0, 2, 4, 6))
    return list(map(add, map(add, first, second), map(add, third, fourth)))


def _packed(samples: Sequence[int]) -> int:
    """The signs, the first sample's in the lowest bit."""
    return int("".join([_IS_NEGATIVE[sample < 0] for sample in reversed(samples)]) or "0", 2)


def _signs(pcm: bytes) -> int:
    """The same of PCM: its sign is the highest bit of the second byte."""
    return int(pcm[1::2].translate(_SIGNS)[::-1] or b"0", 2)


def _differences(piece: int, length: int, recording: int, places: int) -> list[int]:
    """How many signs differ at each of the first `places` places, each with its place in the lowest bits."""
    mask = (1 << length) - 1
    return [
        (((recording >> place & mask) ^ piece).bit_count() << _PLACE_BITS) + place for place in range(places)
    ]
