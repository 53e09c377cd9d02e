"""Where a user's peer actor meets the media process: the peer itself, which outlives a crash of the actor."""

from __future__ import annotations

from collections.abc import Callable

from runtime import Recipient

from ..audio.routing import AudioSlot
from .messages import PeerMeasured, PeerTold
from .ports import Media, MediaPeer, PeerAudio, PeerFault, PeerRequest, PeerState, PeerStats
from .signals import AnswerMade, Candidate, CandidateFound, OfferMade, PeerFailed, PeerIs


class PeerSlot:
    """Holds the one peer of a user, if there is one.

    Attributes:
      peers: the number of the newest.
      ear: what listens to it. Whatever another ear hears is of a peer that is gone.
    """

    __slots__ = ("audio", "ear", "peer", "peers")

    def __init__(self, audio: AudioSlot) -> None:
        self.audio = audio
        self.peer: MediaPeer | None = None
        self.peers = 0
        self.ear: Ear | None = None

    def open(
        self,
        media: Media,
        request: PeerRequest,
        number: int,
        actor: Recipient[PeerTold | PeerMeasured],
        clock: Callable[[], float],
    ) -> None:
        """Open a peer. What comes directly is kept from here on, to be recognised in what it brings."""
        self.close(clock())
        self.audio.expect_peer(clock())
        self.peers = number
        self.ear = Ear(self, number, actor, clock)
        self.peer = media.open(request, self.ear)

    def close(self, now: float) -> None:
        """Close it, if there is one; the microphone goes on over the WebSocket."""
        peer, self.peer, self.ear = self.peer, None, None
        if peer is not None:
            self.audio.lose_peer(now)
            peer.close()


class Ear:
    """Hears one peer, by plain calls on the loop: its audio goes the audio's way, the rest to the actor."""

    __slots__ = ("actor", "clock", "number", "slot")

    def __init__(
        self,
        slot: PeerSlot,
        number: int,
        actor: Recipient[PeerTold | PeerMeasured],
        clock: Callable[[], float],
    ) -> None:
        self.slot = slot
        self.number = number
        self.actor = actor
        self.clock = clock

    def offered(self, sdp: str) -> None:
        self.actor.tell(PeerTold(OfferMade(self.number, sdp)))

    def answered(self, sdp: str) -> None:
        self.actor.tell(PeerTold(AnswerMade(self.number, sdp)))

    def candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        found = Candidate(candidate, sdp_mline_index, sdp_mid)
        self.actor.tell(PeerTold(CandidateFound(self.number, found)))

    def state(self, state: PeerState) -> None:
        if state is not PeerState.CONNECTED and self.slot.ear is self:
            # At once, and not behind the actor's mail: from here on nothing is to be expected of it.
            self.slot.audio.hear_peer(self.clock(), is_heard=False)
        self.actor.tell(PeerTold(PeerIs(self.number, state)))

    def audio(self, audio: PeerAudio) -> None:
        if self.slot.ear is self:
            self.slot.audio.offer_peer(audio, self.clock())

    def stats(self, stats: PeerStats) -> None:
        self.actor.tell(PeerMeasured(self.number, stats))

    def failed(self, fault: PeerFault, cause: str) -> None:
        if fault is not PeerFault.CANDIDATE and self.slot.ear is self:
            self.slot.audio.hear_peer(self.clock(), is_heard=False)
        self.actor.tell(PeerTold(PeerFailed(self.number, fault, cause)))
