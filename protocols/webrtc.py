"""WebRTC signalling on `/glasses-ws` (protocol.md section 8). Offers, answers, candidates go both ways."""

from __future__ import annotations

import msgspec

from protocols.envelope import Message

INIT_FAILED = "INIT_FAILED"
NOT_CONNECTED = "NOT_CONNECTED"
OFFER_FAILED = "OFFER_FAILED"
ICE_FAILED = "ICE_FAILED"
UNKNOWN = "UNKNOWN"


class WebrtcCapability(Message, frozen=True, kw_only=True, tag="webrtc_capability"):
    """Phone: whether it has a WebRTC stack. Answered by `webrtc_ready`, or not at all."""

    supported: bool
    client_version: str | None = None
    preferred_codec: str | None = None  # opus or pcm


class IceServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    urls: str | tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class WebrtcReady(Message, frozen=True, kw_only=True, tag="webrtc_ready"):
    """Cloud: the phone may offer."""

    ice_servers: tuple[IceServer, ...] = ()


class WebrtcOffer(Message, frozen=True, kw_only=True, tag="webrtc_offer"):
    sdp: str


class WebrtcAnswer(Message, frozen=True, kw_only=True, tag="webrtc_answer"):
    sdp: str


class WebrtcIceCandidate(Message, frozen=True, kw_only=True, tag="webrtc_ice_candidate"):
    """A candidate; an empty `candidate` says there are no more."""

    candidate: str
    sdp_mline_index: int | None = msgspec.field(name="sdpMLineIndex")
    sdp_mid: str | None


class WebrtcAudioStart(Message, frozen=True, tag="webrtc_audio_start"):
    """Phone: take the audio from the peer connection from now on."""


class WebrtcAudioStop(Message, frozen=True, tag="webrtc_audio_stop"):
    """Phone: take the audio from the WebSocket again."""


class WebrtcError(Message, frozen=True, kw_only=True, tag="webrtc_error"):
    """Cloud: the phone falls back to WebSocket audio."""

    message: str
    code: str | None = None
