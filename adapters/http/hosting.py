"""One HTTP connection at a time under hypercorn's trio server, for streams that somebody else accepted.

hypercorn accepts connections itself; here the listener does, and the simulated world has no sockets at all.
So this file builds what `hypercorn.trio.serve` builds (its Lifespan, WorkerContext and TCPServer are not
documented: tests/adapters/http/test_hosting.py pins what is used of them, and fails when they change) and
runs one `TCPServer` per stream.

What hypercorn does not do and this file adds, each with a test:

- `Connection: close` closes the socket. quart-trio ends a request by cancelling the scope in which
  hypercorn's `_close` then runs, so the close never happened.
- The last answer arrives. Closing with unread bytes of a request resets the connection, and a reset takes a
  413 with it; so the sending side ends first and the rest is read and thrown away for a moment.
- A peer that does not read its answer cannot hold a request, or the end of the server, for ever.
- An upgrade as a later request on a kept connection gets 426 and a close: the listener decides about upgrades
  by the first head only. HTTP/2 (h2c, prior knowledge) is not spoken.
- Nothing goes to `logging`: access and error lines become telemetry, whose implementation escapes them.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast
from wsgiref.handlers import format_date_time

import h11
import msgspec
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState
from trio.abc import AsyncResource, HalfCloseableStream

from actors.ports import Telemetry
from adapters.http.ending import Ending, as_state
from protocols import rest

Address = tuple[str, int]
_READ_BYTES: Final = 65536


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    keep_alive_s: seconds a kept connection may be without a request.
    requests: answered on one connection before it is closed.
    send_s: seconds a peer has to take a piece of an answer; then it is cut off.
    linger_s: seconds the rest of a request is read and thrown away after the last answer.
    body_queue: pieces of a request body (64 KiB each) read ahead of the application.
    """

    keep_alive_s: float = 15.0
    requests: int = 10_000
    send_s: float = 20.0
    linger_s: float = 2.0
    body_queue: int = 4


@asynccontextmanager
async def open_http_host(
    application: ASGIFramework,
    *,
    telemetry: Telemetry,
    wall: Callable[[], float],
    limits: HttpLimits | None = None,
) -> AsyncIterator[HttpHost]:
    """Start the application; on the way out cut off the connections that are left, then stop it.

    Args:
      wall: epoch seconds, for the Date header.

    Call `HttpHost.drain` before leaving the block to let requests finish.
    """
    host = HttpHost(application, telemetry, wall, limits or HttpLimits())
    async with trio.open_nursery() as nursery:
        await nursery.start(host._lifespan.handle_lifespan)
        await host._lifespan.wait_for_startup()
        try:
            yield host
        finally:
            with trio.move_on_after(5, shield=True):
                await host.drain(0)
                await host._lifespan.wait_for_shutdown()
            nursery.cancel_scope.cancel()


class HttpHost:
    """Serves HTTP connections with one application. Made by `open_http_host`."""

    def __init__(
        self, application: ASGIFramework, telemetry: Telemetry, wall: Callable[[], float], limits: HttpLimits
    ) -> None:
        self._telemetry = telemetry
        self._limits = limits
        self._config = _Config(telemetry, wall, limits)
        self._context = WorkerContext(None)
        self._application = ASGIWrapper(application)
        self._ending = Ending()
        self._state: LifespanState = as_state(self._ending)
        self._lifespan = Lifespan(self._application, self._config, self._state)
        self._connections: dict[trio.CancelScope, HalfCloseableStream] = {}
        self._all_ended = trio.Event()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    async def __call__(self, stream: trio.SocketStream) -> None:
        """Serve a socket; the listener's HTTP handler."""
        try:
            client, server = stream.socket.getpeername(), stream.socket.getsockname()
        except OSError:  # the peer is gone already
            await trio.aclose_forcefully(stream)
            return
        await self.serve(stream, client=client[:2], server=server[:2])

    async def serve(self, stream: HalfCloseableStream, *, client: Address, server: Address) -> None:
        """Serve a socket's stream, or a `trio.StapledStream` of memory streams, to its end and close it.

        Raises nothing but a cancellation.

        Cancellation: cuts the connection off; where a send is under way after `send_s` at the latest.
        """
        with trio.CancelScope() as scope:
            self._connections[scope] = stream
            try:
                await self._serve(_HostedStream(stream, client, server, self._limits))
            except* Exception as errors:
                self._telemetry.error("http.connection_failed", cause=repr(errors.exceptions[0]))
            finally:
                del self._connections[scope]
                if not self._connections:
                    self._all_ended.set()
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)

    async def drain(self, within_s: float) -> int:
        """End kept connections now and busy ones after their answer; after `within_s` cut off the rest.

        Streams of events are told and end themselves (`adapters/http/ending.py`).

        Returns how many were cut off. New streams are still served, one request each.
        """
        await self._context.terminated.set()
        self._ending.begin()
        self._all_ended = trio.Event()
        if not self._connections:
            return 0
        with trio.move_on_after(within_s):
            await self._all_ended.wait()
        cut_off = list(self._connections.items())
        for scope, stream in cut_off:
            scope.cancel()
            await trio.aclose_forcefully(stream)  # a send is shielded against the cancellation
        return len(cut_off)

    async def resume(self) -> None:
        """After a `drain`: keep connections again."""
        await self._context.terminated.clear()
        self._ending.call_off()

    async def _serve(self, stream: _HostedStream) -> None:
        await _Connection(self._application, self._config, self._context, self._state.copy(), stream).run()


