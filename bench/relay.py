"""`glasshouse bench relay`: N sessions streaming audio to one app, presses answered by displays.

The real server (`glasshouse serve`, its child pinned to one core) against the raw driver of `bench._load` on
another. For each N: server CPU per session-second, beside the bare loop (epoll, websockets' parser, one send)
of the same run, glasses-to-app and button-to-display delays, memory per session, the time of N starts, what
was lost, and how late the driver itself was.

    glasshouse bench relay
    glasshouse bench relay --sessions 400 --runs 3
"""

from __future__ import annotations

import argparse
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from bench import engine, report
from bench.stand import cpu_s, memory_kb, serving


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench relay", description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[10, 100, 400, 1000], help="values of N")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured time of a run")
    parser.add_argument(
        "--warm-up", type=float, default=5.0, help="streaming before it is measured, in seconds"
    )
    parser.add_argument("--runs", type=int, default=1, help="runs of each N")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for JSON and plot")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for sessions in options.sessions:
        for run in range(1, options.runs + 1):
            row = {"N": sessions, "run": run, **measure(sessions, options, seed=run)}
            bare = engine.measure("bare", _bare_options(sessions, options.seconds))
            row["bare ms"] = bare["us_per_frame"] * 10 / 1000
            row["x bare"] = row["cpu ms"] / row["bare ms"]
            rows.append(row)
            print(report.table([row]), flush=True)
    print("\ncpu ms: server CPU per session-second; delays in ms; late: how late the driver sent, p99 in ms;")
    print("lost: frames that did not arrive; no display: presses that were never answered")
    print(report.table(rows))
    print("kept in", report.write_json("relay", {"rows": rows}, options.out))
    series = {
        name: [(row["N"], row[name]) for row in rows if row["run"] == 1]
        for name in ("audio p50", "audio p99", "press p99", "cpu ms", "bare ms")
    }
    title = "glasshouse bench relay: one core, milliseconds"
    print("plot in", report.plot_svg("relay", title, "sessions", series, options.out))


def measure(sessions: int, options: Namespace, *, seed: int) -> dict[str, Any]:
    """One run: a fresh server, N phones and N app sockets. Returns one row of the table."""
    users = [f"user{number}@example.org" for number in range(sessions)]
    with (
        serving() as stand,
        stand.driver(
            "bench._load",
            tokens=stand.tokens(users),
            seed=seed,
            start_timeout_s=30 + sessions * 0.05,
            warm_up_s=options.warm_up,
            measure_s=options.seconds,
        ) as driver,
    ):
        idle_kb = memory_kb(stand.child)
        driver.say("go")
        driver.expect("started")
        driver.expect("measuring")
        cpu_before, clock_before = cpu_s(stand.child), time.perf_counter()
        driver.expect("measured")
        worked_s, clock_s = cpu_s(stand.child) - cpu_before, time.perf_counter() - clock_before
        loaded_kb = memory_kb(stand.child)
        result = driver.record()
    audio, presses = result["frame_delays"], result["press_delays"]
    return {
        "start s": result["start_s"],
        "ack p95": report.percentile(result["ack_delays"], 95) * 1000,
        "cpu ms": worked_s / clock_s / sessions * 1000,
        "audio p50": report.percentile(audio, 50) * 1000,
        "audio p99": report.percentile(audio, 99) * 1000,
        "press p50": report.percentile(presses, 50) * 1000,
        "press p99": report.percentile(presses, 99) * 1000,
        "frames": result["frames_sent"],
        "presses": result["presses"],
        "lost": result["frames_sent"] - result["frames_received"],
        "no display": result["presses"] - result["presses_shown"],
        "disorder": result["out_of_order"],
        "KB/session": (loaded_kb - idle_kb) / sessions,
        "idle MB": idle_kb / 1024,
        "late p99": report.percentile(result["lateness"], 99) * 1000,
    }


def _bare_options(sessions: int, seconds: float) -> Namespace:
    return Namespace(sources=sessions, rate=10.0, frame_bytes=3200, seconds=min(seconds, 10.0))


if __name__ == "__main__":
    main()
