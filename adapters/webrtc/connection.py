"""One RTCPeerConnection of aiortc, with its audio taken out before aiortc's jitter buffer, or put in encoded.

aiortc 1.16 is pinned exactly, for what is used here and not documented: the buffer of its receivers is
replaced by a tap (its own adds 80 ms and conceals nothing), a pending offer of ours is taken back (it has no
rollback), and the ICE connection under it is asked for a round trip (a receiver has none from RTCP).
tests/adapters/webrtc holds it to each.
"""

from __future__ import annotations

import asyncio
import fractions
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import av
from aioice.stun import TransactionError
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcicetransport import RTCIceCandidate
from aiortc.rtp import RtpPacket
from aiortc.stats import RTCRemoteInboundRtpStreamStats, RTCStatsReport

from protocols.media_process import Open

from .candidates import Candidate
from .descriptions import Remote, local_told
from .opus import OpusEncoder

FRAME_BYTES: Final = 640
_MOST_WAITING: Final = 50  # frames of a voice: one second
_OPUS_CLOCK: Final = fractions.Fraction(1, 48_000)
_PCM_CLOCK: Final = fractions.Fraction(1, 16_000)
_FAMILIES: Final = {"opus": ("opus",), "pcm": ("PCMU", "PCMA")}


class NoCodecError(Exception):
    """A description has no codec that we have."""


class Packet:
    """One RTP packet of audio: `codec` is opus, PCMU or PCMA."""

    __slots__ = ("codec", "number", "payload", "source", "timestamp")

    def __init__(self, codec: str, source: int, number: int, timestamp: int, payload: bytes) -> None:
        self.codec = codec
        self.source = source
        self.number = number
        self.timestamp = timestamp
        self.payload = payload


class Connection:
    """A connection that has yet to be negotiated.

    Args:
      hears: told of every packet of audio.
      changed: told when `state` is another.
      before: the one of the same peer that this takes the place of. Who speaks keeps its certificate, by
        which the other side knows the peer. Who hears has another one: browsers shake hands anew only then.

    Attributes:
      remote_ufrag: of the other side's last description; empty before it.
      voice: what is sent; None where we only hear.
    """

    def __init__(
        self,
        request: Open,
        *,
        bitrate: int,
        hears: Callable[[Connection, Packet], None],
        changed: Callable[[Connection], None],
        before: Connection | None = None,
    ) -> None:
        servers = [
            RTCIceServer(list(one.urls), one.username or None, one.credential or None)
            for one in request.ice_servers
        ]
        self.remote_ufrag = ""
        self.voice = Voice(bitrate) if request.role == "speaks" else None
        self._request = request
        self._bitrate = bitrate
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        if before is not None and self.voice is not None:
            certificates = before._pc._RTCPeerConnection__certificates  # type: ignore[attr-defined]
            self._pc._RTCPeerConnection__certificates = certificates  # type: ignore[attr-defined]
        self._transceiver = self._pc.addTransceiver(
            self.voice or "audio", direction="sendonly" if self.voice else "recvonly"
        )
        self._prefer(*_FAMILIES[request.codec], *_FAMILIES["pcm" if request.codec == "opus" else "opus"])
        if self.voice is not None:
            self.voice.transceiver = self._transceiver
        tap = _Tap(self, self._transceiver, hears)
        self._transceiver.receiver._RTCRtpReceiver__jitter_buffer = tap  # type: ignore[attr-defined]
        self._pc.on("connectionstatechange", lambda: changed(self))

    @property
    def state(self) -> str:
        """new, connecting, connected, failed or closed: aiortc has no `disconnected`."""
        return self._pc.connectionState

    @property
    def signaling(self) -> str:
        return self._pc.signalingState

    async def answer(self, remote: Remote) -> str:
        """Our answer to an offer.

        Raises:
          NoCodecError: it has no codec of ours.
          Exception: whatever aiortc says of a description that it cannot use.
        """
        family = [name for name in _FAMILIES[self._request.codec] if name.lower() in remote.codecs]
        if family:
            self._prefer(*family)  # these alone: who offers chooses by its own order
        await self._set_remote(remote, "offer")
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return self._told(remote)

    async def offer(self) -> str:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._told(None)

    async def take_answer(self, remote: Remote) -> None:
        """The answer to `offer`; raises as `answer`."""
        await self._set_remote(remote, "answer")

    def take_back(self) -> None:
        """Forget our offer: the other side's goes before it."""
        self._pc._RTCPeerConnection__pendingLocalDescription = None  # type: ignore[attr-defined]
        self._pc._RTCPeerConnection__setSignalingState("stable")  # type: ignore[attr-defined]

    async def add(self, candidate: Candidate) -> None:
        """Follow a candidate; one of mDNS is looked up first."""
        await self._pc.addIceCandidate(
            RTCIceCandidate(
                component=candidate.component,
                foundation=candidate.foundation,
                ip=candidate.host,
                port=candidate.port,
                priority=candidate.priority,
                protocol="udp",
                type="srflx" if candidate.kind == "prflx" else candidate.kind,
                sdpMLineIndex=0,
            )
        )

    async def round_trip(self) -> float | None:
        """Seconds of a check to the other side and back; None where no answer came within half a second."""
        ice = self._transceiver.receiver.transport.transport._connection
        pair = ice._nominated.get(1)
        if pair is None or ice.remote_password is None:
            return None
        began = asyncio.get_running_loop().time()
        try:
            await pair.protocol.request(
                ice.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=ice.remote_password.encode(),
                retransmissions=0,
            )
        except (TransactionError, OSError):
            return None
        return asyncio.get_running_loop().time() - began

    async def stats(self) -> RTCStatsReport:
        """aiortc's: of the receiver, or of the sender where we speak."""
        side = self._transceiver.sender if self.voice is not None else self._transceiver.receiver
        return await side.getStats()

    async def close(self) -> None:
        if self.voice is not None:
            self.voice.stop()
        await self._pc.close()

    def _prefer(self, *names: str) -> None:
        known = {codec.mimeType: codec for codec in RTCRtpSender.getCapabilities("audio").codecs}
        self._transceiver.setCodecPreferences([known[f"audio/{name}"] for name in names])

    async def _set_remote(self, remote: Remote, kind: str) -> None:
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(remote.sdp, kind))
        except OperationError as error:
            raise NoCodecError("it has neither Opus nor G.711") from error
        self.remote_ufrag = remote.ufrag

    def _told(self, remote: Remote | None) -> str:
        return local_told(
            self._pc.localDescription.sdp,
            remote,
            allow_local=self._request.allow_local,
            bitrate=self._bitrate,
        )


