"""The media process as the server has it: one, supervised, and its peers.

It starts with the first peer. When it dies or hangs every peer is told at once; the next peer gets another
process, after a back-off that grows with processes that die young. Whatever is asked of a peer is a plain
call: it is put in order and one task writes it. Another task reads and tells the listeners, at most one chunk
of the pipe (64 KiB) before others have their turn.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio

from actors.ports import Telemetry
from actors.webrtc.ports import (
    MediaPeer,
    PeerAudio,
    PeerFault,
    PeerListener,
    PeerRequest,
    PeerState,
    PeerStats,
)
from protocols import media_process as wire
from protocols.child_environment import child_environment
from protocols.media_process import COMMAND, FromMedia, ToMedia
from protocols.pipe_frames import FrameError, PipeReader

from .settings import MediaSettings

ProcessState = Literal["off", "starting", "running", "waiting"]

MOST_WAITING_BYTES: Final = 4 * 1024 * 1024
"""What may wait for the process. Its commands are small; if this much waits, it hangs."""

_ROOT: Final = str(Path(__file__).resolve().parents[2])
_KILL_S: Final = 2.0
_BROKEN_AFTER: Final = 3
"""Starts in a row that failed, after which no peer is promised anything."""

_OWN_STALL_S: Final = 0.5


class MediaView(msgspec.Struct, frozen=True):
    """The process, for the console and for tests.

    Attributes:
      state: `off` nobody has needed it yet; `waiting` for its back-off to end.
      restarts: processes that ended without being told to.
      dropped: frames of audio that its pipe had no room for.
    """

    state: ProcessState
    pid: int | None
    peers: int
    restarts: int
    dropped: int
    last_error: str


class MediaProcess:
    """Implements `actors.webrtc.ports.Media`. Everything but `run` is a plain call.

    Args:
      command: what is executed instead of the media worker, for tests.
    """

    def __init__(
        self, settings: MediaSettings, telemetry: Telemetry, command: tuple[str, ...] | None = None
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._command = command or (sys.executable, *COMMAND)
        self._has_library = command is not None or find_spec("aiortc") is not None
        self._peers: dict[int, _Peer] = {}
        self._last_number = 0
        self._state: ProcessState = "off"
        self._pid: int | None = None
        self._outgoing: deque[bytes] = deque()
        self._outgoing_bytes = 0
        self._has_outgoing = trio.Event()
        self._later: deque[Callable[[], None]] = deque()
        self._has_later = trio.Event()
        self._life_scope: trio.CancelScope | None = None
        self._cause = ""
        self._is_ready = trio.Event()
        self._pong = trio.Event()
        self._pings = 0
        self._restarts = 0
        self._failures = 0  # in a row, of processes that died young
        self._failed_starts = 0  # in a row
        self._dropped = 0
        self._last_error = ""

    @property
    def is_available(self) -> bool:
        """Whether aiortc is there, and a process can be started as far as is known."""
        return self._has_library and self._failed_starts < _BROKEN_AFTER

    @property
    def settings(self) -> MediaSettings:
        return self._settings

    def view(self) -> MediaView:
        return MediaView(
            self._state, self._pid, len(self._peers), self._restarts, self._dropped, self._last_error
        )

    def open(self, request: PeerRequest, listener: PeerListener) -> MediaPeer:
        """A new peer; a failure is told on another turn of the loop."""
        self._last_number += 1
        peer = _Peer(self, self._last_number, listener)
        if self._state == "waiting" or not self._has_library:
            cause = self._last_error if self._has_library else "aiortc is not installed"
            self.refuse(peer, PeerFault.PROCESS, cause)
        elif len(self._peers) >= self._settings.most_peers:
            self.refuse(peer, PeerFault.BUSY, f"{len(self._peers)} peers are open")
        else:
            self._peers[peer.number] = peer
            self.send(_open(peer.number, request))
        return peer

    def send(self, message: ToMedia) -> None:
        """Put a message in order."""
        packed = wire.pack(message)
        self._outgoing.append(packed)
        self._outgoing_bytes += len(packed)
        self._has_outgoing.set()
        if self._outgoing_bytes > MOST_WAITING_BYTES:
            self._give_up(f"{self._outgoing_bytes} bytes wait for it")

    def refuse(self, peer: _Peer, fault: PeerFault, cause: str) -> None:
        """End a peer; it is told on another turn of the loop."""
        self._later.append(lambda: peer.fail(fault, cause))
        self._has_later.set()

    def forget(self, peer: _Peer) -> None:
        """A peer is over, and the process is told."""
        if self._peers.pop(peer.number, None) is not None:
            self.send(wire.Close(peer.number))

    async def run(self) -> None:
        """Keep the process until cancelled; then end it."""
        try:
            await self._run()
        except Exception:
            self._fail_all("what talks to it has crashed")
            self._state = "off"
            raise

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_later)
            while True:
                if not self._failed_starts:  # one that could not be started is tried again for its own sake
                    while not self._peers:
                        self._has_outgoing = trio.Event()
                        self._outgoing.clear()
                        self._outgoing_bytes = 0
                        await self._has_outgoing.wait()
                await self._live_and_fail()

    async def _tell_later(self) -> None:
        while True:
            await self._has_later.wait()
            while self._later:
                self._later.popleft()()
            self._has_later = trio.Event()

    async def _live_and_fail(self) -> None:
        began = trio.current_time()
        cause = await self._life()
        was_ready = self._is_ready.is_set()
        is_young = trio.current_time() - began < self._settings.restart_most_s
        self._failures = self._failures + 1 if is_young else 1
        self._failed_starts = 0 if was_ready else self._failed_starts + 1
        self._restarts += 1
        self._last_error = cause
        self._state, self._pid = "waiting", None
        wait_s = min(
            self._settings.restart_most_s, self._settings.restart_first_s * 2 ** min(16, self._failures - 1)
        )
        self._telemetry.warning(
            "media_process_died",
            cause=cause,
            failures=self._failures,
            peers=len(self._peers),
            retry_after_s=wait_s,
        )
        self._fail_all(cause)
        await trio.sleep(wait_s)
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._state = "off"

    def _fail_all(self, cause: str) -> None:
        for peer in list(self._peers.values()):
            peer.fail(PeerFault.PROCESS, f"the media process ended: {cause}")

    async def _life(self) -> str:
        """Start a process and talk to it until one of us cannot go on; returns why."""
        self._state = "starting"
        self._is_ready, self._pong, self._cause = trio.Event(), trio.Event(), ""
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(os.environ, _ROOT),
            )
        except OSError as error:
            return f"{self._command[0]}: {error}"
        self._pid = process.pid
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with trio.open_nursery() as nursery:
                self._life_scope = nursery.cancel_scope
                nursery.start_soon(self._until_end, process)
                nursery.start_soon(self._write, process.stdin)
                nursery.start_soon(self._read, process.stdout)
                nursery.start_soon(self._ask)
        finally:
            self._life_scope = None
            process.kill()
            with trio.move_on_after(_KILL_S, shield=True):
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()
        return self._cause

    def _give_up(self, cause: str) -> None:
        self._cause = self._cause or cause
        if self._life_scope is not None:
            self._life_scope.cancel()

    async def _until_end(self, process: trio.Process) -> None:
        self._give_up(f"it ended with status {await process.wait()}")

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        limits = self._settings
        configure = wire.Configure(
            most_peers=limits.most_peers,
            most_candidates=limits.most_candidates,
            connect_s=limits.connect_s,
            lost_after_s=limits.lost_after_s,
            gone_after_s=limits.gone_after_s,
            bitrate=limits.bitrate,
        )
        piece = wire.pack(configure)
        try:
            while True:
                await pipe.send_all(piece)
                while not self._outgoing:
                    self._has_outgoing = trio.Event()
                    await self._has_outgoing.wait()
                piece = b"".join(self._outgoing)
                self._outgoing.clear()
                self._outgoing_bytes = 0
        except trio.BrokenResourceError:
            await self._pipe_closed()

    async def _read(self, pipe: trio.abc.ReceiveStream) -> None:
        reader = PipeReader()
        while chunk := await pipe.receive_some(65_536):
            try:
                for payload in reader.feed(bytes(chunk)):
                    self._take(wire.from_media(payload))
            except (FrameError, msgspec.DecodeError, UnicodeDecodeError) as error:
                self._give_up(f"it wrote nonsense: {error}")
                return
        await self._pipe_closed()

    async def _pipe_closed(self) -> None:
        await trio.sleep(_KILL_S)  # its status says more, and comes at once
        self._give_up("it closed its pipe")

    async def _ask(self) -> None:
        """Whether it lives."""
        with trio.move_on_after(self._settings.start_s):
            await self._is_ready.wait()
        if not self._is_ready.is_set():
            self._give_up(f"it was not ready within {self._settings.start_s:g} s")
            return
        self._state = "running"
        self._failed_starts = 0
        self._telemetry.info("media_process_started", pid=self._pid)
        while True:
            self._pong = trio.Event()
            self._pings += 1
            self.send(wire.Ping(self._pings))
            for seconds in (self._settings.hang_s, _OWN_STALL_S):  # our own loop may have stood still
                with trio.move_on_after(seconds):
                    await self._pong.wait()
                    break
            if not self._pong.is_set():
                self._give_up(f"it gave no sign of life for {self._settings.hang_s:g} s")
                return
            await trio.sleep(self._settings.heartbeat_s)

    def _take(self, message: FromMedia) -> None:
        match message:
            case wire.Ready():
                self._is_ready.set()
            case wire.Pong():
                if message.number == self._pings:
                    self._pong.set()
                if message.dropped > self._dropped:
                    self._telemetry.count("media_audio_dropped", message.dropped - self._dropped)
                self._dropped = message.dropped
            case wire.Trouble():
                self._telemetry.warning("media_process_trouble", cause=message.cause)
            case _:
                peer = self._peers.get(message.peer)
                if peer is not None:
                    peer.tell(message)


class _Peer:
    """Implements `actors.webrtc.ports.MediaPeer`."""

    def __init__(self, process: MediaProcess, number: int, listener: PeerListener) -> None:
        self.number = number
        self._process = process
        self._listener = listener
        self._is_closed = False
        self._candidates = 0

    def make_offer(self, *, restart_ice: bool = False) -> None:
        self._send(wire.MakeOffer(self.number, restart_ice))

    def take_offer(self, sdp: str) -> None:
        if self._fits(sdp):
            self._send(wire.TakeOffer(self.number, sdp))

    def take_answer(self, sdp: str) -> None:
        if self._fits(sdp):
            self._send(wire.TakeAnswer(self.number, sdp))

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        self._candidates += 1
        most = self._process.settings.most_candidates
        if self._candidates == most + 1:
            self._process.refuse(self, PeerFault.CANDIDATE, f"more than {most} candidates")
        if self._candidates <= most:
            # What is too long for a candidate is none, and is told so; its end is not needed for that.
            self._send(
                wire.TakeCandidate(
                    self.number,
                    candidate[:1_000],
                    sdp_mline_index,
                    None if sdp_mid is None else sdp_mid[:100],
                )
            )

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._process.forget(self)

    def fail(self, fault: PeerFault, cause: str) -> None:
        """Tell a failure, and be closed by all but a candidate's."""
        if self._is_closed:
            return
        if fault is not PeerFault.CANDIDATE:
            self.close()
        self._listener.failed(fault, cause)

    def tell(self, message: FromMedia) -> None:
        """Tell what the process says of this peer."""
        match message:
            case wire.Heard():
                self._listener.audio(PeerAudio(message.pcm, message.position, message.concealed))
            case wire.Offered():
                self._listener.offered(message.sdp)
            case wire.Answered():
                self._listener.answered(message.sdp)
            case wire.StateIs():
                self._listener.state(PeerState(message.state))
            case wire.Figures():
                self._listener.stats(
                    PeerStats(
                        round_trip_s=message.round_trip_s,
                        jitter_s=message.jitter_s,
                        packets=message.packets,
                        bytes_in=message.bytes_in,
                        lost=message.lost,
                        recovered=message.recovered,
                        buffer_s=message.buffer_s,
                    )
                )
            case wire.Failed():
                self.fail(PeerFault(message.fault), message.cause)

    def _send(self, message: ToMedia) -> None:
        if not self._is_closed:
            self._process.send(message)

    def _fits(self, sdp: str) -> bool:
        most = self._process.settings.most_sdp_bytes
        size = len(sdp.encode(errors="replace"))
        if size > most and not self._is_closed:
            self._process.refuse(
                self, PeerFault.OFFER, f"a description of {size} bytes; expected at most {most}"
            )
        return size <= most


def _open(number: int, request: PeerRequest) -> wire.Open:
    return wire.Open(
        peer=number,
        codec=request.codec,
        ice_servers=tuple(
            wire.IceServer(urls=one.urls, username=one.username, credential=one.credential)
            for one in request.ice_servers
        ),
        allow_local=request.allow_local,
    )
