"""flite, and what stands in for it: one port, held to the same."""

from __future__ import annotations

import io
import os
import shutil
import stat
import wave
from pathlib import Path

import pytest
import trio

from actors.synthesis_ports import SpeechSynthesis, SynthesisError
from adapters.simulated.synthesis import ToneSynthesis
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.synthesis import Flite, FliteSettings

HAS_FLITE = shutil.which("flite") is not None
NEEDS_FLITE = pytest.mark.skipif(not HAS_FLITE, reason="flite is not installed; ./run test does so as root")


def flite(**settings: object) -> Flite:
    return Flite(
        FliteSettings(**settings),  # type: ignore[arg-type]
        RecordingTelemetry(),
        environment=os.environ,
    )


def scripted(folder: Path, script: str, **settings: object) -> Flite:
    """A program in flite's place. It is called as `-voice V -f TEXT -o SOUND`."""
    program = folder / "flite"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return flite(program=str(program), **settings)


def seconds(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        assert (1, 2) == (file.getnchannels(), file.getsampwidth())
        return float(file.getnframes() / file.getframerate())


@pytest.mark.parametrize("kind", ["tone", pytest.param("flite", marks=NEEDS_FLITE)])
async def test_a_text_becomes_a_sound_that_is_longer_for_more(kind: str) -> None:
    synthesis: SpeechSynthesis = flite() if kind == "flite" else ToneSynthesis()

    short = seconds(await synthesis.speak("It is ten."))
    long = seconds(await synthesis.speak("It is ten. All of the tests pass, and nothing else is to be done."))

    assert synthesis.is_ready
    assert 0.3 < short < long < 20.0


@pytest.mark.parametrize("kind", ["tone", "flite"])
async def test_a_text_that_is_too_long_is_refused(kind: str, tmp_path: Path) -> None:
    synthesis: SpeechSynthesis = scripted(tmp_path, "exit 0") if kind == "flite" else ToneSynthesis()

    with pytest.raises(SynthesisError) as refused:
        await synthesis.speak("word " * 200)
    assert "too_long" == refused.value.kind


@NEEDS_FLITE
@pytest.mark.parametrize(
    "text", ["-h", "$(touch evil)", "; touch evil", "'\"`", "a\0b", "日本語", "\ud800", "<speak>x</speak>"]
)
async def test_a_text_is_only_ever_spoken(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    wav = await flite().speak(text)

    assert wav.startswith(b"RIFF")
    assert [] == os.listdir(tmp_path)


async def test_a_text_is_not_on_the_command_line_and_no_secret_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_JWT_SECRET", "a secret")
    synthesis = scripted(tmp_path, 'echo "$@" > "$6.said"; env >&2; cat "$4" >&2; exit 3')

    with pytest.raises(SynthesisError) as failed:
        await synthesis.speak("a private matter")

    assert "failed" == failed.value.kind
    assert "ended with 3" in failed.value.cause
    assert "a secret" not in failed.value.cause


async def test_a_missing_program_is_said_so() -> None:
    synthesis = flite(program="no-such-flite")

    assert not synthesis.is_ready
    with pytest.raises(SynthesisError) as missing:
        await synthesis.speak("It is ten.")
    assert ("missing", True) == (missing.value.kind, "apt install flite" in missing.value.cause)


async def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    synthesis = scripted(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60", speak_s=0.3)

    with pytest.raises(SynthesisError) as late:
        await synthesis.speak("It is ten.")

    assert "timeout" == late.value.kind
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_one_that_says_nothing_has_failed(tmp_path: Path) -> None:
    for script in ("exit 0", 'echo "no sound" > "$6"'):
        with pytest.raises(SynthesisError) as failed:
            await scripted(tmp_path, script).speak("It is ten.")
        assert "failed" == failed.value.kind


async def test_only_so_many_speak_and_only_so_many_wait(tmp_path: Path) -> None:
    synthesis = scripted(tmp_path, "exec sleep 60", at_once=1, waiting=1, wait_s=0.2, speak_s=2.0)
    kinds: list[str] = []
    one_gave_up = trio.Event()

    async def speak() -> None:
        try:
            await synthesis.speak("It is ten.")
        except SynthesisError as error:
            kinds.append(error.kind)
            if len(kinds) == 2:
                one_gave_up.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        nursery.start_soon(speak)
        await trio.testing.wait_all_tasks_blocked()
        await speak()
        assert ["busy"] == kinds, "no room to wait"
        await one_gave_up.wait()
        assert ["busy", "busy"] == kinds, "waited too long"
        nursery.cancel_scope.cancel()
    assert ["busy", "busy"] == kinds
