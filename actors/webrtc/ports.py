"""What peers need from outside: the media process (protocol.md section 8; DESIGN section 9)."""

from __future__ import annotations

import enum
from typing import Literal, Protocol

import msgspec


class PeerState(enum.Enum):
    """What a peer connection is in, in the words of RTCPeerConnection.connectionState."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class PeerFault(enum.Enum):
    """Why a peer could not go on; the categories of its errors."""

    OFFER = "offer"  # an offer or answer that cannot be used
    CANDIDATE = "candidate"  # a candidate that cannot be used; the peer goes on
    ICE = "ice"  # no way to the other side, or it was lost
    MEDIA = "media"  # nothing in it can be decoded
    PROCESS = "process"  # the media process ended, hung, or cannot be started
    BUSY = "busy"  # no more peers fit


class IceServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A STUN or TURN server, as `stun:HOST:PORT` or `turn:HOST:PORT?transport=udp`."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


class PeerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer is opened with.

    Attributes:
      peer_id: unique among the peers of this server's life.
      codec: what an answer prefers; `pcm` stands for PCMU and PCMA.
      ice_servers: what the server's own side uses.
      allow_local: loopback and private candidates are offered and followed.
    """

    peer_id: str
    codec: Literal["opus", "pcm"] = "opus"
    ice_servers: tuple[IceServerSettings, ...] = ()
    allow_local: bool = False


class PeerAudio(msgspec.Struct, frozen=True):
    """Decoded audio in the order it was spoken, what was lost concealed.

    Attributes:
      pcm: s16le, 16 kHz, mono; whole frames of 20 ms (640 bytes).
      position: of its first sample since the peer's first, in samples of 16 kHz.
      concealed: samples of it that were not received.
    """

    pcm: bytes
    position: int
    concealed: int = 0


class PeerStats(msgspec.Struct, frozen=True, kw_only=True):
    """A peer's figures since it was opened; told once a second while it is connected.

    Attributes:
      round_trip_s: of RTCP; None before the first report.
      jitter_s: of the arrival of packets (RFC 3550).
      packets, bytes_in: received, of the audio.
      lost: packets that never came, as the receiver counts them.
      recovered: of these, restored from in-band FEC.
      buffer_s: audio that waits in the jitter buffer.
    """

    round_trip_s: float | None = None
    jitter_s: float = 0.0
    packets: int = 0
    bytes_in: int = 0
    lost: int = 0
    recovered: int = 0
    buffer_s: float = 0.0


class PeerListener(Protocol):
    """What a peer tells, by plain calls on the server's loop. Nothing is told after `close`."""

    def offered(self, sdp: str) -> None:
        """The answer to `make_offer`."""

    def answered(self, sdp: str) -> None:
        """The answer to `take_offer`."""

    def candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None: ...
    def state(self, state: PeerState) -> None: ...
    def audio(self, audio: PeerAudio) -> None: ...
    def stats(self, stats: PeerStats) -> None: ...
    def failed(self, fault: PeerFault, cause: str) -> None:
        """All but a CANDIDATE fault end the peer; it is closed already."""


class MediaPeer(Protocol):
    """One peer connection that receives audio. Plain calls; the outcome is told to the listener."""

    def make_offer(self, *, restart_ice: bool = False) -> None: ...
    def take_offer(self, sdp: str) -> None: ...
    def take_answer(self, sdp: str) -> None: ...
    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None: ...
    def close(self) -> None: ...


class Media(Protocol):
    """Where peers live: a supervised process of their own."""

    @property
    def is_available(self) -> bool:
        """Whether peers can be opened at all on this server."""

    def open(self, request: PeerRequest, listener: PeerListener) -> MediaPeer:
        """A new peer. Never raises: what is wrong is told as a failure."""
