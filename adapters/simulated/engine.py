"""The engine's twin: the same gates, handlers and connection core over byte streams in memory.

`dial` is the client's side of the network: what it returns speaks HTTP and WebSocket bytes, so the clients of
the real server talk to this one. It stands in for the listener too: it reads the head, asks the gate, or
hands the stream to the HTTP handler. What belongs to other adapters (the connection core, the reading of
heads, the answers) comes in through the constructor, so that a seeded run meets production's code.

`_StreamWire` gives an asynchronous stream the manners of a socket: a send buffer of bounded size that takes
bytes at once, and a close that lets the buffered bytes leave.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar, runtime_checkable

import trio
import trio.testing
from trio.abc import HalfCloseableStream

from actors.ports import Admitted, Connection, ConnectionHandler, Gate, Refused, Telemetry, Upgrade
from protocols import rest

_READ_BYTES = 65_536
_WRITE_BYTES = 16_384
_HEAD_S = 10.0  # this and the next are the listener's defaults
_ADMIT_S = 5.0
_LINGER_S = 10.0  # what is left in a closed socket's buffer has that long to leave


class Core(Connection, Protocol):
    """One connection without its transport (adapters.websocket.ServerConnection)."""

    @property
    def has_backlog(self) -> bool: ...
    def receive(self, data: bytes, now: float) -> None: ...
    def work(self) -> None: ...
    def receive_eof(self) -> None: ...
    def lost(self) -> None: ...
    def writable(self) -> None: ...
    def expired(self) -> None: ...
    def settle(self) -> None: ...


class ConnectionFactory(Protocol):
    """Makes the core of a connection; the settings, clock and telemetry are bound to it already."""

    def __call__(self, wire: _StreamWire, handler: ConnectionHandler, /, *, id: str, peer: str) -> Core: ...


class Head(Protocol):
    """A request head (adapters.listener.head.Head)."""

    @property
    def path(self) -> str: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def is_upgrade(self) -> bool: ...


@runtime_checkable
class BadHead(Protocol):
    """Bytes that are no request (adapters.listener.head.BadHead)."""

    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...


H = TypeVar("H", bound=Head)


class SimulatedEngine(Generic[H]):
    """Listener and engine of a simulated server. `run` is its task; `dial` is the network."""

    def __init__(
        self,
        *,
        gates: Mapping[str, Gate],
        connect: ConnectionFactory,
        read_head: Callable[[bytes], H | BadHead | None],
        make_upgrade: Callable[[H, str], Upgrade],
        response_of: Callable[[Refused], bytes],
        http: Callable[[HalfCloseableStream], Awaitable[None]],
        telemetry: Telemetry,
        clock: Callable[[], float] = trio.current_time,
        next_id: Callable[[], str] | None = None,
        make_streams: Callable[[], tuple[HalfCloseableStream, HalfCloseableStream]] | None = None,
        send_buffer_bytes: int = 65_536,
        node_name: str | None = None,
    ) -> None:
        """Nothing runs before `run`; dials wait until then, as in a socket's backlog.

        Args:
          gates: by path without owner prefix.
          http: serves one connection that asks for no upgrade, from its first byte, to its end.
          clock: runs at the speed of trio's clock.
          next_id: names a connection; by default they are counted.
          make_streams: both ends of a connection, by default without faults; the first is the client's.
          send_buffer_bytes: what the network takes of a message before its receiver reads.
          node_name: this node's name in `/o/<owner>/`; None accepts every owner.
        """
        count = itertools.count(1)
        self._gates = gates
        self._connect = connect
        self._read_head = read_head
        self._make_upgrade = make_upgrade
        self._response_of = response_of
        self._http = http
        self._telemetry = telemetry
        self._clock = clock
        self._next_id = next_id or (lambda: f"connection-{next(count)}")
        self._make_streams = make_streams or trio.testing.memory_stream_pair
        self._send_buffer_bytes = send_buffer_bytes
        self._node_name = node_name
        self._dial_count = itertools.count(1)
        self._nursery: trio.Nursery | None = None
        self._dialled: list[tuple[HalfCloseableStream, str]] = []
        self._wires: dict[_StreamWire, None] = {}
        self._ended: list[Core] = []
        self._work = trio.Event()
        self._is_listening = True
        self._is_stopping = False

    async def run(self) -> None:
        """Serve until cancelled. Every connection left then ends with a reset, and its handler is told."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for stream, peer in self._dialled:
                    nursery.start_soon(self._serve, stream, peer)
                while True:
                    await self._work.wait()
                    self._work = trio.Event()
                    self._settle()
        finally:
            self._is_listening = False
            self._abort_all()

    async def dial(self) -> HalfCloseableStream:
        """Connect to the server.

        Raises:
          ConnectionRefusedError: it does not listen any more.
        """
        await trio.lowlevel.checkpoint()
        if not self._is_listening:
            raise ConnectionRefusedError("the simulated server does not listen any more")
        client, server = self._make_streams()
        peer = f"client-{next(self._dial_count)}"
        if self._nursery is None:
            self._dialled.append((server, peer))
        else:
            self._nursery.start_soon(self._serve, server, peer)
        return client

    def stop_accepting(self) -> None:
        """Refuse every further dial."""
        self._is_listening = False

    def connections(self) -> Sequence[Connection]:
        """Every connection that is open now."""
        return [wire.connection for wire in self._wires if wire.connection.is_open]

    async def close_all(
        self, code: int = 1012, reason: str = "server restarts", *, timeout_s: float = 5.0
    ) -> None:
        """Close every connection, take no more, reset those not gone in time; all handlers are told."""
        self._is_stopping = True
        for connection in self.connections():
            connection.close(code, reason)
        with trio.move_on_after(timeout_s):
            while self._wires:
                await next(iter(self._wires)).gone.wait()
        self._abort_all()

    def add_ended(self, connection: Core) -> None:
        """Tell the connection's handler soon."""
        self._ended.append(connection)
        self._work.set()

    # The listener's part

    async def _serve(self, stream: HalfCloseableStream, peer: str) -> None:
        try:
            with trio.move_on_after(_HEAD_S) as waiting:
                head, data = await self._receive_head(stream)
            if waiting.cancelled_caught:
                await self._answer(stream, _refusal(408, "no complete request head in time"))
            elif head is None:
                return
            elif isinstance(head, BadHead):
                await self._answer(stream, _refusal(head.status, head.reason))
            elif not head.is_upgrade:
                await self._http(_ReplayedStream(data, stream))
            elif isinstance(verdict := await self._admit(head, peer), Admitted):
                await self._converse(stream, data, peer, verdict.handler)
            else:
                await self._answer(stream, verdict)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._telemetry.count("simulated_engine.broken")
        except Exception as error:
            self._telemetry.error("simulated_engine.connection_failed", peer=peer, cause=repr(error))
        finally:
            await trio.aclose_forcefully(stream)

    async def _receive_head(self, stream: HalfCloseableStream) -> tuple[H | BadHead | None, bytes]:
        data = b""
        while True:
            more = await stream.receive_some(_READ_BYTES)
            data += more
            head = self._read_head(data)
            if head is not None or not more:
                return head, data

    async def _admit(self, head: H, peer: str) -> Admitted | Refused:
        gate = self._gates.get(head.path)
        if gate is None or (self._node_name is not None and head.owner not in (None, self._node_name)):
            return _refusal(404, "Not found")
        if self._is_stopping:
            return _refusal(503, "Server is stopping")
        try:
            with trio.fail_after(_ADMIT_S):
                return await gate.admit(self._make_upgrade(head, peer))
        except trio.TooSlowError:
            self._telemetry.warning("simulated_engine.gate_too_slow", path=head.path, limit_s=_ADMIT_S)
            return _refusal(503, "Busy, try again", {"Retry-After": "1"})
        except Exception as error:
            self._telemetry.error("simulated_engine.gate_failed", path=head.path, cause=repr(error))
            return _refusal(500, "Internal server error")

    async def _answer(self, stream: HalfCloseableStream, refused: Refused) -> None:
        with trio.move_on_after(_LINGER_S):
            await stream.send_all(self._response_of(refused))
            await stream.send_eof()
            while await stream.receive_some(_READ_BYTES):
                pass

    # The engine's part

    async def _converse(
        self, stream: HalfCloseableStream, data: bytes, peer: str, handler: ConnectionHandler
    ) -> None:
        wire = _StreamWire(self.add_ended, stream, self._clock, self._send_buffer_bytes)
        wire.connection = self._connect(wire, handler, id=self._next_id(), peer=peer)
        self._wires[wire] = None
        try:
            await wire.run(data)
        finally:
            wire.connection.abort()  # changes nothing when it has ended
            del self._wires[wire]
            wire.gone.set()

    def _settle(self) -> None:
        ended, self._ended = self._ended, []
        for connection in ended:
            connection.settle()

    def _abort_all(self) -> None:
        for wire in list(self._wires):
            wire.connection.abort()
        self._settle()


