"""The datagrams in which phones of generation C send their microphone (protocol.md 7.1).

4 bytes FNV-1a-32 of the user id, 2 bytes sequence number, both big-endian, then the payload: audio in the
format of the phone's connection, or `PING`, which is answered over the WebSocket. Encrypted, the payload is a
nonce of 24 bytes and a box of XSalsa20-Poly1305, which adds 16.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from protocols.errors import MalformedMessage

PING = b"PING"
LARGEST_PAYLOAD = 1_024
SEALED_BYTES = 24 + 16
"""What encryption adds."""

ALGORITHM = "xsalsa20-poly1305"
_HEADER = struct.Struct(">LH")
HEADER_BYTES = _HEADER.size


class Datagram(NamedTuple):
    user_hash: int
    sequence: int  # 0 to 65,535
    payload: bytes


def user_hash(user_id: str) -> int:
    """FNV-1a, 32 bits, of the id as UTF-8. Two users can have the same one."""
    value = 0x811C9DC5
    for byte in user_id.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def encode(datagram: Datagram) -> bytes:
    """The datagram as it goes out. The sequence number comes round after 65,535."""
    return _HEADER.pack(datagram.user_hash, datagram.sequence % 2**16) + datagram.payload


def decode(data: bytes) -> Datagram:
    """Read a datagram.

    Raises:
      MalformedMessage: it is too short to hold anything, or longer than phones send.
    """
    payload = data[HEADER_BYTES:]
    if not 0 < len(payload) <= LARGEST_PAYLOAD + SEALED_BYTES:
        raise MalformedMessage(f"a datagram of {len(data)} bytes")
    user_hash, number = _HEADER.unpack_from(data)
    return Datagram(user_hash, number, payload)
