"""The relay's delay with a hundred microphones open, beside a media process that has work to do.

With real-time priority: how long other programs keep the processor is no property of the server. What the
guests of a shared machine take is not kept away by it, so the bound is no aim: it is what media work in the
server's own process, or a relay that queues, would not hold. `glasshouse bench microphones` has the figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MOST_MS = 200.0
"""Of the relay, p99. Seen on two shared cores: 3 to 6, once 24."""


def test_relay_keeps_its_delay_beside_a_hundred_microphones_and_a_busy_media_process(tmp_path: Path) -> None:
    command = (sys.executable, "-P", "-m", "config.cli", "bench", "microphones")
    options = ("--sessions", "100", "--peers", "2", "--seconds", "4", "--out", str(tmp_path))
    try:
        done = subprocess.run(
            [*command, *options],
            preexec_fn=_take_real_time_priority,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except subprocess.SubprocessError as error:
        if isinstance(error, subprocess.TimeoutExpired):
            raise
        pytest.skip("real-time priority is not to be had here, and without it the machine is measured")

    assert 0 == done.returncode, done.stderr
    (row,) = json.loads((tmp_path / "microphones.json").read_text())["rows"]
    assert (100, 2) == (row["N"], row["peers"])
    assert row["finals"] >= 100
    assert row["audio p99"] <= MOST_MS


def _take_real_time_priority() -> None:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
