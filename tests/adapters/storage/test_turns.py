"""Calls that have their turn together: one hop for all, and nobody is forgotten when one is cancelled."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.ports import StorageError
from adapters.storage.turns import Turns, Waiting


class Desk:
    """A resource that writes down its turns, and answers each call with its double."""

    def __init__(self) -> None:
        self.free = trio.Lock()
        self.turns: Turns[int] = Turns(self.free, self._run)
        self.seen: list[tuple[int, ...]] = []
        self.answers: dict[int, object] = {}

    async def _run(self, batch: tuple[Waiting[int], ...]) -> None:
        self.seen.append(tuple(waiting.call for waiting in batch))
        await trio.lowlevel.checkpoint()
        for waiting in batch:
            waiting.answer = 2 * waiting.call
            if waiting.call < 0:
                waiting.fault = StorageError("no such number", retry_after_s=3.0)

    async def ask(
        self, call: int, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            self.answers[call] = await self.turns.take(call)


async def test_calls_that_come_while_the_file_is_busy_have_one_turn_together() -> None:
    desk = Desk()

    async with trio.open_nursery() as nursery, desk.free:
        for call in range(5):
            nursery.start_soon(desk.ask, call)
        await trio.testing.wait_all_tasks_blocked()

    assert [5] == [len(turn) for turn in desk.seen]
    assert {call: 2 * call for call in range(5)} == desk.answers
    assert 0 == len(desk.turns)


async def test_when_the_call_that_sees_to_the_turn_is_cancelled_the_next_one_does(
    autojump_clock: MockClock,
) -> None:
    desk = Desk()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, desk.free:
            first = await nursery.start(desk.ask, 1)
            second = await nursery.start(desk.ask, 2)
            nursery.start_soon(desk.ask, 3)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
            second.cancel()
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(desk.ask, 4)
            await trio.testing.wait_all_tasks_blocked()

    assert [(3, 4)] == desk.seen
    assert {3: 6, 4: 8} == desk.answers


async def test_a_fault_is_told_to_the_call_that_has_it_alone() -> None:
    desk = Desk()

    async with trio.open_nursery() as nursery:
        await desk.free.acquire()
        nursery.start_soon(desk.ask, 1)
        await trio.testing.wait_all_tasks_blocked()
        desk.free.release()
        with pytest.raises(StorageError, match="no such number") as caught:
            await desk.turns.take(-1)

    assert 3.0 == caught.value.retry_after_s
    assert {1: 2} == desk.answers
