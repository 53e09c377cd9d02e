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

__all__ = ["RESULTS", "bars_svg", "machine", "percentile", "plot_svg", "table", "write_json"]

RESULTS = Path("bench-results")

_COLOURS = ("#1b6ca8", "#c0392b", "#1e8449", "#7d3c98", "#b9770e", "#34495e", "#16a085", "#7f8c8d")


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
        colour = _COLOURS[number % len(_COLOURS)]
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


def bars_svg(
    name: str, title: str, groups: Mapping[str, Mapping[str, float]], folder: Path | None = None
) -> Path:
    """A bar for each positive value, in groups, on one logarithmic axis, as SVG; returns where.

    A label has the same colour in every group.
    """
    values = [value for bars in groups.values() for value in bars.values()]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)) + 1e-9)
    labels = list(dict.fromkeys(label for bars in groups.values() for label in bars))
    height = 70 + sum(18 + 12 * len(bars) for bars in groups.values())

    def across(value: float) -> float:
        return 200 + 480 * (math.log(value) - math.log(low)) / (math.log(high) - math.log(low) or 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="860" height="{height}" fill="white"/>',
        f'<text x="20" y="24" font-size="15">{title}</text>',
    ]
    power = low
    while power <= high * 1.001:
        x = across(power)
        parts.append(f'<path d="M{x:.0f} 50V{height - 10}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.0f}" y="45" text-anchor="middle">{power:g}</text>')
        power *= 10
    y = 58.0
    for group, bars in groups.items():
        middle = y + 6 * len(bars) + 4
        parts.append(f'<text x="20" y="{middle:.0f}" font-size="12" font-weight="bold">{group}</text>')
        for label, value in bars.items():
            colour = _COLOURS[labels.index(label) % len(_COLOURS)]
            parts.append(
                f'<rect x="200" y="{y:.0f}" width="{across(value) - 200:.1f}" height="10" fill="{colour}"/>'
            )
            parts.append(f'<text x="{across(value) + 4:.0f}" y="{y + 9:.0f}">{label} {value:.3g}</text>')
            y += 12
        y += 18
    parts.append("</svg>")
    target = (folder or RESULTS) / f"{name}.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(parts) + "\n")
    return target


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "" if value is None else str(value)
