"""What a user's session begins with: nothing, its stored running list, or what the process before left."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.audio import AudioFormat
from protocols.streams import Subscription
from protocols.transcription import TranscriptionData

from ..apps.complaints import Complaints
from ..apps.lifecycle import LifecycleState
from ..audio.udp import UdpOffer
from ..display.arbitration import DisplayState
from ..liveness import LivenessState
from ..ports import AppDocument, Connection
from ..speech.history import Remembered
from ..webrtc.negotiation import NegotiationState
from .state import SessionState


class AppSocket(msgspec.Struct, frozen=True):
    """An app's open connection that came with the session from another process; see `apps.state.AppState`."""

    connection: Connection
    liveness: LivenessState
    complaints: Complaints = Complaints()
    takes_audio: bool = False
    audio_dropped: int = 0


class PhoneSocket(msgspec.Struct, frozen=True):
    """The phone's, likewise; see `link.actor.LinkState`."""

    connection: Connection
    liveness: LivenessState
    is_acked: bool
    phones: int
    audio: AudioFormat | None = None
    udp: UdpOffer | None = None


class Overheard(msgspec.Struct, frozen=True):
    """What the recogniser of one language had heard and not settled in the process before.

    Attributes:
      utterance_id: of the utterance whose guesses were told already.
    """

    audio: bytes = b""
    utterance_id: str | None = None


class HandedFacts(msgspec.Struct, frozen=True):
    """What else a session that was handed over has to know.

    Attributes:
      to_start: packages whose start was being looked up.
      is_announced: the phone was told how things are.
      overheard: by language.
      unwritten: what was said and is not in the store yet.
      untold: finals whose translation was not told yet, by the pair.
    """

    to_start: tuple[str, ...]
    is_announced: bool
    overheard: Mapping[str, Overheard] = {}
    unwritten: tuple[Remembered, ...] = ()
    untold: Mapping[tuple[str, str], tuple[TranscriptionData, ...]] = {}


class ResumedApp(msgspec.Struct, frozen=True):
    """An app that the session begins with; `socket` where it came with it."""

    app: AppDocument
    lifecycle: LifecycleState
    subscriptions: tuple[Subscription, ...] = ()
    is_stored: bool = True
    has_listed: bool = False
    is_farewell_told: bool = False
    is_missed: bool = False
    socket: AppSocket | None = None


class Beginning(msgspec.Struct, frozen=True):
    """What a user's subtree begins with.

    Attributes:
      session: without its apps, which have no actors yet.
      phone: the phone's connection, where it came with the session.
      webrtc: what the phone has of WebRTC, where it came with the session; its peer did not.
      handed: of a session that was handed over by a living process; None of any other.
    """

    session: SessionState
    apps: tuple[ResumedApp, ...] = ()
    display: DisplayState = DisplayState()
    phone: PhoneSocket | None = None
    webrtc: NegotiationState = NegotiationState()
    handed: HandedFacts | None = None
