"""The media process's twin: peers without a process, and phones for them, on the same loop.

A description is a few lines with the number of who wrote it; two that have each other's are connected. What a
real process would tell from outside is told in turn by `run`, so that a seed replays. Faults by name: a phone
may `vanish` and `come_back`, the process may `die`, a peer may `fail`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Protocol

import trio

from actors.webrtc.ports import (
    MediaPeer,
    PeerAudio,
    PeerFault,
    PeerListener,
    PeerRequest,
    PeerState,
    PeerStats,
)

FRAME_BYTES: Final = 640
CANDIDATE: Final = "candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host"

_MARK: Final = "a=simulated:"
_KNOWN: Final = ("offer", "answer")


def description(kind: Literal["offer", "answer"], number: int, about: int = 0) -> str:
    """What a peer or a phone writes; `about` is the number of the offer that an answer is for."""
    head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    return f"{head}a=mid:0\r\n{_MARK}{kind} {number} {about}\r\n"


def read(sdp: str) -> tuple[str, int, int] | None:
    """Kind, number and what it is about; None where nobody here wrote it."""
    for line in sdp.splitlines():
        if line.startswith(_MARK):
            kind, number, about = line.removeprefix(_MARK).split()
            return kind, int(number), int(about)
    return None


class SimulatedMedia:
    """Implements `actors.webrtc.ports.Media`.

    Attributes:
      is_available: as a test says.
      most_peers: the next one is told BUSY.
      peers: those that are open, by their id.
      phones: all that were made.
      requests: of every peer, in order.
    """

    def __init__(self) -> None:
        self.is_available = True
        self.most_peers = 200
        self.peers: dict[str, SimulatedPeer] = {}
        self.phones: list[SimulatedPhone] = []
        self.requests: list[PeerRequest] = []
        self.written: dict[int, SimulatedPeer | SimulatedPhone] = {}
        self._numbers = 0
        self._later: deque[Callable[[], None]] = deque()
        self._has_later = trio.Event()

    def open(self, request: PeerRequest, listener: PeerListener) -> MediaPeer:
        """A new peer."""
        peer = SimulatedPeer(self, request, listener)
        self.requests.append(request)
        if not self.is_available:
            self.later(lambda: peer.fail(PeerFault.PROCESS, "there is no media process"))
        elif len(self.peers) >= self.most_peers:
            self.later(lambda: peer.fail(PeerFault.BUSY, f"{len(self.peers)} peers are open"))
        else:
            self.peers[request.peer_id] = peer
        return peer

    def phone(self, listener: PhoneListener) -> SimulatedPhone:
        """A phone that can be connected to a peer here."""
        phone = SimulatedPhone(self, listener)
        self.phones.append(phone)
        return phone

    def die(self) -> None:
        """The process ends: every peer is told, and its phone notices nothing but silence."""
        for peer in list(self.peers.values()):
            phone = peer.phone
            self.later(lambda peer=peer: peer.fail(PeerFault.PROCESS, "the media process ended"))  # type: ignore[misc]
            if phone is not None:
                self.later(lambda phone=phone: phone.lost())  # type: ignore[misc]

    def later(self, what: Callable[[], None]) -> None:
        """Do it on another turn of the loop, in order."""
        self._later.append(what)
        self._has_later.set()

    def number(self, writer: SimulatedPeer | SimulatedPhone) -> int:
        """A number for what it writes."""
        self._numbers += 1
        self.written[self._numbers] = writer
        return self._numbers

    async def run(self) -> None:
        """Let things happen until cancelled."""
        while True:
            await self._has_later.wait()
            while self._later:
                self._later.popleft()()
                await trio.lowlevel.checkpoint()
            self._has_later = trio.Event()


class SimulatedPeer:
    """Implements `actors.webrtc.ports.MediaPeer`.

    Attributes:
      phone: the one it is connected with.
      state: as told last.
      position: of the audio that comes next.
    """

    def __init__(self, media: SimulatedMedia, request: PeerRequest, listener: PeerListener) -> None:
        self.phone: SimulatedPhone | None = None
        self.state = PeerState.NEW
        self.position = 0
        self.candidates: list[str] = []
        self._media = media
        self._request = request
        self._listener = listener
        self._is_closed = False
        self._offer = 0
        self._stats = PeerStats()

    def make_offer(self, *, restart_ice: bool = False) -> None:
        def offer() -> None:
            self._offer = self._media.number(self)
            self._listener.offered(description("offer", self._offer))

        self._do(offer)

    def take_offer(self, sdp: str) -> None:
        def answer() -> None:
            self._offer = 0
            content = read(sdp)
            if content is None or content[0] != "offer":
                self.fail(PeerFault.OFFER, "it is no session description")
                return
            number = self._media.number(self)
            self._listener.answered(description("answer", number, content[1]))
            self._tell_state(PeerState.CONNECTING if self.phone is None else self.state)

        self._do(answer)

    def take_answer(self, sdp: str) -> None:
        def connect() -> None:
            content = read(sdp)
            if content is None or content[0] != "answer":
                self.fail(PeerFault.OFFER, "it is no session description")
            elif self._offer and content[2] == self._offer:
                self._offer = 0
                phone = self._media.written[content[1]]
                assert isinstance(phone, SimulatedPhone)
                self._tell_state(PeerState.CONNECTING if self.phone is None else self.state)
                connected(self, phone)

        self._do(connect)

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        if candidate and " typ " not in candidate:
            self._do(lambda: self.fail(PeerFault.CANDIDATE, f"{candidate[:80]!r} is no candidate"))
        elif candidate:
            self.candidates.append(candidate)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._media.peers.pop(self._request.peer_id, None)
            if self.phone is not None:
                phone, self.phone = self.phone, None
                self._media.later(phone.hung_up)

    # What a test or a phone lets it tell

    def fail(self, fault: PeerFault, cause: str) -> None:
        """Something is wrong; all but a candidate's fault end it."""
        if self._is_closed:
            return
        if fault is not PeerFault.CANDIDATE:
            self.close()
        self._listener.failed(fault, cause)

    def hear(self, pcm: bytes, concealed: int) -> None:
        """Audio came of whole frames; `concealed` samples of it did not."""
        if self._is_closed:
            return
        self._listener.audio(PeerAudio(pcm, self.position, concealed))
        self.position += len(pcm) // 2

    def is_now(self, state: PeerState) -> None:
        """The connection came, went or came back."""
        if not self._is_closed:
            self._tell_state(state)
            if state is PeerState.CONNECTED:
                self._listener.stats(self._stats)

    def _tell_state(self, state: PeerState) -> None:
        if state is not self.state and not self._is_closed:
            self.state = state
            self._listener.state(state)

    def _do(self, what: Callable[[], None]) -> None:
        self._media.later(lambda: None if self._is_closed else what())


