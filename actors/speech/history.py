"""What was said in a session, by language: the last half hour, and the guess that runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from protocols import timestamps
from protocols.transcription import Segment, TranscriptionData

from .history_settings import TranscriptSettings

_OVERHEAD_BYTES: Final = 200
"""About what a segment takes beside its text."""


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of what was said; its form in the store.

    Attributes:
      language: of the transcription stream.
      at_ms: when it was heard, by the calendar.
    """

    result_id: str
    language: str
    text: str
    at_ms: int
    speaker_id: str | None = None


class Spoken(msgspec.Struct, frozen=True):
    """One language: its finals, the oldest first, with what they take; and the guess, if one runs."""

    finals: tuple[Remembered, ...] = ()
    size: int = 0
    guess: Remembered | None = None


History = Mapping[str, Spoken]
"""By language."""


def of(data: TranscriptionData, language: str, at_ms: int, result_id: str) -> Remembered:
    """What is remembered of a result."""
    return Remembered(result_id, language, data.text, at_ms, data.speaker_id)


def heard(history: History, one: Remembered, settings: TranscriptSettings, *, is_final: bool) -> History:
    """One more result. A final ends the guess, and an empty one is not worth remembering."""
    spoken = history.get(one.language, Spoken())
    if not is_final:
        return {**history, one.language: replace(spoken, guess=one)}
    spoken = replace(spoken, guess=None)
    if one.text.strip():
        spoken = _trimmed((*spoken.finals, one), spoken.size + _size(one), one.at_ms, settings)
    return {**history, one.language: spoken}


def joined(
    history: History, stored: Iterable[Remembered], now_ms: int, settings: TranscriptSettings
) -> History:
    """With what the process before has stored."""
    known = {one.result_id for spoken in history.values() for one in spoken.finals}
    merged: dict[str, list[Remembered]] = {language: list(each.finals) for language, each in history.items()}
    for one in stored:
        if one.result_id not in known:
            merged.setdefault(one.language, []).append(one)
    joined = {}
    for language, finals in merged.items():
        finals.sort(key=lambda one: one.at_ms)
        spoken = _trimmed(tuple(finals), sum(map(_size, finals)), now_ms, settings)
        guess = history[language].guess if language in history else None
        joined[language] = replace(spoken, guess=guess)
    return joined


def between(
    history: History, language: str, from_ms: float, to_ms: float, now_ms: int, settings: TranscriptSettings
) -> tuple[Segment, ...]:
    """What was said in a language from one moment to another, both included, the guess last."""
    spoken = history.get(language, Spoken())
    oldest_ms = max(from_ms, now_ms - settings.keep_s * 1000)
    found = [_segment(one, is_final=True) for one in spoken.finals if oldest_ms <= one.at_ms <= to_ms]
    if spoken.guess is not None and oldest_ms <= spoken.guess.at_ms <= to_ms:
        found.append(_segment(spoken.guess, is_final=False))
    return tuple(found)


def finals(history: History) -> Iterator[Remembered]:
    """All finals, language by language."""
    for spoken in history.values():
        yield from spoken.finals


def _trimmed(finals: tuple[Remembered, ...], size: int, now_ms: int, settings: TranscriptSettings) -> Spoken:
    """Without what is too old or too much; the newest always stays."""
    oldest_ms = now_ms - settings.keep_s * 1000
    begin = 0
    while begin < len(finals) - 1 and (finals[begin].at_ms < oldest_ms or size > settings.most_bytes):
        size -= _size(finals[begin])
        begin += 1
    return Spoken(finals[begin:] if begin else finals, size)


def _size(one: Remembered) -> int:
    return len(one.text.encode("utf-8", "surrogatepass")) + _OVERHEAD_BYTES


def _segment(one: Remembered, *, is_final: bool) -> Segment:
    stamp = timestamps.iso(one.at_ms / 1000)
    return Segment(
        result_id=one.result_id, speaker_id=one.speaker_id, text=one.text, timestamp=stamp, is_final=is_final
    )
