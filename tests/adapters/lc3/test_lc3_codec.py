"""liblc3 through lc3py's library, against the wrapper's own decoder."""

from __future__ import annotations

import array
import math
import resource

import lc3
import pytest
from hypothesis import given
from hypothesis import strategies as some

from actors.ports import Lc3
from adapters.lc3 import Lc3Codec
from clients.recordings import recordings
from protocols.audio import FRAME_SIZES, PCM_FRAME_BYTES
from tests.adapters.lc3.conformance import Lc3Conformance

CODEC = Lc3Codec()


def encoded(pcm: bytes, size: int) -> list[bytes]:
    encoder = lc3.Encoder(10_000, 16_000)
    last = len(pcm) - PCM_FRAME_BYTES
    return [
        encoder.encode(pcm[start : start + PCM_FRAME_BYTES], size, 16)
        for start in range(0, last + 1, PCM_FRAME_BYTES)
    ]


class TestLc3Codec(Lc3Conformance):
    def make_codec(self) -> Lc3:
        return CODEC

    def tone(self, level: int, count: int, size: int) -> list[bytes]:
        peak = level * math.sqrt(2)
        wave = (round(peak * math.sin(2 * math.pi * 300 * at / 16_000)) for at in range(count * 160))
        return encoded(array.array("h", wave).tobytes(), size)


@pytest.mark.parametrize("size", FRAME_SIZES)
def test_recorded_speech_decodes_as_by_the_wrapper(size: int) -> None:
    frames = encoded(recordings()[0].pcm[:64_000], size)
    wrapper = lc3.Decoder(10_000, 16_000)

    pcm = CODEC.decoder(size).decode(b"".join(frames))

    assert b"".join(wrapper.decode(frame, 16) for frame in frames) == pcm


def test_decoders_leave_no_memory_behind() -> None:
    for _ in range(1_000):
        CODEC.decoder(20).conceal(1)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(20_000):
        CODEC.decoder(20).conceal(1)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 2_000, "the wrapper's: 60,000"


@given(frames=some.lists(some.binary(min_size=20, max_size=20), max_size=30))
def test_no_content_of_a_frame_raises(frames: list[bytes]) -> None:
    decoder = CODEC.decoder(20)

    pcm = decoder.decode(b"".join(frames))

    assert len(frames) * PCM_FRAME_BYTES == len(pcm)
    assert decoder.damaged <= len(frames)