class PhoneListener(Protocol):
    """What a phone's peer tells; as `clients.glasses.webrtc.PeerListener`."""

    def offered(self, sdp: str) -> None: ...
    def answered(self, sdp: str) -> None: ...
    def state(self, state: str) -> None: ...
    def failed(self, cause: str) -> None: ...


class SimulatedPhone:
    """The other side of a peer: a phone's, as `clients.glasses.webrtc.PhonePeer`."""

    def __init__(self, media: SimulatedMedia, listener: PhoneListener) -> None:
        self.peer: SimulatedPeer | None = None
        self.is_away = False
        self._media = media
        self._listener = listener
        self._is_closed = False
        self._offer = 0
        self._rest = b""

    def make_offer(self, *, restart_ice: bool = False) -> None:
        def offer() -> None:
            self._offer = self._media.number(self)
            self._listener.offered(description("offer", self._offer))

        self._do(offer)

    def take_offer(self, sdp: str) -> None:
        def answer() -> None:
            content = read(sdp)
            if content is None:
                self._fail("it is no session description")
            else:
                self._offer = 0
                number = self._media.number(self)
                self._listener.answered(description("answer", number, content[1]))

        self._do(answer)

    def take_answer(self, sdp: str) -> None:
        def connect() -> None:
            content = read(sdp)
            if content is None:
                self._fail("it is no session description")
            elif self._offer and content[2] == self._offer:
                self._offer = 0
                peer = self._media.written[content[1]]
                assert isinstance(peer, SimulatedPeer)
                connected(peer, self)

        self._do(connect)

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        """Nothing needs a way here."""

    def speak(self, pcm: bytes, *, concealed: int = 0) -> None:
        """Say something; whole frames of 20 ms arrive, the rest waits.

        Args:
          concealed: so many samples of it are lost on the way.
        """
        self._rest += pcm
        whole = len(self._rest) // FRAME_BYTES * FRAME_BYTES
        said, self._rest = self._rest[:whole], self._rest[whole:]
        peer = self.peer
        if said and peer is not None and not self.is_away and not self._is_closed:
            self._media.later(lambda: peer.hear(said, concealed))

    def close(self) -> None:
        """Hang up; the peer is told."""
        if not self._is_closed:
            self._is_closed = True
            peer, self.peer = self.peer, None
            if peer is not None and not self.is_away:
                self._media.later(lambda: peer.is_now(PeerState.CLOSED))
                self._media.later(lambda: peer.fail(PeerFault.ICE, "the other side closed it"))

    def vanish(self) -> None:
        """The network is gone: the peer notices that it hears nothing."""
        self.is_away = True
        if (peer := self.peer) is not None:
            self._media.later(lambda: peer.is_now(PeerState.DISCONNECTED))
            self._media.later(lambda: self._listener.state("disconnected"))

    def come_back(self) -> None:
        """And is there again."""
        self.is_away = False
        if (peer := self.peer) is not None:
            self._media.later(lambda: peer.is_now(PeerState.CONNECTED))
            self._media.later(lambda: self._listener.state("connected"))

    def stay_away(self) -> None:
        """After `vanish`: for good."""
        peer, self.peer = self.peer, None
        if peer is not None:
            self._media.later(lambda: peer.is_now(PeerState.FAILED))
            self._media.later(lambda: peer.fail(PeerFault.ICE, "nothing was heard for 10 s"))

    def is_connected_to(self, peer: SimulatedPeer) -> None:
        self.peer = peer
        self._listener.state("connected")

    def hung_up(self) -> None:
        """The peer has closed."""
        self.peer = None
        self._fail("the other side closed it")

    def lost(self) -> None:
        """The peer's process is gone."""
        self.peer = None
        self._fail("nothing was heard for 10 s")

    def _fail(self, cause: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._listener.failed(cause)

    def _do(self, what: Callable[[], None]) -> None:
        self._media.later(lambda: None if self._is_closed else what())


def connected(peer: SimulatedPeer, phone: SimulatedPhone) -> None:
    """Each has the other's description."""
    if phone.is_away:
        return
    peer.phone = phone
    phone.is_connected_to(peer)
    peer.is_now(PeerState.CONNECTED)
