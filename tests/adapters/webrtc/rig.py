"""A server's peer and a phone's, wired to each other as the WebSocket would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from actors.webrtc.ports import (
    Media,
    MediaPeer,
    PeerAudio,
    PeerFault,
    PeerRequest,
    PeerState,
    PeerStats,
)
from clients.glasses.peer import PeerListener as PhoneListener
from clients.glasses.peer import PhonePeer

PATIENCE_S = 10.0


class Told:
    """Keeps what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self._changed = trio.Event()

    async def until(self, is_so: Callable[[], object], *, timeout_s: float = PATIENCE_S) -> None:
        with trio.move_on_after(timeout_s):
            while not is_so():
                await self._changed.wait()
            return
        raise AssertionError(f"not within {timeout_s:g} s: {vars(self)}")

    def notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class ServerSide(Told):
    """A `PeerListener` of the server."""

    def __init__(self) -> None:
        super().__init__()
        self.offers: list[str] = []
        self.answers: list[str] = []
        self.states: list[PeerState] = []
        self.pieces: list[PeerAudio] = []
        self.heard_at: list[float] = []
        self.figures: list[PeerStats] = []
        self.failures: list[tuple[PeerFault, str]] = []
        self.on_offer: Callable[[str], None] = lambda sdp: None
        self.on_answer: Callable[[str], None] = lambda sdp: None

    @property
    def pcm(self) -> bytes:
        return b"".join(piece.pcm for piece in self.pieces)

    @property
    def faults(self) -> list[PeerFault]:
        return [fault for fault, _ in self.failures]

    def __repr__(self) -> str:
        return f"{self.states} {self.failures} {len(self.pcm)} bytes"

    def offered(self, sdp: str) -> None:
        self.offers.append(sdp)
        self.on_offer(sdp)
        self.notify()

    def answered(self, sdp: str) -> None:
        self.answers.append(sdp)
        self.on_answer(sdp)
        self.notify()

    def candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None: ...

    def state(self, state: PeerState) -> None:
        self.states.append(state)
        self.notify()

    def audio(self, audio: PeerAudio) -> None:
        self.pieces.append(audio)
        self.heard_at.append(trio.current_time())
        self.notify()

    def stats(self, stats: PeerStats) -> None:
        self.figures.append(stats)
        self.notify()

    def failed(self, fault: PeerFault, cause: str) -> None:
        self.failures.append((fault, cause))
        self.notify()


class PhoneSide(Told):
    """A listener of the phone's peer."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[str] = []
        self.failures: list[str] = []
        self.on_offer: Callable[[str], None] = lambda sdp: None
        self.on_answer: Callable[[str], None] = lambda sdp: None

    @property
    def is_connected(self) -> bool:
        return self.states[-1:] == ["connected"]

    def offered(self, sdp: str) -> None:
        self.on_offer(sdp)
        self.notify()

    def answered(self, sdp: str) -> None:
        self.on_answer(sdp)
        self.notify()

    def state(self, state: str) -> None:
        self.states.append(state)
        self.notify()

    def failed(self, cause: str) -> None:
        self.failures.append(cause)
        self.notify()


OpenPhone = Callable[[PhoneListener], PhonePeer]


@dataclass
class World:
    """A media process that runs, and phones beside it.

    Attributes:
      kill: lets the server's process die.
    """

    media: Media
    phone: OpenPhone
    kill: Callable[[], None]


class Pair:
    """A server's peer and a phone's, with the WebSocket between them.

    Attributes:
      relay: changes what each side says on its way, if a test wants to.
    """

    def __init__(
        self, world: World, *, relay: Callable[[str], str] = lambda sdp: sdp, **request: object
    ) -> None:
        self.heard = ServerSide()
        self.said = PhoneSide()
        self.phone = world.phone(self.said)
        options = {"peer_id": f"peer-{id(self)}", "allow_local": True} | request
        self.server: MediaPeer = world.media.open(PeerRequest(**options), self.heard)  # type: ignore[arg-type]
        self.said.on_offer = lambda sdp: self.server.take_offer(relay(sdp))
        self.said.on_answer = lambda sdp: self.server.take_answer(relay(sdp))
        self.heard.on_answer = lambda sdp: self.phone.take_answer(relay(sdp))
        self.heard.on_offer = lambda sdp: self.phone.take_offer(relay(sdp))

    async def until_connected(self) -> None:
        """Both sides say so."""
        await self.heard.until(lambda: self.heard.states[-1:] == [PeerState.CONNECTED])
        await self.said.until(lambda: self.said.is_connected)


@asynccontextmanager
async def connected(world: World, **options: object) -> AsyncIterator[Pair]:
    """A pair that the phone's offer has connected."""
    pair = Pair(world, **options)  # type: ignore[arg-type]
    pair.phone.make_offer()
    await pair.until_connected()
    yield pair
    pair.phone.close()
    pair.server.close()
