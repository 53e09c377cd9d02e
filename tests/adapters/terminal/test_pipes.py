"""Pipes to a program that speaks in lines."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from actors.desktop_daemon.terminal_facts import LineHeard
from adapters.terminal import pipes
from adapters.terminal.pipes import LinePipes, PipesError


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in files(folder)}


def run(argv: Sequence[str]) -> None:
    """Run it in this turn of the loop, so that nobody else has the time to read."""
    subprocess.run(argv, check=True)


async def test_lines_of_any_size_go_both_ways_and_the_names_are_gone_once_both_ends_are_open(
    tmp_path: Path,
) -> None:
    lines = [b"short", b"x" * 3_000_000, b"last"]
    heard: list[LineHeard] = []
    async with trio.open_nursery() as nursery:
        both = LinePipes(tmp_path, heard.append)
        both.start(nursery)
        assert {0o600} == modes(tmp_path)
        process = await trio.lowlevel.open_process(both.redirected(("cat",)))
        try:
            for line in lines:
                both.send(line + b"\n")
            with trio.fail_after(20):
                while len(heard) < len(lines):
                    await trio.testing.wait_all_tasks_blocked(0.01)
        finally:
            process.kill()
            await process.wait()
        assert [] == files(tmp_path)
        nursery.cancel_scope.cancel()

    assert [LineHeard(line) for line in lines] == heard


async def test_what_a_program_said_last_is_told_before_its_end_is(tmp_path: Path) -> None:
    heard: list[LineHeard] = []
    async with trio.open_nursery() as nursery:
        both = LinePipes(tmp_path, heard.append)
        both.start(nursery)
        run(both.redirected(("echo", "goodbye")))
        both.drain()
        told = list(heard)
        nursery.cancel_scope.cancel()

    assert [LineHeard(b"goodbye")] == told


async def test_a_program_that_does_not_read_is_not_written_to_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "MOST_WAITING_BYTES", 1_000_000)
    before = psutil.Process().num_fds()
    async with trio.open_nursery() as nursery:
        both = LinePipes(tmp_path, lambda _: None)
        both.start(nursery)
        both.send(b"x" * 900_000)
        with pytest.raises(PipesError, match="does not read"):
            both.send(b"x" * 900_000)
        nursery.cancel_scope.cancel()

    assert [] == files(tmp_path)
    assert before == psutil.Process().num_fds()


async def test_the_end_of_who_started_it_is_no_end_of_a_programs_input(tmp_path: Path) -> None:
    listens = (
        "import select; print('up', flush=True); raise SystemExit(len(select.select([0], [], [], 0.3)[0]))"
    )
    is_up = trio.Event()
    async with trio.open_nursery() as nursery:
        both = LinePipes(tmp_path, lambda _: is_up.set())
        both.start(nursery)
        process = await trio.lowlevel.open_process(both.redirected((sys.executable, "-c", listens)))
        with trio.fail_after(20):
            await is_up.wait()
        nursery.cancel_scope.cancel()

    with trio.fail_after(20):
        assert 0 == await process.wait()
