"""One WebSocket of a recogniser: trio-websocket over a TCP stream that is closed whatever happens.

trio-websocket's own `open_websocket` leaves the socket to the garbage collector when a connection is lost or
cancelled, and does not notice a server that hangs up before it answers (0.12.2; drop this when both are
mended).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

_LARGEST_MESSAGE_BYTES: Final = 1 << 20
_QUEUED_MESSAGES: Final = 64
_RECEIVE_BYTES: Final = 16_384


class NotConnected(Exception):  # noqa: N818 - says what happened
    """There is no WebSocket: nobody answered, or not in time."""


class Refused(Exception):  # noqa: N818 - says what happened
    """The server answered the upgrade with another status than 101."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(f"refused with status {status}")
        self.status = status
        self.headers = headers
        self.body = body


async def converse(
    url: str,
    talk: Callable[[WebSocketConnection], Awaitable[None]],
    *,
    headers: Sequence[tuple[bytes, bytes]],
    tls: ssl.SSLContext | None,
    connect_s: float,
) -> None:
    """Dial `url`, call `talk` with the open WebSocket, and close the socket.

    Args:
      talk: ends the connection in order if it is to be; a ConnectionClosed that it raises is taken for its
        end.
      tls: for a wss URL.
      connect_s: how long TCP, TLS and the upgrade may take together.

    Raises:
      NotConnected, Refused: `talk` was not called.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    dialling = trio.CancelScope(deadline=trio.current_time() + connect_s)
    refusal: Refused | None = None
    stream: _Watched | None = None
    is_open = False
    try:
        with dialling:
            stream = _Watched(await _connect(host, port, tls), dialling.cancel)
            async with trio.open_nursery() as nursery:
                connection = await wrap_client_stream(
                    nursery,
                    stream,  # type: ignore[arg-type]  # any stream will do
                    parts.netloc,
                    f"{parts.path}?{parts.query}",
                    extra_headers=list(headers),
                    message_queue_size=_QUEUED_MESSAGES,
                    max_message_size=_LARGEST_MESSAGE_BYTES,
                    receive_buffer_size=_RECEIVE_BYTES,
                )
                is_open = True
                stream.on_end = _nothing
                dialling.deadline = math.inf
                await talk(connection)
                nursery.cancel_scope.cancel()
    except* ConnectionRejected as group:
        refusal = _refusal(group)
    except* ConnectionClosed:
        pass
    except* OSError as group:
        raise NotConnected(f"no connection: {group.exceptions[0]}") from group
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)
    if refusal is not None:
        raise refusal
    if not is_open:
        has_hung_up = stream is not None and stream.has_ended
        raise NotConnected(
            "it hung up before it answered" if has_hung_up else f"no connection within {connect_s:g} s"
        )


async def _connect(host: str, port: int, tls: ssl.SSLContext | None) -> trio.abc.Stream:
    stream = await trio.open_tcp_stream(host, port)
    if tls is None:
        return stream
    return trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)


def _nothing() -> None:
    pass


def _refusal(error: BaseException) -> Refused | None:
    if isinstance(error, ConnectionRejected):
        return Refused(error.status_code, error.headers or (), error.body or b"")
    if isinstance(error, BaseExceptionGroup):
        return next((found for part in error.exceptions if (found := _refusal(part))), None)
    return None


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
