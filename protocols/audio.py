"""What the phone's microphone sends, and how it says so: `POST /api/client/audio/configure` (1.2, 7.1).

Audio on the wire is PCM s16le, mono, 16 kHz, or LC3 of the same in frames of 10 ms. A binary frame holds any
amount of PCM, or whole LC3 frames one after another.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.errors import MalformedMessage

SAMPLE_RATE_HZ = 16_000
BYTES_A_SECOND = 2 * SAMPLE_RATE_HZ
FRAME_MS = 10
PCM_FRAME_BYTES = BYTES_A_SECOND * FRAME_MS // 1000
"""The PCM of one LC3 frame."""

FRAME_SIZES = (20, 40, 60)
"""Bytes of an LC3 frame: 16, 32 and 48 kbit/s. No others are known from any phone."""

PCM: Literal["pcm"] = "pcm"
LC3: Literal["lc3"] = "lc3"


class Lc3Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The defaults are what a phone means that says no more than `lc3`."""

    sample_rate: int = SAMPLE_RATE_HZ
    frame_duration_ms: int = FRAME_MS
    frame_size_bytes: int = FRAME_SIZES[0]


class AudioFormat(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The body of the request, and of the answer beside `success`."""

    format: str
    lc3_config: Lc3Config | None = None

    @property
    def frame_bytes(self) -> int | None:
        """The size of an LC3 frame; None for PCM."""
        return None if self.lc3_config is None else self.lc3_config.frame_size_bytes


PCM_FORMAT = AudioFormat(format=PCM)


def lc3_format(frame_bytes: int) -> AudioFormat:
    """LC3 in frames of that size."""
    return AudioFormat(format=LC3, lc3_config=Lc3Config(frame_size_bytes=frame_bytes))


def decode_format(body: bytes) -> AudioFormat:
    """What the phone is going to send. LC3 without a configuration has the default one, PCM has none.

    Raises:
      MalformedMessage: it is no such object, or names what no phone sends and no decoder here reads.
    """
    try:
        asked = _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedMessage(str(error)) from error
    if asked.format == PCM:
        return PCM_FORMAT
    if asked.format != LC3:
        raise MalformedMessage(f"format {asked.format!r}; expected {PCM!r} or {LC3!r}")
    config = asked.lc3_config or Lc3Config()
    if config.sample_rate != SAMPLE_RATE_HZ or config.frame_duration_ms != FRAME_MS:
        found = f"{config.sample_rate} Hz, {config.frame_duration_ms} ms"
        raise MalformedMessage(f"lc3Config of {found}; expected {SAMPLE_RATE_HZ} Hz, {FRAME_MS} ms")
    if config.frame_size_bytes not in FRAME_SIZES:
        expected = ", ".join(map(str, FRAME_SIZES))
        raise MalformedMessage(f"frameSizeBytes {config.frame_size_bytes}; expected one of {expected}")
    return lc3_format(config.frame_size_bytes)


_decoder = msgspec.json.Decoder(AudioFormat)
