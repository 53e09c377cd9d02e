"""A session as one process tells it to the next. Times are seconds of the giver's clock, which said `now`.

It differs from a snapshot in what a snapshot must not have: who is connected, and what they were told. It
never outlives the two processes, so there is one version of it at a time: a process that speaks another takes
nothing over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from protocols.audio import AudioFormat
from protocols.device_state import GlassesInfo
from protocols.streams import Subscription
from protocols.transcription import TranscriptionData

from ..apps.complaints import Complaints
from ..apps.lifecycle import LifecycleState
from ..audio.udp import UdpOffer
from ..cabinet.preferences import Preferences
from ..display.arbitration import DisplayState
from ..liveness import LivenessState
from ..microphone import MicrophoneState
from ..ports import AppDocument
from ..session.last_known import CalendarEntry, EventKey
from ..session.requests import Request
from ..session.rtmp import RtmpStream
from ..session.state import Play
from ..speech.history import Remembered
from ..webrtc.signals import Codec

VERSION = 7
"""Of everything that goes from process to process. A change of a record, or of a state in it, is another."""


class HandedLink(msgspec.Struct, frozen=True):
    """The phone's link; see `link.actor.LinkState`. `connection` is its id."""

    connection: str
    liveness: LivenessState
    is_acked: bool
    phones: int
    audio: AudioFormat | None
    udp: UdpOffer | None


class HandedApp(msgspec.Struct, frozen=True, kw_only=True):
    """One app; see `session.state.AppEntry` and `apps.state.AppState`. `connection` is its id."""

    app: AppDocument
    lifecycle: LifecycleState
    subscriptions: tuple[Subscription, ...]
    is_stored: bool
    has_listed: bool
    is_farewell_told: bool
    is_missed: bool
    connection: str | None
    liveness: LivenessState
    complaints: Complaints
    takes_audio: bool
    audio_dropped: int


class HandedLastKnown(msgspec.Struct, frozen=True):
    """What new subscribers are sent; see `session.last_known.LastKnown`. In JSON a key can be no pair."""

    location: bytes | None
    calendar: tuple[tuple[EventKey, CalendarEntry], ...]
    located_at: float | None
    datetime: str | None


class HandedSpeech(msgspec.Struct, frozen=True):
    """What a recogniser has heard and not settled; see `session.beginning.Overheard`."""

    language: str
    audio: bytes
    utterance_id: str | None


class HandedWebrtc(msgspec.Struct, frozen=True):
    """What a phone has of WebRTC; see `webrtc.negotiation.NegotiationState`. Its peer is not handed over."""

    codec: Codec
    is_wanted: bool


class HandedTranslation(msgspec.Struct, frozen=True):
    """Finals that a translation stream was still to tell, in their order."""

    source: str
    target: str
    finals: tuple[TranscriptionData, ...]


class HandedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session; see `session.state.SessionState`.

    Attributes:
      is_acked: the link's connection was acknowledged by the session.
      to_start: packages whose start was being looked up.
      stopping, again: packages.
      unwritten: what was said and is not in the store yet.
      is_announced: the phone was told how things are.
    """

    now: float
    user_id: str
    incarnation: str
    started_at: float
    started_wall: float
    is_acked: bool
    grace_ends_at: float | None
    to_boot: tuple[str, ...] | None
    apps: tuple[HandedApp, ...]
    display: DisplayState
    microphone: MicrophoneState
    glasses: GlassesInfo
    last_known: HandedLastKnown
    plays: Mapping[str, Play]
    takeovers: tuple[float, ...]
    to_start: tuple[str, ...]
    stopping: tuple[str, ...]
    again: tuple[str, ...]
    saved: tuple[str, ...] | None
    is_announced: bool
    is_ending: bool
    speech: tuple[HandedSpeech, ...]
    translations: tuple[HandedTranslation, ...]
    unwritten: tuple[Remembered, ...]
    link: HandedLink | None
    preferences: Preferences
    location_tier: str | None
    requests: tuple[Request, ...]
    rtmp: RtmpStream | None
    webrtc: HandedWebrtc | None = None


class UnreadableRecordError(Exception):
    """The bytes are no record that this version understands."""


def connections_of(session: HandedSession) -> Iterator[str]:
    """The ids of its connections."""
    if session.link is not None:
        yield session.link.connection
    for app in session.apps:
        if app.connection is not None:
            yield app.connection


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HandedSession).decode


def encode(session: HandedSession) -> bytes:
    """The record as bytes.

    Raises:
      ValueError, OverflowError, TypeError: it holds what JSON cannot: a lone surrogate, a number past 64
        bits.
    """
    return _encode(session)


def decode(data: bytes) -> HandedSession:
    """Read what `encode` made.

    Raises:
      UnreadableRecordError: it is damaged.
    """
    try:
        return _decode(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecordError(str(error)) from error
