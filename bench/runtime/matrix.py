"""What is measured, on what, at which sizes, and what is aimed at."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass

SIZES = (1, 1000, 100_000)


@dataclass(frozen=True, slots=True)
class Workload:
    """One row. Figures are microseconds of CPU an operation; those of memory are kilobytes an actor.

    Attributes:
      operation: what is counted once.
      least_size: with fewer actors there is nothing to measure.
      is_once: measured at the smallest size only.
    """

    name: str
    operation: str
    unit: str = "us"
    least_size: int = 1
    is_once: bool = False


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("tell busy", "one message to an actor that has mail, sent and handled; 1,000 at a time"),
        Workload("tell asleep", "one message to each of N actors that have none, sent and handled"),
        Workload("tell traced", "as `tell busy`, the last messages and their times recorded", is_once=True),
        Workload("ask", "a request from a task to one of N actors, and its reply, one after another"),
        Workload("round trip", "a message to another actor and one back; the others are idle"),
        Workload("fan-in", "a message from one of N actors to one collector"),
        Workload("fan-out", "a message from one actor to one of N"),
        Workload("spawn", "one of 100 actors started by an actor, under supervision, beside N others"),
        Workload("spawn unsupervised", "the same where an actor can do without a supervisor"),
        Workload("spawn awaited", "an actor started and waited for by a task, one after another"),
        Workload("stop", "one of 100 actors stopped for good beside N others"),
        Workload("crash", "a handler that raises, the restart, and the next message handled; no logging"),
        Workload("watch", "one of 100 actors watched, stopped, and its end told to the watcher"),
        Workload("timer", "a timer set by its own message, fired and handled; 100 actors at once"),
        Workload("timer restart", "a timer set anew before it is due, as for an idle time-out"),
        Workload("memory fresh", "resident memory of an actor that never had a message", "KB", 100),
        Workload("memory idle", "resident memory of an actor that has handled a message", "KB", 100),
    )
}

OURS = ("Actor", "TaskActor")
BARE = "bare loop"
CHANNEL = "trio channel"
ERLANG = "Erlang/OTP"
PEERS = (CHANNEL, "asyncio.Queue", "pykka", "thespian")
SYSTEMS = (*OURS, BARE, *PEERS, ERLANG)

MODULES = {
    "Actor": "bench.runtime.ours",
    "TaskActor": "bench.runtime.ours",
    BARE: "bench.runtime.bare",
    CHANNEL: "bench.runtime.channels",
    "asyncio.Queue": "bench.runtime.queues",
    "pykka": "bench.runtime.threads",
    "thespian": "bench.runtime.thespians",
}

# A thread an actor: the memory map of a process holds some 32,000 of them.
LARGEST = {"pykka": 1000}

# Operations of a sample, where ten thousand would take too long.
EFFORT = {"pykka": 2000}

# A hundred thousand of these take ten seconds to make, so only what their number changes is measured, unless
# all cells are asked for.
MANY = 100_000
WITH_MANY = {
    "TaskActor": ("tell asleep", "memory idle"),
    CHANNEL: ("tell asleep", "memory idle"),
    "asyncio.Queue": ("tell asleep", "memory idle"),
    "thespian": ("tell asleep", "memory idle"),
}


@dataclass(frozen=True, slots=True)
class Aim:
    """What `Actor` has to reach in one cell, in the workload's unit."""

    workload: str
    size: int
    at_most: float


AIMS = (
    Aim("tell busy", 1, 0.7),
    Aim("tell asleep", 1000, 1.0),
    Aim("tell asleep", 100_000, 1.5),
    Aim("round trip", 1, 2.0),
    Aim("spawn", 1000, 5.0),
    Aim("ask", 1, 12.0),
    Aim("memory idle", 100_000, 2.0),
    Aim("crash", 1000, 50.0),
)

# Erlang may be so many times faster in these, at 1,000 actors, and no more.
ERLANG_FACTOR = 4.0
ERLANG_ROWS = ("tell asleep", "round trip", "spawn")


def is_asked(workload: Workload, size: int, system: str, *, sizes: tuple[int, ...], is_full: bool) -> bool:
    """Whether there is a cell for `workload` at `size` of `sizes` on `system`."""
    if size < workload.least_size or (workload.is_once and size != min(sizes)):
        return False
    if size > LARGEST.get(system, size):
        return False
    return is_full or size < MANY or workload.name in WITH_MANY.get(system, WORKLOADS)


def missing(system: str) -> str | None:
    """Why `system` cannot run here; None when it can."""
    if system == ERLANG:
        is_there = shutil.which("erl") is not None and shutil.which("erlc") is not None
        return None if is_there else "not installed"
    if system in ("pykka", "thespian") and importlib.util.find_spec(system) is None:
        return "not installed"
    return None
