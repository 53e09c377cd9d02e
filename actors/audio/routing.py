"""The path of a microphone frame: one plain call from the engine to every taker.

The engine calls `AudioSlot.offer` for each binary frame of a phone. The slot belongs to the user's subtree
and outlives the audio actor's incarnations; the router inside it walks an immutable table that the session
replaces whole. Nothing here waits: every taker has a bounded queue of its own (DESIGN section 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from protocols import udp
from protocols.audio import AudioFormat
from protocols.sequence import Heard, Lost
from runtime import Recipient, Ref

from ..allowance import Allowance
from ..latency import Spread
from ..overload import Shedder
from ..ports import Connection, Lane, Lc3, Outgoing
from ..webrtc.ports import PeerAudio
from .intake import AudioCounts, Intake
from .sources import Source, SourceCounts, Sources
from .udp import UdpDoor, UdpLeg, UdpOffer

STALL_S: Final = 0.15
"""A peer that brings nothing for so long has stalled: seven frames of 20 ms."""

_LONGEST: Final = (
    9_600  # bytes: what was kept goes out in pieces that a taker's queue of a second has room for
)
_USUAL: Final = 3_200

_AUDIO = Lane.AUDIO  # an enum's attribute is slow to look up, and this is for every frame


class Listener(Protocol):
    """What takes the microphone's frames for a recogniser. `offer` never blocks."""

    def offer(self, pcm: bytes) -> None: ...


class SpeechInlet:
    """Where the microphone meets one transcription stream; it outlives the stream's incarnations."""

    __slots__ = ("owner", "stream")

    def __init__(self) -> None:
        self.stream: Listener | None = None
        self.owner: Ref[Any] | None = None

    def offer(self, pcm: bytes) -> None:
        """Hand one frame to the stream; a failure crashes the stream's actor, not the caller."""
        stream = self.stream
        if stream is None:
            return
        try:
            stream.offer(pcm)
        except Exception as error:
            self.stream = None
            if self.owner is not None:
                self.owner.crash(error)


class AudioTable(msgspec.Struct, frozen=True):
    """Who takes the microphone's frames.

    Attributes:
      apps: connections of apps that subscribed to `audio_chunk`; they get every frame byte for byte.
      speech: inlets of the open transcription streams.
      is_wanted: whether the microphone should be on at all; a frame while it is not is stray.
    """

    apps: tuple[Connection, ...] = ()
    speech: tuple[SpeechInlet, ...] = ()
    is_wanted: bool = False


class StrayAudio(msgspec.Struct, frozen=True):
    """A frame came while nobody wants the microphone (protocol.md 5.7)."""


class SourceChanged(msgspec.Struct, frozen=True):
    """To the audio actor: the microphone is routed from another source than before."""

    source: Source


class AudioRouter:
    """The routing table and its counters. Hot: one call per frame, no allocation but the outgoing message."""

    __slots__ = ("bytes_in", "frames", "odd_byte", "session", "stray_frames", "table")

    def __init__(self, session: Recipient[StrayAudio], table: AudioTable) -> None:
        self.session = session
        self.table = table
        self.frames = 0
        self.bytes_in = 0
        self.stray_frames = 0
        self.odd_byte = b""  # half a sample, which begins the recognisers' next frame (protocol.md 7.1)

    def frame(self, pcm: bytes) -> None:
        """Relay one frame to the apps first, then feed the recognisers (protocol.md 7.2)."""
        size = len(pcm)
        if not size:
            return  # an empty binary frame is an error event in the SDK (protocol.md 10.14)
        self.frames += 1
        self.bytes_in += size
        table = self.table
        if table.apps:
            message = Outgoing(pcm, is_text=False, lane=_AUDIO)
            for connection in table.apps:
                connection.send(message)
        if size & 1 or self.odd_byte:
            pcm = self._whole_samples(pcm)
            if not pcm:
                return
        for inlet in table.speech:
            inlet.offer(pcm)
        if not table.is_wanted:
            self.stray_frames += 1
            self.session.tell(StrayAudio())

    def _whole_samples(self, pcm: bytes) -> bytes:
        pcm = self.odd_byte + pcm
        whole = len(pcm) // 2 * 2
        self.odd_byte = pcm[whole:]
        return pcm[:whole]


