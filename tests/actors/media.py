"""A media process that does what a test tells it to: peers whose answers, states and audio are scripted."""

from __future__ import annotations

from actors.webrtc.ports import PeerAudio, PeerFault, PeerListener, PeerRequest, PeerState


class ScriptedPeer:
    """A peer; what the server asked of it, and what its other end does."""

    def __init__(self, media: ScriptedMedia, request: PeerRequest, listener: PeerListener) -> None:
        self.media = media
        self.request = request
        self.listener = listener
        self.asked: list[tuple[str, object]] = []
        self.is_closed = False
        self.position = 0

    # what the server calls

    def make_offer(self, *, restart_ice: bool = False) -> None:
        self.asked.append(("make offer", restart_ice))
        if self.media.answers:
            self.listener.offered(f"offer of {self.request.peer_id}")

    def take_offer(self, sdp: str) -> None:
        self.asked.append(("offer", sdp))
        if not self.media.answers:
            return
        if "hostile" in sdp:
            self.fail(PeerFault.OFFER, "it cannot be parsed")
            return
        self.listener.answered(f"answer to {sdp}")
        if self.media.connects:
            self.listener.state(PeerState.CONNECTED)

    def take_answer(self, sdp: str) -> None:
        self.asked.append(("answer", sdp))
        if self.media.connects:
            self.listener.state(PeerState.CONNECTED)

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        self.asked.append(("candidate", candidate))

    def close(self) -> None:
        self.is_closed = True

    # what its other end does

    def speak(self, pcm: bytes) -> None:
        """Audio of whole frames, spoken after what was spoken before."""
        self.listener.audio(PeerAudio(pcm, self.position))
        self.position += len(pcm) // 2

    def fail(self, fault: PeerFault, cause: str = "no") -> None:
        self.is_closed = fault is not PeerFault.CANDIDATE
        self.listener.failed(fault, cause)


class ScriptedMedia:
    """`Media` whose peers the test has in hand.

    Attributes:
      answers: a peer answers an offer, and makes one, at once;
      connects: and is connected then.
    """

    def __init__(self) -> None:
        self.is_available = True
        self.answers = True
        self.connects = True
        self.peers: list[ScriptedPeer] = []

    @property
    def peer(self) -> ScriptedPeer:
        """The newest."""
        return self.peers[-1]

    def open(self, request: PeerRequest, listener: PeerListener) -> ScriptedPeer:
        self.peers.append(ScriptedPeer(self, request, listener))
        return self.peer

    def living(self) -> list[ScriptedPeer]:
        return [peer for peer in self.peers if not peer.is_closed]
