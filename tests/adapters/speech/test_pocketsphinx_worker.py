"""The worker as a process: what goes over its pipes, and when it ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.speech.worker_frames import FrameReader, Kind, pack
from clients.recordings import recordings

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-P", "-m", "adapters.speech.pocketsphinx_worker"]
SPEECH = recordings()[1].pcm[:40_000]


class Worker:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._reader = FrameReader()
        self._frames: list[tuple[Kind, bytes]] = []

    def send(self, *frames: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(frames))
        self.process.stdin.flush()

    def answer(self) -> tuple[Kind, bytes]:
        assert self.process.stdout is not None
        while not self._frames:
            chunk = os.read(self.process.stdout.fileno(), 65_536)
            assert chunk, "the worker has ended"
            self._frames += self._reader.feed(chunk)
        return self._frames.pop(0)

    def recognise(
        self, pcm: bytes, *, piece_bytes: int, mean: bytes = b"", end: Kind = Kind.END
    ) -> tuple[list[bytes], bytes]:
        """The guesses, and the final frame's payload."""
        self.send(pack(Kind.BEGIN, mean))
        guesses = []
        for begin in range(0, len(pcm), piece_bytes):
            self.send(pack(Kind.AUDIO, pcm[begin : begin + piece_bytes]))
            kind, text = self.answer()
            assert kind in (Kind.HEARD, Kind.PARTIAL)
            if kind is Kind.PARTIAL:
                guesses.append(text)
        self.send(pack(end))
        kind, payload = self.answer()
        assert kind is Kind.FINAL
        return guesses, payload


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits it ignored
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        worker = Worker(process)
        assert (Kind.READY, b"") == worker.answer()
        yield worker
        process.kill()


def test_the_same_audio_in_other_pieces_is_the_same_text(worker: Worker) -> None:
    _, whole = worker.recognise(SPEECH, piece_bytes=16_000)
    guesses, pieces = worker.recognise(SPEECH, piece_bytes=3200)

    assert whole == pieces
    assert len(guesses) >= 2
    assert all(before != after for before, after in itertools.pairwise(guesses))


def test_after_silence_the_text_is_there_before_the_decoder_is_done(worker: Worker) -> None:
    speech = SPEECH + bytes(12_800)
    _, thorough = worker.recognise(speech, piece_bytes=16_000)
    _, quick = worker.recognise(speech, piece_bytes=16_000, end=Kind.END_SILENT)

    assert thorough.partition(b"\n")[2] == quick.partition(b"\n")[2]


def test_an_utterance_is_not_changed_by_the_voice_before_it(worker: Worker) -> None:
    _, alone = worker.recognise(SPEECH, piece_bytes=16_000)
    worker.recognise(recordings()[0].pcm[:64_000], piece_bytes=16_000)
    _, after = worker.recognise(SPEECH, piece_bytes=16_000)

    assert alone == after


def test_what_was_learned_about_a_voice_can_be_given_back(worker: Worker) -> None:
    _, payload = worker.recognise(SPEECH, piece_bytes=16_000)
    mean, _, _ = payload.partition(b"\n")
    _, taught = worker.recognise(SPEECH, piece_bytes=16_000, mean=mean)

    assert 13 == len(mean.split(b","))
    assert payload != taught


def test_an_abandoned_utterance_leaves_nothing_behind(worker: Worker) -> None:
    _, alone = worker.recognise(SPEECH, piece_bytes=16_000)
    worker.send(pack(Kind.BEGIN), pack(Kind.AUDIO, SPEECH[:32_000]))
    worker.answer()
    worker.send(pack(Kind.ABANDON))
    _, after = worker.recognise(SPEECH, piece_bytes=16_000)

    assert alone == after


def test_ctrl_c_is_the_servers_business(worker: Worker) -> None:
    worker.process.send_signal(signal.SIGINT)

    guesses, _ = worker.recognise(SPEECH[:32_000], piece_bytes=16_000)

    assert guesses


@pytest.mark.parametrize("closes", ["requests", "answers"])
def test_it_ends_when_a_pipe_closes(closes: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        worker = Worker(process)
        worker.answer()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if closes == "requests":
            process.stdin.close()
        else:
            process.stdout.close()
            worker.send(pack(Kind.BEGIN), pack(Kind.AUDIO, SPEECH[:3200]))
        status = process.wait(timeout=30)
        complaints = process.stderr.read()

    assert (0, b"") == (status, complaints)


def test_what_the_library_prints_does_not_reach_the_pipe() -> None:
    code = (
        "import ctypes, adapters.speech.pocketsphinx_worker as worker\n"
        "worker.serve = lambda requests, answers: ctypes.CDLL(None).puts(b'INFO: loading')\n"
        "worker.main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, input=b"", capture_output=True, check=True
    )

    assert (b"", b"INFO: loading\n") == (done.stdout, done.stderr)


def test_a_frame_that_only_a_worker_sends_ends_it_loudly() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        COMMAND, env=environment, input=pack(Kind.READY), capture_output=True, check=False, timeout=60
    )

    assert 1 == done.returncode
    assert b"the server sent READY" in done.stderr


def test_a_worker_does_without_trio_and_the_ports() -> None:
    code = (
        "import sys, adapters.speech.pocketsphinx_worker as w; print({'trio', 'actors'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )

    assert b"set()" == done.stdout.strip()


def test_the_package_names_what_it_exports() -> None:
    import adapters.speech

    assert all(getattr(adapters.speech, name).__name__ == name for name in adapters.speech.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = adapters.speech.nothing