class AudioSlot:
    """Where the engine's calls meet the user's audio actor.

    Attributes:
      connection: the phone's current connection; frames of any other (a replaced one) are ignored.
      plain: the same, once it is known that it sends PCM: its frames go straight to the router.
      intake: what the current connection sends.
      counts: of all connections.
      shedder: which frames are dropped before they are routed while the server is overloaded.
      offer_of_udp: what the current connection was offered of UDP.
      leg: its datagrams' way, once it has registered.
      sources: what decides between WebRTC and the rest, while there is a peer; then nothing is plain.
      of_sources: what has come of that.
      clock: the system's, once an audio actor has begun.
      decoding: how long a frame that is not PCM, or a gap, takes to become it.
    """

    __slots__ = (
        "clock",
        "connection",
        "counts",
        "decoding",
        "door",
        "has_peer",
        "intake",
        "lc3",
        "leg",
        "of_sources",
        "offer_of_udp",
        "owner",
        "plain",
        "router",
        "shedder",
        "sources",
        "stall_s",
    )

    def __init__(self, shedder: Shedder, lc3: Lc3, door: UdpDoor, *, stall_s: float = STALL_S) -> None:
        self.shedder = shedder
        self.lc3 = lc3
        self.door = door
        self.offer_of_udp: UdpOffer | None = None
        self.leg: UdpLeg | None = None
        self.router: AudioRouter | None = None
        self.owner: Ref[Any] | None = None
        self.connection: Connection | None = None
        self.plain: Connection | None = None
        self.counts = AudioCounts()
        self.intake = Intake(lc3, self.counts)
        self.stall_s = stall_s
        self.sources: Sources | None = None
        self.of_sources = SourceCounts()
        self.has_peer = False
        self.clock: Callable[[], float] | None = None
        self.decoding = Spread()

    @property
    def format(self) -> AudioFormat | None:
        """What the current connection sends; None while that is not known."""
        return self.intake.format

    def attach(
        self, connection: Connection, format: AudioFormat | None = None, offer: UdpOffer | None = None
    ) -> None:
        """`connection` is the phone's newest. Its format is to be found out, if it has not come along."""
        self.leave_udp()
        self.connection = connection
        self.offer_of_udp = offer
        self.intake = Intake(self.lc3, self.counts)
        self.plain = None
        if self.router is not None:
            self.router.odd_byte = b""
        if self.sources is not None:
            self.sources.direct_broken()
        if format is not None:
            self.configure(format)

    def configure(self, format: AudioFormat) -> None:
        """The phone has said what the current connection sends; what was held of it is routed."""
        connection = self.connection
        if connection is not None:
            now = connection.health.last_activity_at
            self._take_in(self.intake.configure(format, now), now)
            self._look_for_plain()

    def join_udp(
        self, user_id: str, allowance: Allowance, wall: Callable[[], float], *, has_pinged: bool = False
    ) -> bool:
        """The current connection's phone sends datagrams from here on; False where it was not offered.

        Args:
          has_pinged: it did so in another process, and will not again.
        """
        offer = self.offer_of_udp
        if offer is None:
            return False
        if self.leg is None:
            leg = UdpLeg(
                self, user_hash=udp.user_hash(user_id), key=offer.key, allowance=allowance, wall=wall
            )
            if not self.door.add(leg):
                return False
            leg.has_pinged = has_pinged
            self.leg = leg
        self.offer_of_udp = msgspec.structs.replace(offer, is_registered=True)
        return True

    def leave_udp(self) -> None:
        """No more datagrams are taken from this phone."""
        if self.leg is not None:
            self.door.remove(self.leg)
            self.leg = None
        if self.offer_of_udp is not None:
            self.offer_of_udp = msgspec.structs.replace(self.offer_of_udp, is_registered=False)

    def install(self, router: AudioRouter, clock: Callable[[], float]) -> None:
        """The audio actor has begun, or begun again."""
        self._retire()
        self.router = router
        self.clock = clock

    def offer(self, connection: Connection, frame: bytes) -> None:
        """Route one binary frame; a failure crashes the audio actor, never the engine."""
        router = self.router
        if router is None or connection is not self.plain:
            self._offer_other(connection, frame)
            return
        shedder = self.shedder
        if shedder.board.is_on and shedder.sheds(connection, len(frame)):
            return
        try:
            router.frame(frame)
        except Exception as error:
            self._crash(error)

    def offer_packets(self, heard: Heard, now: float) -> None:
        """Route what came by datagrams, in order and with its gaps."""
        connection = self.connection
        for item in heard:
            if self.router is None or connection is None:
                self.counts.unrouted += 1
            elif isinstance(item, Lost) or not self._sheds(connection, item):
                self._take(item, now)

    # -- WebRTC

    def expect_peer(self, now: float) -> None:
        """A peer is being opened: keep what comes directly, to recognise it in what the peer will bring."""
        self.has_peer = True
        sources = self.sources
        if sources is None:
            odd_bytes = 0 if self.router is None else len(self.router.odd_byte)
            self.sources = Sources(self.of_sources, stall_s=self.stall_s, odd_bytes=odd_bytes)
            self.plain = None
        else:
            self._choose(lambda: sources.peer_began(now))

    def hear_peer(self, now: float, *, is_heard: bool) -> None:
        """Whether the peer's audio is the microphone's, from here on."""
        sources = self.sources
        if sources is not None:
            self._choose(lambda: sources.hear(now, is_heard=is_heard))

    def offer_peer(self, audio: PeerAudio, now: float) -> None:
        """Route what a peer has brought; a failure crashes the audio actor, never the caller."""
        sources = self.sources
        if self.router is None or sources is None:
            self.counts.unrouted += 1
            return
        shedder = self.shedder
        is_shed = shedder.board.is_on and sources.is_heard and shedder.sheds_at(now, 0, len(audio.pcm))
        # What is shed has come all the same: it is no stall, and no hole in what comes directly.
        self._choose(lambda: sources.peer(audio.pcm, 2 * audio.position, now), is_routed=not is_shed)

    def lose_peer(self, now: float) -> None:
        """There is no peer any more: what comes directly goes on where it ended."""
        self.hear_peer(now, is_heard=False)
        self.has_peer = False
        self._look_for_plain()

    def look_at_sources(self, now: float) -> None:
        """Nothing may have come from the peer for too long."""
        sources = self.sources
        if sources is not None:
            self._choose(lambda: sources.look(now))

    def _choose(self, choose: Callable[[], bytes], *, is_routed: bool = True) -> None:
        sources = self.sources
        assert sources is not None
        before = sources.source
        try:
            pcm = choose()
        except Exception as error:
            self.sources = Sources(self.of_sources, stall_s=self.stall_s)
            self._crash(error)
            return
        if not is_routed:
            pass
        elif len(pcm) <= _LONGEST:
            self._route((pcm,) if pcm else ())
        else:
            self._route(tuple(pcm[at : at + _USUAL] for at in range(0, len(pcm), _USUAL)))
        if sources.source is not before and self.owner is not None:
            self.owner.tell(SourceChanged(sources.source))

    def totals(self) -> AudioCounts:
        """The counts, with what the present router has counted."""
        totals = AudioCounts()
        totals.add(self.counts)
        if self.router is not None:
            totals.add_routed(self.router.frames, self.router.bytes_in, self.router.stray_frames)
        return totals

    def _offer_other(self, connection: Connection, frame: bytes) -> None:
        """What is not PCM, or not known to be: found out, decoded, held or dropped."""
        if self.router is None or connection is not self.connection:
            self.counts.unrouted += 1
            if self.sources is not None and connection is self.connection:
                self.sources.direct_broken()
            return
        if self._sheds(connection, frame):
            return
        self._take(frame, connection.health.last_activity_at)
        self._look_for_plain()

    def _look_for_plain(self) -> None:
        if self.sources is not None and not self.has_peer and self.sources.is_idle:
            self.sources = None
        self.plain = self.connection if self.sources is None and self.intake.is_plain else None

    def _sheds(self, connection: Connection, frame: bytes) -> bool:
        if not self.shedder.board.is_on:
            return False
        if self.sources is not None and self.sources.source is Source.WEBRTC:
            return False  # it is only kept
        is_shed = self.shedder.sheds(connection, len(frame))
        if is_shed and self.sources is not None:
            self.sources.direct_broken()
        return is_shed

    def _take(self, item: bytes | Lost, now: float) -> None:
        began = 0.0 if self.clock is None else self.clock()
        try:
            if isinstance(item, Lost):
                heard: tuple[bytes, ...] = (self.intake.conceal(item.packets),)
            else:
                heard = self.intake.take(item, now)
        except Exception as error:
            self._crash(error)
        else:
            if self.clock is not None and not self.intake.is_plain:
                ended = self.clock()
                self.decoding.add((ended - began) * 1000, ended)
            self._take_in(heard, now)

    def _take_in(self, heard: tuple[bytes, ...], now: float) -> None:
        """Route what came directly, or what the sources make of it."""
        sources = self.sources
        if sources is None:
            self._route(heard)
            return
        for pcm in heard:
            self._choose(lambda: sources.direct(pcm, now))  # noqa: B023 - it is called at once

    def _route(self, heard: tuple[bytes, ...]) -> None:
        for pcm in heard:
            if self.router is None:
                self.counts.unrouted += 1
                continue
            try:
                self.router.frame(pcm)
            except Exception as error:
                self._crash(error)

    def _crash(self, error: Exception) -> None:
        self._retire()
        if self.owner is not None:
            self.owner.crash(error)

    def _retire(self) -> None:
        router, self.router = self.router, None
        if router is not None:
            self.counts.add_routed(router.frames, router.bytes_in, router.stray_frames)
