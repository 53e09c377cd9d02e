"""A handler that never returns ends the process, with its name and its stack."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

PROGRAM = """
import sys
import trio
from runtime import Actor, ChildSpec, Watchdog, open_system

class Endless(Actor[str]):
    def receive(self, message: str) -> None:
        while True:
            pass

class Honest(Actor[str]):
    def receive(self, message: str) -> None:
        print("handled", flush=True)

async def main() -> None:
    async with open_system("watched", watchdog=Watchdog(limit_s=0.4)) as system:
        print("up", flush=True)
        ref = await system.spawn(ChildSpec("actor", Endless if sys.argv[1] == "endless" else Honest))
        for _ in range(3):
            await trio.sleep(0.4)
        ref.tell("message")
        for _ in range(3):
            await trio.sleep(0.4)

trio.run(main)
"""


def run(kind: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, kind], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_handler_that_never_returns_ends_the_process_with_its_name_and_stack() -> None:
    ended = run("endless")

    assert ended.returncode == 70
    assert "held for 0.4 s by /actor, handling str" in ended.stderr
    assert "in receive" in ended.stderr


def test_an_honest_process_is_left_alone() -> None:
    ended = run("honest")

    assert (0, "up\nhandled\n", "") == (ended.returncode, ended.stdout, ended.stderr)


def test_a_process_that_was_stopped_is_not_one_that_is_held() -> None:
    command = [sys.executable, "-c", PROGRAM, "honest"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(4):  # who comes first after a pause, the loop or the thread, is chance
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.45)  # longer than the limit: the pause is what is tested
            process.send_signal(signal.SIGCONT)
        output, errors = process.communicate(timeout=60)

    assert (0, b"handled\n", b"") == (process.returncode, output, errors)
