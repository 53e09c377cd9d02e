"""Recorded human speech, shipped: what the demo says, and what the speech tests are measured with.

Five LibriVox sentences with their words and with the moments speech begins and ends (README.md tells where
they come from). The files are read as package data, so they are there in an installed wheel too. A file of
the user's is taken as it is or refused with what to do: resampling well needs a library, and every desktop
has a tool for it.
"""

from __future__ import annotations

import io
import wave
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["SAMPLE_RATE_HZ", "Recording", "WavError", "load_wav", "recordings"]

SAMPLE_RATE_HZ: Final = 16_000
_BYTES_A_SECOND: Final = SAMPLE_RATE_HZ * 2
_SAMPLE_BYTES: Final = 2


class Recording(NamedTuple):
    """Speech as the glasses' microphone would give it: PCM s16le, mono, 16 kHz.

    Attributes:
      text: what is said, lower case without punctuation; empty when not known.
      speech_start_s: the first voiced moment, in seconds from the beginning; None when not known.
      speech_end_s: the last voiced moment; None when not known.
    """

    name: str
    pcm: bytes
    text: str = ""
    speech_start_s: float | None = None
    speech_end_s: float | None = None

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / _BYTES_A_SECOND


class WavError(ValueError):
    """A sound file cannot be used. The message says what was found, what is expected and how to get there."""

    def __init__(self, path: str, found: str) -> None:
        super().__init__(
            f"{path}: {found}; expected 16-bit PCM at 16000 Hz, mono or stereo. "
            "Convert it: sox IN -r 16000 -b 16 -c 1 OUT.wav, or ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
        )
        self.path = path
        self.found = found


def recordings() -> tuple[Recording, ...]:
    """The shipped sentences, in the order they are read in the book."""
    folder = resources.files(__name__)
    sentences = []
    for line in folder.joinpath("transcription").read_text(encoding="utf-8").splitlines():
        text, _, rest = line.removeprefix("<s> ").partition(" </s> (")
        name = rest.removesuffix(")")
        start_s, end_s = _label(folder.joinpath(f"{name}.lab").read_text(encoding="utf-8"))
        pcm = _pcm(name, folder.joinpath(f"{name}.wav").read_bytes())
        sentences.append(Recording(name, pcm, text, start_s, end_s))
    return tuple(sentences)


def load_wav(path: str | PathLike[str]) -> Recording:
    """A sound file of the user's. Two channels are mixed to one.

    Raises:
      WavError: it is no WAV file, or not 16-bit PCM at 16 kHz.
      OSError: it cannot be read.
    """
    return Recording(Path(path).stem, _pcm(fspath(path), Path(path).read_bytes()))


def _label(text: str) -> tuple[float, float]:
    """Lines of `time time label`: the label `speech` begins at its time, `silence` likewise."""
    begins = {label: float(time) for time, _, label in (line.split() for line in text.splitlines())}
    return begins["speech"], begins["silence"]


def _pcm(path: str, content: bytes) -> bytes:
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise WavError(path, f"no WAV file that can be read ({str(error) or 'it is cut short'})") from error
    if width != _SAMPLE_BYTES or rate != SAMPLE_RATE_HZ or channels not in (1, 2):
        raise WavError(path, f"{width * 8}-bit, {rate} Hz, {channels} channel{'s' * (channels != 1)}")
    return pcm if channels == 1 else _mixed(pcm)


def _mixed(stereo: bytes) -> bytes:
    """The mean of two channels."""
    samples = memoryview(stereo[: len(stereo) // 4 * 4]).cast("h")
    mono = bytearray()
    for left, right in zip(samples[::2], samples[1::2], strict=True):
        mono += ((left + right) // 2).to_bytes(2, "little", signed=True)
    return bytes(mono)
