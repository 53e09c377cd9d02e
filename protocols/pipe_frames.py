"""How a process of ours and the one that started it cut their pipes into frames.

A frame is four bytes of length (little endian, of what follows) and that many bytes. What they mean is the
matter of the two that talk.
"""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 1 << 20
HEAD_BYTES: Final = 4


class FrameError(Exception):
    """The bytes are not a frame: the other end is broken."""


def frame(*parts: bytes) -> bytes:
    """One frame of these parts, of 1 byte to 1 MiB together."""
    return b"".join((sum(map(len, parts)).to_bytes(HEAD_BYTES, "little"), *parts))


class PipeReader:
    """Turns what a pipe gives into what its frames hold."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The contents of all frames that are complete now, in order.

        Raises:
          FrameError: a length that nobody sends.
        """
        self._bytes += chunk
        frames = []
        start, size = 0, len(self._bytes)
        while size - start >= HEAD_BYTES:
            length = int.from_bytes(self._bytes[start : start + HEAD_BYTES], "little")
            if not 1 <= length <= MOST_BYTES:
                raise FrameError(f"a frame of {length} bytes; expected 1 to {MOST_BYTES}")
            end = start + HEAD_BYTES + length
            if size < end:
                break
            frames.append(bytes(self._bytes[start + HEAD_BYTES : end]))
            start = end
        del self._bytes[:start]
        return frames
