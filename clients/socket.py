"""One WebSocket of a client: trio-websocket over a stream that the caller may choose.

What this adds to trio-websocket: a dial that ends when the server hangs up instead of waiting on, one
exception for every way a connection ends, a bounded close, and a way to vanish without a word (as phones do).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import trio
import trio_websocket
from wsproto.frame_protocol import CloseReason

from clients.network import Connect, authority_of, target_of

LARGEST_MESSAGE_BYTES: Final = 16 * 1024 * 1024  # trio-websocket's own limit is 1 MiB
QUEUED_MESSAGES: Final = 256  # while the reader is busy; pings stay unanswered once it is full
ABNORMAL: Final = 1006


class RefusedError(Exception):
    """The server answered the upgrade with an HTTP status."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"the server refused the WebSocket with status {status}: {body[:200]!r}")
        self.status = status
        self.body = body


class DisconnectedError(Exception):
    """The connection is over. `code` is the peer's: 1005 when its close frame had none, 1006 without one."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket was closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


class Socket:
    """An open WebSocket. One task receives; any may send. Made by `hold`."""

    def __init__(self, connection: trio_websocket.WebSocketConnection, stream: trio.abc.Stream) -> None:
        self._connection = connection
        self._stream = stream
        self._is_closing = False

    async def send(self, message: str | bytes) -> None:
        """Send one message; raises DisconnectedError."""
        try:
            await self._connection.send_message(message)
        except trio_websocket.ConnectionClosed as error:
            raise _disconnected(error) from error

    async def receive(self) -> str | bytes:
        """The next message; DisconnectedError after the last one."""
        try:
            return await self._connection.get_message()
        except trio_websocket.ConnectionClosed as error:
            raise _disconnected(error) from error

    async def close(
        self, code: int | None = None, reason: str | None = None, *, timeout_s: float = 1.0
    ) -> None:
        """Close with a handshake, or after `timeout_s` without it. No code is what `close()` in JavaScript
        sends.

        Cancellation: the connection is closed all the same, within `timeout_s`.
        """
        if self._is_closing:
            return
        self._is_closing = True
        with trio.move_on_after(timeout_s, shield=True):
            await self._connection.aclose(CloseReason.NO_STATUS_RCVD if code is None else code, reason)
        await trio.aclose_forcefully(self._stream)

    async def vanish(self) -> None:
        """End the connection without a close frame."""
        await trio.aclose_forcefully(self._stream)


async def hold(
    url: str,
    *,
    connect: Connect,
    headers: Mapping[str, str] | None = None,
    handshake_s: float = 10.0,
    close_s: float = 1.0,
    task_status: trio.TaskStatus[Socket] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Dial `url` and keep its WebSocket going; run with `nursery.start`, which returns the `Socket`.

    Ends when the connection ends, whichever way; the socket's `receive` then says how. Nothing after the
    handshake raises out of here.

    Raises:
      RefusedError: the server answered with an HTTP status other than 101.
      OSError: nobody is there; or it hung up or said nothing for `handshake_s` before it answered.

    Cancellation: a dial ends; an open socket is closed without a code, and given `close_s` for its answer.
    """
    parts = urlsplit(url)
    authority, target = authority_of(parts), target_of(parts)
    extra = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    rejected: list[trio_websocket.ConnectionRejected] = []
    with trio.move_on_after(handshake_s) as opening:
        stream = _Watched(await connect(url))
        try:
            async with trio.open_nursery() as outer:
                with trio.CancelScope() as keeping:
                    async with trio.open_nursery() as nursery:
                        watching = await nursery.start(_give_up_at_the_end_of, stream, nursery.cancel_scope)
                        connection = await trio_websocket.wrap_client_stream(
                            nursery,
                            stream,  # type: ignore[arg-type]  # any will do; only its endpoints want sockets
                            authority,
                            target,
                            extra_headers=extra,
                            message_queue_size=QUEUED_MESSAGES,
                            max_message_size=LARGEST_MESSAGE_BYTES,
                            receive_buffer_size=65_536,
                        )
                        watching.cancel()
                        opening.deadline = math.inf
                        socket = Socket(connection, stream)
                        keeping.shield = True  # from here on a cancellation closes the socket properly
                        outer.start_soon(_close_when_cancelled, socket, close_s)
                        task_status.started(socket)
                outer.cancel_scope.cancel()
        except* trio_websocket.ConnectionRejected as group:
            rejected.extend(_rejections(group))
        except* trio_websocket.ConnectionClosed:
            pass  # trio-websocket's reader raises it when the peer is gone before a bad frame is answered
        finally:
            await trio.aclose_forcefully(stream)
    if rejected:
        raise RefusedError(rejected[0].status_code, rejected[0].body or b"")
    if opening.cancelled_caught:
        raise TimeoutError(f"{authority} did not answer within {handshake_s:g} s")
    if math.isfinite(opening.deadline):
        raise ConnectionResetError(f"{authority} hung up before it answered")


class _Watched(trio.abc.Stream):
    """A stream that tells when the peer has hung up: a dial of trio-websocket does not notice (0.12)."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.has_ended = trio.Event()
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self.has_ended.set()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                self.has_ended.set()
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _close_when_cancelled(socket: Socket, close_s: float) -> None:
    try:
        await trio.sleep_forever()
    finally:
        await socket.close(timeout_s=close_s)


async def _give_up_at_the_end_of(
    stream: _Watched, dialling: trio.CancelScope, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await stream.has_ended.wait()
        dialling.cancel()


def _rejections(
    group: BaseExceptionGroup[trio_websocket.ConnectionRejected],
) -> Iterator[trio_websocket.ConnectionRejected]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _rejections(error)
        else:
            yield error


def _disconnected(error: trio_websocket.ConnectionClosed) -> DisconnectedError:
    if error.reason is None:
        return DisconnectedError(ABNORMAL, "")
    return DisconnectedError(int(error.reason.code), error.reason.reason or "")
