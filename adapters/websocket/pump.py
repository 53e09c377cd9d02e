"""The engine: every WebSocket of the process on one trio task over a nested epoll (DESIGN section 9).

A task per socket costs two switches a message. Here one task waits for epoll's own descriptor, reads what is
ready without blocking, and hands whole messages to plain calls, so that from a frame to its receivers'
sockets no task is woken. It works `turn_s` at most before other tasks run; a socket gets one read and
`frames_per_turn` frames before it is another's turn. Errors of one socket end that socket only.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import trio

from actors.ports import Connection, ConnectionHandler, Refused, Telemetry
from protocols import rest

from .connection import ServerConnection
from .handover import OpenConnection
from .load import PumpLoad
from .refusal import response_of
from .settings import EngineSettings
from .sockets import ConnectionSocket, Member, RefusedSocket

_EVENTS_A_POLL = 256
_STOPPING = Refused(503, rest.refusal(503, "Server is stopping"), {"Retry-After": "1"})


class Engine:
    """The WebSocket engine. `run` is one task; the rest is called from tasks of the same trio thread."""

    def __init__(
        self,
        *,
        telemetry: Telemetry,
        settings: EngineSettings | None = None,
        clock: Callable[[], float] = trio.current_time,
        next_id: Callable[[], str] | None = None,
        load: PumpLoad | None = None,
    ) -> None:
        """Open the selector.

        Args:
          load: told how far behind the pump is.
          clock: monotonic seconds, as fast as trio's; health and deadlines are in its time.
          next_id: names a connection; by default they are counted.
        """
        count = itertools.count(1)
        self.settings = settings or EngineSettings()
        self.now = 0.0
        self._load = load or PumpLoad()
        self._telemetry = telemetry
        self._clock = clock
        self._next_id = next_id or (lambda: f"connection-{next(count)}")
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._members: dict[int, Member] = {}
        self._jobs: deque[tuple[int, int]] = deque()  # what epoll named and nobody worked on yet
        self._leftovers: dict[Member, None] = {}  # have received frames beyond their share of a turn
        self._ended: list[ServerConnection] = []
        self._deadlines: list[tuple[float, int, Member]] = []
        self._deadline_count = itertools.count()
        self._deadline_added = trio.Event()
        self._emptied = trio.Event()
        self._thawed = trio.Event()
        self._thawed.set()
        self._is_in_turn = False
        self._is_stopping = False
        self._is_closed = False

    # What config, the listener and the console call

    async def run(self) -> None:
        """Serve until cancelled. Every connection left then ends with a reset, and its handler is told."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._alarm)
                await self._pump()
        finally:
            self._is_stopping = True
            self._abandon_all()
            self._is_closed = True
            self._epoll.close()
            os.close(self._wake_fd)

    def adopt(
        self, sock: socket.socket, handler: ConnectionHandler, *, upgrade_raw: bytes | None = None
    ) -> None:
        """Take over a socket whose WebSocket request is admitted: answer 101, then call `handler.opened`.

        A socket that cannot be taken (its peer is gone, the selector is full) is closed, and one that comes
        while the engine stops is refused with 503. `handler` hears nothing of a connection that never opened.

        Args:
          sock: connected and non-blocking. The engine owns it from here on.
          upgrade_raw: what was already read of the request; None when it was only peeked at.
        """
        if self._is_stopping:
            self.refuse(sock, _STOPPING)
            return
        peer = self._prepare(sock)
        if peer is None:
            return
        member = ConnectionSocket(self, sock, peer)
        member.connection = ServerConnection(
            member,
            handler,
            id=self._next_id(),
            peer=peer,
            settings=self.settings,
            clock=self._clock,
            telemetry=self._telemetry,
        )
        self._members[member.fd] = member
        self.now = self._clock()
        if upgrade_raw:
            member.connection.receive(upgrade_raw, self.now)
        self._drive(member, select.EPOLLIN)

    def refuse(self, sock: socket.socket, refused: Refused) -> None:
        """Answer the unread request on `sock` with a refusal, and end it within the handshake timeout."""
        peer = self._prepare(sock)
        if peer is None:
            return
        member = RefusedSocket(self, sock, peer, response_of(refused))
        self._members[member.fd] = member
        member.expire_at(self._clock() + self.settings.handshake_timeout_s)
        self._drive(member, select.EPOLLIN)

    def connections(self) -> Sequence[Connection]:
        """Every connection that is open now."""
        members = self._members.values()
        return [m.connection for m in members if isinstance(m, ConnectionSocket) and m.connection.is_open]

    async def close_all(
        self, code: int = 1012, reason: str = "server restarts", *, timeout_s: float = 5.0
    ) -> None:
        """Close every connection, take no more, reset those not gone in time; all handlers are told."""
        self._is_stopping = True
        for connection in self.connections():
            connection.close(code, reason)
        with trio.move_on_after(timeout_s):
            while self._members:
                self._emptied = trio.Event()
                await self._emptied.wait()
        self._abandon_all()

    # Handing connections to another process

    def freeze(self) -> None:
        """Read nothing more, and meet no deadline, until `thaw`. What is sent still leaves."""
        self._thawed = trio.Event()
        self._load.drained(time.perf_counter())  # what waits now is nobody's overload

    def thaw(self) -> None:
        """Go on. Nothing is lost: what came meanwhile waits in the sockets."""
        self._thawed.set()

    @property
    def is_frozen(self) -> bool:
        return not self._thawed.is_set()

    def settle(self) -> bool:
        """While frozen: tell handlers of connections that broke in a send; whether there were any."""
        has_ended = bool(self._ended)
        self._settle()
        return has_ended

    def record(self) -> list[tuple[ServerConnection, socket.socket, OpenConnection]]:
        """While frozen: every open connection with its socket. Nothing changes here."""
        now = self._clock()
        members = [m for m in self._members.values() if isinstance(m, ConnectionSocket)]
        return [(m.connection, m.sock, m.connection.record(now)) for m in members if m.connection.is_open]

    def let_go(self, given: Iterable[ServerConnection]) -> None:
        """Close our copies of the sockets of `given`: another process has them, and they stay open."""
        connections = set(map(id, given))
        for member in list(self._members.values()):
            if isinstance(member, ConnectionSocket) and id(member.connection) in connections:
                member.close()

    def finish(self, within_s: float) -> None:
        """Close what is left and end the closing handshakes under way, in this call: the loop stands still.

        For the last moments of a process whose actors are not to run any more.
        """
        self._is_stopping = True
        for connection in self.connections():
            connection.close(1012, "server restarts")
        ends_at = time.monotonic() + within_s
        while self._members and time.monotonic() < ends_at:
            self._jobs.extend(self._epoll.poll(ends_at - time.monotonic(), _EVENTS_A_POLL))
            self._is_in_turn = True
            self._turn()
            self._is_in_turn = False

    def take_over(
        self, sock: socket.socket, record: OpenConnection, handler: ConnectionHandler
    ) -> ServerConnection | None:
        """Go on with a connection that another process has recorded. `handler.opened` is not called.

        Args:
          sock: connected. The engine owns it from here on.

        Returns: the connection, or None when its peer is gone already.
        """
        peer = self._prepare(sock)
        if peer is None:
            return None
        member = ConnectionSocket(self, sock, peer)
        connection = member.connection = ServerConnection(
            member,
            handler,
            id=record.id,
            peer=peer,
            settings=self.settings,
            clock=self._clock,
            telemetry=self._telemetry,
        )
        self._members[member.fd] = member
        connection.resume(record, self._clock())
        if connection.has_backlog:
            self.add_leftover(member)
        return connection

    # What the sockets call: sockets.Selector

    def select(self, member: Member) -> None:
        self._epoll.modify(member.fd, member.interest)

    def remove(self, member: Member) -> None:
        self._epoll.unregister(member.fd)
        del self._members[member.fd]
        self._leftovers.pop(member, None)
        if not self._members:
            self._emptied.set()

    def add_deadline(self, member: Member, deadline: float) -> None:
        entry = (deadline, next(self._deadline_count), member)
        heapq.heappush(self._deadlines, entry)
        if self._deadlines[0] is entry:
            self._deadline_added.set()

    def add_leftover(self, member: Member) -> None:
        self._leftovers[member] = None
        self._wake()

    def add_ended(self, connection: ServerConnection) -> None:
        self._ended.append(connection)
        self._wake()

    # The task

    async def _pump(self) -> None:
        while True:
            if self.is_frozen:
                await self._thawed.wait()
            elif self._jobs or self._leftovers:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            if self.is_frozen:
                continue
            self._is_in_turn = True
            self._turn()
            self._is_in_turn = False

    def _turn(self) -> None:
        """Work until nothing is ready, or `turn_s` is over.

        What is ready but not worked on stays in `_jobs`: asking epoll again instead would favour whom it
        names first. And asking again within the turn saves the 14 us that trio takes to wait.
        """
        began_at = time.perf_counter()
        ends_at = began_at + self.settings.turn_s
        self._load.begin(began_at)
        self.now = self._clock()
        while self._jobs or self._find_jobs():
            fd, mask = self._jobs.popleft()
            member = self._members.get(fd)
            if member is not None:
                self._drive(member, mask)
            elif fd == self._wake_fd:
                os.eventfd_read(fd)
            now = time.perf_counter()
            if now > ends_at:
                self._load.cut(now)
                break
        else:
            self._load.drained(time.perf_counter())
        self._settle()

    def _find_jobs(self) -> bool:
        self._jobs.extend([(member.fd, 0) for member in self._leftovers])
        self._leftovers.clear()
        events = self._epoll.poll(0, _EVENTS_A_POLL)
        self._jobs.extend(events)
        if len(events) < _EVENTS_A_POLL:
            self._load.looked(time.perf_counter())
        self._settle()
        return bool(self._jobs)

    async def _alarm(self) -> None:
        """Meet the deadlines. A timeout around the pump's wait instead costs 14 us a wait."""
        while True:
            self._deadline_added = trio.Event()
            deadline = self._next_deadline()
            with trio.CancelScope() as scope:
                if deadline is not None:
                    scope.deadline = trio.current_time() + deadline - self._clock()
                await self._deadline_added.wait()
            await self._thawed.wait()
            self._expire()

    def _drive(self, member: Member, mask: int) -> None:
        try:
            member.ready(mask)
        except Exception as error:
            self._give_up(member, error)

    def _expire(self) -> None:
        now = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, member = heapq.heappop(self._deadlines)
            if member.deadline == deadline:
                member.deadline = None
                try:
                    member.expired()
                except Exception as error:
                    self._give_up(member, error)

    def _next_deadline(self) -> float | None:
        while self._deadlines:
            deadline, _, member = self._deadlines[0]
            if member.deadline == deadline:
                return deadline
            heapq.heappop(self._deadlines)
        return None

    def _settle(self) -> None:
        ended, self._ended = self._ended, []
        for connection in ended:
            connection.settle()

    def _wake(self) -> None:
        if not self._is_in_turn and not self._is_closed:
            os.eventfd_write(self._wake_fd, 1)

    # Taking and giving up sockets

    def _prepare(self, sock: socket.socket) -> str | None:
        """Set the socket up and put it into the selector; its peer's address, None when that failed."""
        try:
            sock.setblocking(False)
            host, port = sock.getpeername()[:2]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self.settings.unsent_bytes)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.settings.receive_buffer_bytes)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        except (OSError, ValueError) as error:  # ValueError: the selector is closed
            self._telemetry.warning("websocket.not_adopted", cause=repr(error))
            sock.close()
            return None
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _give_up(self, member: Member, error: Exception) -> None:
        self._telemetry.error("websocket.socket_failed", peer=member.peer, cause=repr(error))
        member.abandon()

    def _abandon_all(self) -> None:
        for member in list(self._members.values()):
            member.abandon()
        self._settle()
