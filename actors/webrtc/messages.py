"""What a peer's actor hears."""

from __future__ import annotations

import msgspec

from protocols.webrtc import (
    WebrtcAnswer,
    WebrtcAudioStart,
    WebrtcAudioStop,
    WebrtcCapability,
    WebrtcIceCandidate,
    WebrtcOffer,
)

from .ports import PeerStats
from .signals import (
    AnswerMade,
    CandidateFound,
    OfferMade,
    PeerFailed,
    PeerIs,
    PhoneAway,
    PhoneHere,
    PhoneReplaced,
    SessionOver,
    Tick,
)

Signal = (
    WebrtcCapability | WebrtcOffer | WebrtcAnswer | WebrtcIceCandidate | WebrtcAudioStart | WebrtcAudioStop
)
"""What a phone says of WebRTC (protocol.md 8.1)."""


class PhoneSignalled(msgspec.Struct, frozen=True):
    """From the link: what the phone says of WebRTC."""

    signal: Signal


class PeerTold(msgspec.Struct, frozen=True):
    """From the media process: what has become of a peer."""

    event: OfferMade | AnswerMade | CandidateFound | PeerIs | PeerFailed


class PeerMeasured(msgspec.Struct, frozen=True):
    """From the media process, once a second."""

    peer: int
    stats: PeerStats


PeerMessage = (
    PhoneSignalled | PhoneHere | PhoneReplaced | PhoneAway | SessionOver | PeerTold | PeerMeasured | Tick
)
