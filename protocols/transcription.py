"""What recognisers heard, as apps get it in `data_stream.data` (protocol.md 7.6 to 7.8)."""

from __future__ import annotations

import msgspec

from protocols.envelope import ABSENT, Codec, encode


class TranscriptionData(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="transcription",
    rename="camel",
    omit_defaults=True,
):
    """An interim replaces the one before it; interims and their final share `utterance_id`.

    Times are milliseconds since the session's start (12.4).
    """

    text: str
    is_final: bool
    start_time: int | float
    end_time: int | float
    utterance_id: str | None = None
    transcribe_language: str | None = None
    detected_language: str | None = None
    speaker_id: str | None = None
    duration: int | float | None = None
    confidence: float | None = None
    provider: str | None = None
    metadata: msgspec.Raw = ABSENT


class TranslationData(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="translation",
    rename="camel",
    omit_defaults=True,
):
    """A translated piece of speech. `did_translate` is False where the speech was in the target language."""

    text: str
    is_final: bool
    start_time: int | float
    end_time: int | float
    transcribe_language: str
    translate_language: str
    did_translate: bool
    original_text: str | None = None
    utterance_id: str | None = None
    speaker_id: str | None = None
    duration: int | float | None = None
    confidence: float | None = None
    provider: str | None = None


class Segment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One segment of the history that `/api/transcripts` serves."""

    result_id: str
    speaker_id: str | None
    text: str
    timestamp: str
    is_final: bool


_codec: Codec[TranscriptionData | TranslationData] = Codec(TranscriptionData | TranslationData)


def to_raw(data: TranscriptionData | TranslationData) -> msgspec.Raw:
    """Encoded once, for all subscribers of a language."""
    return msgspec.Raw(encode(data))


def decode(data: msgspec.Raw) -> TranscriptionData | TranslationData:
    """What `data_stream.data` says, for clients.

    Raises:
      MalformedMessage: it is neither.
    """
    return _codec.decode(bytes(data))
