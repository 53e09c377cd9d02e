"""What the runtime bench says of its cells: aims, peers, and the results that are kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.runtime import tables
from bench.runtime.matrix import SYSTEMS, WORKLOADS, is_asked
from bench.runtime.tables import Cell


def _results(*cells: tuple[str, int, str, float]) -> dict[tables.Key, Cell]:
    return tables.by_key(Cell(*cell, bare_us=0.2) for cell in cells)


def test_a_cell_is_the_median_of_its_samples_and_says_how_far_they_lie_apart() -> None:
    cell = Cell.of("ask", 1, "Actor", [12.0, 8.0, 10.0, 9.0, 11.0], bare_us=0.2)

    assert (10.0, 5) == (cell.value, cell.samples)
    assert cell.spread == pytest.approx(0.15)


def test_an_aim_is_met_up_to_its_figure_and_missed_past_it() -> None:
    results = _results(("ask", 1, "Actor", 12.0), ("crash", 1000, "Actor", 50.1))

    assert [("ask at 1", "met"), ("crash at 1,000", "MISSED")] == [
        (row["aim"], row[""]) for row in tables.aims(results)
    ]


def test_erlang_may_be_four_times_faster_and_no_more() -> None:
    results = _results(
        ("spawn", 1, "Actor", 8.0),
        ("spawn", 1, "Erlang/OTP", 2.0),
        ("round trip", 1000, "Actor", 8.2),
        ("round trip", 1000, "Erlang/OTP", 2.0),
    )

    assert {"spawn at 1, Erlang's": "met", "round trip at 1,000, Erlang's": "MISSED"} == {
        row["aim"]: row[""] for row in tables.aims(results)
    }


def test_a_faster_peer_is_named_and_a_faster_erlang_is_not() -> None:
    results = _results(
        ("ask", 1, "Actor", 12.0),
        ("ask", 1, "pykka", 10.0),
        ("ask", 1, "thespian", 12.5),
        ("ask", 1, "Erlang/OTP", 2.0),
    )

    assert ["ask at 1: 1.20 of pykka"] == tables.behind_peers(results)


def test_kept_results_are_compared_by_the_speed_of_the_core(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    kept = [
        Cell("ask", 1, "Actor", 10.0, bare_us=0.2),
        Cell("memory idle", 1000, "Actor", 1.0, bare_us=0.2),
    ]
    path.write_text(json.dumps({"cells": [asdict(cell) for cell in kept]}), encoding="utf-8")

    before = tables.read_kept(path)

    # A core half as fast takes twice as long, and holds no more memory for it.
    assert tables.against_kept(Cell("ask", 1, "Actor", 20.0, bare_us=0.4), before) == pytest.approx(1.0)
    assert tables.against_kept(Cell("memory idle", 1000, "Actor", 2.0, bare_us=0.4), before) == 2.0
    assert tables.against_kept(Cell("ask", 1000, "Actor", 20.0, bare_us=0.4), before) is None
    assert {} == tables.read_kept(tmp_path / "nothing.json")


def test_a_regression_of_ours_is_named() -> None:
    kept = _results(("ask", 1, "Actor", 10.0), ("stop", 1, "Actor", 5.0), ("ask", 1, "pykka", 10.0))
    results = _results(("ask", 1, "Actor", 13.0), ("stop", 1, "Actor", 6.0), ("ask", 1, "pykka", 20.0))

    assert ["ask at 1, Actor: 1.30 of the kept result"] == tables.slower_than_kept(results, kept)


def test_what_stands_above_the_bare_loop_is_a_column() -> None:
    results = _results(("tell busy", 1, "Actor", 0.5), ("tell busy", 1, "bare loop", 0.2))

    (row,) = tables.ours(results, {})

    assert (pytest.approx(0.3), pytest.approx(2.5)) == (row["above bare"], row["x bare"])
    assert ("-", "<= 0.7") == (row["TaskActor"], row["aim"])


def test_a_default_run_has_every_workload_of_an_actor_at_every_size() -> None:
    sizes = (1, 1000, 100_000)
    asked = {
        (name, size, system)
        for name, workload in WORKLOADS.items()
        for size in sizes
        for system in SYSTEMS
        if is_asked(workload, size, system, sizes=sizes, is_full=False)
    }

    assert {(name, 100_000) for name in WORKLOADS if name != "tell traced"} == {
        (name, size) for name, size, system in asked if (size, system) == (100_000, "Actor")
    }
    assert set(WORKLOADS) - {"memory fresh", "memory idle"} == {
        name for name, size, system in asked if (size, system) == (1, "TaskActor")
    }
    assert max(size for _, size, system in asked if system == "pykka") == 1000
