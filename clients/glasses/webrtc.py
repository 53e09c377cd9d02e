"""The phone's microphone over WebRTC (protocol.md section 8).

The phone says what it can, offers when the cloud is ready, answers where the cloud offers, and sends its
candidates one by one. Audio goes over its WebSocket until the peers are connected, and again as soon as they
are not; then it asks anew, after 1, 2, 4 and at most 30 s. A cloud that has no WebRTC is asked once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from clients.glasses.peer import PeerListener, PeerOptions, PhonePeer
from protocols import from_phone, to_phone, webrtc
from protocols.media_process import Codec, IceServer

FIRST_AGAIN_S: Final = 1.0
MOST_AGAIN_S: Final = 30.0
CONNECT_S: Final = 20.0  # without a word from anybody: then it asks anew

OpenPeer = Callable[[PeerOptions, PeerListener], PhonePeer]
Send = Callable[[from_phone.PhoneMessage], Awaitable[bool]]

_CANDIDATE: Final = "a=candidate:"


def trickled(sdp: str) -> tuple[str, tuple[str, ...]]:
    """A description without its candidates, and they, as a phone sends them one by one."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not line.startswith((_CANDIDATE, "a=end-of-candidates"))]
    candidates = tuple(line.removeprefix("a=") for line in lines if line.startswith(_CANDIDATE))
    return "\r\n".join(kept) + "\r\n", candidates


class WebrtcMicrophone:
    """What one connection of the phone does about WebRTC.

    Args:
      open_peer: makes a peer.
      send: sends a message over the WebSocket.
      notify: told when `is_connected` is another.

    Attributes:
      is_connected: audio goes this way.
      attempts: peers that were opened.
      last_failure: why one ended.
      error: what the cloud said last of it.
    """

    def __init__(self, open_peer: OpenPeer, send: Send, notify: Callable[[], None], *, codec: Codec) -> None:
        self.is_connected = False
        self.attempts = 0
        self.last_failure = ""
        self.error: to_phone.WebrtcError | None = None
        self._open_peer = open_peer
        self._send = send
        self._notify = notify
        self._codec: Codec = codec
        self._peer: PhonePeer | None = None
        self._listener: _Listener | None = None
        self._ice_servers: tuple[IceServer, ...] = ()
        self._outgoing: deque[from_phone.PhoneMessage] = deque()
        self._more = trio.Event()
        self._ended = trio.Event()
        self._has_way = False  # its peer is connected
        self._is_refused = False
        self._wait_s = FIRST_AGAIN_S

    async def run(self) -> None:
        """Talk to the cloud about it until the connection ends."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                while not self._is_refused:
                    self._ended = trio.Event()
                    if self._peer is None:  # else the cloud has asked first
                        self._say(
                            from_phone.WebrtcCapability(
                                supported=True, client_version="1", preferred_codec=self._codec
                            )
                        )
                    await self._until_ended()
                    await trio.sleep(self._wait_s)
                    self._wait_s = min(MOST_AGAIN_S, self._wait_s * 2)
        finally:
            self._drop_peer()

    def take(self, message: to_phone.MessageToPhone) -> None:
        """What the cloud says of it; anything else is none of our business."""
        match message:
            case to_phone.WebrtcReady():
                self._ice_servers = tuple(map(_ice_server, message.ice_servers))
                self._open().make_offer()
            case to_phone.WebrtcOffer():
                peer = self._peer if self._peer is not None else self._open()
                peer.take_offer(message.sdp)
            case to_phone.WebrtcAnswer():
                if self._peer is not None:
                    self._peer.take_answer(message.sdp)
            case to_phone.WebrtcIceCandidate():
                if self._peer is not None:
                    self._peer.take_candidate(message.candidate, message.sdp_mline_index, message.sdp_mid)
            case to_phone.WebrtcError():
                self.error = message
                self._is_refused = message.code == webrtc.INIT_FAILED
                self.ended(f"{message.code}: {message.message}")

    def speak(self, pcm: bytes) -> None:
        """Send audio: PCM s16le, mono, 16 kHz."""
        if self._peer is not None:
            self._peer.speak(pcm)

    def restart_ice(self) -> None:
        """Offer with other ICE credentials, as a phone does that comes to another network."""
        if self._peer is not None:
            self._peer.make_offer(restart_ice=True)

    # What its peer tells

    def described(self, kind: type[from_phone.WebrtcOffer | from_phone.WebrtcAnswer], sdp: str) -> None:
        text, candidates = trickled(sdp)
        self._say(kind(sdp=text))
        for candidate in candidates:
            self._say(from_phone.WebrtcIceCandidate(candidate=candidate, sdp_mline_index=0, sdp_mid="0"))
        self._say(from_phone.WebrtcIceCandidate(candidate="", sdp_mline_index=0, sdp_mid="0"))

    def is_now(self, state: str) -> None:
        """Its peer's state."""
        is_connected = state == "connected"
        if is_connected == self._has_way:
            return
        self._has_way = is_connected
        if is_connected:
            self._wait_s = FIRST_AGAIN_S
            self._say(from_phone.WebrtcAudioStart())
        else:
            self.is_connected = False
            self._say(from_phone.WebrtcAudioStop())
            self._notify()

    def ended(self, cause: str) -> None:
        """No audio goes this way any more."""
        self.last_failure = cause
        self.is_now("closed")
        self._drop_peer()
        self._ended.set()
        self._notify()

    async def _until_ended(self) -> None:
        with trio.move_on_after(CONNECT_S) as patience:
            while not self._ended.is_set():
                if self._has_way:
                    patience.deadline = float("inf")
                with trio.move_on_after(CONNECT_S / 4):
                    await self._ended.wait()
        if not self._ended.is_set():
            self.ended(f"not connected within {CONNECT_S:g} s")

    def _open(self) -> PhonePeer:
        self._drop_peer()
        self.is_now("closed")
        self.attempts += 1
        self._listener = _Listener(self)
        options = PeerOptions(codec=self._codec, ice_servers=self._ice_servers)
        self._peer = self._open_peer(options, self._listener)
        return self._peer

    def _drop_peer(self) -> None:
        if self._listener is not None:
            self._listener.microphone = None
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()

    def _say(self, message: from_phone.PhoneMessage) -> None:
        self._outgoing.append(message)
        self._more.set()

    async def _write(self) -> None:
        while True:
            while not self._outgoing:
                self._more = trio.Event()
                await self._more.wait()
            message = self._outgoing.popleft()
            await self._send(message)
            if isinstance(message, from_phone.WebrtcAudioStart) and self._has_way:
                self.is_connected = True  # not before the cloud can know
                self._notify()


class _Listener:
    """Between a peer and its microphone; what a peer that was dropped still tells, nobody hears."""

    def __init__(self, microphone: WebrtcMicrophone) -> None:
        self.microphone: WebrtcMicrophone | None = microphone

    def offered(self, sdp: str) -> None:
        if self.microphone is not None:
            self.microphone.described(from_phone.WebrtcOffer, sdp)

    def answered(self, sdp: str) -> None:
        if self.microphone is not None:
            self.microphone.described(from_phone.WebrtcAnswer, sdp)

    def state(self, state: str) -> None:
        if self.microphone is not None:
            self.microphone.is_now(state)

    def failed(self, cause: str) -> None:
        if self.microphone is not None:
            self.microphone.ended(cause)


def _ice_server(server: webrtc.IceServer) -> IceServer:
    urls = (server.urls,) if isinstance(server.urls, str) else server.urls
    return IceServer(urls=urls, username=server.username or "", credential=server.credential or "")
