"""The phone's end of WebRTC: its peer, in a process of its own, and what it is to the phone.

The process is the server's media worker in its other role, a peer that speaks (`protocols.media_process`):
aiortc is asyncio and computes, and the phone is trio. Many phones may share one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Final, Protocol

import msgspec
import trio

from protocols import media_process as wire
from protocols.child_environment import child_environment
from protocols.media_process import COMMAND, Codec, FromMedia, IceServer, ToMedia
from protocols.pipe_frames import FrameError, PipeReader

_ROOT: Final = str(Path(__file__).resolve().parents[2])
_KILL_S: Final = 2.0


class PeerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone's peer is opened with.

    Attributes:
      codec: what it offers first, and answers with alone where it can.
      ice_servers: as the cloud has said.
      allow_local: loopback and private candidates too: a simulated phone is mostly beside its cloud.
    """

    codec: Codec = "opus"
    ice_servers: tuple[IceServer, ...] = ()
    allow_local: bool = True


class PeerListener(Protocol):
    """What a phone's peer tells, by plain calls. Nothing after `close`, and nothing after `failed`."""

    def offered(self, sdp: str) -> None: ...
    def answered(self, sdp: str) -> None: ...
    def state(self, state: str) -> None:
        """In the words of RTCPeerConnection.connectionState."""

    def failed(self, cause: str) -> None: ...


class PhonePeer(Protocol):
    """A connection that sends audio."""

    def make_offer(self, *, restart_ice: bool = False) -> None: ...
    def take_offer(self, sdp: str) -> None: ...
    def take_answer(self, sdp: str) -> None: ...
    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None: ...
    def speak(self, pcm: bytes) -> None:
        """PCM s16le, mono, 16 kHz, of any length."""

    def close(self) -> None: ...


class PeerProcess:
    """Keeps a process while `run` runs; peers that are opened before wait for it.

    Attributes:
      pid: of the process; None while there is none.
    """

    def __init__(self) -> None:
        self.pid: int | None = None
        self._peers: dict[int, _Peer] = {}
        self._numbers = 0
        self._outgoing: deque[bytes] = deque()
        self._more = trio.Event()

    def open(self, options: PeerOptions, listener: PeerListener) -> PhonePeer:
        """A new peer."""
        self._numbers += 1
        peer = _Peer(self, self._numbers, listener)
        self._peers[self._numbers] = peer
        self.send(
            wire.Open(
                peer=self._numbers,
                role="speaks",
                codec=options.codec,
                ice_servers=options.ice_servers,
                allow_local=options.allow_local,
            )
        )
        return peer

    def send(self, message: ToMedia) -> None:
        self._outgoing.append(wire.pack(message))
        self._more.set()

    def forget(self, number: int) -> None:
        self._peers.pop(number, None)

    async def run(self) -> None:
        """Keep a process until cancelled: from the first peer on, and another one after it has died."""
        while True:
            while not self._peers:
                self._outgoing.clear()
                self._more = trio.Event()
                await self._more.wait()
            cause = await self._life()
            self.pid = None
            self._outgoing.clear()
            for peer in list(self._peers.values()):
                peer.fail(cause)

    async def _life(self) -> str:
        process = await trio.lowlevel.open_process(
            (sys.executable, *COMMAND),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(os.environ, _ROOT),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        cause = "its process ended"
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, process.stdin)
                try:
                    await self._read(process.stdout)
                except (FrameError, msgspec.DecodeError, UnicodeDecodeError) as error:
                    cause = f"its process wrote nonsense: {error}"
                nursery.cancel_scope.cancel()
        finally:
            process.kill()
            with trio.move_on_after(_KILL_S, shield=True):
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()
        return cause

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        try:
            await pipe.send_all(wire.pack(wire.Configure()))
            while True:
                while not self._outgoing:
                    self._more = trio.Event()
                    await self._more.wait()
                piece = b"".join(self._outgoing)
                self._outgoing.clear()
                await pipe.send_all(piece)
        except trio.BrokenResourceError:
            return  # what it said last is still being read; its end is noticed there

    async def _read(self, pipe: trio.abc.ReceiveStream) -> None:
        reader = PipeReader()
        while chunk := await pipe.receive_some(65_536):
            for payload in reader.feed(bytes(chunk)):
                self._take(wire.from_media(payload))

    def _take(self, message: FromMedia) -> None:
        if isinstance(message, wire.Ready | wire.Pong | wire.Trouble):
            return
        if (peer := self._peers.get(message.peer)) is not None:
            peer.tell(message)


class _Peer:
    def __init__(self, process: PeerProcess, number: int, listener: PeerListener) -> None:
        self._process = process
        self._number = number
        self._listener = listener
        self._is_closed = False

    def make_offer(self, *, restart_ice: bool = False) -> None:
        self._send(wire.MakeOffer(self._number, restart_ice))

    def take_offer(self, sdp: str) -> None:
        self._send(wire.TakeOffer(self._number, sdp))

    def take_answer(self, sdp: str) -> None:
        self._send(wire.TakeAnswer(self._number, sdp))

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        self._send(wire.TakeCandidate(self._number, candidate, sdp_mline_index, sdp_mid))

    def speak(self, pcm: bytes) -> None:
        self._send(wire.Speak(self._number, pcm))

    def close(self) -> None:
        if not self._is_closed:
            self._send(wire.Close(self._number))
            self._is_closed = True
            self._process.forget(self._number)

    def fail(self, cause: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._process.forget(self._number)
            self._listener.failed(cause)

    def tell(self, message: FromMedia) -> None:
        match message:
            case wire.Offered():
                self._listener.offered(message.sdp)
            case wire.Answered():
                self._listener.answered(message.sdp)
            case wire.StateIs():
                self._listener.state(message.state)
            case wire.Failed() if message.fault != "candidate":
                self.fail(message.cause)

    def _send(self, message: ToMedia) -> None:
        if not self._is_closed:
            self._process.send(message)
