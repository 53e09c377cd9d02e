"""Opus by libopus: a decoder that conceals what is lost, and an encoder with in-band FEC.

PyAV, which aiortc decodes with, calls `opus_decode` for whole packets alone: it neither conceals nor uses
FEC, gives 48 kHz stereo, and leaves resampling to us. libopus itself does all of it, and 16 kHz mono; it is
in PyAV's wheel, or on the system that PyAV was built on. Here are the six functions of it that are needed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from typing import Final

from .listening import DamagedPacketError

SAMPLE_RATE_HZ: Final = 16_000
MOST_SAMPLES: Final = SAMPLE_RATE_HZ * 120 // 1000  # of a packet, RFC 6716 section 2.1.4
_STEP_SAMPLES: Final = SAMPLE_RATE_HZ // 400  # 2.5 ms: what durations are multiples of

_VOIP: Final = 2048
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_COMPLEXITY: Final = 5  # of 10: 0.2 ms a frame instead of 0.4, and for speech the same to the ear


class OpusError(Exception):
    """libopus is not there, or does not do what it is asked."""


@cache
def library() -> ctypes.CDLL:
    """libopus.

    Raises:
      OpusError: it is neither in PyAV's wheel nor on the system.
    """
    lib = _load()
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    for name, result, *arguments in (
        ("opus_decoder_create", pointer, ctypes.c_int32, integer, ctypes.POINTER(integer)),
        ("opus_decoder_destroy", None, pointer),
        ("opus_decode", integer, pointer, ctypes.c_char_p, ctypes.c_int32, pointer, integer, integer),
        ("opus_packet_get_nb_samples", integer, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32),
        ("opus_encoder_create", pointer, ctypes.c_int32, integer, integer, ctypes.POINTER(integer)),
        ("opus_encoder_destroy", None, pointer),
        ("opus_encode", ctypes.c_int32, pointer, ctypes.c_char_p, integer, pointer, ctypes.c_int32),
    ):
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    return lib


def _load() -> ctypes.CDLL:
    try:
        shipped = [str(one.locate()) for one in files("av") or () if one.name.startswith("libopus")]
    except PackageNotFoundError:
        shipped = []
    found = ctypes.util.find_library("opus") if not shipped else None
    for path in (*shipped, *([found] if found else ())):
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    raise OpusError("libopus is neither in PyAV's wheel nor on this system; install libopus")


def has_fec(packet: bytes) -> bool:
    """Whether a packet carries the frame before it once more (LBRR, RFC 6716 section 2.1.7).

    Read from its first bytes: a frame of SILK or hybrid begins with a voice flag for each 20 ms and the LBRR
    flag (section 4.2.3), both of even odds, so they are plain bits.
    """
    if len(packet) < 2:
        return False
    config, is_stereo, count = packet[0] >> 3, packet[0] & 4, packet[0] & 3
    if config >= 16 or is_stereo or count:  # CELT alone; and what nobody sends as speech
        return False
    silk_frames = 1 if config >= 12 else (1, 1, 2, 3)[config & 3]
    return bool(packet[1] & (0x80 >> silk_frames))


class OpusDecoder:
    """Decodes to s16le, 16 kHz, mono: a `listening.Decoder`."""

    clock_hz = 48_000  # of Opus in RTP, whatever is encoded (RFC 7587 section 4.1)

    def __init__(self) -> None:
        self._library = library()
        error = ctypes.c_int()
        self._decoder = self._library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        if error.value:
            raise OpusError(f"libopus made no decoder: {error.value}")
        self._pcm = ctypes.create_string_buffer(MOST_SAMPLES * 2)

    def __del__(self) -> None:
        if getattr(self, "_decoder", None):
            self._library.opus_decoder_destroy(self._decoder)

    def samples(self, packet: bytes) -> int:
        """The length of a packet in samples of 16 kHz.

        Raises:
          DamagedPacketError: it is none of Opus.
        """
        count = int(self._library.opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE_HZ))
        if not 0 < count <= MOST_SAMPLES:
            raise DamagedPacketError(f"a packet of {len(packet)} bytes has no length: {count}")
        return count

    def decode(self, packet: bytes) -> bytes:
        """The PCM of a packet; raises DamagedPacketError where it is none."""
        return self._decode(packet, MOST_SAMPLES, fec=0)

    def conceal(self, samples: int) -> bytes:
        """What may have been heard instead: the voice goes on, and fades within a tenth of a second."""
        pcm = b""
        samples = samples // _STEP_SAMPLES * _STEP_SAMPLES
        while samples > 0:
            piece = min(samples, SAMPLE_RATE_HZ // 50)
            pcm += self._decode(None, piece, fec=0)
            samples -= piece
        return pcm

    def recover(self, following: bytes, samples: int) -> bytes | None:
        """The frame of `samples` before `following`, if that packet carries it; decode that one next."""
        if not has_fec(following) or not 0 < samples <= MOST_SAMPLES or samples % _STEP_SAMPLES:
            return None
        return self._decode(following, samples, fec=1)

    def _decode(self, packet: bytes | None, samples: int, *, fec: int) -> bytes:
        size = 0 if packet is None else len(packet)
        count = int(self._library.opus_decode(self._decoder, packet, size, self._pcm, samples, fec))
        if count < 0:
            raise DamagedPacketError(f"a packet of {size} bytes is damaged: {count}")
        return self._pcm.raw[: count * 2]


class OpusEncoder:
    """Encodes s16le, 16 kHz, mono as speech.

    Args:
      bitrate: bit/s.
      loss_percent: how much loss FEC is made for; without any libopus makes none.
    """

    def __init__(self, *, bitrate: int = 32_000, loss_percent: int = 10) -> None:
        self._library = library()
        error = ctypes.c_int()
        self._encoder = self._library.opus_encoder_create(SAMPLE_RATE_HZ, 1, _VOIP, ctypes.byref(error))
        if error.value:
            raise OpusError(f"libopus made no encoder: {error.value}")
        self._packet = ctypes.create_string_buffer(1_500)
        self._set(_SET_COMPLEXITY, _COMPLEXITY)
        self._set(_SET_INBAND_FEC, 1)
        self.set_bitrate(bitrate)
        self.set_loss(loss_percent)

    def __del__(self) -> None:
        if getattr(self, "_encoder", None):
            self._library.opus_encoder_destroy(self._encoder)

    def set_bitrate(self, bitrate: int) -> None:
        """Use so many bit/s from now on."""
        self._set(_SET_BITRATE, bitrate)

    def set_loss(self, percent: int) -> None:
        """Make FEC for so much loss from now on."""
        self._set(_SET_PACKET_LOSS_PERC, max(0, min(100, percent)))

    def encode(self, pcm: bytes) -> bytes:
        """One packet of 2.5, 5, 10, 20, 40 or 60 ms of PCM."""
        size = int(
            self._library.opus_encode(
                self._encoder, pcm, len(pcm) // 2, self._packet, ctypes.sizeof(self._packet)
            )
        )
        if size < 0:
            raise OpusError(f"{len(pcm)} bytes of PCM are no frame: {size}")
        return self._packet.raw[:size]

    def _set(self, control: int, value: int) -> None:
        # opus_encoder_ctl takes a variable number of arguments, so none of its types are declared.
        status = self._library.opus_encoder_ctl(
            ctypes.c_void_p(self._encoder), ctypes.c_int(control), ctypes.c_int32(value)
        )
        if status:
            raise OpusError(f"libopus refused {control} = {value}: {status}")
