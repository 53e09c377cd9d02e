"""`glasshouse bench runtime`: every cell in a process of its own on one core, by CPU time.

glasshouse bench runtime                        some three minutes; tables, JSON and a plot
glasshouse bench runtime --only ask --only crash
glasshouse bench runtime --keep                 and make the results those that later runs compare with
glasshouse bench runtime --gates                the leak and the overload gate; exit code 1 if one fails
glasshouse bench runtime --quick                tiny sizes: whether it runs, not how fast
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bench import report
from bench.runtime import bare, gates, matrix, otp, tables
from bench.runtime.tables import Cell

KEPT = Path(__file__).resolve().parent.parent / "results" / "runtime.json"
ERLANG_IS_THERE = matrix.missing(matrix.ERLANG) is None
_QUICK_SIZES = (1, 100)
_TIMEOUT_S = 90.0  # of a process


def main() -> int:
    options = _options()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1] if options.core is None else options.core})
    if options.gates:
        return gates.main(scale=0.01 if options.quick else 1.0)
    bare.busy_us()  # the first is slower: Python specialises code that it has run before
    began = time.monotonic()
    machine = {**report.machine(), "versions": _versions()}
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        if ERLANG_IS_THERE:
            otp.compile_into(Path(folder))
        for cell in _measured(options, Path(folder)):
            cells.append(cell)
            if not options.quick:
                print(_line(cell), file=sys.stderr, flush=True)
    results = tables.by_key(cells)
    kept = tables.read_kept(options.kept)
    print("CPU time an operation, medians; +- is half the distance of the quartiles, `above bare` what")
    print("supervision, transactions and inspection cost, `x kept` the ratio to the results in the tree\n")
    print(f"{report.table(tables.ours(results, kept))}\n\n{report.table(tables.beside(results))}\n")
    if goals := tables.aims(results):
        print(f"{report.table(goals)}\n")
    for title, lines in (
        ("behind a Python peer", tables.behind_peers(results)),
        (f"slower than {tables.SLOWER:g} times the kept results", tables.slower_than_kept(results, kept)),
    ):
        print(f"{title}: {'nowhere' if not lines else ''}")
        print("".join(f"  {line}\n" for line in lines), end="")
    document = {
        "machine": {**machine, "load_after": [round(value, 2) for value in os.getloadavg()]},
        "seconds": round(time.monotonic() - began),
        "workloads": {name: workload.operation for name, workload in matrix.WORKLOADS.items()},
        "cells": [_rounded(cell) for cell in cells],
        "aims": goals,
    }
    print("results in", report.write_json("runtime", document, options.out))
    size = max(size for size in options.sizes if size < matrix.MANY)
    title = f"glasshouse bench runtime: CPU time an operation at {size:,} actors, one core"
    print("plot in", report.bars_svg("runtime", title, tables.bars(results, size), options.out))
    if options.keep:
        print("kept in", report.write_json(options.kept.stem, document, options.kept.parent))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="glasshouse bench runtime",
        description=(__doc__ or "").splitlines()[0],
        epilog="\n".join(f"{w.name:<20}{w.operation}" for w in matrix.WORKLOADS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of actors (1 1000 100000)")
    parser.add_argument(
        "--only",
        action="append",
        choices=matrix.WORKLOADS,
        metavar="WORKLOAD",
        help="only this row; see below",
    )
    parser.add_argument(
        "--system", action="append", choices=matrix.SYSTEMS, metavar="SYSTEM", help=", ".join(matrix.SYSTEMS)
    )
    parser.add_argument("--samples", type=int, default=5, help="samples of a cell, at least")
    parser.add_argument("--full", action="store_true", help="the slow cells too: some ten minutes more")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one sample: whether it runs")
    parser.add_argument("--gates", action="store_true", help="the leak and the overload gate instead")
    parser.add_argument("--keep", action="store_true", help="compare with these results from now on")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the results to compare with")
    parser.add_argument("--core", type=int, help="the core to run on (the last one)")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for JSON and plot")
    options = parser.parse_args()
    options.sizes = tuple(options.sizes or (_QUICK_SIZES if options.quick else matrix.SIZES))
    return options


def _measured(options: argparse.Namespace, folder: Path) -> Iterator[Cell]:
    """Every cell in turn, the systems of one row one after another: they meet the same moment of the host.

    In a quick run a process has all workloads of a system and size, since starting it is most of the time.
    """
    systems = options.system or matrix.SYSTEMS
    chosen = [matrix.WORKLOADS[name] for name in options.only or matrix.WORKLOADS]
    able = {system: _workloads_of(system) for system in systems}
    if options.quick:
        for system in systems:
            for size in options.sizes:
                names = [
                    w.name for w in chosen if w.name in able[system] and _is_asked(w, size, system, options)
                ]
                yield from _process(system, size, names, options, folder)
        return
    for workload in chosen:
        for size in options.sizes:
            for system in systems:
                if workload.name in able[system] and _is_asked(workload, size, system, options):
                    yield from _process(system, size, [workload.name], options, folder)


def _is_asked(workload: matrix.Workload, size: int, system: str, options: argparse.Namespace) -> bool:
    return matrix.is_asked(workload, size, system, sizes=options.sizes, is_full=options.full)


def _workloads_of(system: str) -> tuple[str, ...]:
    if system == matrix.ERLANG:
        return otp.can()
    if matrix.missing(system) is not None:
        return tuple(matrix.WORKLOADS)
    can: tuple[str, ...] = importlib.import_module(matrix.MODULES[system]).can()
    return can


def _process(
    system: str, size: int, names: list[str], options: argparse.Namespace, folder: Path
) -> Iterator[Cell]:
    """The cells of one process."""
    missing = matrix.missing(system)
    if missing is not None:
        yield from (Cell(name, size, system, None, why=missing) for name in names)
        return
    least = 1 if options.quick else options.samples
    if size >= matrix.MANY:
        least = min(least, 3)  # of a hundred thousand operations and more
    before_us = bare.busy_us()
    began = time.monotonic()
    if system == matrix.ERLANG:
        sample_ms = 1 if options.quick else 40
        samples = otp.measure(folder, names, size, least=least, sample_ms=sample_ms, timeout_s=_TIMEOUT_S)
    else:
        order = {
            "system": system,
            "size": size,
            "workloads": names,
            "least": least,
            "budget_s": 0.0 if options.quick else 0.1,
            "effort": 1000 if options.quick else matrix.EFFORT.get(system, 10_000),
        }
        samples = _run(order)
    bare_us = (before_us + bare.busy_us()) / 2
    why = "too slow" if time.monotonic() - began >= _TIMEOUT_S else "failed"
    for name in names:
        values = samples.get(name)
        if values:
            yield Cell.of(name, size, system, values, bare_us)
        else:
            yield Cell(name, size, system, None, why=why)


def _run(order: dict[str, object]) -> dict[str, list[float]]:
    command = [sys.executable, "-P", "-m", "bench.runtime.cell", json.dumps(order)]
    said = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said, _ = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    return {line["workload"]: line["values"] for line in map(json.loads, said.splitlines())}


def _line(cell: Cell) -> str:
    unit = matrix.WORKLOADS[cell.workload].unit
    value = cell.why if cell.value is None else f"{cell.value:.3g} {unit} +-{cell.spread:.0%}"
    return f"{cell.workload:<20}{cell.size:>8,}  {cell.system:<15}{value}"


def _rounded(cell: Cell) -> dict[str, object]:
    """The cell with the digits that mean something."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in asdict(cell).items()
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("trio", "pykka", "thespian"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    versions[matrix.ERLANG] = otp.version() if ERLANG_IS_THERE else "not installed"
    return versions


if __name__ == "__main__":
    sys.exit(main())
