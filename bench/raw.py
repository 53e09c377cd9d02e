"""A raw WebSocket client for load: prebuilt frames, non-blocking sockets, no library.

A client made of trio-websocket costs 135 us a chunk, this one about 15, so that one core can drive a thousand
sessions. It is checked against the real clients at N = 10 (tests/system). Frames are masked with a key of
zeros, which RFC 6455 allows a client and which leaves the payload as it is.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from base64 import b64encode
from collections.abc import Iterator

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_ZERO_MASK = b"\0\0\0\0"


def frame(opcode: int, payload: bytes) -> bytes:
    """One final client frame, masked with zeros."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    return head + _ZERO_MASK + payload


def upgrade_request(host: str, port: int, target: str) -> bytes:
    """The head of a WebSocket upgrade."""
    key = b64encode(os.urandom(16)).decode()
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class UpgradeRefusedError(Exception):
    """The server answered the upgrade with something else than 101.

    `retry_after_s`: when to come back, 0 where the answer did not say.
    """

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        asked = re.search(r"(?i)\r\nretry-after: *(\d+)", answer)
        self.retry_after_s = float(asked[1]) if asked else 0.0


class ClosedByServerError(ConnectionResetError):
    """The server closed with a close frame; `code` is 1005 when it had none."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(f"the server closed: {payload!r}")
        self.code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005


class RawSocket:
    """One client connection: feeds bytes in, yields whole messages; sends at once or keeps the rest.

    Attributes:
      owner: whatever the driver wants to find again from the socket.
      late_bytes: bytes that did not fit into the socket's buffer and wait here.
    """

    __slots__ = ("_buffer", "_held", "is_upgraded", "late_bytes", "owner", "sock")

    def __init__(self, address: tuple[str, int], target: str, owner: object) -> None:
        self.owner = owner
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(address)
        self.sock.setblocking(False)
        self._buffer = b""
        self.is_upgraded = False
        self.late_bytes = b""
        self._held = b""
        self._write(upgrade_request(*address, target))

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, data: bytes) -> None:
        """Write what fits; the rest waits for `flush`. Before the 101 everything waits for that."""
        if self.is_upgraded:
            self._write(data)
        else:
            self._held += data

    def _write(self, data: bytes) -> None:
        if self.late_bytes:
            self.late_bytes += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self.late_bytes = data[sent:]

    def flush(self) -> None:
        data, self.late_bytes = self.late_bytes, b""
        if data:
            self._write(data)

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Read once and yield the whole messages in it; pings are answered here.

        Raises:
          ConnectionError: the peer is gone.
          UpgradeRefusedError: the handshake failed.
        """
        try:
            data = self.sock.recv(262_144)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("the server closed the socket")
        buffer = self._buffer + data if self._buffer else data
        if not self.is_upgraded:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                raise UpgradeRefusedError(buffer[:500].decode("latin-1"))
            self.is_upgraded = True
            self._write(self._held)
            buffer = buffer[end + 4 :]
        position = 0
        size = len(buffer)
        while size - position >= 2:
            length = buffer[position + 1] & 0x7F
            start = position + 2
            if length == 126:
                if size - start < 2:
                    break
                length = struct.unpack_from("!H", buffer, start)[0]
                start += 2
            elif length == 127:
                if size - start < 8:
                    break
                length = struct.unpack_from("!Q", buffer, start)[0]
                start += 8
            if size - start < length:
                break
            opcode = buffer[position] & 0x0F
            payload = buffer[start : start + length]
            position = start + length
            if opcode == PING:
                self.send(frame(PONG, payload))
            elif opcode == CLOSE:
                raise ClosedByServerError(payload)
            else:
                yield opcode, payload
        self._buffer = buffer[position:]

    def close(self) -> None:
        self.sock.close()
