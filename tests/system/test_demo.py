"""`glasshouse demo` as a newcomer runs it: the wearer reads what the recogniser heard."""

from __future__ import annotations

import re
import subprocess
import sys
import wave
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.recordings import recordings
from tests.adapters.tracing.collector import Taken, collector

STEPS = ["utterance", "final", "to app", "app", "arbitration", "lens"]


def _demo(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "config.cli", "demo", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert 0 == done.returncode, done.stderr + done.stdout
    return done.stdout


def _read(output: str) -> list[str]:
    return re.findall(r"^  read  (.*)$", output, flags=re.MULTILINE)


def _wav(path: Path, pcm: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm)
    return path


def test_the_caption_is_what_was_spoken_and_changes_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_TRACING_SHARE", "1")
    sentences = {recording.name[-4:]: recording for recording in recordings()}
    last, second = sentences["0930"], sentences["0880"]

    with collector() as taking, ThreadPoolExecutor() as both:
        monkeypatch.setenv("GLASSHOUSE_TRACING_ENDPOINT", taking.url)
        demos = (
            both.submit(_demo, "--sentences", "1"),
            both.submit(_demo, "--wav", str(_wav(tmp_path / "other.wav", second.pcm))),
        )
        shipped, other = (demo.result() for demo in demos)

    assert f"  said  {last.text}" in shipped
    assert "amiable" in _read(shipped)[0]
    assert "lens | Captions are on" in shipped
    assert "amiable" not in _read(other)[0]
    assert {"young", "man"} <= set(_read(other)[0].split())
    for label in ("glasses to app", "final text at the app", "app to lens"):
        assert re.search(rf"{label}.* ms +\d", shipped), label
    assert "did not reach the app" not in shipped
    assert {*STEPS} <= set(taking.names())
    spans = {span.span_id: span for span in taking.spans}
    ways = [_way(span, spans) for span in taking.spans if span.name == "lens"]
    assert STEPS in ways, "from the microphone to the lens"


def _way(span: Taken, spans: Mapping[str, Taken]) -> list[str]:
    """The steps of a trace that lead to this one."""
    parent = spans.get(span.parent_id)
    return [*(() if parent is None else _way(parent, spans)), span.name]


def test_every_other_way_of_the_audio_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    # The ways of the audio are what is tried here, not how much of it a busy machine sheds.
    monkeypatch.setenv("GLASSHOUSE_OVERLOAD_LATE_S", "60")

    with ThreadPoolExecutor() as both:
        demos = [
            both.submit(_demo, "--sentences", "1", "--audio", "lc3", "--mic", "glasses"),
            both.submit(_demo, "--sentences", "1", "--audio", "udp"),
            both.submit(_demo, "--sentences", "1", "--audio", "webrtc"),
        ]
        outputs = [demo.result() for demo in demos]

    for output in outputs:
        assert "he might even have been made" in _read(output)[0], "of 16 to 32 kbit/s no more can be asked"


def test_a_file_that_is_no_speech_is_refused_with_what_to_do(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF, but not really")

    done = subprocess.run(
        [sys.executable, "-P", "-m", "config.cli", "demo", "--wav", str(broken)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 1 == done.returncode
    assert "broken.wav" in done.stderr
    assert "sox" in done.stderr
