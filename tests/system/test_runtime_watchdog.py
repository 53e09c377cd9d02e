"""A handler that never returns ends the process, with its name and its stack."""

from __future__ import annotations

import pathlib
import subprocess
import sys

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

    assert (0, "handled\n", "") == (ended.returncode, ended.stdout, ended.stderr)
