"""`glasshouse bench simulate`: whole servers under seeded faults, each judged by the rules of a session.

The campaign of `tests/simulation`, with as many seeds as you like: phones, apps and app servers in virtual
time, and what can go wrong with them drawn from the seed. Prints every red seed with the first rule that did
not hold, then the virtual hours and the seeds a second. Exits with 1 when a seed is red.

    glasshouse bench simulate --seeds 1000 --from 5000
    glasshouse bench simulate --seeds 1 --from 17 --trace
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
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--trace", action="store_true", help="print the whole trace of red seeds")
    options = parser.parse_args()
    if campaign_rules() is None:
        parser.exit(2, "the campaign is among the tests: run this in a checkout\n")
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
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
    sys.exit(1 if red else 0)


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