class _Tap:
    """Stands where a receiver's jitter buffer was; no packet goes further."""

    def __init__(
        self, connection: Connection, transceiver: object, hears: Callable[[Connection, Packet], None]
    ) -> None:
        self._connection = connection
        self._transceiver = transceiver
        self._hears = hears

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        for codec in self._transceiver._codecs:  # type: ignore[attr-defined]
            if codec.payloadType == packet.payload_type:
                if packet.payload:
                    self._hears(
                        self._connection,
                        Packet(
                            codec.name, packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload
                        ),
                    )
                break
        return False, None


class Voice(MediaStreamTrack):
    """What a peer says: frames of 20 ms, encoded when they are sent.

    More than a second of it is never kept: the oldest goes.
    """

    kind = "audio"

    def __init__(self, bitrate: int) -> None:
        super().__init__()
        self.transceiver: object = None
        self._bitrate = bitrate
        self._encoder: OpusEncoder | None = None
        self._frames: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._more = asyncio.Event()
        self._position = 0

    def say(self, frame: bytes) -> None:
        """The next 20 ms: 640 bytes."""
        self._frames.append(frame)
        self._more.set()

    def adapt(self, report: RTCStatsReport) -> None:
        """Follow what the other side says of loss: more FEC, and fewer bits."""
        for one in report.values():
            if isinstance(one, RTCRemoteInboundRtpStreamStats) and self._encoder is not None:
                percent = int(one.fractionLost) * 100 // 256
                self._encoder.set_loss(max(10, percent * 3 // 2))
                self._encoder.set_bitrate(self._bitrate if percent < 15 else self._bitrate * 3 // 4)

    async def recv(self) -> av.Packet[Any] | av.AudioFrame:
        """What is sent next."""
        while not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._more.clear()
            await self._more.wait()
        frame = self._frames.popleft()
        at = self._position
        self._position += FRAME_BYTES // 2
        if self.transceiver._codecs[0].name.lower() == "opus":  # type: ignore[attr-defined]
            if self._encoder is None:
                self._encoder = OpusEncoder(bitrate=self._bitrate)
            packet = av.Packet(self._encoder.encode(frame))
            packet.pts = at * 3
            packet.time_base = _OPUS_CLOCK
            return packet
        pcm = av.AudioFrame(format="s16", layout="mono", samples=FRAME_BYTES // 2)
        pcm.planes[0].update(frame)
        pcm.sample_rate = 16_000
        pcm.pts = at
        pcm.time_base = _PCM_CLOCK
        return pcm

    def stop(self) -> None:
        super().stop()
        self._more.set()
