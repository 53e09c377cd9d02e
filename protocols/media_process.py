"""What a media process and the one that started it say to each other over two pipes.

A message is a frame of `pipe_frames` with one of these structs in MessagePack. A peer is known by a number
that whoever opens it has never used before, so that what is still under way of a closed peer finds nobody.

The first message is `Configure`, and `Ready` answers it. From then on every `Ping` is answered by a `Pong`,
in order with everything else: what does not answer hangs.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from protocols.pipe_frames import frame

COMMAND: Final = ("-P", "-m", "adapters.webrtc.media_worker")
"""What a Python is started with to be a media process. The phone's and the server's are one program."""

Codec = Literal["opus", "pcm"]
Role = Literal["hears", "speaks"]
Fault = Literal["offer", "candidate", "ice", "media", "process", "busy"]
State = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag="configure"):
    """The limits of the process; their meaning is in `adapters.webrtc.settings`."""

    most_peers: int = 200
    most_candidates: int = 40
    connect_s: float = 15.0
    lost_after_s: float = 2.0
    gone_after_s: float = 10.0
    bitrate: int = 32_000


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


class Open(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """A peer. One that `hears` receives audio and tells it; one that `speaks` sends what it is told to."""

    peer: int
    role: Role = "hears"
    codec: Codec = "opus"
    ice_servers: tuple[IceServer, ...] = ()
    allow_local: bool = False


class MakeOffer(msgspec.Struct, frozen=True, tag="make_offer"):
    peer: int
    restart_ice: bool = False


class TakeOffer(msgspec.Struct, frozen=True, tag="take_offer"):
    peer: int
    sdp: str


class TakeAnswer(msgspec.Struct, frozen=True, tag="take_answer"):
    peer: int
    sdp: str


class TakeCandidate(msgspec.Struct, frozen=True, tag="take_candidate"):
    peer: int
    candidate: str
    sdp_mline_index: int | None
    sdp_mid: str | None


class Speak(msgspec.Struct, frozen=True, tag="speak"):
    """PCM s16le, mono, 16 kHz of any length; what is no whole frame of 20 ms yet waits for more."""

    peer: int
    pcm: bytes


class Close(msgspec.Struct, frozen=True, tag="close"):
    peer: int


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    number: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    pass


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """Attributes:
    dropped: frames of audio that the pipe had no room for, since the process began.
    """

    number: int
    dropped: int = 0


class Offered(msgspec.Struct, frozen=True, tag="offered"):
    peer: int
    sdp: str


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    peer: int
    sdp: str


class StateIs(msgspec.Struct, frozen=True, tag="state"):
    peer: int
    state: State


class Heard(msgspec.Struct, frozen=True, tag="heard"):
    """Audio; as `actors.webrtc.ports.PeerAudio`."""

    peer: int
    pcm: bytes
    position: int
    concealed: int


class Figures(msgspec.Struct, frozen=True, kw_only=True, tag="figures"):
    """Once a second while connected; as `actors.webrtc.ports.PeerStats`."""

    peer: int
    round_trip_s: float | None = None
    jitter_s: float = 0.0
    packets: int = 0
    bytes_in: int = 0
    lost: int = 0
    recovered: int = 0
    buffer_s: float = 0.0


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """All but a candidate's fault end the peer."""

    peer: int
    fault: Fault
    cause: str


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """A mistake that ended nothing, once a second at most."""

    cause: str


ToMedia = Configure | Open | MakeOffer | TakeOffer | TakeAnswer | TakeCandidate | Speak | Close | Ping
FromMedia = Ready | Pong | Offered | Answered | StateIs | Heard | Figures | Failed | Trouble

_encoder = msgspec.msgpack.Encoder()
_to_media: msgspec.msgpack.Decoder[ToMedia] = msgspec.msgpack.Decoder(ToMedia)
_from_media: msgspec.msgpack.Decoder[FromMedia] = msgspec.msgpack.Decoder(FromMedia)


def pack(message: ToMedia | FromMedia) -> bytes:
    """A message as a frame."""
    return frame(_encoder.encode(message))


def to_media(payload: bytes) -> ToMedia:
    """What a frame for the media process holds.

    Raises:
      msgspec.DecodeError, UnicodeDecodeError: it is no message: the other end is broken.
    """
    return _to_media.decode(payload)


def from_media(payload: bytes) -> FromMedia:
    """What a frame of the media process holds; raises as `to_media`."""
    return _from_media.decode(payload)
