"""What Deepgram's live transcription says and is told: its URL, its messages, and what they amount to.

Deepgram cuts what it hears twice. A result with `is_final` is the last word about a span of audio, one with
`speech_final` is the last before a silence of `endpointing_ms`. That is short, so that the words are firm
soon, and no utterance's end: whether more follows is known by the time the words arrive, from our own voice
detector (`Transcript.pause`). So an utterance here is every final span up to a pause, and what is shown
meanwhile is those spans and the guess at the next. Where noise hides the pause, Deepgram's own silence ends
one: a result without words, which comes about once a second, or `UtteranceEnd`.

Sources: developers.deepgram.com, "Endpointing and Interim Results", "Utterance End", "Finalize", "Audio Keep
Alive", "Nova-3 Language Prompting"; the messages' shapes are compared with deepgram-sdk's models by a test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final as Constant
from urllib.parse import urlencode

import msgspec

from actors.ports import Final, Interim, SpeechEvent, SpeechRequest

from .settings import DeepgramSettings

KEEP_ALIVE: Constant = '{"type":"KeepAlive"}'
FINALIZE: Constant = '{"type":"Finalize"}'
CLOSE_STREAM: Constant = '{"type":"CloseStream"}'

AUTO: Constant = "auto"

# developers.deepgram.com/docs/models-languages-overview: what Nova-3 hears in a stream (November 2026). A
# region that is not among them is heard as its language.
_REGIONS: Constant = frozenset(
    {"da-DK", "de-CH", "en-AU", "en-GB", "en-IN", "en-NZ", "en-US", "es-419", "fr-CA", "gu-IN", "ko-KR"}
    | {"nl-BE", "pt-BR", "pt-PT", "sv-SE", "zh-CN", "zh-HK", "zh-TW"}
)
_LANGUAGES: Constant = frozenset(
    {"be", "bg", "bn", "bs", "ca", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "gu", "hi", "hr"}
    | {"hu", "id", "it", "ja", "kn", "ko", "lt", "lv", "mk", "mr", "ms", "nl", "no", "pl", "pt", "ro", "ru"}
    | {"sk", "sl", "sr", "sv", "ta", "te", "tl", "tr", "uk", "vi", "zh"}
)
_DETECTED_MS: Constant = 150
_ROUND_MS: Constant = 20
_MOST_TERMS: Constant = 100  # of 500 tokens together; "Keyterm Prompting"
_LONGEST_TERM: Constant = 60
_LANGUAGE_CODE: Constant = re.compile(r"[a-z]{2,3}-([A-Z]{2}|419)|[a-z]{2}")


class ProtocolError(Exception):
    """What came is none of Deepgram's messages."""


class Word(msgspec.Struct, frozen=True):
    start: float
    end: float


class Alternative(msgspec.Struct, frozen=True):
    transcript: str
    confidence: float = 0.0
    words: tuple[Word, ...] = ()
    languages: tuple[str, ...] | None = None


class Channel(msgspec.Struct, frozen=True):
    alternatives: tuple[Alternative, ...] = ()


class Results(msgspec.Struct, frozen=True, tag_field="type", tag="Results"):
    """What was heard between `start` and `start + duration`, in seconds of the stream."""

    start: float
    duration: float
    channel: Channel
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class UtteranceEnd(msgspec.Struct, frozen=True, tag_field="type", tag="UtteranceEnd"):
    """No word for `utterance_end_ms` after the last one."""


class Metadata(msgspec.Struct, frozen=True, tag_field="type", tag="Metadata"):
    """The summary before an orderly end."""

    request_id: str = ""


class ErrorMessage(msgspec.Struct, frozen=True, tag_field="type", tag="Error"):
    description: str | None = None
    message: str | None = None
    variant: str | None = None
    code: str | None = None

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.variant, self.code, self.description, self.message) if part)


Message = Results | UtteranceEnd | Metadata | ErrorMessage


class _AnyMessage(msgspec.Struct, frozen=True):
    type: str


_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_any_decoder: msgspec.json.Decoder[_AnyMessage] = msgspec.json.Decoder(_AnyMessage)
_KNOWN: Constant = frozenset({"Results", "UtteranceEnd", "Metadata", "Error"})