class _HostedStream(AsyncResource):
    """A stream whose sends have a deadline, with the addresses hypercorn would ask its socket for."""

    def __init__(
        self, stream: HalfCloseableStream, client: Address, server: Address, limits: HttpLimits
    ) -> None:
        self._stream = stream
        self.client = client
        self.server = server
        self.limits = limits

    async def send_all(self, data: bytes) -> None:
        # hypercorn shields its sends against cancellation, so nobody else could end this one.
        with trio.move_on_after(self.limits.send_s) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError(f"the peer took nothing for {self.limits.send_s:g} s")

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Connection(TCPServer):
    """hypercorn's connection, with an end that is reached."""

    def __init__(
        self,
        application: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
        stream: _HostedStream,
    ) -> None:
        super().__init__(application, config, context, state, cast(Any, stream))  # typed as an SSLStream
        self._hosted = stream
        self._is_closing = False
        self._read_ended = trio.Event()
        self._reader: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        self._reader = trio.lowlevel.current_task()
        self._task_group = TaskGroup()
        self.protocol: H11Protocol = _Http1(  # type: ignore[assignment]  # where hypercorn has a wrapper
            self.app,
            self.config,
            self.context,
            self._task_group,
            ConnectionState(self.state),
            False,
            self._hosted.client,
            self._hosted.server,
            self.protocol_send,
        )
        try:
            async with self._task_group:
                await self.idle_task.restart(self._task_group, self._idle_timeout)
                await self._read_data()
                await self.idle_task.stop()  # its wait would hold the connection of a peer that left
        finally:
            await self._close()

    async def protocol_send(self, event: Any) -> None:
        # Called in the request's scope, which quart-trio has cancelled by the time the answer is complete:
        # without the shield neither the close nor the idle timer of a kept connection happens. Every wait
        # in it is bounded.
        if isinstance(event, Updated) and self._read_ended.is_set():
            return  # no further request comes: no idle timer, which would outlive the connection
        with trio.CancelScope(shield=True):
            await super().protocol_send(event)

    async def _read_data(self) -> None:
        try:
            while data := await self.stream.receive_some(_READ_BYTES):
                if not self._is_closing:
                    await self.protocol.handle(RawData(bytes(data)))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            pass  # the peer's end without an orderly close, or our own close
        finally:
            self._read_ended.set()
        await self.protocol.handle(Closed())

    async def _close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        has_unread_input = self.protocol.connection.their_state in (h11.SEND_BODY, h11.ERROR)
        if has_unread_input:
            with trio.move_on_after(self._hosted.limits.linger_s, shield=True):
                with suppress(trio.ClosedResourceError, trio.BrokenResourceError, trio.BusyResourceError):
                    await self.stream.send_eof()
                    await self._await_end_of_input()
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self.stream)

    async def _await_end_of_input(self) -> None:
        if trio.lowlevel.current_task() is not self._reader:
            await self._read_ended.wait()
            return
        while not self._read_ended.is_set() and await self.stream.receive_some(_READ_BYTES):
            pass


class _Http1(H11Protocol):
    """HTTP/1.1 and nothing else."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Where hypercorn would change to HTTP/2: a server may ignore that wish (RFC 9110 section 7.8)."""

    async def _create_stream(self, request: h11.Request) -> None:
        if not _asks_for_websocket(request):
            await super()._create_stream(request)
            return
        body = rest.refusal(426, "An upgrade has to be the first request of its connection")
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"upgrade", b"websocket"),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=426, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
        await self.send(Closed())


def _asks_for_websocket(request: h11.Request) -> bool:
    return any(
        name == b"upgrade" and b"websocket" in [token.strip().lower() for token in value.split(b",")]
        for name, value in request.headers
    )


class _Config(Config):
    def __init__(self, telemetry: Telemetry, wall: Callable[[], float], limits: HttpLimits) -> None:
        self.keep_alive_timeout = limits.keep_alive_s
        self.keep_alive_max_requests = limits.requests
        self.max_app_queue_size = limits.body_queue
        self._wall = wall
        self._telemetry_log = _TelemetryLog(telemetry)

    @property
    def log(self) -> Any:
        return self._telemetry_log

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        """Date by the injected clock, so that a seeded run replays; no Server."""
        return [(b"date", format_date_time(self._wall()).encode("ascii"))]


class _TelemetryLog:
    """What hypercorn calls of its Logger (tests/adapters/http/test_hosting.py holds the list)."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def access(self, request: Any, response: Any, request_time: float) -> None:
        self._telemetry.debug(
            "http.request",
            method=request["method"],
            path=request["path"],
            status=None if response is None else response["status"],
            duration_ms=round(request_time * 1000, 1),
        )

    async def warning(self, message: str) -> None:
        self._telemetry.warning("http.hosting", message=message)

    async def exception(self, message: str) -> None:
        self._telemetry.error("http.hosting", message=message, cause=repr(sys.exception()))
