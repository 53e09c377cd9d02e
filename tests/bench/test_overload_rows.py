"""What `bench overload` makes of a run: cut into phases, and when all was well again."""

from __future__ import annotations

from typing import Any

import pytest

from bench.overload import _rows, _well_after

RECORD: dict[str, Any] = {
    "presses": [(1.0, 0.01), (11.0, 0.15), (12.0, None), (21.0, 0.3), (22.0, 0.1)],
    "criticals": [(11.0, 0.05), (21.5, 0.02)],
    "buckets": [
        (1.0, 100, 100, 0.01, 0.001),
        (11.0, 100, 40, 1.5, 0.002),
        (20.5, 100, 90, 0.2, 0.001),
        (23.0, 100, 100, 0.01, 0.001),
    ],
    "visits": [(11.0, "new", "503 OVERLOADED"), (11.5, "back", "accepted"), (21.0, "new", "accepted")],
    "ended": [(12.0, "the server closed")],
}
PHASES = [
    {"phase": name, "began": began, "ended": began + 10, "core %": 50.0, "MB": 60.0}
    for name, began in (("calm", 0.0), ("pressure", 10.0), ("after", 20.0))
]
HEALTH = [(1.0, "ok"), (11.0, "overloaded"), (12.0, "ok")]


def test_a_run_is_cut_into_its_phases() -> None:
    calm, pressure, after = _rows(400, PHASES, HEALTH, RECORD)

    assert [10.0, float("inf"), 300.0] == [row["press p99"] for row in (calm, pressure, after)]
    assert [0.0, 50.0, 20.0] == [row["critical p99"] for row in (calm, pressure, after)]
    assert [100.0, 40.0, 95.0] == [row["audio %"] for row in (calm, pressure, after)]
    assert ["0/0", "0/1 (503 OVERLOADED)", "1/1"] == [row["new"] for row in (calm, pressure, after)]
    assert ["0/0", "1/1", "0/0"] == [row["back"] for row in (calm, pressure, after)]
    assert [0.0, 50.0, 0.0] == [row["overloaded %"] for row in (calm, pressure, after)]
    assert [0, 1, 0] == [row["ended"] for row in (calm, pressure, after)]
    assert [0, 1, 0] == [row["no answer"] for row in (calm, pressure, after)]


def test_all_is_well_after_the_last_thing_that_was_late_or_missing() -> None:
    assert 1.3 == pytest.approx(_well_after(20.0, RECORD))
    assert 0.0 == _well_after(22.0, RECORD)
