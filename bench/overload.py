"""`glasshouse bench overload`: a server that loses half of its core, and what the wearers notice.

The real server (`glasshouse serve`, its child pinned to one core) streams audio for N sessions. Then a
process that only counts is pinned to the same core at the same priority, stays for a while and goes again.
For each phase: how long a press takes to its display, how long a critical display takes from app to phone,
how much of the audio arrived and how old at most, who was turned away, and memory. At the end the time that
it took until all was well again.

    glasshouse bench overload
    glasshouse bench overload --sessions 1200 --pressure 60
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import engine, report
from bench.stand import SERVER_CORE, cpu_s, memory_kb, serving

FULL = 0.95
"""Share of its core that counts as full: the next N is not tried."""

WARM_UP_S = 4.0
"""Streaming before anything counts: the last boot screens go, and they hold displays back."""

WELL_S = 0.2
"""All is well when every press is answered within this, and no audio is missing."""

_COMPETITOR = "while True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench overload", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sessions", type=int, nargs="+", default=[400, 800, 1200, 1600, 2000], help="values of N, rising"
    )
    parser.add_argument("--calm", type=float, default=10.0, help="seconds before the pressure")
    parser.add_argument("--pressure", type=float, default=30.0, help="seconds with the competitor")
    parser.add_argument("--after", type=float, default=15.0, help="seconds after it")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for JSON")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for sessions in options.sessions:
        found = measure(sessions, options)
        rows += found
        print(report.table(found), flush=True)
        if found[0]["core %"] >= FULL * 100:
            break
    print("\ncore: the server's share of its core; press, critical: ms to the display; audio: what arrived;")
    print("oldest: the largest age of an arrived frame, s; new, back: newcomers and returning phones let in;")
    print("well after: seconds from the end of the pressure until nothing was late or missing any more")
    print(report.table(rows))
    print("kept in", report.write_json("overload", {"rows": rows}, options.out))


def measure(sessions: int, options: Namespace) -> list[dict[str, Any]]:
    """One run: a fresh server, N phones and their app. Returns a row for each phase."""
    stream_s = WARM_UP_S + options.calm + options.pressure + options.after
    with (
        serving() as stand,
        stand.driver(
            "bench._overload_load",
            tokens=stand.tokens(_users("user", sessions)),
            newcomers=list(stand.tokens(_users("new", int(stream_s) + 1)).values()),
            seed=1,
            start_timeout_s=60 + sessions * 0.05,
            stream_s=stream_s,
        ) as driver,
    ):
        driver.say("go")
        driver.expect("started")
        phases, health = _press(options, stand.child, stand.port)
        record = driver.record()
    return list(_rows(sessions, phases, health, record))


def _press(
    options: Namespace, server: int, port: int
) -> tuple[list[dict[str, Any]], list[tuple[float, str]]]:
    """Let the three phases pass. Returns what was seen of the server in each, and its health over time."""
    health: list[tuple[float, str]] = []
    is_over = threading.Event()
    watcher = threading.Thread(target=_watch_health, args=(port, health, is_over))
    watcher.start()
    phases = []
    try:
        time.sleep(WARM_UP_S)
        for name, seconds in (
            ("calm", options.calm),
            ("pressure", options.pressure),
            ("after", options.after),
        ):
            began, before_s = time.perf_counter(), cpu_s(server)
            with _competitor(is_there=name == "pressure"):
                time.sleep(seconds)
            ended = time.perf_counter()
            share = (cpu_s(server) - before_s) / (ended - began)
            phases.append(
                {
                    "phase": name,
                    "began": began,
                    "ended": ended,
                    "core %": share * 100,
                    "MB": memory_kb(server) / 1024,
                }
            )
    finally:
        is_over.set()
        watcher.join()
    return phases, health


@contextmanager
def _competitor(*, is_there: bool) -> Iterator[None]:
    """A process that takes what it gets of the server's core, at the same priority."""
    if not is_there:
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-c", _COMPETITOR], preexec_fn=lambda: engine.pin(SERVER_CORE)
    ) as competitor:
        try:
            yield
        finally:
            competitor.kill()


def _rows(
    sessions: int,
    phases: Sequence[dict[str, Any]],
    health: Sequence[tuple[float, str]],
    record: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    for phase in phases:
        began, ended = phase["began"], phase["ended"]

        def within(at: float, began: float = began, ended: float = ended) -> bool:
            return began <= at < ended

        presses = [delay for at, delay in record["presses"] if within(at)]
        criticals = [delay for at, delay in record["criticals"] if within(at)]
        buckets = [bucket for bucket in record["buckets"] if within(bucket[0])]
        sent = sum(bucket[1] for bucket in buckets)
        statuses = [status for at, status in health if within(at)]
        yield {
            "N": sessions,
            "phase": phase["phase"],
            "core %": phase["core %"],
            "press p50": _percentile(presses, 50),
            "press p99": _percentile(presses, 99),
            "critical p50": _percentile(criticals, 50),
            "critical p99": _percentile(criticals, 99),
            "no answer": presses.count(None) + criticals.count(None),
            "audio %": 100 * sum(bucket[2] for bucket in buckets) / max(1, sent),
            "oldest": max((bucket[3] for bucket in buckets), default=0.0),
            "new": _let_in(record["visits"], "new", within),
            "back": _let_in(record["visits"], "back", within),
            "overloaded %": 100 * statuses.count("overloaded") / max(1, len(statuses)),
            "MB": phase["MB"],
            "ended": sum(within(at) for at, _ in record["ended"]),
            "late p99": 1000 * report.percentile([bucket[4] for bucket in buckets] or [0.0], 99),
            "well after": _well_after(began, record) if phase["phase"] == "after" else None,
        }


def _let_in(visits: Sequence[tuple[float, str, str]], who: str, within: Any) -> str:
    outcomes = [outcome for at, visitor, outcome in visits if visitor == who and within(at)]
    refused = sorted({outcome for outcome in outcomes if outcome != "accepted"})
    return f"{outcomes.count('accepted')}/{len(outcomes)}" + (f" ({', '.join(refused)})" if refused else "")


def _well_after(freed_at: float, record: dict[str, Any]) -> float:
    """Seconds from `freed_at` to the last moment at which something was late or missing."""
    last = freed_at
    for kind in ("presses", "criticals"):
        for at, delay in record[kind]:
            if at >= freed_at and (delay is None or delay > WELL_S):
                last = max(last, at + (delay or 0.0))
    for at, sent, received, _, _ in record["buckets"]:
        if at >= freed_at and received < sent:
            last = max(last, at)
    return last - freed_at


def _percentile(delays: Sequence[float | None], percent: float) -> float:
    """In milliseconds; what never came counts as the worst."""
    known = [delay * 1000 for delay in delays if delay is not None]
    known += [float("inf")] * (len(delays) - len(known))
    return report.percentile(known, percent) if known else 0.0


def _watch_health(port: int, health: list[tuple[float, str]], is_over: threading.Event) -> None:
    """Ask `GET /health` four times a second; a server that does not answer in 2 s is noted as silent."""
    while not is_over.wait(0.25):
        at = time.perf_counter()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            body = b'{"status":"silent"}'
        health.append((at, json.loads(body)["status"]))


def _users(name: str, count: int) -> list[str]:
    return [f"{name}{number}@example.org" for number in range(count)]


if __name__ == "__main__":
    main()
