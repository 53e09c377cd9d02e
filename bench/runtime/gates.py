"""The gates: what is over leaves nothing, and what is too much is bounded and counted. On the real clock.

A million asks, a hundred thousand spawns with a crash and a stop each, ten thousand timers set anew: the
objects, the tasks and the memory of the process are the same after a tenth of it and after all of it. Ten
times more than an actor can take, under every overflow policy: its mailbox stays within its bound, memory
stays, and every message is either handled or a dead letter that was counted.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from bench import report
from bench.runtime.meter import resident_kb
from runtime import (
    Actor,
    ActorSystem,
    ChildSpec,
    DropReason,
    DynamicSupervisor,
    Overflow,
    Ref,
    TaskActor,
    latest,
    open_system,
)

ASKS, SPAWNS, TIMERS, MESSAGES = 1_000_000, 100_000, 10_000, 1_000_000

# A heap of deadlines is compacted when half of it is dead, so it may hold some dead entries more or less.
MORE_OBJECTS = 2500
MORE_KB = 4096

_LETTERS = 600  # twice as many dead letters as the system keeps; after them it is as full as it gets
_ROOM = 100  # of the mailbox that is overloaded
_TIMES = 10


class _Limitless(DynamicSupervisor):
    intensity = 10**9


def _answer(message: Any) -> None:
    message.tell(None)


def _crash(message: Any) -> None:
    raise ValueError


class _Answers(Actor[Any]):
    def receive(self, message: Any) -> None:
        _answer(message)


class _TaskAnswers(TaskActor[Any]):
    async def receive(self, message: Any) -> None:
        _answer(message)


class _Crashes(Actor[Any]):
    def started(self, restart: Any) -> None:
        self.set_timer("later", 1000, None)

    def receive(self, message: Any) -> None:
        if message is None:
            raise ValueError
        _answer(message)


class _TaskCrashes(TaskActor[Any]):
    def started(self, restart: Any) -> None:
        self.set_timer("later", 1000, None)

    async def receive(self, message: Any) -> None:
        if message is None:
            raise ValueError
        _answer(message)


class _Sets(Actor[Any]):
    def receive(self, message: Any) -> None:
        self.set_timer("idle", 1000, None)
        message.tell(None)


class _TaskSets(TaskActor[Any]):
    async def receive(self, message: Any) -> None:
        self.set_timer("idle", 1000, None)
        message.tell(None)


def _itself(reply_to: Any) -> Any:
    return reply_to


# ------------------------------------------------------------------------------------------------- leaks

Rounds = Callable[[int], Awaitable[None]]


async def _asks(system: ActorSystem, *, is_task: bool) -> Rounds:
    ref: Ref[Any] = await system.spawn(ChildSpec("answers", _TaskAnswers if is_task else _Answers))

    async def rounds(count: int) -> None:
        for _ in range(count):
            await ref.ask(_itself)

    return rounds


async def _spawns(system: ActorSystem, *, is_task: bool) -> Rounds:
    under = await system.spawn(ChildSpec("all", _Limitless))
    cls: Any = _TaskCrashes if is_task else _Crashes
    serial = 0

    async def rounds(count: int) -> None:
        nonlocal serial
        for _ in range(count):
            serial += 1
            ref: Ref[Any] = await system.spawn(ChildSpec(f"child{serial}", cls), under=under)
            ref.tell(None)
            await ref.ask(_itself)  # answered by the next incarnation
            system.stop_child(ref)
            await system.stopped(ref)

    return rounds


async def _timers(system: ActorSystem, *, is_task: bool) -> Rounds:
    ref: Ref[Any] = await system.spawn(ChildSpec("sets", _TaskSets if is_task else _Sets))

    async def rounds(count: int) -> None:
        for _ in range(count):
            await ref.ask(_itself)

    return rounds


async def _leak(
    name: str, make: Callable[..., Awaitable[Rounds]], count: int, *, is_task: bool
) -> dict[str, object]:
    """Measure after a tenth of `count` rounds, the warm-up, and after all of them."""
    began = time.monotonic()
    async with open_system("gate") as system:
        rounds = await make(system, is_task=is_task)
        warm_up = max(count // 10, _LETTERS)
        await rounds(warm_up)
        before = _held()
        await rounds(max(count, 2 * warm_up) - warm_up)
        after = _held()
        asks = len(system.asks)
    objects, tasks, kilobytes = (now - then for now, then in zip(after, before, strict=True))
    is_flat = objects <= MORE_OBJECTS and tasks == 0 and kilobytes <= MORE_KB and asks == 0
    return {
        "gate": name,
        "kind": "TaskActor" if is_task else "Actor",
        "times": count,
        "objects": objects,
        "tasks": tasks,
        "KB": kilobytes,
        "s": time.monotonic() - began,
        "": "passed" if is_flat else "FAILED",
    }


def _held() -> tuple[float, float, float]:
    kilobytes = resident_kb()
    return len(gc.get_objects()), trio.lowlevel.current_statistics().tasks_living, kilobytes


# ---------------------------------------------------------------------------------------------- overload


def _key(message: int) -> int:
    return message % (2 * _ROOM)


POLICIES: tuple[Overflow, ...] = ("reject", "drop_oldest", "drop_newest", "block", latest(_key))


async def _overload(policy: Overflow, count: int, *, is_task: bool) -> dict[str, object]:
    """Tell ten mailboxes full, let the actor run, and again."""
    began = time.monotonic()

    class Slow(Actor[int]):
        mailbox_size = _ROOM
        overflow = policy
        state = 0

        def receive(self, message: int) -> None:
            self.state += 1

    class TaskSlow(TaskActor[int]):
        mailbox_size = _ROOM
        overflow = policy
        state = 0

        async def receive(self, message: int) -> None:
            self.state += 1

    async with open_system("gate") as system:
        ref: Ref[int] = await system.spawn(ChildSpec("slow", TaskSlow if is_task else Slow))
        deepest = sent = 0
        resident: list[float] = []
        burst = _ROOM * _TIMES
        for number in range(max(2, count // burst)):
            for message in range(burst):
                ref.tell(message)
            sent += burst
            deepest = max(deepest, system.tree(ref).depth)
            while system.tree(ref).depth:
                await trio.lowlevel.checkpoint()
            if number in (1, max(2, count // burst) - 1):
                resident.append(resident_kb())
        handled: int = system.state_of(ref)
        counts = system.dead_letters.counts
        dropped = counts[DropReason.OVERFLOW] + counts[DropReason.REPLACED]
    more_kb = resident[-1] - resident[0]
    is_bounded = deepest <= _ROOM and more_kb <= MORE_KB
    return {
        "gate": f"overload, {'latest' if isinstance(policy, latest) else policy}",
        "kind": "TaskActor" if is_task else "Actor",
        "sent": sent,
        "handled": handled,
        "dropped": dropped,
        "deepest": deepest,
        "KB": more_kb,
        "s": time.monotonic() - began,
        "": "passed" if is_bounded and handled + dropped == sent and dropped else "FAILED",
    }


def main(*, scale: float) -> int:
    """Run every gate at `scale` of its size, print, and return the exit code."""
    leaks = [
        trio.run(partial(_leak, name, make, int(count * scale), is_task=is_task))
        for name, make, count in (
            ("asks", _asks, ASKS),
            ("spawns, crashes, stops", _spawns, SPAWNS),
            ("timers set anew", _timers, TIMERS),
        )
        for is_task in (False, True)
    ]
    print(f"{report.table(leaks)}\n", flush=True)
    overloads = [
        trio.run(partial(_overload, policy, int(MESSAGES * scale), is_task=is_task))
        for policy in POLICIES
        for is_task in (False, True)
    ]
    print(report.table(overloads))
    failed = [row for row in (*leaks, *overloads) if row[""] != "passed"]
    print(
        f"\n{len(failed)} of {len(leaks) + len(overloads)} gates failed" if failed else "\nall gates passed"
    )
    return 1 if failed else 0
