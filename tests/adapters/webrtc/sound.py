"""How alike two pieces of speech are. Samples of 16 kHz as arrays of 16 bits."""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Sequence

from clients.recordings import recordings

FRAME = 320  # samples
SPEECH: bytes = recordings()[0].pcm


def samples(pcm: bytes) -> array[int]:
    return array("h", pcm)


def correlation(one: Sequence[int], other: Sequence[int]) -> float:
    """1 for the same shape, 0 for nothing in common."""
    length = min(len(one), len(other))
    energy = math.sqrt(dot(one[:length], one[:length]) * dot(other[:length], other[:length]))
    return dot(one[:length], other[:length]) / energy if energy else 0.0


def delay(said: Sequence[int], heard: Sequence[int], *, most: int = 1_600) -> int:
    """How many samples later `heard` has what `said` has, by the loudest half second."""
    window = 8_000
    start = max(
        range(most, len(said) - window - most, 1_600),
        key=lambda at: dot(said[at : at + window : 8], said[at : at + window : 8]),
    )
    loud = said[start : start + window : 2]
    return max(range(-40, most), key=lambda lag: dot(loud, heard[start + lag : start + lag + window : 2]))


def loudness_db(one: Sequence[int]) -> float:
    return 10 * math.log10(max(1.0, dot(one, one) / max(1, len(one))))


def damage_db(clean: Sequence[int], heard: Sequence[int]) -> float:
    """Signal to difference, as the mean over the loud frames of 20 ms, each held to 0 to 35 dB."""
    ratios = []
    for at in range(0, min(len(clean), len(heard)) - FRAME, FRAME):
        frame, other = clean[at : at + FRAME], heard[at : at + FRAME]
        energy = dot(frame, frame)
        if energy < FRAME * 200**2:
            continue
        difference = [a - b for a, b in zip(frame, other, strict=True)]
        noise = dot(difference, difference)
        ratios.append(35.0 if not noise else max(0.0, min(35.0, 10 * math.log10(energy / noise))))
    return sum(ratios) / len(ratios)


def unlikeness_db(clean: Sequence[int], heard: Sequence[int]) -> float:
    """How far the loudness of the loud frames is off, on average; by 40 at most."""
    off = []
    for at in range(0, min(len(clean), len(heard)) - FRAME, FRAME):
        loudness = loudness_db(clean[at : at + FRAME])
        if loudness > 20 * math.log10(200):
            off.append(min(40.0, abs(loudness - loudness_db(heard[at : at + FRAME]))))
    return sum(off) / len(off)


def dot(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(map(operator.mul, one, other))
