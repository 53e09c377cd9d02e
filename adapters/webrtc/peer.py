"""A peer in the media process: obeys in order, watches its connection, and ends alone.

aiortc knows no ICE restart. An offer with other ICE credentials gets another connection, which takes over
once it stands; what was heard by the one before goes on to be heard until then, and the position goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple

from aiortc.stats import RTCInboundRtpStreamStats

from protocols import media_process as wire
from protocols.media_process import Configure, Fault, FromMedia, Open, State

from . import ice
from .candidates import Candidate, judge
from .connection import FRAME_BYTES, Connection, NoCodecError, Packet
from .descriptions import Remote, SdpSession, UnusableError, read_remote
from .g711 import G711Decoder
from .listening import Listening, Piece
from .opus import OpusDecoder

MOST_COMMANDS: Final = 128
MOST_PACKETS_A_SECOND: Final = 500  # 50 to 100 are speech
_COMMAND_S: Final = 10.0
_CLOSE_S: Final = 2.0
_TICK_S: Final = 0.5

Command = wire.MakeOffer | wire.TakeOffer | wire.TakeAnswer | wire.TakeCandidate


class FaultError(Exception):
    """What ends a peer."""

    def __init__(self, fault: Fault, cause: str) -> None:
        super().__init__(cause)
        self.fault: Fault = fault


class _Source(NamedTuple):
    connection: Connection
    ssrc: int
    codec: str


class Peer:
    """One peer.

    Args:
      tell: takes what is told of it.
    """

    def __init__(self, request: Open, limits: Configure, tell: Callable[[FromMedia], None]) -> None:
        self._request = request
        self._limits = limits
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._commands: asyncio.Queue[Command | FaultError] = asyncio.Queue()
        self._connections: list[Connection] = []  # the newest last
        self._session = SdpSession()
        self._early: list[Candidate] = []
        self._candidates = 0
        self._state: State = "new"
        self._is_lost = False
        self._deadline: float | None = None
        self._heard_at = 0.0
        self._round_trip_s: float | None = None
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._unsaid = b""
        self._listening: Listening | None = None
        self._source: _Source | None = None
        self._overdue: asyncio.TimerHandle | None = None
        self._before = wire.Figures(peer=request.peer)  # of the sources before this one
        self._packets = 0  # in this second

    def obey(self, command: Command) -> None:
        """Do it when its turn comes; a peer that is sent more than it can do ends."""
        if self._commands.qsize() >= MOST_COMMANDS:
            self._end(FaultError("offer", f"more than {MOST_COMMANDS} messages wait"))
        else:
            self._commands.put_nowait(command)

    def speak(self, pcm: bytes) -> None:
        """Send audio; it is lost while nobody is connected."""
        self._unsaid += pcm
        whole = len(self._unsaid) // FRAME_BYTES * FRAME_BYTES
        said, self._unsaid = self._unsaid[:whole], self._unsaid[whole:]
        connection = self._connected()
        if connection is None or connection.voice is None:
            return
        for start in range(0, whole, FRAME_BYTES):
            connection.voice.say(said[start : start + FRAME_BYTES])

    async def run(self) -> None:
        """Live until something ends it, which is told, or until cancelled."""
        ice.allow_local.set(self._request.allow_local)
        tasks = [asyncio.create_task(self._obey()), asyncio.create_task(self._watch())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except FaultError as error:
            self._tell(wire.Failed(self._request.peer, error.fault, str(error)))
        except Exception as error:  # one peer's trouble is no other's
            self._tell(wire.Failed(self._request.peer, "media", f"{type(error).__name__}: {error}"[:200]))
        finally:
            if self._overdue is not None:
                self._overdue.cancel()
            await self._put_away([*tasks, *self._side_tasks], self._connections)

    # What it is told to do

    async def _obey(self) -> None:
        while True:
            command = await self._commands.get()
            if isinstance(command, FaultError):
                raise command
            if isinstance(command, wire.TakeCandidate):
                self._take_candidate(command.candidate)
                continue
            if self._deadline is None:
                self._deadline = self._loop.time() + self._limits.connect_s
            try:
                async with asyncio.timeout(_COMMAND_S):
                    await self._negotiate(command)
            except (FaultError, asyncio.CancelledError):
                raise
            except TimeoutError as error:
                raise FaultError("ice", f"no candidates of our own within {_COMMAND_S:g} s") from error
            except NoCodecError as error:
                raise FaultError("media", str(error)) from error
            except UnusableError as error:
                raise FaultError("offer", str(error)) from error
            except Exception as error:
                raise FaultError("offer", f"{type(error).__name__}: {error}"[:200]) from error

    async def _negotiate(self, command: wire.MakeOffer | wire.TakeOffer | wire.TakeAnswer) -> None:
        peer = self._request.peer
        if isinstance(command, wire.MakeOffer):
            connection = self._for_our_offer(restart_ice=command.restart_ice)
            self._tell(wire.Offered(peer, self._session.name(await connection.offer())))
            return
        is_offer = isinstance(command, wire.TakeOffer)
        remote = read_remote(
            command.sdp,
            is_offer=is_offer,
            speaks=self._request.role == "speaks",
            allow_local=self._request.allow_local,
            most_candidates=self._limits.most_candidates,
        )
        if is_offer:
            connection = self._for_their_offer(remote)
            self._tell(wire.Answered(peer, self._session.name(await connection.answer(remote))))
        else:
            if not self._connections or self._connections[-1].signaling != "have-local-offer":
                return  # of an offer that is taken back
            connection = self._connections[-1]
            await connection.take_answer(remote)
        early, self._early = self._early, []
        for candidate in (*remote.candidates, *early):
            self._follow(connection, candidate)

    def _for_our_offer(self, *, restart_ice: bool) -> Connection:
        newest = self._connections[-1] if self._connections else None
        if newest is None or restart_ice or newest.signaling != "stable":
            return self._connect()
        return newest

    def _for_their_offer(self, remote: Remote) -> Connection:
        newest = self._connections[-1] if self._connections else None
        if newest is None or newest.remote_ufrag != remote.ufrag:
            return self._connect()
        if newest.signaling == "have-local-offer":
            newest.take_back()
        return newest

    def _connect(self) -> Connection:
        """Another connection. One that stands is kept until this one does; others are of no use now."""
        useless = [one for one in self._connections if one.state != "connected"]
        try:
            connection = Connection(
                self._request,
                bitrate=self._limits.bitrate,
                hears=self._hear,
                changed=self._changed,
                before=self._connections[-1] if self._connections else None,
            )
        except ValueError as error:
            raise FaultError("ice", f"an ICE server of the settings: {error}") from error
        self._connections = [one for one in self._connections if one not in useless] + [connection]
        self._deadline = self._loop.time() + self._limits.connect_s
        self._aside(self._put_away([], useless))
        return connection

    def _take_candidate(self, text: str) -> None:
        if not text.strip():
            return  # there are no more
        self._candidates += 1
        if self._candidates > self._limits.most_candidates:
            return
        candidate = judge(text, allow_local=self._request.allow_local)
        if candidate == "malformed":
            self._tell(wire.Failed(self._request.peer, "candidate", f"{text[:80]!r} is no candidate"))
        elif isinstance(candidate, Candidate):
            if self._connections and self._connections[-1].remote_ufrag:
                self._follow(self._connections[-1], candidate)
            else:
                self._early.append(candidate)

    def _follow(self, connection: Connection, candidate: Candidate) -> None:
        self._aside(connection.add(candidate))

    # What becomes of its connections

    def _changed(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        if connection.state == "connected":
            older = [one for one in self._connections if one is not connection]
            self._connections = [connection]
            self._deadline = None
            self._heard_at = self._loop.time()
            self._is_lost = False
            self._aside(self._put_away([], older))
        elif connection.state in ("failed", "closed"):
            self._connections.remove(connection)
            self._aside(self._put_away([], [connection]))
            if not self._connections:
                is_closed = connection.state == "closed"
                cause = "the other side closed it" if is_closed else "no way to the other side"
                self._state_is("closed" if is_closed else "failed")
                self._end(FaultError("ice", cause))
                return
        self._tell_state()

    def _tell_state(self) -> None:
        if self._connected() is not None:
            self._state_is("disconnected" if self._is_lost else "connected")
        elif self._connections:
            self._state_is("connecting" if self._connections[-1].state == "connecting" else "new")

    def _state_is(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._tell(wire.StateIs(self._request.peer, state))

    def _connected(self) -> Connection | None:
        return next((one for one in self._connections if one.state == "connected"), None)

    def _end(self, error: FaultError) -> None:
        self._commands.put_nowait(error)

    async def _watch(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            now = self._loop.time()
            connection = self._connected()
            if connection is None:
                if self._deadline is not None and now > self._deadline:
                    raise FaultError("ice", f"not connected within {self._limits.connect_s:g} s")
                continue
            if self._deadline is not None and now > self._deadline:
                self._deadline = None  # of another connection that never stood: this one goes on
                self._aside(self._put_away([], [one for one in self._connections if one is not connection]))
                self._connections = [connection]
            if ticks % 2 == 0 or self._is_lost:
                await self._check(connection)
            if ticks % 2 == 0:
                await self._figure(connection)

    async def _check(self, connection: Connection) -> None:
        """Is anybody there?"""
        round_trip_s = await connection.round_trip()
        now = self._loop.time()
        if round_trip_s is not None:
            self._round_trip_s = round_trip_s
            self._heard_at = now
        silent_s = now - self._heard_at
        if silent_s > self._limits.gone_after_s:
            self._state_is("failed")
            raise FaultError("ice", f"nothing was heard for {silent_s:.0f} s")
        self._is_lost = silent_s > self._limits.lost_after_s
        self._tell_state()

    async def _figure(self, connection: Connection) -> None:
        if self._packets > MOST_PACKETS_A_SECOND:
            raise FaultError("media", f"{self._packets} packets in a second")
        self._packets = 0
        report = await connection.stats()
        if connection.voice is not None:
            connection.voice.adapt(report)
            return
        jitter_s = 0.0
        for one in report.values():
            if isinstance(one, RTCInboundRtpStreamStats) and self._source and one.ssrc == self._source.ssrc:
                jitter_s = one.jitter / (48_000 if self._source.codec == "opus" else 8_000)
        self._tell(self._figures(jitter_s))

    def _figures(self, jitter_s: float = 0.0) -> wire.Figures:
        before, now = self._before, self._listening
        if now is None:
            return before
        return wire.Figures(
            peer=self._request.peer,
            round_trip_s=self._round_trip_s,
            jitter_s=jitter_s,
            packets=before.packets + now.packets,
            bytes_in=before.bytes_in + now.bytes_in,
            lost=before.lost + now.lost,
            recovered=before.recovered + now.recovered,
            buffer_s=now.waiting * 0.02,
        )

    # What it hears

    def _hear(self, connection: Connection, packet: Packet) -> None:
        now = self._loop.time()
        self._heard_at = now
        self._packets += 1
        source = _Source(connection, packet.source, packet.codec)
        if self._listening is None or source != self._source:
            if connection not in self._connections or self._packets > MOST_PACKETS_A_SECOND:
                return  # of a connection that is over; or sources enough for a second
            self._begin(source, now)
        assert self._listening is not None
        self._say(self._listening.take(packet.number, packet.timestamp, packet.payload, now))

    def _begin(self, source: _Source, now: float) -> None:
        """Another sender, or another codec: the position goes on."""
        position = 0 if self._listening is None else self._listening.end
        self._before = self._figures()
        self._source = source
        is_opus = source.codec.lower() == "opus"
        self._listening = Listening(
            OpusDecoder() if is_opus else G711Decoder(source.codec.upper()), now=now, position=position
        )

    def _say(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._tell(wire.Heard(self._request.peer, piece.pcm, piece.position, piece.concealed))
        assert self._listening is not None
        due = self._listening.due_at
        if self._overdue is not None:
            self._overdue.cancel()
        self._overdue = None if due is None else self._loop.call_at(due, self._no_longer)

    def _no_longer(self) -> None:
        assert self._listening is not None
        self._overdue = None
        self._say(self._listening.overdue(self._loop.time()))

    # What goes on beside

    def _aside(self, what: object) -> None:
        task = asyncio.ensure_future(what)  # type: ignore[call-overload]
        self._side_tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._side_tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a candidate that led nowhere, a connection that did not close well

    async def _put_away(self, tasks: list[asyncio.Task[None]], connections: list[Connection]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_S):
                    await connection.close()
