"""What is over leaves nothing; what is too much is bounded and counted."""

from __future__ import annotations

import gc
from typing import Any

import trio

from runtime import (
    Actor,
    ActorSystem,
    AskTimeout,
    ChildSpec,
    DropReason,
    DynamicSupervisor,
    Group,
    Key,
    Ref,
)


class Limitless(DynamicSupervisor):
    intensity = 10**9


class Answers(Actor[Any]):
    def receive(self, message: Any) -> None:
        message.tell("answer")


class Silent(Actor[Any]):
    def receive(self, message: Any) -> None:
        pass


class Crashes(Actor[Any]):
    def started(self, restart: Any) -> None:
        self.set_timer("later", 1000, "timer")
        self.every("often", 1000, "tick")

    def receive(self, message: Any) -> None:
        raise ValueError


def objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_asks_spawns_crashes_and_timers_leave_memory_and_tasks_flat(system: ActorSystem) -> None:
    under = await system.spawn(ChildSpec("sup", Limitless))
    answers = await system.spawn(ChildSpec("answers", Answers))
    silent = await system.spawn(ChildSpec("silent", Silent))
    crashes: Ref[Any] = await system.spawn(ChildSpec("crashes", Crashes), under=under)

    async def round_of_everything() -> None:
        for _ in range(1000):
            await answers.ask(lambda reply_to: reply_to)
        for _ in range(20):
            try:
                await silent.ask(lambda reply_to: reply_to, timeout_s=1)
            except AskTimeout:
                continue
        for _ in range(300):
            crashes.tell("crash")
            await settle()
        for number in range(300):
            ref = await system.spawn(ChildSpec(f"child{number}", Crashes), under=under)
            system.stop_child(ref)
            await system.stopped(ref)
        await trio.sleep(10)

    await round_of_everything()
    before = (objects(), tasks())
    for _ in range(3):
        await round_of_everything()
    after = (objects(), tasks())

    assert after[1] == before[1]
    assert (
        after[0] - before[0] < 1500
    )  # a compacted heap of deadlines may hold 512 dead entries, more or less
    assert len(system.deadlines) < 1100
    assert system.asks == {}


async def test_ten_times_too_much_is_bounded_and_every_drop_is_counted(system: ActorSystem) -> None:
    class Slow(Actor[int]):
        mailbox_size = 100

        def __init__(self) -> None:
            self.state = 0

        def receive(self, message: int) -> None:
            self.state += 1

    ref = await system.spawn(ChildSpec("slow", Slow))
    refused = 0
    for _ in range(50):
        for number in range(1000):
            refused += not ref.tell(number)
        assert system.tree(ref).depth <= 100
        await settle()

    assert refused == 50 * 900
    assert system.dead_letters.counts[DropReason.OVERFLOW] == refused
    assert len(system.dead_letters.recent) == 256
    assert system.state_of(ref) + refused == 50 * 1000


async def test_names_leave_nothing_behind(system: ActorSystem) -> None:
    class Member(Actor[Any]):
        def started(self, restart: Any) -> None:
            self.join(Group("group"))
            self.register(Key(self.ref.path))

    def names() -> int:
        return sum(len(held) for held in vars(system.registry).values() if isinstance(held, dict))

    for number in range(50):
        ref = await system.spawn(ChildSpec(f"member{number}", Member))
        system.stop_child(ref)
        await system.stopped(ref)

    assert names() == 0
