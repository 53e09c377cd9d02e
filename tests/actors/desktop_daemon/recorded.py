"""Screens of the real Claude Code 2.1.329, 120 columns wide, as `tests/system` meets them.

The first line of a file is the cursor's row and column, the rest is what pyte has drawn. The project's path
was put in afterwards.
"""

from __future__ import annotations

from pathlib import Path

from actors.desktop_daemon.screens import Screen

_FOLDER = Path(__file__).parent / "screens"

NAMES = sorted(path.stem for path in _FOLDER.glob("*.txt"))


def recorded(name: str) -> Screen:
    """The screen of this name."""
    cursor, _, text = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").partition("\n")
    row, column = cursor.split()
    return Screen(tuple(text.rstrip("\n").split("\n")), int(row), int(column))


_STREAMS = Path(__file__).parent / "streams"

STREAMS = sorted(path.stem for path in _STREAMS.glob("*.jsonl"))


def recorded_stream(name: str) -> list[bytes]:
    """The lines of this run without a terminal; `tests/system/record_claude_streams.py` records them."""
    return (_STREAMS / f"{name}.jsonl").read_bytes().splitlines()
