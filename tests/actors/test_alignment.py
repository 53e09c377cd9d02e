"""A piece of a voice is found in another recording of the same voice."""

from __future__ import annotations

import random
from array import array

import pytest

from actors.audio.alignment import NOWHERE, find, likeness
from tests.actors.voice import SPEECH, lossy

SECOND = 16_000
RECORDING = SECOND * 5 // 4
PIECE = 2_400  # 150 ms


def cut(begin: int, samples: int) -> bytes:
    return SPEECH[2 * begin : 2 * (begin + samples)]


@pytest.mark.parametrize("seed", range(8))
def test_a_piece_is_found_to_the_sample_wherever_somebody_speaks(seed: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange(len(SPEECH) // 2 - RECORDING)
    recording = cut(begin, RECORDING)
    right = wrong = 0
    for _ in range(12):
        place = chance.randrange(RECORDING - PIECE)
        match = find(cut(begin + place, PIECE), recording)
        right += match.offset == place and match.likeness > 0.99
        wrong += match.offset != place and match.likeness > 0.9

    assert 0 == wrong, "what is not found is not taken for found"
    assert 9 <= right, "in a pause there is nothing to find"


@pytest.mark.parametrize("seed", range(4))
def test_a_lossy_copy_is_found_to_a_third_of_a_millisecond(seed: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange(len(SPEECH) // 2 - RECORDING)
    recording = cut(begin, RECORDING)
    copy = lossy(recording, chance)
    found = []
    for place in range(0, RECORDING - PIECE, PIECE):
        match = find(copy[2 * place : 2 * (place + PIECE)], recording)
        if match.likeness >= 0.8:
            found.append(abs(match.offset - place))

    assert 4 <= len(found)
    assert len(found) - 1 <= sum(off_by <= 5 for off_by in found)


def test_silence_is_like_nothing() -> None:
    assert 0.0 == likeness(bytes(3200), bytes(3200))
    assert 0.0 == likeness(bytes(3200), cut(0, 1600))
    assert NOWHERE == find(bytes(3200), cut(0, SECOND))
    assert 0.0 == likeness(b"", b"")


def test_a_steady_tone_is_silence_of_another_kind() -> None:
    level = array("h", [1000] * 1600).tobytes()

    assert 0.0 == likeness(level, level), "a constant says nothing about where it is"


def test_a_recording_shorter_than_the_piece_has_it_nowhere() -> None:
    assert NOWHERE == find(cut(0, 1601), cut(0, 1600))
    assert NOWHERE == find(b"", b"")


def test_the_same_upside_down_is_the_opposite() -> None:
    voice = cut(SECOND, 1600)
    inverted = array("h", [max(-32_767, -sample) for sample in array("h", voice)]).tobytes()

    assert likeness(voice, inverted) == pytest.approx(-1.0, abs=0.001)
