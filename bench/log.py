"""`glasshouse bench log`: what a line of the log costs, beside structlog's own forms and `logging`.

Every way writes the same fact, of seven fields, to /dev/null: ours with all that it does (who logs, the
allowance, the look whether the reader takes more, escaping), structlog as its documentation sets it up, and
`logging` with a text of the fields. CPU time of the process, the best of five rounds.

    glasshouse bench log
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

import structlog

from actors.whereabouts import whose
from adapters.telemetry import Allowances, Form, LineLimits, LogTelemetry
from bench import report

ROUNDS: Final = 5
FACT: Final = {
    "user": "ada@example.org",
    "connection": "c-17",
    "code": 1006,
    "reason": "gone away",
    "was_reset": True,
    "silent_s": 3.25,
    "reconnects": 2,
}
_PATH: Final = "/glasshouse/users/ada@example.org/link"


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench log", description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000, help="of each round")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for the JSON")
    options = parser.parse_args()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        rows = measure(options.lines, nowhere)
    print(report.table(rows))
    imports = {"import of structlog, CPU ms": round(import_ms(), 1)}
    print(*(f"{name}: {value}" for name, value in imports.items()))
    print("kept in", report.write_json("log", {"rows": rows, **imports}, options.out))


def measure(lines: int, stream: TextIO) -> list[dict[str, object]]:
    """A row for each way: `us` of a line, `not_written_us` of one below the level, `ratio` to our JSON."""
    ways = {
        **{f"ours, {form}": _ours(form, stream) for form in ("text", "coloured", "json")},
        "structlog, console": _structlogs(structlog.dev.ConsoleRenderer(colors=True), stream),
        "structlog, JSON": _structlogs(structlog.processors.JSONRenderer(), stream),
        "logging": _logging(stream),
    }
    spent = {name: (_us(way, "info", lines), _us(way, "debug", lines)) for name, way in ways.items()}
    unit = spent["ours, json"][0]
    return [
        {"way": name, "us": us, "not_written_us": below_us, "ratio": us / unit}
        for name, (us, below_us) in spent.items()
    ]


def import_ms() -> float:
    """What importing structlog adds to a start that has asyncio already, as the server's has."""
    before, after = "import asyncio, time; began = time.process_time()", "print(time.process_time() - began)"
    program = f"{before}; import structlog; {after}"
    took = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        for _ in range(ROUNDS)
    ]
    return min(float(one.stdout) for one in took) * 1000


def _ours(form: Form, stream: TextIO) -> Callable[[str], object]:
    limits = Allowances(LineLimits(burst_lines=10**9))
    telemetry = LogTelemetry(stream, form=form, limits=limits, whose=lambda: whose(_PATH))
    ways = {"info": telemetry.info, "debug": telemetry.debug}
    return lambda level: ways[level]("phone_lost", **FACT)


def _structlogs(renderer: structlog.typing.Processor, stream: TextIO) -> Callable[[str], object]:
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
    ).bind()
    return lambda level: getattr(logger, level)("phone_lost", **FACT)


def _logging(stream: TextIO) -> Callable[[str], object]:
    logger = logging.Logger("bench", logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    text = " ".join(f"{name}=%s" for name in FACT)
    return lambda level: getattr(logger, level)(f"phone_lost {text}", *FACT.values())


def _us(way: Callable[[str], object], level: str, times: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            way(level)
        best = min(best, (time.process_time() - began) / times)
    return best * 1e6


if __name__ == "__main__":
    main()
