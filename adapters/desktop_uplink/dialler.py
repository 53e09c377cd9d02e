"""The daemon's WebSocket: trio-websocket over a TCP stream that is closed whatever happens.

trio-websocket's own `open_websocket` leaves the socket to the garbage collector when a connection is lost or
cancelled, and does not notice a server that hangs up before it answers (0.12.2; drop this when both are
mended).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from typing import Final

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    ConnectionTimeout,
    WebSocketConnection,
    wrap_client_stream,
)

from actors.desktop_daemon.ports import DialError, Link, LinkClosed

from .http import retry_after_s
from .server import ServerAddress

CONNECT_S: Final = 15.0
CLOSE_S: Final = 0.3
_LARGEST_MESSAGE_BYTES: Final = 1 << 20
_QUEUED_MESSAGES: Final = 64
_RECEIVE_BYTES: Final = 16_384
_SHUTTING_DOWN: Final = (1000, "Daemon shutting down")
_ABNORMAL: Final = 1006


class ServerDialler:
    """`actors.desktop_daemon.ports.Dialler`.

    Args:
      token: the present one, read at each dial.
      connect_s: how long TCP, TLS and the upgrade may take together.
    """

    def __init__(
        self,
        address: ServerAddress,
        token: Callable[[], str],
        *,
        make_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._address = address
        self._token = token
        self._make_tls = make_tls
        self._connect_s = connect_s
        self._tls: ssl.SSLContext | None = None
        self._dialled_with = ""

    def has_other_token(self) -> bool:
        """Whether there is another token now than the last dial had."""
        return self._token() != self._dialled_with

    async def dial(self, opened: Callable[[Link], None], heard: Callable[[bytes], None]) -> LinkClosed:
        """Open one connection and serve it until its end; see the port. Raises DialError.

        Cancellation: closed with 1000; the server's answer is not waited for long.
        """
        token = self._dialled_with = self._token()
        if self._address.is_tls and self._tls is None:
            self._tls = await trio.to_thread.run_sync(self._make_tls)
        dialling = trio.CancelScope(deadline=trio.current_time() + self._connect_s)
        link: _OpenLink | None = None
        stream: _Watched | None = None
        refusal: ConnectionRejected | None = None
        failures: list[BaseException] = []
        try:
            with dialling:
                stream = _Watched(await self._connect(), dialling.cancel)
                async with trio.open_nursery() as nursery:
                    connection = await wrap_client_stream(
                        nursery,
                        stream,  # type: ignore[arg-type]  # any stream will do
                        self._address.authority,
                        self._address.daemon_target,
                        extra_headers=[(b"authorization", b"Bearer " + token.encode("ascii", "replace"))],
                        message_queue_size=_QUEUED_MESSAGES,
                        max_message_size=_LARGEST_MESSAGE_BYTES,
                        receive_buffer_size=_RECEIVE_BYTES,
                    )
                    stream.on_end = _nothing
                    dialling.deadline = math.inf
                    link = _OpenLink()
                    opened(link)
                    await link.serve(connection, heard)
                    nursery.cancel_scope.cancel()
        except* ConnectionRejected as group:
            refusal = _first(group, ConnectionRejected)
        except* (ConnectionClosed, ConnectionTimeout):
            pass
        except* (OSError, trio.BrokenResourceError) as group:
            failures.extend(group.exceptions)
        finally:
            if stream is not None:
                await trio.aclose_forcefully(stream)
        if refusal is not None:
            raise _refused(refusal)
        if link is not None:
            return link.ended
        raise DialError(self._cause(stream, failures))

    async def _connect(self) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream(self._address.host, self._address.port)
        if self._tls is None:
            return stream
        secured = trio.SSLStream(stream, self._tls, server_hostname=self._address.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secured

    def _cause(self, stream: _Watched | None, failures: list[BaseException]) -> str:
        if failures:
            inner: BaseException = failures[0]
            while isinstance(inner, BaseExceptionGroup):
                inner = inner.exceptions[0]
            return f"no connection: {inner.__cause__ or inner}"
        if stream is not None and stream.has_ended:
            return "the server hung up before it answered"
        return f"no connection within {self._connect_s:g} s"


class _OpenLink:
    """An open connection. `ended` says how it ended, once it has."""

    def __init__(self) -> None:
        self.ended = LinkClosed(_ABNORMAL)
        self._outgoing, self._frames = trio.open_memory_channel[bytes](_QUEUED_MESSAGES)
        self._closing = trio.Event()
        self._close = _SHUTTING_DOWN

    def send(self, frame: bytes) -> bool:
        """See the port."""
        try:
            self._outgoing.send_nowait(frame)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    def close(self, code: int, reason: str = "") -> None:
        """See the port."""
        self._close = (code, reason)
        self._closing.set()

    async def serve(self, connection: WebSocketConnection, heard: Callable[[bytes], None]) -> None:
        """Until the connection ends, or is closed or cancelled here."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, connection)
                nursery.start_soon(self._close_when_asked, nursery.cancel_scope)
                await self._read(connection, heard)
                nursery.cancel_scope.cancel()
        finally:
            self._outgoing.close()
            self._frames.close()
            with trio.move_on_after(CLOSE_S, shield=True):
                await connection.aclose(*self._close)
        if self._closing.is_set():
            self.ended = LinkClosed(*self._close)

    async def _read(self, connection: WebSocketConnection, heard: Callable[[bytes], None]) -> None:
        try:
            while True:
                message = await connection.get_message()
                heard(message if isinstance(message, bytes) else message.encode())
        except ConnectionClosed as closed:
            if closed.reason is not None:
                self.ended = LinkClosed(int(closed.reason.code), closed.reason.reason or "")

    async def _write(self, connection: WebSocketConnection) -> None:
        try:
            async for frame in self._frames:
                await connection.send_message(frame.decode())
        except (ConnectionClosed, trio.BrokenResourceError):
            pass  # the reader hears of it, too

    async def _close_when_asked(self, serving: trio.CancelScope) -> None:
        await self._closing.wait()
        serving.cancel()


def _refused(refusal: ConnectionRejected) -> DialError:
    headers = {name.lower(): value for name, value in refusal.headers or ()}
    wait_s = retry_after_s(headers.get(b"retry-after", b"-").decode("ascii", "replace"))
    status = refusal.status_code
    return DialError(f"the server answered with status {status}", status=status, retry_after_s=wait_s)


def _first(error: BaseException, kind: type[ConnectionRejected]) -> ConnectionRejected | None:
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for part in error.exceptions if (found := _first(part, kind))), None)
    return None


def _nothing() -> None:
    pass


class _Watched(trio.abc.Stream):
    """A stream that says when the peer has hung up."""

    def __init__(self, stream: trio.abc.Stream, on_end: Callable[[], object]) -> None:
        self.on_end = on_end
        self.has_ended = False
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self._end()
            raise
        if not data:
            self._end()
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _end(self) -> None:
        self.has_ended = True
        self.on_end()
