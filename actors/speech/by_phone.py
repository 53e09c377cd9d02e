"""What the phone itself hears while no recogniser serves a language (protocol.md 7.5, 7.6).

Pure. The phone is asked for its transcription when the last recogniser is lost, and released when one says
something again. Nothing may be said twice then: the audio behind the phone's finals is not handed to the
recogniser that returns, and an utterance that the phone had not finished is the recogniser's alone, which
hears it from its beginning. Audio from before the phone began to listen is the recogniser's too, however
late: no word is lost.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from protocols.streams import AUTO

from .messages import HeardByPhone


class ByPhone(msgspec.Struct, frozen=True, kw_only=True):
    """Positions in the stream's audio.

    Attributes:
      asked_at: where the audio was when the phone was asked; None while a recogniser serves.
      utterance_id: of the phone's utterance that is not final yet.
      begin: where that one begins.
      until: behind its last final.
    """

    asked_at: int | None = None
    utterance_id: str | None = None
    begin: int = 0
    until: int = 0


class Span(msgspec.Struct, frozen=True):
    """An utterance of the phone's, as far as it has come, and the audio that it is of."""

    utterance_id: str
    begin: int
    end: int


def concerns(language: str, transcribed: str | None) -> bool:
    """Whether what a phone heard as `transcribed` is of a stream of `language`."""
    if transcribed is None or AUTO in (language, transcribed):
        return True
    return transcribed.partition("-")[0].lower() == language.partition("-")[0].lower()


def asked(state: ByPhone, head: int) -> ByPhone:
    """No recogniser is left."""
    return replace(state, asked_at=head)


def released(state: ByPhone) -> tuple[ByPhone, str | None]:
    """A recogniser serves again; it goes on with the utterance that the phone has not finished."""
    return replace(state, asked_at=None, utterance_id=None), state.utterance_id


def heard(
    state: ByPhone, said: HeardByPhone, *, onset: int, head: int, new_id: str
) -> tuple[ByPhone, Span | None]:
    """The phone said something. None where nobody asked it.

    Args:
      onset: where the voice that is heard now, or was heard last, began.
      head: where the audio is.
      new_id: for an utterance that begins.
    """
    if state.asked_at is None:
        return state, None
    if state.utterance_id is None:
        begin = min(max(onset, state.asked_at, state.until), head)
        state = replace(state, utterance_id=new_id, begin=begin)
    assert state.utterance_id is not None
    span = Span(state.utterance_id, state.begin, head)
    if said.is_final:
        state = replace(state, utterance_id=None, until=head)
    return state, span
