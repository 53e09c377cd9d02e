"""What the cells say: the tables, the aims, and the comparison with the results that are kept in the tree."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.runtime.matrix import AIMS, BARE, ERLANG, ERLANG_FACTOR, ERLANG_ROWS, OURS, PEERS, WORKLOADS

# A cell is said to be slower than the kept one past this factor; the noise of a shared core is about half.
SLOWER = 1.25


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure.

    Attributes:
      value: the median of the samples, in the workload's unit; None with `why` when there is none.
      spread: half the distance between the quartiles, as a share of the median.
      bare_us: the bare loop's time for a message just then: how fast the core was.
    """

    workload: str
    size: int
    system: str
    value: float | None
    spread: float = 0.0
    samples: int = 0
    bare_us: float = 0.0
    why: str = ""

    @classmethod
    def of(cls, workload: str, size: int, system: str, values: list[float], bare_us: float) -> Cell:
        """The cell of these samples."""
        middle = statistics.median(values)
        low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (middle,) * 3
        spread = (high - low) / 2 / middle if middle else 0.0
        return cls(workload, size, system, middle, spread, len(values), bare_us)


Key = tuple[str, int, str]
Results = Mapping[Key, Cell]


def by_key(cells: Iterable[Cell]) -> dict[Key, Cell]:
    """Cells by workload, size and system."""
    return {(cell.workload, cell.size, cell.system): cell for cell in cells}


def read_kept(path: Path) -> dict[Key, Cell]:
    """The cells of a results file; none when it is not there."""
    if not path.exists():
        return {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return by_key(Cell(**cell) for cell in document["cells"])


def against_kept(cell: Cell, kept: Results) -> float | None:
    """How many times the kept value `cell` is, each measured by the speed of the core of its moment."""
    before = kept.get((cell.workload, cell.size, cell.system))
    if before is None or not before.value or cell.value is None:
        return None
    ratio = cell.value / before.value
    if WORKLOADS[cell.workload].unit == "us" and before.bare_us and cell.bare_us:
        ratio *= before.bare_us / cell.bare_us
    return ratio


def ours(results: Results, kept: Results) -> list[dict[str, object]]:
    """Both kinds of actor beside the bare loop, the kept results and the aims."""
    rows: list[dict[str, object]] = []
    for workload, size in _rows(results):
        actor, task, bare = (results.get((workload, size, system)) for system in (*OURS, BARE))
        if actor is None:
            continue
        least = None if bare is None else bare.value
        aim = next((aim for aim in AIMS if (aim.workload, aim.size) == (workload, size)), None)
        rows.append(
            {
                "workload": workload,
                "actors": size,
                "unit": WORKLOADS[workload].unit,
                "Actor": _shown(actor),
                "+-": _percent(actor),
                "TaskActor": _shown(task),
                "+- ": _percent(task),
                "bare loop": _shown(bare),
                "above bare": None if actor.value is None or least is None else actor.value - least,
                "x bare": _ratio(actor, bare),
                "task x bare": _ratio(task, bare),
                "x kept": against_kept(actor, kept),
                "task x kept": None if task is None else against_kept(task, kept),
                "aim": None if aim is None else f"<= {aim.at_most:g}",
            }
        )
    return rows


def beside(results: Results) -> list[dict[str, object]]:
    """Ours beside the other libraries and Erlang. `x best` is Actor's share of the fastest peer's time."""
    rows: list[dict[str, object]] = []
    for workload, size in _rows(results):
        row: dict[str, object] = {"workload": workload, "actors": size}
        for system in (*OURS, *PEERS, ERLANG):
            row[system] = _shown(results.get((workload, size, system)))
        actor = results.get((workload, size, "Actor"))
        peers = [results[workload, size, peer] for peer in PEERS if (workload, size, peer) in results]
        fastest = min((cell for cell in peers if cell.value), key=lambda cell: cell.value or 0, default=None)
        row["x best"] = _ratio(actor, fastest)
        row["x Erlang"] = _ratio(actor, results.get((workload, size, ERLANG)))
        rows.append(row)
    return rows


def aims(results: Results) -> list[dict[str, object]]:
    """Every aim that this run can tell about, with what was measured."""
    rows = []
    for aim in AIMS:
        cell = results.get((aim.workload, aim.size, "Actor"))
        if cell is not None and cell.value is not None:
            name = f"{aim.workload} at {aim.size:,}"
            rows.append(_aim(name, cell.value, aim.at_most, WORKLOADS[aim.workload].unit))
    for workload in ERLANG_ROWS:
        for size in sorted({size for _, size, _ in results}):
            ratio = _ratio(results.get((workload, size, "Actor")), results.get((workload, size, ERLANG)))
            if ratio is not None:
                rows.append(_aim(f"{workload} at {size:,}, Erlang's", ratio, ERLANG_FACTOR, "times"))
    return rows


def behind_peers(results: Results) -> list[str]:
    """Where a Python peer is faster than Actor, or smaller."""
    found = []
    for (workload, size, system), cell in results.items():
        ratio = _ratio(results.get((workload, size, "Actor")), cell)
        if system in PEERS and ratio is not None and ratio > 1:
            found.append(f"{workload} at {size:,}: {ratio:.2f} of {system}")
    return found


def slower_than_kept(results: Results, kept: Results) -> list[str]:
    """The cells of ours that are `SLOWER` than the kept ones."""
    found = []
    for cell in results.values():
        ratio = against_kept(cell, kept) if cell.system in OURS else None
        if ratio is not None and ratio > SLOWER:
            found.append(f"{cell.workload} at {cell.size:,}, {cell.system}: {ratio:.2f} of the kept result")
    return found


def bars(results: Results, size: int) -> dict[str, dict[str, float]]:
    """What the plot shows: for each workload, the systems' figures at `size`."""
    groups: dict[str, dict[str, float]] = {}
    for (workload, at, system), cell in results.items():
        if at == size and cell.value is not None and cell.value > 0:
            groups.setdefault(f"{workload} [{WORKLOADS[workload].unit}]", {})[system] = cell.value
    return groups


def _rows(results: Results) -> list[tuple[str, int]]:
    return list(dict.fromkeys((workload, size) for workload, size, _ in results))


def _aim(name: str, value: float, at_most: float, unit: str) -> dict[str, object]:
    return {
        "aim": name,
        "at most": f"{at_most:g} {unit}",
        "measured": value,
        "": "met" if value <= at_most else "MISSED",
    }


def _shown(cell: Cell | None) -> object:
    if cell is None:
        return "-"
    return cell.why if cell.value is None else cell.value


def _percent(cell: Cell | None) -> str:
    return "" if cell is None or cell.samples < 2 else f"{cell.spread:.0%}"


def _ratio(cell: Cell | None, other: Cell | None) -> float | None:
    if cell is None or other is None or cell.value is None or not other.value:
        return None
    return cell.value / other.value