class _StreamWire:
    """The transport of one connection: what a socket and its place in the selector are to the pump."""

    connection: Core

    def __init__(
        self,
        add_ended: Callable[[Core], None],
        stream: HalfCloseableStream,
        clock: Callable[[], float],
        send_buffer_bytes: int,
    ) -> None:
        self.gone = trio.Event()
        self._add_ended = add_ended
        self._stream = stream
        self._clock = clock
        self._room_bytes = send_buffer_bytes
        self._scope = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._outgoing = bytearray()
        self._deadline: float | None = None
        self._is_read_wanted = True
        self._is_write_wanted = False
        self._is_finishing = False
        self._is_released = False
        self._changed = trio.Event()  # one event for all three tasks: they look again at what concerns them

    async def run(self, data: bytes) -> None:
        """Move bytes until the connection has released its transport; `data` was read before."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                nursery.start_soon(self._meet_deadlines)
                self.connection.receive(data, self._clock())
                await self._read()
                while not self._is_released:
                    await self._wait_for_change()
                with trio.move_on_after(_LINGER_S):
                    while self._outgoing:
                        await self._wait_for_change()
                nursery.cancel_scope.cancel()

    # What the connection calls

    def try_send(self, data: bytes | memoryview, /) -> int:
        taken = min(len(data), self._room_bytes)
        self._outgoing += data[:taken]
        self._room_bytes -= taken
        self._change()
        return taken

    def want(self, *, read: bool, write: bool) -> None:
        self._is_read_wanted = read
        self._is_write_wanted = write
        self._change()

    def expire_at(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._change()

    def ended(self) -> None:
        self._add_ended(self.connection)

    def finish(self) -> None:
        self._is_finishing = True
        self._change()

    def close(self) -> None:
        self._deadline = None
        self._is_released = True
        self._reading.cancel()
        self._change()

    def reset(self) -> None:
        self.close()
        self._scope.cancel()

    # The three tasks

    async def _read(self) -> None:
        connection = self.connection
        data = b""
        with self._reading:
            while True:
                if not self._is_read_wanted:
                    await self._wait_for_change()
                elif connection.has_backlog:
                    await trio.lowlevel.checkpoint()
                    connection.work()
                elif data:
                    connection.receive(data, self._clock())
                    data = b""
                else:
                    try:
                        data = bytes(await self._stream.receive_some(_READ_BYTES))
                    except trio.BrokenResourceError:
                        connection.lost()
                        return
                    if not data:
                        connection.receive_eof()
                        return

    async def _write(self) -> None:
        while True:
            while self._outgoing:
                piece = bytes(self._outgoing[:_WRITE_BYTES])
                try:
                    await self._stream.send_all(piece)
                except trio.BrokenResourceError:
                    self._outgoing.clear()
                    self.connection.lost()
                    self._change()
                    return
                del self._outgoing[: len(piece)]
                self._room_bytes += len(piece)
                self._change()
                if self._is_write_wanted:
                    self.connection.writable()
            if self._is_finishing:
                self._is_finishing = False
                with contextlib.suppress(trio.BrokenResourceError):  # the reader hears of it too
                    await self._stream.send_eof()
            await self._wait_for_change()

    async def _meet_deadlines(self) -> None:
        while True:
            with trio.CancelScope() as scope:
                if self._deadline is not None:
                    scope.deadline = trio.current_time() + self._deadline - self._clock()
                await self._wait_for_change()
            if scope.cancelled_caught:
                self._deadline = None
                self.connection.expired()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _wait_for_change(self) -> None:
        await self._changed.wait()


class _ReplayedStream(HalfCloseableStream):
    """A stream whose first bytes were read already, and are read again."""

    def __init__(self, data: bytes, stream: HalfCloseableStream) -> None:
        self._data = data
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._data:
            return bytes(await self._stream.receive_some(max_bytes))
        await trio.lowlevel.checkpoint()
        size = len(self._data) if max_bytes is None else max_bytes
        data, self._data = self._data[:size], self._data[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    return Refused(status, rest.refusal(status, message), headers or {})
