"""However the block ends, everything in it ends first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from runtime import Actor, ActorSystem, ChildSpec, OutsideHandler, TaskActor, open_system


class Quits(Actor[Any]):
    def receive(self, message: Any) -> None:
        raise SystemExit(3)


class QuitsInATask(Actor[Any]):
    def receive(self, message: Any) -> None:
        self.start(self.quit)

    async def quit(self) -> None:
        raise SystemExit(3)


class QuitsWaiting(TaskActor[Any]):
    async def receive(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise SystemExit(3)


class Bystander(TaskActor[Any]):
    def __init__(self, diary: list[str]) -> None:
        self.diary = diary

    async def receive(self, message: Any) -> None:
        self.start(self.work)

    async def work(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.diary.append("task ended")

    async def stopping(self, reason: Any) -> None:
        self.diary.append("stopping")


async def with_a_bystander(system: ActorSystem, diary: list[str]) -> None:
    bystander = await system.spawn(ChildSpec("bystander", lambda: Bystander(diary)))
    bystander.tell("work")
    await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("kind", [Quits, QuitsInATask, QuitsWaiting])
async def test_an_exit_in_an_actor_ends_the_block_in_order(kind: Any) -> None:
    diary: list[str] = []

    async def block() -> None:
        async with open_system("ends") as system:
            await with_a_bystander(system, diary)
            ref = await system.spawn(ChildSpec("quits", kind))
            ref.tell("quit")
            await trio.sleep_forever()

    with pytest.raises(SystemExit) as caught:
        await block()

    assert caught.value.code == 3
    assert diary == ["stopping", "task ended"]


async def test_when_the_run_queue_itself_is_lost_the_block_ends_all_the_same() -> None:
    diary: list[str] = []

    def factory() -> Any:
        raise SystemExit(3)

    async def block() -> None:
        async with open_system("ends") as system:
            await with_a_bystander(system, diary)
            await system.spawn(ChildSpec("quits", factory))

    with pytest.raises(SystemExit):
        await block()

    assert diary == ["task ended"]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C counts, also where the shell started the tests in the background and has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
async def test_ctrl_c_ends_the_block_in_order() -> None:
    diary: list[str] = []

    async def block() -> None:
        async with open_system("ends") as system:
            await with_a_bystander(system, diary)
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        await block()

    assert diary == ["stopping", "task ended"]


async def test_actors_have_no_place_before_they_are_started() -> None:
    actor = Quits()

    for use in (lambda: actor.ref, lambda: actor.system, lambda: actor.now, actor.stop):
        with pytest.raises(OutsideHandler):
            use()
