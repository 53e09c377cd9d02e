"""The pump's sockets: a connection's `Wire`, and a refused request that is answered and ended.

A member is closed in one place, `close`, which first takes it out of the selector: an event of the same
turn that still names its descriptor finds nobody, or finds a newer socket that merely has nothing to read.
"""

from __future__ import annotations

import abc
import contextlib
import select
import socket
import struct
from typing import Protocol

from .connection import ServerConnection
from .settings import EngineSettings

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s: close sends a reset
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT


class Selector(Protocol):
    """What a member needs of the pump."""

    settings: EngineSettings
    now: float

    def select(self, member: Member) -> None:
        """`member.interest` changed."""

    def remove(self, member: Member) -> None:
        """Forget the member: its socket is about to be closed."""

    def add_deadline(self, member: Member, deadline: float) -> None:
        """Call `member.expired` then, if `member.deadline` is still this one."""

    def add_leftover(self, member: Member) -> None:
        """Call `member.ready(0)` in the next turn."""

    def add_ended(self, connection: ServerConnection) -> None:
        """Call `connection.settle` before the turn ends, or in the next one."""


class Member(abc.ABC):
    """A non-blocking socket in the selector."""

    __slots__ = ("deadline", "fd", "interest", "is_released", "peer", "selector", "sock")

    def __init__(self, selector: Selector, sock: socket.socket, peer: str) -> None:
        self.selector = selector
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.interest: int = _READ
        self.deadline: float | None = None
        self.is_released = False

    @abc.abstractmethod
    def ready(self, mask: int) -> None:
        """The selector saw `mask`; 0 means that the member asked for another turn."""

    @abc.abstractmethod
    def expired(self) -> None:
        """The deadline has come."""

    @abc.abstractmethod
    def abandon(self) -> None:
        """End it at once."""

    def want(self, *, read: bool, write: bool) -> None:
        interest = (_READ if read else 0) | (_WRITE if write else 0)
        if interest != self.interest:
            self.interest = interest
            self.selector.select(self)

    def expire_at(self, deadline: float | None) -> None:
        self.deadline = deadline
        if deadline is not None:
            self.selector.add_deadline(self, deadline)

    def finish(self) -> None:
        # The peer may have reset it meanwhile; the next read tells.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if not self.is_released:
            self.is_released = True
            self.deadline = None
            self.selector.remove(self)
            self.sock.close()

    def reset(self) -> None:
        if not self.is_released:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close()


class ConnectionSocket(Member):
    """The `Wire` of a connection."""

    __slots__ = ("_recv", "_send", "connection")

    connection: ServerConnection

    def __init__(self, selector: Selector, sock: socket.socket, peer: str) -> None:
        super().__init__(selector, sock, peer)
        self._recv = sock.recv
        self._send = sock.send

    def try_send(self, data: bytes | memoryview, /) -> int:
        try:
            return self._send(data)
        except BlockingIOError:
            return 0

    def want(self, *, read: bool, write: bool) -> None:
        super().want(read=read, write=write)
        if read and self.connection.has_backlog:
            self.selector.add_leftover(self)

    def ended(self) -> None:
        self.selector.add_ended(self.connection)

    def ready(self, mask: int) -> None:
        connection = self.connection
        if mask & _WRITE:
            connection.writable()
        if self.is_released or mask == _WRITE:
            return
        if not self.interest & _READ:
            return  # not even its backlog; `want` brings it back. An error shows in the send that waits.
        if connection.has_backlog:
            if mask == 0:
                connection.work()
        else:
            try:
                data = self._recv(self.selector.settings.read_bytes)
            except BlockingIOError:
                return
            except OSError:
                connection.lost()
                return
            if not data:
                connection.receive_eof()
                return
            connection.receive(data, self.selector.now)
        if connection.has_backlog:
            self.selector.add_leftover(self)

    def expired(self) -> None:
        self.connection.expired()

    def abandon(self) -> None:
        self.connection.abort()


class RefusedSocket(Member):
    """Takes a request without reading meaning into it, and gives the answer it was made with."""

    __slots__ = ("_rest",)

    def __init__(self, selector: Selector, sock: socket.socket, peer: str, answer: bytes) -> None:
        super().__init__(selector, sock, peer)
        self._rest = memoryview(answer)

    def ready(self, mask: int) -> None:
        try:
            # The request is read off first: closing over unread bytes sends a reset, which can overtake the
            # answer.
            if mask & ~_WRITE and not self.sock.recv(self.selector.settings.read_bytes):
                self.close()
                return
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._rest:
            self._write()

    def _write(self) -> None:
        try:
            self._rest = self._rest[self.sock.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._rest:
            self.want(read=True, write=True)
        else:
            self.finish()
            self.want(read=True, write=False)

    def expired(self) -> None:
        self.reset()

    def abandon(self) -> None:
        self.reset()
