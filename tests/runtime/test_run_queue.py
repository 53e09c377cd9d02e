"""The run queue: fair to actors, fair to trio's tasks, and it names who holds it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio

from runtime import Actor, ActorSystem, ChildSpec, Held


class Busy(Actor[Any]):
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def receive(self, message: Any) -> None:
        if callable(message):
            message()
        self.log.append(self.ref.path)


def hold_for(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def test_a_handler_that_holds_the_loop_is_named(system: ActorSystem) -> None:
    ref = await system.spawn(ChildSpec("holder", lambda: Busy([])))

    def slow() -> None:
        hold_for(0.06)

    with system.events.subscribe(Held) as events:
        ref.tell(slow)
        await trio.testing.wait_all_tasks_blocked()
        (event,) = events.drain()

    assert ("/holder", slow) == (event.path, event.message)
    assert event.held_s >= 0.06


async def test_one_busy_actor_does_not_keep_others_waiting(system: ActorSystem) -> None:
    log: list[str] = []
    first = await system.spawn(ChildSpec("first", lambda: Busy(log)))
    second = await system.spawn(ChildSpec("second", lambda: Busy(log)))
    for _ in range(1000):
        first.tell("work")
    second.tell("work")
    await trio.testing.wait_all_tasks_blocked()

    assert log.index("/second") <= 64


async def test_a_busy_run_queue_goes_back_to_trio(system: ActorSystem) -> None:
    ref = await system.spawn(ChildSpec("busy", lambda: Busy([])))
    turns: list[int] = []

    def again() -> None:
        hold_for(0.001)
        if len(turns) < 3:
            ref.put(again)

    ref.tell(again)
    for turn in range(3):
        await trio.lowlevel.checkpoint()
        turns.append(turn)

    assert turns == [0, 1, 2]


async def test_deadlines_that_come_earlier_than_those_set_before_are_kept(system: ActorSystem) -> None:
    log: list[str] = []
    ref = await system.spawn(ChildSpec("timed", lambda: Busy(log)))
    order: list[str] = []
    system.deadlines.alarm(system.clock.now() + 10, lambda: order.append("late"))
    system.deadlines.alarm(system.clock.now() + 5, lambda: order.append("early"))
    await trio.sleep(6)
    assert order == ["early"]
    await trio.sleep(6)

    assert order == ["early", "late"]
    assert ref.is_alive


async def test_a_turn_of_the_run_queue_is_two_milliseconds(
    system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def work() -> None:
        nonlocal now
        now += 0.0007

    log: list[str] = []
    refs = [await system.spawn(ChildSpec(f"a{number}", lambda: Busy(log))) for number in range(9)]
    turns: list[int] = []
    fire = system.deadlines.fire

    def at_the_beginning_of_a_turn() -> None:
        turns.append(len(log))
        fire()

    monkeypatch.setattr(system.deadlines, "fire", at_the_beginning_of_a_turn)
    monkeypatch.setattr("runtime._scheduler.time.perf_counter", lambda: now)
    for ref in refs:
        ref.tell(work)
    await trio.testing.wait_all_tasks_blocked()

    assert turns[:3] == [0, 3, 6]  # 2.1 ms each
