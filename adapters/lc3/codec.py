"""LC3 decoders over lc3py's `lib`, the C library itself.

The wrapper's own decoder class is built once, for its library with the argument types set, and not once a
stream: building one asks the system where its C library is, which starts processes (5.5 ms), and the memory
it takes is never given back. A decoder is 3 KB of memory that the C library sets up in 2 us, so here each
stream has its own, Python's, and nothing needs to be pooled.

The C library can do what the wrapper does not show: a frame of NULL is concealed (lc3.h says so of
`lc3_decode`), and so is a frame whose contents cannot be LC3; for both it returns 1.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import lc3

from protocols.audio import FRAME_MS, FRAME_SIZES, PCM_FRAME_BYTES, SAMPLE_RATE_HZ

_FRAME_US: Final = FRAME_MS * 1000
_S16: Final = 0  # LC3_PCM_FORMAT_S16


class Lc3Codec:
    """Makes decoders of 16 kHz, 10 ms.

    Raises:
      lc3.InitializationError: the C library, or the system's own, is not there.
    """

    def __init__(self) -> None:
        self._library: Any = lc3.Decoder(_FRAME_US, SAMPLE_RATE_HZ).lib
        self._state_bytes: int = self._library.lc3_hr_decoder_size(False, _FRAME_US, SAMPLE_RATE_HZ)

    def decoder(self, frame_bytes: int) -> Lc3Decoder:
        if frame_bytes not in FRAME_SIZES:
            raise ValueError(f"LC3 frames of {frame_bytes} bytes; expected one of {FRAME_SIZES}")
        return Lc3Decoder(self._library, self._state_bytes, frame_bytes)


class Lc3Decoder:
    """One stream of LC3; see `actors.ports.Lc3Decoder`."""

    __slots__ = ("_decode", "_handle", "_memory", "damaged", "frame_bytes")

    def __init__(self, library: Any, state_bytes: int, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self.damaged = 0
        self._memory = ctypes.create_string_buffer(state_bytes)  # the C library keeps nothing else
        self._handle = library.lc3_hr_setup_decoder(
            False, _FRAME_US, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, self._memory
        )
        self._decode = library.lc3_decode

    def decode(self, frames: bytes) -> bytes:
        size = self.frame_bytes
        count, rest = divmod(len(frames), size)
        assert not rest, f"{len(frames)} bytes are no whole LC3 frames of {size}"
        pcm = ctypes.create_string_buffer(count * PCM_FRAME_BYTES)
        to = ctypes.addressof(pcm)
        for start in range(0, count * size, size):
            self.damaged += self._decode(self._handle, frames[start : start + size], size, _S16, to, 1)
            to += PCM_FRAME_BYTES
        return pcm.raw

    def conceal(self, count: int) -> bytes:
        pcm = ctypes.create_string_buffer(count * PCM_FRAME_BYTES)
        start = ctypes.addressof(pcm)
        for to in range(start, start + len(pcm), PCM_FRAME_BYTES):
            self._decode(self._handle, None, 0, _S16, to, 1)
        return pcm.raw
