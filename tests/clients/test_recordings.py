from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import pytest

from clients.recordings import SAMPLE_RATE_HZ, Recording, WavError, load_wav, recordings


def wav(pcm: bytes, *, channels: int = 1, width: int = 2, rate: int = SAMPLE_RATE_HZ) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return content.getvalue()


def test_five_sentences_are_shipped_with_their_words_and_labels() -> None:
    shipped = recordings()

    assert ["0870", "0880", "0890", "0920", "0930"] == [recording.name[-4:] for recording in shipped]
    assert "he was not an ill disposed young man" == shipped[1].text
    assert (0.250750, 2.773918) == (shipped[1].speech_start_s, shipped[1].speech_end_s)
    assert 24.7 == pytest.approx(sum(recording.duration_s for recording in shipped), abs=0.1)
    assert all(
        0 < (recording.speech_start_s or 0) < (recording.speech_end_s or 0) < recording.duration_s
        for recording in shipped
    )


def test_a_file_of_the_users_is_loaded_without_words(tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    path.write_bytes(wav(b"\x01\x02" * 1600))

    loaded = load_wav(path)

    assert Recording("hello", b"\x01\x02" * 1600) == loaded
    assert 0.1 == loaded.duration_s


def test_two_channels_are_mixed(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav(struct.pack("<4h", 100, 300, -32768, -32768), channels=2))

    assert struct.pack("<2h", 200, -32768) == load_wav(path).pcm


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (wav(bytes(100), rate=44_100), "16-bit, 44100 Hz, 1 channel;"),
        (wav(bytes(100), width=1), "8-bit, 16000 Hz"),
        (wav(bytes(120), channels=3), "3 channels"),
        (b"OggS and so on, long enough to be read", "no WAV file"),
        (b"", "it is cut short"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(content)

    with pytest.raises(WavError, match=found) as raised:
        load_wav(path)

    assert "ffmpeg -i IN -ar 16000 -ac 1" in str(raised.value)
    assert str(path) == raised.value.path