def decode(payload: str | bytes) -> Message | None:
    """The message in a text frame; None for a type that we have no use for.

    Raises:
      ProtocolError: it is not a message.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        try:
            is_known = _any_decoder.decode(payload).type in _KNOWN
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            is_known = True
        if is_known:
            raise ProtocolError(f"a message that is none of its own: {error}") from error
        return None


def hears(language: str) -> bool:
    """Whether Deepgram transcribes a stream of this language (`en-US`, `auto`)."""
    return language == AUTO or language.partition("-")[0] in _LANGUAGES


def listen_url(request: SpeechRequest, settings: DeepgramSettings) -> str:
    """Where a stream for `request` is opened.

    A stream cannot detect its language as a recording can (`detect_language`); for `auto` there is the
    multilingual model, for which hints that are language codes say what to expect. Other hints are words to
    listen for.
    """
    is_auto = request.language == AUTO
    codes = [hint for hint in request.hints if _LANGUAGE_CODE.fullmatch(hint)]
    terms = [hint[:_LONGEST_TERM] for hint in request.hints if hint not in codes][:_MOST_TERMS]
    endpointing_ms = settings.auto_endpointing_ms if is_auto else settings.endpointing_ms
    parameters = [
        ("model", settings.model),
        ("language", "multi" if is_auto else _language(request.language)),
        ("encoding", "linear16"),
        ("sample_rate", str(request.sample_rate_hz)),
        ("channels", "1"),
        ("interim_results", "true"),
        ("endpointing", str(endpointing_ms)),
        ("utterance_end_ms", str(settings.utterance_end_ms)),
        ("smart_format", "true" if settings.smart_format else "false"),
        *(("language_hint", code) for code in codes if is_auto),
        *(("keyterm", term) for term in terms),
    ]
    return f"{settings.url}/v1/listen?{urlencode(parameters)}"


def _language(language: str) -> str:
    return language if language in _REGIONS else language.partition("-")[0]


class Transcript:
    """Makes interim and final results of a stream's messages.

    Args:
      lead_ms: how much audio of ours stands before the microphone's; it is not counted.
      longest_ms: an utterance that has grown this long ends with the next final span.
      pause_ms: how long it has been quiet when a pause is told.

    Attributes:
      heard_ms, settled_ms: as in `SpeechProgress`.
    """

    def __init__(self, *, lead_ms: int = 0, longest_ms: int, pause_ms: int = 300) -> None:
        self.heard_ms = 0
        self.settled_ms = 0
        self._lead_ms = lead_ms
        self._longest_ms = longest_ms
        self._pause_ms = pause_ms
        self._paused_ms: int | None = None  # the last pause that was told
        self._firm_ms = 0  # all words before this are in final spans
        self._is_guessing = False  # there are words behind it
        self._spans: list[Alternative] = []
        self._start_ms: int | None = None  # of the utterance, as it was first shown
        self._end_ms = 0
        self._shown = ""

    def results(self, message: Results) -> list[SpeechEvent]:
        """What a result brings."""
        until_ms = self._ms(message.start + message.duration)
        self.heard_ms = max(self.heard_ms, until_ms)
        alternatives = message.channel.alternatives
        guess = alternatives[0] if alternatives and alternatives[0].transcript.strip() else None
        if guess is not None:
            self._stretch(guess, message)
        if guess is None and self._spans and until_ms - self._firm_ms >= self._pause_ms:
            return self._finish(until_ms if message.is_final else self._firm_ms)
        if not message.is_final:
            self._is_guessing = guess is not None
            return self._show([*self._spans, guess]) if guess is not None else []
        self._is_guessing = False
        self._firm_ms = max(self._firm_ms, until_ms)
        if guess is not None:
            self._spans.append(guess)
        if not self._spans:
            self._forget(until_ms)
            return []
        assert self._start_ms is not None
        is_long = self._end_ms - self._start_ms >= self._longest_ms
        if message.from_finalize or is_long or self._has_paused():
            return self._finish(until_ms)
        return self._show(self._spans)

    def pause(self, at_ms: int) -> list[SpeechEvent]:
        """Nobody spoke in the last `pause_ms` before this moment of the audio.

        What is firm ends now; what is on its way ends the utterance when it comes.
        """
        self._paused_ms = at_ms
        if self._spans and not self._is_guessing and self._has_paused():
            return self._finish(self._firm_ms)
        return []

    def _has_paused(self) -> bool:
        """Whether the newest firm words are the last before the pause that was told last.

        Its silence may begin a little behind the words: a detector is slower than the end of a word, and a
        phone sends a tenth of a second at a time.
        """
        if self._paused_ms is None:
            return False
        return self._paused_ms - self._pause_ms - _DETECTED_MS <= self._firm_ms <= self._paused_ms + _ROUND_MS

    def utterance_end(self) -> list[SpeechEvent]:
        """What a gap between words brings: nothing where `speech_final` has said so already."""
        return self._finish(self._end_ms) if self._spans else []

    def _stretch(self, guess: Alternative, message: Results) -> None:
        first_s = guess.words[0].start if guess.words else message.start
        last_s = guess.words[-1].end if guess.words else message.start + message.duration
        if self._start_ms is None:
            self._start_ms = max(self._ms(first_s), self.settled_ms)
        self._end_ms = max(self._start_ms + 1, self._ms(last_s))

    def _show(self, spans: Sequence[Alternative]) -> list[SpeechEvent]:
        text = _text(spans)
        if text == self._shown:
            return []
        self._shown = text
        assert self._start_ms is not None
        return [
            Interim(
                text=text,
                start_ms=self._start_ms,
                end_ms=self._end_ms,
                confidence=spans[-1].confidence,
                detected_language=_language_of(spans),
            )
        ]

    def _finish(self, until_ms: int) -> list[SpeechEvent]:
        assert self._start_ms is not None
        final = Final(
            text=_text(self._spans),
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            confidence=sum(span.confidence for span in self._spans) / len(self._spans),
            detected_language=_language_of(self._spans),
        )
        self._forget(max(until_ms, self._end_ms))
        return [final]

    def _forget(self, until_ms: int) -> None:
        self._spans = []
        self._start_ms = None
        self._shown = ""
        self.settled_ms = max(self.settled_ms, until_ms)

    def _ms(self, seconds: float) -> int:
        return max(0, round(seconds * 1000) - self._lead_ms)


def _text(spans: Sequence[Alternative]) -> str:
    return " ".join(span.transcript.strip() for span in spans)


def _language_of(spans: Sequence[Alternative]) -> str | None:
    """The one that most of the newest span's words are of; only the multilingual model says."""
    return next((span.languages[0] for span in reversed(spans) if span.languages), None)
