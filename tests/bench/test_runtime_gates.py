"""The gates of the runtime bench close on what leaks."""

from __future__ import annotations

from typing import Any

import pytest

from bench.runtime import gates
from bench.runtime.gates import Rounds
from runtime import ActorSystem


async def _leaks_objects(system: ActorSystem, *, is_task: bool) -> Rounds:
    kept: list[Any] = []

    async def rounds(count: int) -> None:
        kept.extend([number] for number in range(10 * count))

    return rounds


async def _leaks_nothing(system: ActorSystem, *, is_task: bool) -> Rounds:
    async def rounds(count: int) -> None:
        pass

    return rounds


async def _leaks_tasks(system: ActorSystem, *, is_task: bool) -> Rounds:
    import trio

    async def rounds(count: int) -> None:
        system.nursery.start_soon(trio.sleep_forever)

    return rounds


async def test_the_leak_gate_closes_on_objects_and_on_tasks() -> None:
    flat = await gates._leak("flat", _leaks_nothing, 1000, is_task=False)
    objects = await gates._leak("objects", _leaks_objects, 1000, is_task=False)
    tasks = await gates._leak("tasks", _leaks_tasks, 1000, is_task=False)

    assert ["passed", "FAILED", "FAILED"] == [gate[""] for gate in (flat, objects, tasks)]
    assert (0, 1) == (flat["tasks"], tasks["tasks"])


async def test_the_overload_gate_counts_every_message() -> None:
    gate = await gates._overload("drop_oldest", 3000, is_task=False)

    assert ("passed", 3000, 300, 2700) == (gate[""], gate["sent"], gate["handled"], gate["dropped"])


async def test_the_overload_gate_closes_when_a_drop_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime._dead_letters.DeadLetters.add", lambda *_: None)

    gate = await gates._overload("reject", 3000, is_task=True)

    assert ("FAILED", 300, 0) == (gate[""], gate["handled"], gate["dropped"])
