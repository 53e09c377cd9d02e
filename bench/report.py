"""What every bench prints and keeps: a table, JSON with the machine and the command, percentiles, a plot."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from clients.demo.timing import percentile

__all__ = ["RESULTS", "machine", "percentile", "plot_svg", "table", "write_json"]

RESULTS = Path("bench-results")


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same keys as aligned columns."""
    if not rows:
        return ""
    columns = list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[i]) for line in cells)) for i, column in enumerate(columns)]
    head = "  ".join(column.rjust(width) for column, width in zip(columns, widths, strict=True))
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join([head, *lines])


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def write_json(name: str, document: Mapping[str, object], folder: Path | None = None) -> Path:
    """Keep one bench's results; returns where."""
    target = (folder or RESULTS) / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = {"bench": name, "command": sys.argv[1:], "machine": machine(), **document}
    target.write_text(json.dumps(whole, indent=1) + "\n")
    return target


def plot_svg(
    name: str,
    title: str,
    x_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    folder: Path | None = None,
) -> Path:
    """A small line plot as SVG, both axes logarithmic; returns where."""
    points = [point for line in series.values() for point in line if point[1] > 0]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points), max(y for _, y in points)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log(x) - math.log(x_low)) / ((math.log(x_high) - math.log(x_low)) or 1)
        up = (math.log(y) - math.log(y_low)) / ((math.log(y_high) - math.log(y_low)) or 1)
        return 70 + across * 480, 330 - up * 270

    colours = ("#1b6ca8", "#c0392b", "#1e8449", "#7d3c98", "#b9770e", "#34495e")
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="760" height="380"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="760" height="380" fill="white"/>',
        f'<text x="70" y="30" font-size="15">{title}</text>',
        f'<text x="310" y="370" text-anchor="middle">{x_label}</text>',
        '<path d="M70 60V330H550" fill="none" stroke="#444"/>',
    ]
    for value in sorted({x for x, _ in points}):
        parts.append(f'<text x="{place(value, y_low)[0]:.0f}" y="346" text-anchor="middle">{value:g}</text>')
    for value in (y_low, math.sqrt(y_low * y_high), y_high):
        parts.append(f'<text x="64" y="{place(x_low, value)[1]:.0f}" text-anchor="end">{value:.3g}</text>')
    for number, (label, line) in enumerate(series.items()):
        colour = colours[number % len(colours)]
        drawn = [place(x, y) for x, y in line if y > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in drawn)
        parts.append(f'<text x="565" y="{80 + 20 * number}" fill="{colour}">{label}</text>')
    parts.append("</svg>")
    target = (folder or RESULTS) / f"{name}.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(parts) + "\n")
    return target


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "" if value is None else str(value)
