"""What became of what was played: where it lies in what an app heard, when it came, and its words."""

from __future__ import annotations

import array
import difflib
import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from clients.recordings import recordings

SAMPLE_RATE_HZ: Final = 16_000

_PAUSE_S: Final = 1.0
_COARSE: Final = 128  # samples: 8 ms
_WAVES: Final = 2_000  # samples that are compared one by one
_ALIKE: Final = 0.3  # of 1; what codecs leave of a voice is 0.7 and more, chance is 0.1
_REACH_S: Final = 8.0
_NEAR_REACH_S: Final = 0.5


class Sentence(NamedTuple):
    """A sentence of the script: its words, its first sample and the one behind its last."""

    text: str
    begin: int
    end: int


class Script(NamedTuple):
    """What the microphones hear."""

    pcm: bytes
    sentences: tuple[Sentence, ...]


@functools.cache
def script() -> Script:
    """The shipped sentences, a second of silence behind each."""
    pcm, sentences = b"", []
    for recording in recordings():
        begin = len(pcm) // 2
        pcm += recording.pcm + bytes(int(_PAUSE_S * SAMPLE_RATE_HZ) * 2)
        sentences.append(Sentence(recording.text, begin, begin + len(recording.pcm) // 2))
    return Script(pcm, tuple(sentences))


def lag(played: bytes, heard: bytes, begin: int, end: int, *, near: int | None = None) -> int | None:
    """How many samples later the part of `played` from `begin` to `end` lies in `heard`.

    Loudness first, in steps of 8 ms, then the waves themselves around the best two places.

    Args:
      near: where it is expected, as a lag; half a second around it is looked at. Eight seconds without it.

    Returns:
      None when nothing in `heard` resembles it: what was lost, or was filled in for too long.
    """
    part, whole = _samples(played)[begin:end], _samples(heard)
    reach = _REACH_S if near is None else _NEAR_REACH_S
    first = max(0, begin + (near or 0) - int(reach * SAMPLE_RATE_HZ)) // _COARSE * _COARSE
    last = begin + (near or 0) + len(part) + int(reach * SAMPLE_RATE_HZ)
    envelope, loudness = _envelope(part), _envelope(whole[first:last])
    places = range(max(0, len(loudness) - len(envelope)) + 1)
    likely = sorted(places, key=lambda at: -_likeness(envelope, loudness[at : at + len(envelope)]))[:2]
    loud = max(
        range(0, max(1, len(part) - _WAVES), 400), key=lambda at: sum(map(abs, part[at : at + _WAVES]))
    )
    waves = part[loud : loud + _WAVES]
    best, found = _ALIKE, None
    for place in likely:
        for at in range(first + (place - 1) * _COARSE, first + (place + 2) * _COARSE):
            likeness = _likeness(waves, whole[max(0, at + loud) : at + loud + _WAVES])
            if likeness > best:
                best, found = likeness, at
    return None if found is None else found - begin


def delays(
    arrivals: Sequence[tuple[float, int]], *, began: float, lag: int, begin: int, end: int
) -> list[float]:
    """Seconds from the microphone to the app, of the youngest sample of each chunk of one sentence.

    Args:
      arrivals: when each chunk came and how many bytes had come with it.
      began: when the microphone heard the first sample of the script.
      lag: see `lag`.
      begin, end: the sentence, in samples of the script.
    """
    found = []
    for at, heard_bytes in arrivals:
        youngest = heard_bytes // 2 - lag
        if begin < youngest <= end:
            found.append(at - (began + youngest / SAMPLE_RATE_HZ))
    return found


def words_in(pcm: bytes) -> list[str]:
    """What PocketSphinx makes of it, all at once."""
    import pocketsphinx  # type: ignore[import-untyped]  # here: it takes half a second

    decoder = _decoder(pocketsphinx)
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return [] if hypothesis is None else hypothesis.hypstr.split()


def same_words(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words of `one` are in `other`, in order."""
    matcher = difflib.SequenceMatcher(a=one, b=other, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


@functools.cache
def words_of(sentence: Sentence) -> list[str]:
    """What PocketSphinx makes of it as it was recorded."""
    return words_in(script().pcm[2 * sentence.begin : 2 * sentence.end])


@functools.cache
def _decoder(module: Any) -> Any:
    return module.Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL")


@functools.lru_cache(2)
def _samples(pcm: bytes) -> array.array[int]:
    samples = array.array("h")
    samples.frombytes(pcm[: len(pcm) // 2 * 2])
    return samples


def _envelope(samples: Sequence[int]) -> list[int]:
    return [
        sum(map(abs, samples[start : start + _COARSE]))
        for start in range(0, len(samples) - _COARSE + 1, _COARSE)
    ]


def _likeness(one: Sequence[int], other: Sequence[int]) -> float:
    """Their normalised correlation."""
    power = sum(x * x for x in one) * sum(y * y for y in other)
    return 0.0 if not power else sum(_products(one, other)) / power**0.5


def _products(one: Sequence[int], other: Sequence[int]) -> Iterator[int]:
    return map(int.__mul__, one, other)
