"""The port: accepts connections, looks at what each one wants, and hands it over.

An upgrade to a path that has a gate goes to the gate and then to the WebSocket engine; everything else goes
to the HTTP handler, untouched: the head was only looked at (`peek`), so whoever gets the socket reads it
from its first byte. Engine, gates and HTTP handler are injected.

What decides its shape. A dial storm (all phones come back after a restart) is accepted many at a time, and
costs one task each. A slow or silent dialler holds nothing that others need: the heads being waited for are
bounded, the longest-waiting one makes room, and nothing is limited by address, since one app server or one
proxy may stand for thousands of sessions (protocol.md 13.8). No exception of one connection reaches
another.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, Protocol

import msgspec
import trio

from actors.ports import Admitted, ConnectionHandler, Gate, Refused, Telemetry
from adapters.listener.head import BadHead, Head, make_upgrade
from adapters.listener.peek import await_head, peek_head
from protocols import rest

_ACCEPTS_PER_TURN: Final = 64
_LINGER_S: Final = 2.0
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
# accept(2): errors of the connection that was to be accepted, not of the listening socket.
_CONNECTION_FAULTS: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
    }
)


class Engine(Protocol):
    """The WebSocket engine. From the call on the socket is its own."""

    def adopt(self, sock: socket.socket, handler: ConnectionHandler) -> object:
        """Read the upgrade from `sock`, answer it with 101 and bind `handler`."""

    def refuse(self, sock: socket.socket, refused: Refused) -> object:
        """Read the upgrade from `sock`, answer it with `refused` and close."""


HttpHandler = Callable[[trio.SocketStream], Awaitable[None]]
"""Serves one HTTP connection to its end."""


class ListenerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    head_s: seconds a dialler has to send a complete request head; phones and SDKs send it with the dial.
    admit_s: seconds a gate may take; it asks the store at most.
    waiting_heads: connections whose head is not complete; past it the longest-waiting one is closed.
    out_of_resources_s: pause when the process has no file descriptors left.
    """

    head_s: float = 10.0
    admit_s: float = 5.0
    waiting_heads: int = 4096
    out_of_resources_s: float = 0.1


