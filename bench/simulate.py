"""`glasshouse bench simulate`: whole servers under seeded faults, each judged by the rules of a session.

The campaign of `tests/simulation`, with as many seeds as you like: phones, apps and app servers in virtual
time, and what can go wrong with them drawn from the seed. Prints every red seed with the first rule that did
not hold, then the virtual hours and the seeds a second. Exits with 1 when a seed is red.

With `--sweep` every actor crashes instead, in every message that it handles and at every point of it, as
often as there are seeds: each draws another of the moments when that message comes, and another place between
two effects.

    glasshouse bench simulate --seeds 1000 --from 5000
    glasshouse bench simulate --seeds 1 --from 17 --trace
    glasshouse bench simulate --sweep --seeds 3 --from 1
"""

from __future__ import annotations

import argparse
import importlib
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=None, help="how many; 100, or 1 of the sweep")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--sweep", action="store_true", help="crash every actor in every message it handles")
    parser.add_argument("--trace", action="store_true", help="print the whole trace of red seeds")
    options = parser.parse_args()
    if campaign_rules() is None:
        parser.exit(2, "the campaign is among the tests: run this in a checkout\n")
    count = options.seeds or (1 if options.sweep else 100)
    seeds = range(options.first, options.first + count)
    sys.exit(1 if (sweep(seeds, options.jobs) if options.sweep else campaign(seeds, options)) else 0)


def sweep(seeds: range, jobs: int) -> int:
    """Print what a crash did and must not have; how many did."""
    began = time.monotonic()
    crashes = importlib.import_module("tests.simulation.crashes")
    tasks = [(index, seed) for seed in seeds for index in range(len(crashes.pairs()))]
    done = red = 0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for problems in pool.imap_unordered(crash, tasks, chunksize=4):
            done += len(problems)
            for problem in problems:
                if problem is not None:
                    red += 1
                    print(f"red: {problem}", flush=True)
    took_s = time.monotonic() - began
    print(f"{done} crashes, {red} red, {done / took_s:.1f} crashes/s by {jobs} processes")
    return red


def crash(task: tuple[int, int]) -> list[str | None]:
    """Crash one actor in one message, at every point of it; what was wrong each time."""
    logging.disable(logging.ERROR)
    crashes = importlib.import_module("tests.simulation.crashes")
    index, seed = task
    outcome: list[str | None] = crashes.crashed_everywhere(*crashes.pairs()[index], seed=seed)
    return outcome


def campaign(seeds: range, options: argparse.Namespace) -> int:
    """Print what the seeds did and which are red; how many are."""
    began = time.monotonic()
    done: list[Any] = []
    red = 0
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for verdict in pool.imap_unordered(judge, seeds):
            if verdict.red is None:
                done.append(verdict.outcome)
                continue
            red += 1
            print(f"seed {verdict.seed} red: {verdict.red}", flush=True)
            if options.trace:
                print(*verdict.trace, sep="\n")
    took_s = time.monotonic() - began
    hours = sum(outcome.virtual_s for outcome in done) / 3600
    faults = sum((Counter(outcome.faults) for outcome in done), Counter[str]())
    print(
        f"{len(seeds)} seeds, {red} red, {len(seeds) / took_s:.2f} seeds/s by {options.jobs} processes;",
        end=" ",
    )
    print(f"of the green ones {hours:.2f} virtual hours,", end=" ")
    print(f"{sum(outcome.presses for outcome in done)} presses,", end=" ")
    print(f"{sum(outcome.crashes for outcome in done)} actor crashes,", end=" ")
    print(f"back after {max((outcome.settled_s for outcome in done), default=0):.1f} s at worst")
    print("faults:", ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())))
    return red


def campaign_rules() -> Any:
    """`tests.simulation.rules`; None where there are no tests."""
    try:
        return importlib.import_module("tests.simulation.rules")
    except ModuleNotFoundError:
        return None


def judge(seed: int) -> Any:
    """Run one seed; its `tests.simulation.rules.Verdict`."""
    logging.disable(logging.ERROR)  # the app SDK's words about what was done to it
    return campaign_rules().judge(seed)


if __name__ == "__main__":
    main()
