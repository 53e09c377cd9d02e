"""The codec's twin: frames that a test can make by hand, with LC3's sizes and its habits.

A frame is `L3`, a checksum, a level and filling; it decodes to a square wave of that level. Anything else is
damaged. A lost or damaged frame is the last one at half its level.
"""

from __future__ import annotations

import struct
from zlib import crc32

from protocols.audio import FRAME_SIZES

FRAME_SAMPLES = 160
_MARK = b"L3"


def encode(level: int, frame_bytes: int = 20) -> bytes:
    """One frame of a square wave of `level`, 0 to 32,767."""
    body = _MARK + struct.pack("<h", level)
    return (body + struct.pack("<L", crc32(body))).ljust(frame_bytes, b"\xee")


def pcm_of(level: int) -> bytes:
    """What such a frame decodes to."""
    return struct.pack("<hh", level, -level) * (FRAME_SAMPLES // 2)


class SimulatedLc3:
    """Implements `actors.ports.Lc3`."""

    def decoder(self, frame_bytes: int) -> SimulatedLc3Decoder:
        if frame_bytes not in FRAME_SIZES:
            raise ValueError(f"LC3 frames of {frame_bytes} bytes; expected one of {FRAME_SIZES}")
        return SimulatedLc3Decoder(frame_bytes)


class SimulatedLc3Decoder:
    def __init__(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self.damaged = 0
        self._level = 0

    def decode(self, frames: bytes) -> bytes:
        size = self.frame_bytes
        assert not len(frames) % size, f"{len(frames)} bytes are no whole frames of {size}"
        return b"".join(self._one(frames[start : start + size]) for start in range(0, len(frames), size))

    def conceal(self, count: int) -> bytes:
        faded = b""
        for _ in range(count):
            self._level //= 2
            faded += pcm_of(self._level)
        return faded

    def _one(self, frame: bytes) -> bytes:
        if frame != encode(max(0, struct.unpack_from("<h", frame, 2)[0]), self.frame_bytes):
            self.damaged += 1
            return self.conceal(1)
        (self._level,) = struct.unpack_from("<h", frame, 2)
        return pcm_of(self._level)
