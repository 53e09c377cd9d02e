"""What a transcription stream hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocols.transcription import TranscriptionData
from runtime import Recipient, Ref

from ..ports import SpeechEvent

if TYPE_CHECKING:
    from ..apps.messages import AppMessage


class Subscriber(msgspec.Struct, frozen=True):
    """One subscription string of one app: each gets its own copy under its own string (protocol.md 10.10)."""

    package_name: str
    stream: str
    app: Ref[AppMessage]


class Recognised(msgspec.Struct, frozen=True):
    """From a transcription stream, to who makes something of it: what it has just told its subscribers."""

    data: TranscriptionData


class SetSubscribers(msgspec.Struct, frozen=True):
    """Replace who hears the results. With nobody left the stream lingers, then ends.

    Attributes:
      listeners: of a transcription stream: actors that hear them, too.
    """

    subscribers: tuple[Subscriber, ...]
    listeners: tuple[Recipient[Recognised], ...] = ()


class VoiceBegan(msgspec.Struct, frozen=True):
    """The phone's voice detector reports speech."""


class VoiceEnded(msgspec.Struct, frozen=True):
    """The phone's voice detector reports silence."""


class HeardByPhone(msgspec.Struct, frozen=True):
    """The phone's own recogniser said this; it counts while no other serves the stream's language."""

    text: str
    is_final: bool
    speaker_id: str | None = None
    provider: str | None = None


class Unserved(msgspec.Struct, frozen=True):
    """To the session: whether a language has no recogniser left, so that the phone is asked."""

    language: str
    is_unserved: bool


class SpeechArrived(msgspec.Struct, frozen=True):
    """The recogniser that was opened as number `opening` said something, at this time."""

    event: SpeechEvent
    opening: int
    at: float


class ProviderFailed(msgspec.Struct, frozen=True):
    error: Exception
    opening: int


class LookDue(msgspec.Struct, frozen=True):
    """See how the recogniser stands."""


class ReplayDue(msgspec.Struct, frozen=True):
    """Hand on the next of the audio that is kept."""


class LingerOver(msgspec.Struct, frozen=True):
    """Nobody has wanted the stream for the linger time."""


SpeechMessage = (
    SetSubscribers
    | VoiceBegan
    | VoiceEnded
    | HeardByPhone
    | SpeechArrived
    | ProviderFailed
    | LookDue
    | ReplayDue
    | LingerOver
)
