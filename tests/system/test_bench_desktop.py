"""The desktop's bench at a small size, without Claude: a question becomes an answer, approvals are timed.

How long they took is not judged here: the machine is busy with other tests.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.system.server import command, environment


def test_a_spoken_question_becomes_an_answer_and_approvals_are_timed(tmp_path: Path) -> None:
    options = ("--claude", "none", "--approvals", "2", "--spoken", "1", "--out", str(tmp_path))

    done = subprocess.run(
        command("bench", "desktop", *options),
        env=environment(tmp_path / "data"),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode in (0, 1), done.stderr  # 1: the aim was missed, which may be this machine's doing
    kept = json.loads((tmp_path / "desktop.json").read_text())
    told = [line[9:].strip() for line in kept["run"]]
    order = [
        "wearer says      hey glasshouse fix the failing test in my project",
        "lens             Thinking…",
        "lens             Change the separator in parser.py? [y/n]? yes / no",
        "wearer           presses the button: allowed",
        "lens             Run the tests? [y/n]? yes / no",
        "wearer says      yes",
        "recognised       yes",
        "lens             Fixed: 1 test run, OK.",
    ]
    assert order == sorted(order, key=told.index)
    assert "there is no Claude Code CLI" in done.stdout
    assert "the agent completed, parser.py is repaired" in done.stdout
    assert [2, 1, 1] == [len(row["all"]) for row in kept["rows"]]
    assert all(0 < took_ms < 60_000 for row in kept["rows"] for took_ms in row["all"])
    assert "the press leaves the phone: p99" in done.stdout
