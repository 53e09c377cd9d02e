"""The other sides of a connection in the engine's tests: peers of bytes, handlers that write down."""

from __future__ import annotations

import struct

import trio
from trio.abc import Stream

from actors.ports import CloseInfo, Connection, Outgoing

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
WAIT_S = 30.0  # nothing here takes a hundredth of it; a failing test ends

REQUEST = (
    b"GET /glasses-ws HTTP/1.1\r\nHost: cloud\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes | None = b"\x0f\xf0\xaa\x55"
) -> bytes:
    """A client's frame, byte by byte as RFC 6455 section 5.2 draws it."""
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65_536:
        head += bytes([masked | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    repeated = (mask * (size // 4 + 1))[:size]
    masked_payload = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + masked_payload.to_bytes(size, "big")


def close_payload(code: int, reason: str = "") -> bytes:
    return struct.pack("!H", code) + reason.encode()


class RawPeer:
    """A client on a byte stream. It answers nothing by itself."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._buffer = b""

    async def upgrade(self, request: bytes = REQUEST) -> bytes:
        """Send a request; the head of the answer."""
        await self.send(request)
        with trio.fail_after(WAIT_S):
            while b"\r\n\r\n" not in self._buffer:
                self._buffer += await self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def send(self, data: bytes) -> None:
        with trio.fail_after(WAIT_S):
            await self.stream.send_all(data)

    async def receive(self) -> tuple[int, bytes]:
        """The server's next frame: opcode and payload."""
        with trio.fail_after(WAIT_S):
            while (found := _take_frame(self._buffer)) is None:
                self._buffer += await self._receive()
        opcode, payload, self._buffer = found
        return opcode, payload

    async def receive_rest(self) -> bytes:
        """Everything until the server ends the stream."""
        with trio.fail_after(WAIT_S):
            while more := await self.stream.receive_some(65_536):
                self._buffer += more
        return self._buffer

    async def _receive(self) -> bytes:
        data = bytes(await self.stream.receive_some(65_536))
        assert data, f"the server ended the stream; before: {self._buffer!r}"
        return data


def _take_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    if len(data) < 2:
        return None
    assert data[0] & 0xF0 == 0x80, "a server's frame is whole and has no reserved bits"
    assert data[1] < 0x80, "a server's frame is not masked"
    size, start = data[1], 2
    if size == 126:
        size, start = int.from_bytes(data[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(data[2:10], "big"), 10
    if len(data) < start + size:
        return None
    return data[0] & 0x0F, data[start : start + size], data[start + size :]


class RecordedHandler:
    """Writes down what it hears. `until` waits for it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []
        self._connection: Connection | None = None
        self._changed = trio.Event()

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, "not opened"
        return self._connection

    def opened(self, connection: Connection) -> None:
        self._connection = connection
        self._note("opened", connection.peer)

    def text(self, connection: Connection, payload: bytes) -> None:
        self._note("text", payload)

    def binary(self, connection: Connection, payload: bytes) -> None:
        self._note("binary", payload)

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self._note("closed", info)

    def failed(self, connection: Connection, error: Exception) -> None:
        self._note("failed", error)

    def all(self, kind: str) -> list[object]:
        return [what for heard, what in self.heard if heard == kind]

    async def until(self, kind: str, count: int = 1) -> object:
        """Wait until it has heard `count` of a kind; the last of them."""
        with trio.fail_after(WAIT_S):
            while len(self.all(kind)) < count:
                await self._changed.wait()
        return self.all(kind)[-1]

    async def until_closed(self) -> CloseInfo:
        info = await self.until("closed")
        assert isinstance(info, CloseInfo)
        return info

    def _note(self, kind: str, what: object) -> None:
        self.heard.append((kind, what))
        self._changed.set()
        self._changed = trio.Event()


class EchoHandler(RecordedHandler):
    """Sends back what it hears."""

    def text(self, connection: Connection, payload: bytes) -> None:
        super().text(connection, payload)
        connection.send(Outgoing(payload))

    def binary(self, connection: Connection, payload: bytes) -> None:
        super().binary(connection, payload)
        connection.send(Outgoing(payload, is_text=False))
