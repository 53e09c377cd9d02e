"""What happens to a negotiation, and what comes of it: the events and effects of `negotiation.py`."""

from __future__ import annotations

from typing import Literal

import msgspec

from .ports import PeerFault, PeerState

Codec = Literal["opus", "pcm"]


class Candidate(msgspec.Struct, frozen=True):
    """One way to a side; see `protocols.webrtc.WebrtcIceCandidate`."""

    candidate: str
    sdp_mline_index: int | None = None
    sdp_mid: str | None = None


# ---------------------------------------------------------------------------------------------------------
# Events: the phone


class PhoneHere(msgspec.Struct, frozen=True):
    """A phone's connection is acknowledged; telling it again changes nothing."""

    connection_id: str


class PhoneReplaced(msgspec.Struct, frozen=True):
    """A connection took over from one that was still there.

    Attributes:
      is_elsewhere: it comes from another address, so it may be another phone's, with a microphone of its own.
        From the same one it is a phone that dialled again before its old socket was noticed to be dead.
    """

    is_elsewhere: bool = True


class PhoneAway(msgspec.Struct, frozen=True):
    """That connection has ended. The peer has its own way and goes on."""

    connection_id: str


class SessionOver(msgspec.Struct, frozen=True):
    """The wearer's session ends."""


class CapabilityHeard(msgspec.Struct, frozen=True):
    """The phone says whether it has WebRTC.

    Attributes:
      refusal: why this wearer gets none here; empty where they do. The same in an offer.
    """

    is_supported: bool
    codec: Codec = "opus"
    refusal: str = ""


class OfferHeard(msgspec.Struct, frozen=True):
    """`is_ours`: it names this session, or none. The same in an answer and a candidate."""

    sdp: str
    is_ours: bool = True
    refusal: str = ""


class AnswerHeard(msgspec.Struct, frozen=True):
    sdp: str
    is_ours: bool = True


class CandidateHeard(msgspec.Struct, frozen=True):
    candidate: Candidate
    is_ours: bool = True


class StartHeard(msgspec.Struct, frozen=True):
    """The phone wants its audio to be taken from the peer."""


class StopHeard(msgspec.Struct, frozen=True):
    """And from the WebSocket again."""


# Events: the peer, by its number


class OfferMade(msgspec.Struct, frozen=True):
    peer: int
    sdp: str


class AnswerMade(msgspec.Struct, frozen=True):
    peer: int
    sdp: str


class CandidateFound(msgspec.Struct, frozen=True):
    peer: int
    candidate: Candidate


class PeerIs(msgspec.Struct, frozen=True):
    peer: int
    state: PeerState


class PeerFailed(msgspec.Struct, frozen=True):
    peer: int
    fault: PeerFault
    cause: str


class PeerForgotten(msgspec.Struct, frozen=True):
    """A crash of its actor closed it."""


class Tick(msgspec.Struct, frozen=True):
    """The deadline has come."""


NegotiationEvent = (
    PhoneHere
    | PhoneReplaced
    | PhoneAway
    | SessionOver
    | CapabilityHeard
    | OfferHeard
    | AnswerHeard
    | CandidateHeard
    | StartHeard
    | StopHeard
    | OfferMade
    | AnswerMade
    | CandidateFound
    | PeerIs
    | PeerFailed
    | PeerForgotten
    | Tick
)


# ---------------------------------------------------------------------------------------------------------
# Effects: to the phone


class SendReady(msgspec.Struct, frozen=True):
    """The phone may offer, and this is who helps to find a way."""


class SendOffer(msgspec.Struct, frozen=True):
    sdp: str


class SendAnswer(msgspec.Struct, frozen=True):
    sdp: str


class SendCandidate(msgspec.Struct, frozen=True):
    candidate: Candidate


class SendError(msgspec.Struct, frozen=True):
    code: str
    message: str


# Effects: on the peer


class OpenPeer(msgspec.Struct, frozen=True):
    peer: int
    codec: Codec


class ClosePeer(msgspec.Struct, frozen=True):
    """There is none any more; it may have ended by itself."""


class MakeOffer(msgspec.Struct, frozen=True):
    """Have the peer make an offer."""


class TakeOffer(msgspec.Struct, frozen=True):
    sdp: str


class TakeAnswer(msgspec.Struct, frozen=True):
    sdp: str


class TakeCandidate(msgspec.Struct, frozen=True):
    candidate: Candidate


class Hear(msgspec.Struct, frozen=True):
    """Whether the peer's audio is the microphone's."""

    is_heard: bool


# Effects: to whoever runs the server


class Failed(msgspec.Struct, frozen=True):
    """A peer could not go on. `retry_s` is None where it is not tried again by us."""

    fault: PeerFault
    cause: str
    retry_s: float | None


class Ignored(msgspec.Struct, frozen=True):
    """Something of the phone was not taken; `what` is one of a few names, for counting."""

    what: str


NegotiationEffect = (
    SendReady
    | SendOffer
    | SendAnswer
    | SendCandidate
    | SendError
    | OpenPeer
    | ClosePeer
    | MakeOffer
    | TakeOffer
    | TakeAnswer
    | TakeCandidate
    | Hear
    | Failed
    | Ignored
)
