"""How well the wake phrase is heard, and how badly what is not it, by the recogniser that needs no key.

    python -m tests.actors.soga.wake

Woken: sentences that begin with the phrase, spoken by flite's voices, live and one after the other, as a
conversation has them. Woken by mistake: every text, guesses included, that the recogniser makes of the
recorded people, who say nothing of the kind.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from collections.abc import Iterator, Sequence
from typing import Final

from actors.soga.words import after_wake
from adapters.speech.pocketsphinx_worker import Recogniser
from clients.recordings import Recording, recordings

PHRASE: Final = "hey glasshouse"
QUESTIONS: Final = (
    "what time is it",
    "fix the failing test in my project",
    "run the tests",
    "what are my agents doing",
    "stop",
    "is my computer online",
    "deploy the new version",
    "who wrote the parser",
)
VOICES: Final = ("slt", "rms", "kal16", "awb")
_CHUNK_BYTES: Final = 3_200
_PAUSE: Final = bytes(6_400)


def live(recogniser: Recogniser, pcm: bytes, mean: str = "") -> tuple[list[str], str]:
    """Every text that is made of an utterance, the final one last, and the voice's mean after it."""
    recogniser.begin(mean)
    guesses = (recogniser.hear(pcm[at : at + _CHUNK_BYTES]) for at in range(0, len(pcm), _CHUNK_BYTES))
    texts = [guess for guess in guesses if guess]
    recogniser.end()
    final, mean = recogniser.result()
    return [*texts, final], mean


def misheard(recogniser: Recogniser, people: Sequence[Recording]) -> Iterator[tuple[str, bool]]:
    """Every text of these recordings, and whether it would wake."""
    for recording in people:
        for text in (recording.text, *live(recogniser, recording.pcm)[0]):
            yield text, after_wake(text, PHRASE) is not None


def woken(recogniser: Recogniser, voice: str, questions: Sequence[str] = QUESTIONS) -> int:
    """How many of these questions wake when flite says them in this voice."""
    mean, count = "", 0
    for question in questions:
        texts, mean = live(recogniser, _PAUSE + spoken(f"{PHRASE} {question}", voice) + _PAUSE, mean)
        count += any(after_wake(text, PHRASE) is not None for text in texts)
    return count


def spoken(text: str, voice: str) -> bytes:
    """PCM of 16 kHz."""
    command = ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=20.0)
    with wave.open(io.BytesIO(done.stdout)) as file:
        assert 16_000 == file.getframerate()
        return bytes(file.readframes(file.getnframes()))


def main() -> None:
    recogniser = Recogniser()
    heard = list(misheard(recogniser, recordings()))
    seconds = sum(recording.duration_s for recording in recordings())
    print(
        f"recorded people, {seconds:.0f} s: {len(heard)} texts, {sum(is_woken for _, is_woken in heard)} wake"
    )
    if shutil.which("flite") is not None:
        for voice in VOICES:
            print(f"flite {voice}: {woken(recogniser, voice)} of {len(QUESTIONS)} wake")


if __name__ == "__main__":
    main()
