"""Where utterances are cut, on recorded speech: nothing is timed here, so every number is exact."""

from __future__ import annotations

import random
import statistics
from array import array

import msgspec
import pytest

from adapters.speech import PocketSphinxSettings
from adapters.speech.endpointing import BYTES_A_SECOND, Began, Continued, Cut, Ended, UtteranceCutter
from clients.recordings import Recording, recordings

SETTINGS = PocketSphinxSettings()
RECORDINGS = recordings()
PAUSE = bytes(BYTES_A_SECOND * 3 // 2)


def cuts_of(audio: bytes, *, chunk_bytes: int = 3200, cutter: UtteranceCutter | None = None) -> list[Cut]:
    cutter = cutter or UtteranceCutter(SETTINGS)
    chunks = (audio[begin : begin + chunk_bytes] for begin in range(0, len(audio), chunk_bytes))
    return [cut for chunk in chunks for cut in cutter.feed(chunk)]


def utterances(cuts: list[Cut]) -> list[tuple[Began, bytes, int | None]]:
    """Beginning, audio and end of each."""
    found: list[tuple[Began, bytes, int | None]] = []
    for cut in cuts:
        match cut:
            case Began():
                found.append((cut, cut.pcm, None))
            case Continued(pcm):
                began, audio, _ = found[-1]
                found[-1] = (began, audio + pcm, None)
            case Ended(end_ms, _):
                began, audio, _ = found[-1]
                found[-1] = (began, audio, end_ms)
    return found


def louder(pcm: bytes, gain: float, noise: float = 0.0) -> bytes:
    chance = random.Random(1)
    return array("h", [int(sample * gain + chance.gauss(0, noise)) for sample in array("h", pcm)]).tobytes()


def noticed_s(recording: Recording, before: bytes = b"") -> float:
    """How much audio after the last voiced frame it takes to notice the end."""
    ((began, audio, _),) = utterances(cuts_of(before + recording.pcm + PAUSE))
    seen_s = began.audio_ms / 1000 + len(audio) / BYTES_A_SECOND - len(before) / BYTES_A_SECOND
    assert recording.speech_end_s is not None
    return seen_s - recording.speech_end_s


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name[-4:])
def test_a_sentence_is_one_utterance_with_all_its_speech(recording: Recording) -> None:
    ((began, audio, end_ms),) = utterances(cuts_of(recording.pcm + PAUSE))

    assert recording.speech_start_s is not None
    assert recording.speech_end_s is not None
    assert began.audio_ms <= recording.speech_start_s * 1000  # no first syllable is cut
    assert began.audio_ms + len(audio) * 1000 // BYTES_A_SECOND >= recording.speech_end_s * 1000
    assert end_ms is not None
    assert -0.1 < end_ms / 1000 - recording.speech_end_s < 0.4
    assert recording.pcm[began.audio_ms * 32 :].startswith(audio[: len(recording.pcm) // 2])


def test_the_end_of_speech_is_noticed_after_a_third_of_a_second() -> None:
    delays = [noticed_s(recording) for recording in RECORDINGS]

    assert statistics.median(delays) < 0.4
    assert max(delays) < 0.45


@pytest.mark.parametrize(("gain", "noise"), [(0.1, 0.0), (0.03, 0.0), (0.6, 100.0)])
def test_quiet_or_noisy_speech_is_cut_alike(gain: float, noise: float) -> None:
    for recording in RECORDINGS[:2]:
        found = utterances(cuts_of(louder(recording.pcm + PAUSE, gain, noise)))

        assert 1 <= len(found) <= 2
        assert sum(len(audio) for _, audio, _ in found) > 0.9 * len(recording.pcm)


def test_chunks_of_any_length_are_cut_alike() -> None:
    audio = RECORDINGS[1].pcm + PAUSE

    expected, *others = (
        [
            (began.start_ms, began.audio_ms, pcm, end)
            for began, pcm, end in utterances(cuts_of(audio, chunk_bytes=length))
        ]
        for length in (3200, 959, 7, 64_000)
    )

    assert 1 == len(expected)
    assert [expected] * 3 == others


def test_silence_is_no_utterance() -> None:
    assert [] == cuts_of(bytes(10 * BYTES_A_SECOND))


def test_sentences_in_a_row_are_utterances_in_a_row() -> None:
    audio = b"".join(recording.pcm + PAUSE for recording in RECORDINGS)

    found = utterances(cuts_of(audio))

    assert len(RECORDINGS) == len(found)
    assert all(end is not None for _, _, end in found)


def test_speech_that_goes_on_after_a_quiet_moment_begins_again_without_a_gap() -> None:
    hum = array("h", [900 if index % 40 < 20 else -900 for index in range(BYTES_A_SECOND // 4)]).tobytes()
    speech = RECORDINGS[3].pcm
    half = 96_000
    first, second = louder(speech[:half], 1.5), louder(speech[half:], 1.5)

    found = utterances(cuts_of(first + hum + second + PAUSE))

    assert len(found) == 2
    (_, before, _), (began, after, end_ms) = found
    assert len(before) + len(after) > len(speech)
    assert began.audio_ms * 32 <= len(first) + len(hum)
    assert end_ms is not None


def test_finish_ends_the_utterance_at_once_and_the_next_one_begins_anew() -> None:
    cutter = UtteranceCutter(SETTINGS)
    speech = RECORDINGS[3].pcm[: 2 * BYTES_A_SECOND]

    before = cuts_of(speech, cutter=cutter)
    ended = cutter.finish()
    again = cuts_of(speech, cutter=cutter)

    assert isinstance(before[0], Began)
    (end,) = ended
    assert isinstance(end, Ended)
    assert not end.is_silent
    assert 1950 <= end.end_ms <= 2000
    assert isinstance(again[0], Began)
    assert again[0].audio_ms >= end.end_ms


def test_finish_without_speech_is_nothing() -> None:
    assert [] == UtteranceCutter(SETTINGS).finish()


def test_speech_without_a_pause_is_cut_at_the_limits_and_nothing_is_lost() -> None:
    settings = msgspec.structs.replace(SETTINGS, utterance_soft_s=2.0, utterance_hard_s=4.0)
    speech = b"".join(recording.pcm[9_600:-12_800] for recording in RECORDINGS)

    found = utterances(cuts_of(speech + PAUSE, cutter=UtteranceCutter(settings)))

    assert len(found) >= 5
    assert max(len(audio) for _, audio, _ in found) <= 4.03 * BYTES_A_SECOND
    joined = b"".join(audio for _, audio, _ in found)
    assert speech[found[0][0].audio_ms * 32 :].startswith(joined[: len(speech) - BYTES_A_SECOND])


def test_a_pause_after_the_soft_limit_is_where_long_speech_is_cut() -> None:
    settings = msgspec.structs.replace(SETTINGS, utterance_soft_s=2.0, utterance_hard_s=60.0)
    speech = b"".join(recording.pcm[9_600:-12_800] for recording in RECORDINGS)

    found = utterances(cuts_of(speech + PAUSE, cutter=UtteranceCutter(settings)))

    assert len(found) >= 3
