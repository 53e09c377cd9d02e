"""`glasshouse bench runtime` from end to end, at sizes that say nothing of speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.runtime.matrix import ERLANG, SYSTEMS, WORKLOADS
from bench.runtime.tables import against_kept, read_kept

_ACTORS = ("Actor", "TaskActor")
_ALWAYS_THERE = (*_ACTORS, "bare loop", "trio channel", "asyncio.Queue")


def _bench(*words: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "config.cli", "bench", "runtime", "--quick", *words],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert status == done.returncode, done.stderr
    return done.stdout


def test_bench_runtime_prints_tables_and_writes_json_and_plot(tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "runtime.json"
    folders = ("--out", str(tmp_path / "out"), "--kept", str(kept))

    said = _bench(*folders, "--keep")

    heads = [line.split() for line in said.splitlines() if line.lstrip().startswith("workload")]
    assert ["above", "bare", "x", "bare", "task", "x", "bare", "x", "kept"] == heads[0][9:18]
    assert all(set(system.split()) <= set(heads[1]) for system in SYSTEMS if system != "bare loop")
    assert "behind a Python peer:" in said
    document = json.loads((tmp_path / "out" / "runtime.json").read_text())
    assert document["cells"] == json.loads(kept.read_text())["cells"]
    assert document["machine"]["load_before"]
    cells = read_kept(kept)
    without = {
        name: {key[:2] for key, cell in cells.items() if key[2] == name and cell.value is None}
        for name in SYSTEMS
    }
    assert {name: set() for name in _ALWAYS_THERE} == {name: without[name] for name in _ALWAYS_THERE}
    assert {"not installed"} >= {cell.why for cell in cells.values() if cell.value is None}
    for kind in _ACTORS:
        assert set(WORKLOADS) - {"spawn unsupervised"} == {key[0] for key in cells if key[2] == kind}
    timed = [cell.value for key, cell in cells.items() if key[2] in _ACTORS and "mem" not in key[0]]
    assert all(value and value > 0 for value in timed)
    assert ("spawn unsupervised", 100, ERLANG) in cells
    assert "TaskActor" in (tmp_path / "out" / "runtime.svg").read_text()

    # Against what was kept just now: what the two cells say, in two columns. Their size says nothing here.
    only = ("--only", "tell busy", "--system", "Actor", "--system", "TaskActor", "--system", "bare loop")
    table = _bench(*folders, *only).splitlines()
    row = next(line.split() for line in table if line.split()[:2] == ["tell", "busy"])
    again = read_kept(tmp_path / "out" / "runtime.json")
    for shown, kind in zip(row[10:12], _ACTORS, strict=True):
        ratio = against_kept(again["tell busy", int(row[2]), kind], cells)
        assert ratio is not None
        assert float(shown) == pytest.approx(ratio, rel=0.01)


def test_bench_runtime_opens_its_gates(tmp_path: Path) -> None:
    said = _bench("--gates")

    assert "all gates passed" in said
    assert 16 == said.count("passed") - 1
