"""A cloud that does what a test says: trio-websocket's server half over memory streams."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import trio
import trio.testing
import trio_websocket
from wsproto.frame_protocol import CloseReason

T = TypeVar("T")


def in_virtual_time(main: Callable[[], Awaitable[T]], *, clock: object, instruments: Sequence[Any]) -> T:
    """`trio.run` with a clock that jumps to the next deadline whenever nothing else can go on."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0), instruments=instruments)


class Peer:
    """One accepted WebSocket, seen from the cloud."""

    def __init__(
        self, path: str, connection: trio_websocket.WebSocketConnection, stream: trio.abc.Stream
    ) -> None:
        self.path = path
        self.connection = connection
        self.stream = stream

    async def send(self, message: Mapping[str, object] | bytes | str) -> None:
        if isinstance(message, Mapping):
            message = msgspec.json.encode(message).decode()
        await self.connection.send_message(message)

    async def receive(self) -> Any:
        """The next message: an object, or the bytes of a binary frame."""
        message = await self.connection.get_message()
        return message if isinstance(message, bytes) else msgspec.json.decode(message)

    async def receive_type(self, kind: str) -> Any:
        """The next message, which must be of this type."""
        message = await self.receive()
        assert kind == message["type"]
        return message

    async def ended(self) -> tuple[int, str | None]:
        """The client's close code and reason; whatever it sent before is skipped."""
        with contextlib.suppress(trio_websocket.ConnectionClosed):
            while True:
                await self.connection.get_message()
        closed = self.connection.closed
        return (1006, None) if closed is None else (int(closed.code), closed.reason)

    async def close(self, code: int = CloseReason.NO_STATUS_RCVD, reason: str | None = None) -> None:
        await self.connection.aclose(code, reason)

    async def vanish(self) -> None:
        await trio.aclose_forcefully(self.stream)

    async def acknowledge_app(self, **fields: object) -> Any:
        """Take the init and answer it; the init."""
        init = await self.receive_type("tpa_connection_init")
        ack: dict[str, object] = {
            "settings": [],
            "mentraosSettings": {},
            "augmentosSettings": {},
            "capabilities": None,
        }
        await self.send({"type": "tpa_connection_ack", "sessionId": init["sessionId"]} | ack | fields)
        return init

    async def acknowledge_phone(self, *running: str) -> None:
        await self.send(
            {"type": "connection_ack", "sessionId": "ada@example.org", "userSession": user(*running)}
        )


def user(*running: str) -> dict[str, object]:
    """A user session as the wire has it."""
    ada = "ada@example.org"
    return {"sessionId": ada, "userId": ada, "activeAppSessions": running, "loadingApps": []}


class ScriptedCloud:
    """Hands out memory streams as a client's way to the network.

    Attributes:
      dials: when each dial came (trio's clock).
      answer: how a dial is met: accept, refuse (nobody listens), reject (an HTTP 401), hang (silence) or
        hang_up.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.dials: list[float] = []
        self.urls: list[str] = []
        self.answer = "accept"
        self.http: bytes = b""
        self.http_requests: list[bytes] = []
        self._nursery = nursery
        self._accepted_in, self._accepted = trio.open_memory_channel[Peer](100)

    async def connect(self, url: str) -> trio.abc.Stream:
        self.dials.append(trio.current_time())
        self.urls.append(url)
        await trio.lowlevel.checkpoint()
        if self.answer == "refuse":
            raise ConnectionRefusedError("nobody listens")
        ours, theirs = trio.testing.memory_stream_pair()
        if url.startswith("http"):
            self._nursery.start_soon(self._serve_http, ours)
        elif self.answer == "hang_up":
            await ours.aclose()
        elif self.answer != "hang":
            self._nursery.start_soon(self._serve, ours)
        return theirs

    async def accept(self) -> Peer:
        """The next WebSocket of a client."""
        with trio.fail_after(60):
            return await self._accepted.receive()

    async def _serve(self, stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)
            if self.answer == "reject":
                headers = [(b"content-type", b"application/json")]
                await request.reject(401, extra_headers=headers, body=b'{"type":"connection_error"}')
                return
            connection = await request.accept()
            await self._accepted_in.send(Peer(request.path, connection, stream))

    async def _serve_http(self, stream: trio.abc.Stream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some(65536)
        self.http_requests.append(data)
        await stream.send_all(self.http)
        await stream.aclose()
