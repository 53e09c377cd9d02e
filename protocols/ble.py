"""The packet in which glasses send their microphone to the phone over Bluetooth (protocol.md 7.1, seed 003).

202 bytes: a header that says what it is, a sequence number of 8 bits, 200 bytes of LC3. That is 50 ms in
frames of 40 bytes, which is what glasses use, or 100 ms in frames of 20.
"""

from __future__ import annotations

from typing import NamedTuple

from protocols.errors import MalformedMessage

MICROPHONE = 0xF1
"""The header. The seed names none; this is what the Even Realities G1 sends."""

AUDIO_BYTES = 200
PACKET_BYTES = 2 + AUDIO_BYTES
SEQUENCES = 256


class MicrophonePacket(NamedTuple):
    sequence: int  # 0 to 255
    lc3: bytes  # 200 bytes of whole frames


def encode(packet: MicrophonePacket) -> bytes:
    """The packet as it goes over the air. The sequence number comes round after 255."""
    assert len(packet.lc3) == AUDIO_BYTES, f"{len(packet.lc3)} bytes of LC3; a packet holds {AUDIO_BYTES}"
    return bytes((MICROPHONE, packet.sequence % SEQUENCES)) + packet.lc3


def decode(data: bytes) -> MicrophonePacket:
    """Read a packet.

    Raises:
      MalformedMessage: it has another size or another header.
    """
    if len(data) != PACKET_BYTES:
        raise MalformedMessage(f"a packet of {len(data)} bytes; the microphone's have {PACKET_BYTES}")
    if data[0] != MICROPHONE:
        raise MalformedMessage(f"a packet with header {data[0]:#04x}; the microphone's is {MICROPHONE:#04x}")
    return MicrophonePacket(data[1], data[2:])
