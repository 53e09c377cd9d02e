"""The campaign: starts the world, runs the scenarios one after the other, prints and keeps what they cost."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench import engine, report
from bench.stand import DRIVER_CORE, memory_kb

from .ledger import Ledger
from .rows import design_rows, plotted, row
from .scenarios import SCENARIOS, NotAvailable, Scenario
from .verdict import Window, longest_gap, outcome
from .world import World

NAMES: Final = tuple(scenario.name for scenario in SCENARIOS)

TIMES: Final = (
    *("scenario", "hit", "own p50", "own worst", "audio p50", "audio p99", "audio worst", "beyond p50"),
    *("beyond p99", "beyond worst", "display p50", "display p99", "display worst", "verdict"),
)
COSTS: Final = (
    *("scenario", "frames", "lost", "doubled", "disorder", "presses", "presses lost", "others lost", "stale"),
    *(
        "acked lost",
        "onSession",
        "needless",
        "noticed",
        "MB",
        "actors",
        "tasks",
        "late p99",
        "starved",
        "closes",
    ),
)
LEGEND_OF_TIMES: Final = """
ms from the fault, of the sessions that were hit. own: until their peers have dialled; audio: at the app;
beyond: audio after the peers' own wait; display: the last one again, or a newer one"""
LEGEND_OF_COSTS: Final = """
frames, presses: sent by those who were hit; others lost: of the other sessions; stale: displays after a newer
one; needless: apps begun anew without need; noticed: sessions that were not hit and noticed; MB, actors,
tasks: before and after; late: how late the driver sent, p99 in ms; starved: percent of the time in which
somebody else had the server's core: a row with more than a few is the machine's, not the server's"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="glasshouse bench resilience", description="Kill everything under load; what the wearer noticed."
    )
    parser.add_argument("--sessions", type=int, default=200, help="phones, each with one app and audio")
    parser.add_argument("--only", action="append", choices=NAMES, help="a scenario; may be given again")
    parser.add_argument("--settle", type=float, default=2.0, help="seconds of quiet before and after each")
    parser.add_argument("--seed", type=int, default=1, help="of the phases of frames and presses")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for JSON and plot")
    parser.add_argument("--keep", type=Path, help="folder that keeps the records and the server's log")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that no process is left
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        rows, facts = campaign(options.keep.resolve(), options)
    else:
        with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
            rows, facts = campaign(Path(folder), options)
    show(rows, facts, options)


def campaign(folder: Path, options: Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run it; a row of each scenario, and DESIGN's own rows."""
    engine.pin(DRIVER_CORE)
    world = World(folder, options.sessions, seed=options.seed)
    rows: list[dict[str, Any]] = []
    try:
        world.start_server()
        world.start_peers()
        began = world.begin()
        ledger = Ledger(world)
        ledger.start()
        for scenario in SCENARIOS:
            if not options.only or scenario.name in options.only:
                make_well(world)
                rows.append(run(scenario, world, ledger, options.settle))
                print(report.table([{name: rows[-1].get(name) for name in TIMES}]), flush=True)
        ledger.stop()
        return rows, design_rows(world, rows, began)
    finally:
        world.close()


def run(scenario: Scenario, world: World, ledger: Ledger, settle_s: float) -> dict[str, Any]:
    """One scenario, with a quiet moment before and a look at what is left after."""
    time.sleep(settle_s)
    world.look()
    now = time.perf_counter()
    quiet_gap_s = max(longest_gap(frames, now - settle_s, now) for frames in world.reader.arrived)
    before = left_over(world)
    child, starved_s, began = world.child, starved(world.child), time.perf_counter()
    try:
        hits = scenario.hit(world)
    except NotAvailable as reason:
        return {"scenario": scenario.name, "verdict": f"not available: {reason}"}
    failure = None
    try:
        world.wait(
            lambda: came_back(world, [hit.session for hit in hits], hits[-1].at), "", scenario.within_s
        )
        world.wait(lambda: not world.unwell(), "", scenario.within_s)
    except TimeoutError:
        failure = f"not well again within {scenario.within_s:g} s: {len(world.unwell())} sessions"
    time.sleep(settle_s)
    world.look()
    window = Window(began, time.perf_counter(), quiet_gap_s)
    lost = ledger.lost()
    found = outcome(scenario, hits, window, world.reader)
    judged = row(scenario, found, lost, before, left_over(world), failure)
    if world.child == child:
        judged["starved"] = 100 * (starved(child) - starved_s) / (window.ended - began)
    return judged


def make_well(world: World) -> None:
    """Wait until all is well; sessions that a scenario has broken for good are begun anew."""
    try:
        world.wait(lambda: not world.unwell(), "all well", 30.0)
    except TimeoutError:
        broken = world.unwell()
        print(f"{len(broken)} sessions do not come back by themselves: begun anew", flush=True)
        world.begin_anew(broken)
        world.wait(lambda: not world.unwell(), f"sessions {broken}, begun anew")


def came_back(world: World, who: Sequence[int], at: float) -> bool:
    """Whether frames that were sent after `at` have arrived from all of them."""
    arrived = world.reader.arrived
    return all(arrived[index].other and arrived[index].other[-1] > at for index in who)


def left_over(world: World) -> dict[str, int]:
    """What a leak would show in."""
    todo, actors, tasks = [world.tree()], 0, 0
    while todo:
        node = todo.pop()
        actors += 1
        tasks += len(node["tasks"])
        todo += node["children"]
    descriptors = len(list(Path(f"/proc/{world.child}/fd").iterdir()))
    megabytes = memory_kb(world.child) // 1024
    return {"MB": megabytes, "actors": actors, "tasks": tasks, "descriptors": descriptors}


def starved(process: int) -> float:
    """Seconds that its main thread has waited for a core that somebody else had (proc(5), schedstat)."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


def show(rows: Sequence[dict[str, Any]], facts: Sequence[dict[str, Any]], options: Namespace) -> None:
    """Print the tables; write JSON and plot; exit with 1 when something was missed."""
    print(LEGEND_OF_TIMES)
    print(report.table([{name: one.get(name) for name in TIMES} for one in rows]))
    print(LEGEND_OF_COSTS)
    print(report.table([{name: one.get(name) for name in COSTS} for one in rows]))
    print("\n" + report.table(facts))
    document = {"sessions": options.sessions, "rows": rows, "design": facts}
    print("kept in", report.write_json("resilience", document, options.out))
    groups = plotted(rows)
    if groups:
        title = f"glasshouse bench resilience: {options.sessions} sessions, ms from the fault"
        print("plot in", report.bars_svg("resilience", title, groups, options.out))
    missed = [one for one in (*rows, *facts) if str(one["verdict"]).startswith("MISSED")]
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
