"""liblc3 through lc3py's library, against the wrapper's own decoder."""

from __future__ import annotations

import array
import math
import resource

import lc3
import pytest
from hypothesis import given
from hypothesis import strategies as some

from actors.audio.intake import AudioCounts, Intake
from actors.ports import Lc3
from adapters.lc3 import Lc3Codec
from clients.recordings import Recording, recordings
from protocols.audio import FRAME_SIZES, PCM_FRAME_BYTES, lc3_format
from tests.adapters.lc3.conformance import Lc3Conformance

CODEC = Lc3Codec()
SPEECH = recordings()[0].pcm[32_000:96_000]  # of which 20-byte frames can all be read as 40-byte ones


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
    frames = encoded(SPEECH, size)
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


@pytest.mark.parametrize("size", FRAME_SIZES)
def test_speech_of_a_phone_that_never_says_its_format_is_taken_for_what_it_is(size: int) -> None:
    intake = Intake(CODEC, AudioCounts())
    frames = encoded(SPEECH, size)
    chunks = [b"".join(frames[number : number + 6]) for number in range(0, len(frames) - 5, 6)]

    heard = [intake.take(chunk, number * 0.06) for number, chunk in enumerate(chunks)]

    assert lc3_format(size) == intake.format
    assert len(chunks) * 6 * PCM_FRAME_BYTES == sum(len(pcm) for frames in heard for pcm in frames)


@pytest.mark.parametrize("recording", recordings(), ids=lambda each: each.name)
def test_speech_in_small_frames_of_pcm_is_taken_for_pcm_within_a_few(recording: Recording) -> None:
    intake = Intake(CODEC, AudioCounts())
    frames = [recording.pcm[start : start + 320] for start in range(0, len(recording.pcm), 320)]

    heard = [intake.take(frame, number / 100) for number, frame in enumerate(frames)]

    assert intake.is_plain
    assert frames == [frame for each in heard for frame in each]
    assert heard.count(()) < 10
