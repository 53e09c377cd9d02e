"""Claude Code in its terminal and without one, one after the other: how soon it is ready, asks and goes on.

    python -m tests.system.claude_modes [COUNT]

The CLI and the pipes, hooks and terminals are real, the model is on loopback. From the approval until the CLI
has run the tool and asks the model for the next thing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from actors.desktop_daemon.ports import Ready
from adapters.terminal import ClaudeMode
from clients.messages_loopback import Asked, Reply
from tests.system.claude_program import bash, install_claude, open_desk

MODES: Final[tuple[ClaudeMode, ...]] = ("terminal", "stream")
ROUNDS: Final = 2


class Figures:
    """Of one mode, in seconds."""

    def __init__(self) -> None:
        self.ready: list[float] = []
        self.asks: list[float] = []
        self.goes_on: list[float] = []
        self.processor: list[float] = []


async def measure(mode: ClaudeMode, program: str, count: int, figures: Figures) -> None:
    """One run with so many permissions."""
    asked_at: list[float] = []

    def reply(asked: Asked) -> Reply:
        asked_at.append(time.perf_counter())
        number = len(asked_at)
        return [f"Step {number}.", bash(f"touch {number}.txt")] if number <= count else "Done."

    with tempfile.TemporaryDirectory() as folder:
        async with open_desk(Path(folder), program, reply, mode) as desk:
            began, busy = time.perf_counter(), time.process_time()
            async with desk.run(desk.order("Make files.")) as run:
                await run.until(lambda: Ready() in run.events)
                figures.ready.append(time.perf_counter() - began)
                for number in range(1, count + 1):
                    question = await run.question(number)
                    figures.asks.append(time.perf_counter() - asked_at[number - 1])
                    assert run.approve(question)
                    decided = time.perf_counter()
                    while len(asked_at) == number:  # noqa: ASYNC110
                        await trio.sleep(0.0005)
                    figures.goes_on.append(asked_at[number] - decided)
                await run.outcome()
            figures.processor.append(time.process_time() - busy)


def in_ms(seconds: Sequence[float]) -> str:
    """p50, p99 and the greatest."""
    cut = statistics.quantiles(seconds, n=100, method="inclusive")
    return " ".join(f"{value * 1000:8.1f}" for value in (cut[49], cut[98], max(seconds)))


async def _main(count: int) -> None:
    program = await trio.to_thread.run_sync(install_claude)
    found = {mode: Figures() for mode in MODES}
    for _ in range(ROUNDS):
        for mode in MODES:
            await measure(mode, program, count // ROUNDS, found[mode])
    print(f"{count} permissions each, ms                    p50      p99      max")
    for mode, figures in found.items():
        print(f"{mode:9} start until it is ready      ", in_ms(figures.ready))
        print(f"{mode:9} model's answer until it asks  ", in_ms(figures.asks))
        print(f"{mode:9} approval until it goes on     ", in_ms(figures.goes_on))
        print(f"{mode:9} the daemon's processor, a run ", in_ms(figures.processor))


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]) if len(sys.argv) > 1 else 60)
