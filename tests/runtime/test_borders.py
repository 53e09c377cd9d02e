"""Where one promise ends and the next begins: a task beside its actor's handler, a refusal by the dead, the
wait of a group restart."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from runtime import (
    Actor,
    ActorRestarting,
    ActorStopped,
    ActorSystem,
    Backoff,
    ChildSpec,
    OutsideHandler,
    Supervisor,
    TaskActor,
)


class Busy(TaskActor[Any]):
    """Its handler waits while its own task tries to use the actor."""

    def __init__(self, handler_may_end: trio.Event, caught: list[Exception]) -> None:
        self.state = None
        self.handler_may_end = handler_may_end
        self.caught = caught

    async def receive(self, message: Any) -> None:
        if message == "start":
            self.start(self.meddle)
        elif message == "wait":
            await self.handler_may_end.wait()

    async def meddle(self) -> None:
        await trio.sleep(1.0)
        try:
            self.set_timer("late", 1.0, "never")
        except OutsideHandler as error:
            self.caught.append(error)
        self.handler_may_end.set()


async def test_an_actors_own_task_is_no_part_of_the_handler_that_waits_meanwhile(system: ActorSystem) -> None:
    handler_may_end, caught = trio.Event(), list[Exception]()
    busy = await system.spawn(ChildSpec("busy", lambda: Busy(handler_may_end, caught)))
    busy.tell("start")
    busy.tell("wait")

    await handler_may_end.wait()

    assert len(caught) == 1


class Teller(Actor[Any]):
    """Tells what it is told to tell, and keeps what it hears."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def receive(self, message: Any) -> None:
        if callable(message):
            message(self)
        else:
            self.state = (*self.state, message)


async def test_a_tell_that_a_dead_actor_refuses_says_that_it_is_dead(system: ActorSystem) -> None:
    teller = await system.spawn(ChildSpec("teller", Teller))
    gone = await system.spawn(ChildSpec("gone", Teller))
    system.stop_child(gone)
    await system.stopped(gone)

    teller.tell(lambda actor: actor.tell(gone, "hello", refused=lambda error: error))
    await trio.testing.wait_all_tasks_blocked()

    (error,) = system.state_of(teller)
    assert isinstance(error, ActorStopped)
    assert gone.path in str(error)


class SlowToGo(Actor[Any]):
    """Takes three seconds to stop: a task of its own does not let itself be cancelled sooner."""

    def started(self, restart: object) -> None:
        self.start(self.linger)

    async def linger(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3.0)

    def receive(self, message: Any) -> None:
        raise RuntimeError(message)


class Pair(Supervisor):
    strategy = "one_for_all"
    backoff = Backoff(first_s=10.0, jitter=0.0, free=0)

    def children(self) -> list[ChildSpec[Any]]:
        return [ChildSpec("first", SlowToGo), ChildSpec("second", SlowToGo)]


async def test_retry_after_of_a_group_counts_from_when_all_of_it_is_down(system: ActorSystem) -> None:
    await system.spawn(ChildSpec("pair", Pair))
    first, second = system.find("/pair/first"), system.find("/pair/second")
    assert first is not None
    assert second is not None
    second.tell("crash")
    await trio.sleep(7.0)  # three seconds for each to go

    with pytest.raises(ActorRestarting) as caught:
        await first.ask(lambda reply_to: reply_to)

    assert caught.value.retry_after_s == pytest.approx(9.0)
