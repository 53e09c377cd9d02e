"""What every `Voices` must do. A test file subclasses this and gives it `voices`."""

from __future__ import annotations

import pytest

from actors.ports import Voices
from clients.coded_audio import sentence, silence, word
from tests.adapters.vad.rooms import judge, pcm_of, white

SLACK_MS = 120


class VoicesConformance:
    def test_quiet_counts_from_the_beginning_and_from_the_last_voice(self, voices: Voices) -> None:
        detector = voices.detector()

        assert 900 <= detector.hear(silence(1.0)).quiet_ms <= 1000
        assert 0 == detector.hear(word(7, 0.5)).quiet_ms
        assert 500 - SLACK_MS <= detector.hear(silence(0.5)).quiet_ms <= 500
        assert 0 == detector.hear(word(8, 0.5)).quiet_ms

    @pytest.mark.parametrize("piece_bytes", [2, 320, 1_000, 3_200, 100_000])
    def test_pieces_of_audio_may_have_any_length(self, voices: Voices, piece_bytes: int) -> None:
        pcm = silence(0.5) + sentence(range(3), pause_s=0.71) + sentence(range(3), pause_s=0.53)
        whole, pieces = voices.detector(), voices.detector()

        heard = whole.hear(pcm)
        for begin in range(0, len(pcm), piece_bytes):
            last = pieces.hear(pcm[begin : begin + piece_bytes])

        assert heard == last

    def test_two_microphones_have_nothing_in_common(self, voices: Voices) -> None:
        one, two = voices.detector(), voices.detector()
        one.hear(silence(1.0))
        two.hear(silence(1.0))

        assert 0 == one.hear(word(1, 0.5)).quiet_ms
        assert two.hear(silence(0.5)).quiet_ms >= 1400

    def test_a_soft_room_is_nobodys_voice(self, voices: Voices) -> None:
        judged = judge(voices.detector(), pcm_of(white(10 * 16_000, -60)))

        assert 0.0 == judged.share_given(2.0)
        assert [] == judged.pauses
