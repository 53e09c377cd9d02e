"""What every implementation of `Lc3` must do. A test file subclasses this and gives it codec and tones."""

from __future__ import annotations

import abc
import array
import math
import random

import pytest

from actors.ports import Lc3
from protocols.audio import FRAME_SIZES, PCM_FRAME_BYTES

LOUD = 8_000
every_size = pytest.mark.parametrize("size", FRAME_SIZES)


def level_of(pcm: bytes) -> float:
    """The root of the mean square of its samples."""
    samples = array.array("h", pcm)
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


class Lc3Conformance(abc.ABC):
    @pytest.fixture
    def codec(self) -> Lc3:
        return self.make_codec()

    @abc.abstractmethod
    def make_codec(self) -> Lc3: ...
    @abc.abstractmethod
    def tone(self, level: int, count: int, size: int) -> list[bytes]:
        """Frames of a steady tone with that level, in order."""

    @every_size
    def test_every_frame_is_ten_milliseconds_of_pcm_at_its_level(self, codec: Lc3, size: int) -> None:
        frames = self.tone(LOUD, 20, size)

        pcm = codec.decoder(size).decode(b"".join(frames))

        assert 20 * PCM_FRAME_BYTES == len(pcm)
        assert pytest.approx(LOUD, rel=0.1) == level_of(pcm[10 * PCM_FRAME_BYTES :])

    @every_size
    def test_a_stream_is_the_same_however_it_is_cut_and_whoever_else_speaks(
        self, codec: Lc3, size: int
    ) -> None:
        frames = self.tone(LOUD, 12, size)
        whole = codec.decoder(size).decode(b"".join(frames))
        one, other = codec.decoder(size), codec.decoder(size)

        pcm = b""
        for number in range(0, 12, 3):
            other.decode(random.Random(number).randbytes(size * 2))
            pcm += one.decode(b"".join(frames[number : number + 3]))

        assert whole == pcm

    def test_nothing_decodes_to_nothing(self, codec: Lc3) -> None:
        assert (b"", b"") == (codec.decoder(20).decode(b""), codec.decoder(20).conceal(0))

    @every_size
    def test_a_lost_frame_is_filled_with_what_was_heard_before_it(self, codec: Lc3, size: int) -> None:
        decoder = codec.decoder(size)
        decoder.decode(b"".join(self.tone(LOUD, 20, size)))

        filled = decoder.conceal(1)

        assert PCM_FRAME_BYTES == len(filled)
        assert LOUD / 3 < level_of(filled) < LOUD * 1.2

    @every_size
    def test_a_long_loss_fades_out_and_the_voice_comes_back_after_it(self, codec: Lc3, size: int) -> None:
        decoder = codec.decoder(size)
        frames = self.tone(LOUD, 40, size)
        decoder.decode(b"".join(frames[:20]))

        faded = decoder.conceal(60)
        back = decoder.decode(b"".join(frames[20:]))

        assert 60 * PCM_FRAME_BYTES == len(faded)
        assert level_of(faded[-10 * PCM_FRAME_BYTES :]) < LOUD / 50
        assert pytest.approx(LOUD, rel=0.1) == level_of(back[10 * PCM_FRAME_BYTES :])
        assert 0 == decoder.damaged, "lost is not damaged"

    @every_size
    def test_garbage_is_counted_and_forgotten(self, codec: Lc3, size: int) -> None:
        decoder = codec.decoder(size)
        garbage = random.Random(size).randbytes(size * 100)

        noise = decoder.decode(garbage)
        damaged = decoder.damaged
        after = decoder.decode(b"".join(self.tone(LOUD, 20, size)))

        assert 100 * PCM_FRAME_BYTES == len(noise)
        assert 25 <= damaged <= 100, "a good part of it cannot be LC3"
        assert damaged == decoder.damaged
        assert pytest.approx(LOUD, rel=0.1) == level_of(after[10 * PCM_FRAME_BYTES :])

    @pytest.mark.parametrize("size", [0, 10, 19, 30, 401])
    def test_a_size_that_no_phone_sends_has_no_decoder(self, codec: Lc3, size: int) -> None:
        with pytest.raises(ValueError, match=f"frames of {size} bytes"):
            codec.decoder(size)
