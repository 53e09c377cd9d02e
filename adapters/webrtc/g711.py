"""G.711 (PCMU, PCMA) as a `listening.Decoder`: for phones that ask for `pcm`.

It has no concealment and no FEC of its own: what is lost is the 20 ms before it once more, at half the
loudness each time.
"""

from __future__ import annotations

from array import array
from typing import Final

import av

from .listening import RATE_HZ, DamagedPacketError

_CODECS: Final = {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
_MOST_BYTES: Final = 8_000 * 120 // 1000
_KEPT_BYTES: Final = 640


class G711Decoder:
    """Decodes to s16le, 16 kHz, mono.

    Args:
      name: PCMU or PCMA.
    """

    clock_hz = 8_000

    def __init__(self, name: str) -> None:
        codec = av.CodecContext.create(_CODECS[name], "r")
        assert isinstance(codec, av.AudioCodecContext)
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = self.clock_hz
        self._codec = codec
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        self._last = bytes(_KEPT_BYTES)

    def samples(self, packet: bytes) -> int:
        """Two for each byte; raises DamagedPacketError for an empty packet, and for one beyond 120 ms."""
        if not 0 < len(packet) <= _MOST_BYTES:
            raise DamagedPacketError(f"{len(packet)} bytes of G.711")
        return len(packet) * 2

    def decode(self, packet: bytes) -> bytes:
        """The PCM of a packet; the first one lacks a millisecond, in which the resampler fills."""
        pcm = b""
        try:
            for frame in self._codec.decode(av.Packet(packet)):
                frame.pts = None
                for resampled in self._resampler.resample(frame):
                    pcm += bytes(resampled.planes[0])[: resampled.samples * 2]
        except av.FFmpegError as error:
            raise DamagedPacketError(str(error)) from error
        self._last = (self._last + pcm)[-_KEPT_BYTES:]
        return pcm

    def conceal(self, samples: int) -> bytes:
        pcm = b""
        while len(pcm) < samples * 2:
            faded = array("h", self._last)
            for index, value in enumerate(faded):
                faded[index] = value // 2 if value > 0 else -(-value // 2)
            self._last = faded.tobytes()
            pcm += self._last
        return pcm[: samples * 2]

    def recover(self, following: bytes, samples: int) -> bytes | None:
        return None
