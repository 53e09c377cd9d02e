"""From what happened to the three latencies: pure functions over times of one clock, in seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Heard(NamedTuple):
    """A final text at the app."""

    text: str
    at: float


class Said(NamedTuple):
    """A text that was handed to a display."""

    text: str
    at: float


class Spoken(NamedTuple):
    """A sentence as it was played: its words, and when its first and last voiced frames were."""

    text: str
    started_at: float
    ended_at: float


class Reading(NamedTuple):
    """What became of a sentence: its words, what the app heard, and how long after the end of speech."""

    said: str
    read: str
    final_after_s: float | None


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; NaN for no values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(1, math.ceil(percent / 100 * len(ordered))) - 1]


def frame_delays(sent_at: Sequence[float], received_at: Sequence[float]) -> list[float]:
    """Frames arrive one for one and in order, so the n-th sent is the n-th received."""
    return [received - sent for sent, received in zip(sent_at, received_at, strict=False)]


def readings(spoken: Sequence[Spoken], finals: Sequence[Heard]) -> list[Reading]:
    """Give each final to the sentence that was being spoken, or had just been.

    A sentence with a pause in it may come in several finals: it is read when the last one is there.
    """
    outcome = []
    for number, sentence in enumerate(spoken):
        until = spoken[number + 1].started_at if number + 1 < len(spoken) else math.inf
        mine = [final for final in finals if sentence.started_at <= final.at < until]
        after_s = mine[-1].at - sentence.ended_at if mine else None
        outcome.append(Reading(sentence.text, " ".join(final.text for final in mine), after_s))
    return outcome


def display_delays(said: Sequence[Said], shown: Sequence[Said]) -> list[float]:
    """For each text on the lens, how long before the app had handed it over.

    Texts that a newer one replaced within the throttle never reach the lens and count for nothing.
    """
    delays = []
    begin = 0
    for on_lens in shown:
        candidates = [
            number
            for number in range(begin, len(said))
            if said[number].text == on_lens.text and said[number].at <= on_lens.at
        ]
        if candidates:  # the same words may have been handed over again: the last time counts
            begin = candidates[-1] + 1
            delays.append(on_lens.at - said[candidates[-1]].at)
    return delays