class Listener:
    """Serves one listening socket until it is told to stop.

    Args:
      listening: bound and listening; the listener closes it.
      gates: by path without owner prefix.
      node_name: this node's name in `/o/<owner>/`; None accepts every owner (DESIGN section 10).
      is_paused: accept nobody before `resume`.
    """

    def __init__(
        self,
        listening: socket.socket,
        *,
        gates: Mapping[str, Gate],
        engine: Engine,
        http: HttpHandler,
        telemetry: Telemetry,
        node_name: str | None = None,
        limits: ListenerLimits | None = None,
        is_paused: bool = False,
    ) -> None:
        self._listening = listening
        self._gates = gates
        self._engine = engine
        self._http = http
        self._telemetry = telemetry
        self._node_name = node_name
        self._limits = limits or ListenerLimits()
        self._accepting = trio.CancelScope()
        self._waiting: dict[trio.CancelScope, None] = {}  # in the order of their coming
        self._until_paused = trio.CancelScope()
        self._undecided: set[trio.CancelScope] = set()  # of connections nobody has taken a byte from
        self._held: list[tuple[socket.socket, str]] = []
        self._resumed = trio.Event()
        if not is_paused:
            self._resumed.set()

    @property
    def waiting_heads(self) -> int:
        """Connections whose request head is not complete yet."""
        return len(self._waiting)

    async def run(self) -> None:
        """Accept until `stop_accepting`; return when the last connection not handed to the engine has ended.

        Cancellation: closes the listening socket and those connections.
        """
        self._listening.setblocking(False)
        async with trio.open_nursery() as connections:
            try:
                with self._accepting:
                    while True:
                        await self._resumed.wait()
                        held, self._held = self._held, []
                        for sock, peer in held:
                            connections.start_soon(self._serve, sock, peer)
                        with trio.CancelScope() as self._until_paused:
                            await self._accept(connections)
            finally:
                self._listening.close()
                for sock, _ in self._held:
                    sock.close()

    def stop_accepting(self) -> None:
        """Close the listening socket and the connections that have not said yet what they want."""
        self._accepting.cancel()
        for scope in self._waiting:
            scope.cancel()

    def pause(self) -> None:
        """Accept nobody until `resume`; dials wait in the backlog.

        Connections that have not been handed over yet, and from which nobody has taken a byte, are held from
        the next turn of the loop on (`held`).
        """
        self._resumed = trio.Event()
        self._until_paused.cancel()
        for scope in self._undecided:
            scope.cancel()

    def resume(self) -> None:
        """Go on, with the connections that are held too."""
        self._resumed.set()

    @property
    def held(self) -> Sequence[socket.socket]:
        """Connections that wait for `resume`, unread."""
        return [sock for sock, _ in self._held]

    def hold(self, sock: socket.socket) -> None:
        """While paused: keep a connection, of which nobody has read, for `resume`. The listener owns it."""
        try:
            self._held.append((sock, _peer_name(sock.getpeername())))
        except OSError:  # the peer is gone
            sock.close()

    async def _accept(self, connections: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._listening)
            for _ in range(_ACCEPTS_PER_TURN):
                try:
                    sock, address = self._listening.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _OUT_OF_RESOURCES:
                        await self._wait_for_resources(error)
                        break
                    if error.errno not in _CONNECTION_FAULTS:
                        raise
                    self._telemetry.count("listener.dial_aborted")
                    continue
                connections.start_soon(self._serve, sock, _peer_name(address))
            await trio.lowlevel.checkpoint()

    async def _wait_for_resources(self, error: OSError) -> None:
        """The dial stays in the backlog; the head that has waited longest gives its descriptor back."""
        self._telemetry.warning("listener.out_of_resources", cause=errno.errorcode[error.errno or 0])
        self._drop_longest_waiting()
        await trio.sleep(self._limits.out_of_resources_s)

    async def _serve(self, sock: socket.socket, peer: str) -> None:
        self._telemetry.count("listener.accepted")
        handed_over = False
        head: Head | BadHead | None = None
        verdict: Admitted | Refused | None = None
        undecided = trio.CancelScope()  # its deadline is the gate's: a scope of its own costs 2 % of a dial
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._undecided.add(undecided)
            with undecided:
                if not self._resumed.is_set():
                    undecided.cancel()
                    await trio.lowlevel.checkpoint()
                head = peek_head(sock) or await self._await_head(sock)
                if isinstance(head, Head) and head.is_upgrade:
                    undecided.deadline = trio.current_time() + self._limits.admit_s
                    verdict = await self._admit(head, peer)
            if undecided.cancelled_caught and trio.current_time() >= undecided.deadline:
                verdict = self._too_slow(head)
            if undecided.cancelled_caught and verdict is None:
                handed_over = True
                self._held.append((sock, peer))
            elif isinstance(head, BadHead):
                self._telemetry.info("listener.bad_head", peer=peer, status=head.status, cause=head.reason)
                await _turn_away(sock, head)
            elif verdict is not None:
                handed_over = True
                if isinstance(verdict, Admitted):
                    self._engine.adopt(sock, verdict.handler)
                else:
                    self._engine.refuse(sock, verdict)
            elif head is not None:
                async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
                    await self._http(stream)
        except Exception as error:
            self._telemetry.error("listener.connection_failed", peer=peer, cause=repr(error))
            handed_over = False
        finally:
            self._undecided.discard(undecided)
            if not handed_over:
                sock.close()

    async def _await_head(self, sock: socket.socket) -> Head | BadHead | None:
        scope = trio.CancelScope(deadline=trio.current_time() + self._limits.head_s)
        self._waiting[scope] = None
        if len(self._waiting) > self._limits.waiting_heads:
            self._drop_longest_waiting()
        try:
            with scope:
                return await await_head(sock)
        finally:
            self._waiting.pop(scope, None)
        if trio.current_time() >= scope.deadline:
            return BadHead(408, "no complete request head in time")
        self._telemetry.count("listener.head_dropped")
        return None

    def _drop_longest_waiting(self) -> None:
        if self._waiting:
            scope = next(iter(self._waiting))
            del self._waiting[scope]
            scope.cancel()

    async def _admit(self, head: Head, peer: str) -> Admitted | Refused:
        gate = self._gates.get(head.path)
        if gate is None or (self._node_name is not None and head.owner not in (None, self._node_name)):
            self._telemetry.info("listener.unknown_path", peer=peer, path=head.path, owner=head.owner)
            return _refusal(404, "Not found")
        try:
            return await gate.admit(make_upgrade(head, peer))
        except Exception as error:
            self._telemetry.error("listener.gate_failed", path=head.path, cause=repr(error))
            return _refusal(500, "Internal server error")

    def _too_slow(self, head: Head | BadHead | None) -> Refused:
        path = head.path if isinstance(head, Head) else None
        self._telemetry.warning("listener.gate_too_slow", path=path, limit_s=self._limits.admit_s)
        return _refusal(503, "Busy, try again", {"Retry-After": "1"})


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    content = {"Content-Type": "application/json", **(headers or {})}
    return Refused(status, rest.refusal(status, message), content)


async def _turn_away(sock: socket.socket, head: BadHead) -> None:
    """Answer what is no request, and wait a moment for the peer to read it.

    Closing a socket with unread bytes in it makes the kernel send a reset, and a reset takes the answer
    with it.
    """
    body = rest.refusal(head.status, head.reason)
    answer = (
        f"HTTP/1.1 {head.status} {HTTPStatus(head.status).phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        sock.send(answer.encode() + body)  # 200 bytes into an empty send buffer: all of it or an error
        sock.shutdown(socket.SHUT_WR)
        with trio.move_on_after(_LINGER_S):
            stream = trio.socket.from_stdlib_socket(sock)
            while await stream.recv(65536):
                pass
    except OSError:  # the peer is gone, and with it the one who wanted an answer
        return


def _peer_name(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
