"""What only an actor with a task of its own can do, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from runtime import (
    Abandoned,
    Actor,
    ActorStopped,
    ActorSystem,
    AskCycle,
    ChildSpec,
    DropReason,
    DynamicSupervisor,
    OutsideHandler,
    ReplyTo,
    StartFailed,
    TaskActor,
)


class BoomError(Exception):
    pass


class Doer(TaskActor[Any]):
    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    async def receive(self, message: Any) -> None:
        if callable(message):
            await message(self)
        else:
            self.state = (*self.state, message)


class Sink(Actor[Any]):
    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def receive(self, message: Any) -> None:
        self.state = (*self.state, message)


async def quiet() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_what_was_committed_stands_and_what_was_not_is_undone(system: ActorSystem) -> None:
    sink = await system.spawn(ChildSpec("sink", Sink))
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def script(actor: Doer) -> None:
        actor.state = ("first",)
        sink.tell("first")
        await actor.commit()
        actor.state = ("second",)
        sink.tell("second")
        raise BoomError

    doer.tell(script)
    await quiet()

    assert system.state_of(doer) == ("first",)
    assert system.state_of(sink) == ("first",)


async def test_a_call_that_raises_at_a_commit_is_raised_there(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))
    seen: list[Exception] = []

    def fail() -> None:
        raise BoomError

    async def script(actor: Doer) -> None:
        actor.perform(fail)
        actor.state = ("kept",)
        try:
            await actor.commit()
        except BoomError as error:
            seen.append(error)

    doer.tell(script)
    await quiet()

    assert len(seen) == 1
    assert system.state_of(doer) == ("kept",)
    assert system.tree(doer).restarts == 0


async def test_commit_outside_the_handler_is_an_error(system: ActorSystem) -> None:
    actors: list[Doer] = []

    async def script(actor: Doer) -> None:
        actors.append(actor)

    doer = await system.spawn(ChildSpec("doer", Doer))
    doer.tell(script)
    await quiet()

    with pytest.raises(OutsideHandler):
        await actors[0].commit()
    system.stop_child(doer)
    await system.stopped(doer)
    with pytest.raises(OutsideHandler):
        await actors[0].commit()


async def test_messages_wait_while_the_handler_waits(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def slow(actor: Doer) -> None:
        await trio.sleep(1)
        actor.state = (*actor.state, "slow")

    doer.tell(slow)
    doer.tell("next")
    await trio.sleep(0.5)
    assert system.state_of(doer) == ()
    await trio.sleep(1)

    assert system.state_of(doer) == ("slow", "next")


async def test_asking_itself_fails_at_once(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))
    errors: list[Exception] = []

    async def ask_itself(actor: Doer) -> None:
        try:
            await actor.ref.ask(lambda reply_to: reply_to)
        except AskCycle as error:
            errors.append(error)

    doer.tell(ask_itself)
    began = trio.current_time()
    await quiet()

    assert len(errors) == 1
    assert trio.current_time() == began


async def test_a_task_actor_may_ask_another_in_the_middle_of_a_handler(system: ActorSystem) -> None:
    class Answer(Actor[Any]):
        def receive(self, message: Any) -> None:
            message.tell("answer")

    other = await system.spawn(ChildSpec("other", Answer))
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def script(actor: Doer) -> None:
        def make(reply_to: ReplyTo[str]) -> Any:
            return reply_to

        actor.state = (await other.ask(make),)

    doer.tell(script)
    await quiet()

    assert system.state_of(doer) == ("answer",)


async def test_what_a_task_tells_does_not_wait_for_the_handler_that_runs(system: ActorSystem) -> None:
    sink = await system.spawn(ChildSpec("sink", Sink))
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def work() -> None:
        sink.tell("from the task")

    async def script(actor: Doer) -> None:
        actor.start(work)
        await actor.commit()
        await trio.sleep_forever()

    doer.tell(script)
    await quiet()

    assert system.state_of(sink) == ("from the task",)


async def test_a_stop_lets_the_running_handler_finish(system: ActorSystem) -> None:
    sink = await system.spawn(ChildSpec("sink", Sink))
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=5))

    async def slow(actor: Doer) -> None:
        await trio.sleep(3)
        sink.tell("finished")

    doer.tell(slow)
    await quiet()
    system.stop_child(doer)
    await system.stopped(doer)

    assert system.state_of(sink) == ("finished",)


async def test_a_handler_over_its_shutdown_time_is_cancelled_and_its_message_is_a_dead_letter(
    system: ActorSystem,
) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=2))

    async def endless(_: Doer) -> None:
        await trio.sleep_forever()

    doer.tell(endless)
    await quiet()
    began = trio.current_time()
    system.stop_child(doer)
    await system.stopped(doer)

    assert trio.current_time() - began == pytest.approx(2)
    (letter,) = system.dead_letters.recent
    assert (endless, DropReason.STOPPED) == (letter.message, letter.reason)


async def test_a_handler_that_cannot_be_cancelled_is_abandoned_and_can_do_no_harm(
    system: ActorSystem,
) -> None:
    sink = await system.spawn(ChildSpec("sink", Sink))
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=1))
    errors: list[BaseException] = []

    async def stubborn(actor: Doer) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
            sink.tell("too late")
            try:
                await actor.commit()
            except Exception as error:
                errors.append(error)

    doer.tell(stubborn)
    await quiet()
    with system.events.subscribe(Abandoned) as abandoned:
        system.stop_child(doer)
        await system.stopped(doer)

    assert len(abandoned.drain()) == 1
    assert system.abandoned == 1
    await trio.sleep(20)
    assert len(errors) == 1
    assert system.state_of(sink) == ()


async def test_an_abandoned_handler_cannot_commit_while_its_tasks_are_awaited(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=1))
    errors: list[BaseException] = []

    async def sleep_on() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2.8)

    async def stubborn(actor: Doer) -> None:
        actor.start(sleep_on)
        await actor.commit()
        with trio.CancelScope(shield=True):
            await trio.sleep(2.5)
            actor.state = ("harm",)
            try:
                await actor.commit()
            except ActorStopped as error:
                errors.append(error)

    doer.tell(stubborn)
    await quiet()
    system.stop_child(doer)
    await system.stopped(doer)
    await trio.sleep(5)

    assert len(errors) == 1


async def test_an_abandoned_handler_that_returns_commits_nothing(system: ActorSystem) -> None:
    sink = await system.spawn(ChildSpec("sink", Sink))
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=1))

    async def stubborn(_: Doer) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        sink.tell("too late")

    doer.tell(stubborn)
    await quiet()
    system.stop_child(doer)
    await system.stopped(doer)
    await trio.sleep(20)

    assert system.state_of(sink) == ()


async def test_a_start_over_its_time_has_failed(system: ActorSystem) -> None:
    class Slow(Doer):
        async def started(self, restart: Any) -> None:
            await trio.sleep(10)

    with pytest.raises(StartFailed) as caught:
        await system.spawn(ChildSpec("slow", Slow, start_s=3))

    assert isinstance(caught.value.cause, TimeoutError)
    assert trio.current_time() == pytest.approx(3, abs=0.1)


async def test_a_stop_during_the_start_ends_it(system: ActorSystem) -> None:
    class Slow(Doer):
        async def started(self, restart: Any) -> None:
            await trio.sleep(100)

    async with trio.open_nursery() as nursery:

        async def spawn() -> None:
            with pytest.raises(StartFailed):
                await system.spawn(ChildSpec("slow", Slow, start_s=200, shutdown_s=1))

        nursery.start_soon(spawn)
        await quiet()
        ref = system.find("/slow")
        assert ref is not None
        system.stop_child(ref)

    assert system.find("/slow") is None


async def test_a_crash_from_outside_cancels_the_running_handler(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def endless(_: Doer) -> None:
        await trio.sleep_forever()

    doer.tell(endless)
    doer.tell("kept")
    await quiet()
    doer.crash(BoomError())
    await quiet()

    assert system.state_of(doer) == ("kept",)
    assert system.tree(doer).restarts == 1


async def test_an_error_in_a_group_beside_the_cancellation_is_not_lost(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=1))

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise BoomError("while ending")

    async def script(_: Doer) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    doer.tell(script)
    await quiet()
    system.stop_child(doer)
    await system.stopped(doer)

    assert "while ending" in repr(doer.cell.last_error)


async def test_handlers_that_never_wait_do_not_starve_the_loop(system: ActorSystem) -> None:
    turns: list[str] = []
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def again(actor: Doer) -> None:
        if "other" not in turns:
            actor.ref.tell(again)

    async def other() -> None:
        await trio.lowlevel.checkpoint()
        turns.append("other")

    doer.tell(again)
    with trio.fail_after(1):
        await other()

    assert turns == ["other"]


async def test_suspend_and_replace_wait_for_the_running_handler(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def slow(actor: Doer) -> None:
        await trio.sleep(2)
        actor.state = ("slow",)

    doer.tell(slow)
    doer.tell("later")
    await quiet()
    replaced = await system.replace_state(doer, lambda state: (*state, "replaced"))
    replaced_at = trio.current_time()
    doer.tell(slow)
    await quiet()
    await system.suspend(doer)

    assert replaced == ("slow", "replaced")
    assert replaced_at == pytest.approx(2)
    assert trio.current_time() == pytest.approx(4)


async def test_what_was_committed_happens_once(system: ActorSystem) -> None:
    sink = await system.spawn(ChildSpec("sink", Sink))
    doer = await system.spawn(ChildSpec("doer", Doer))

    async def script(actor: Doer) -> None:
        sink.tell("first")
        await actor.commit()
        sink.tell("second")

    doer.tell(script)
    await quiet()

    assert system.state_of(sink) == ("first", "second")


async def test_a_task_actor_that_never_waits_gives_way_every_32_messages(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))
    handled: list[int] = []

    async def note(_: Doer) -> None:
        handled.append(1)

    for _ in range(100):
        doer.tell(note)
    seen = {0}
    while len(handled) < 100:
        await trio.lowlevel.checkpoint()
        seen.add(len(handled))

    assert seen <= {0, 32, 64, 96, 100}  # two turns may pass between two looks
    assert len(seen) > 2


async def test_a_busy_task_actor_that_is_stopped_twice_is_stopped_once(system: ActorSystem) -> None:
    under = await system.spawn(ChildSpec("sup", DynamicSupervisor))
    doer = await system.spawn(ChildSpec("doer", Doer, shutdown_s=5), under=under)

    async def slow(_: Doer) -> None:
        await trio.sleep(3)

    doer.tell(slow)
    await quiet()
    system.stop_child(doer)
    await quiet()
    system.stop_child(under)
    await system.stopped(under)
    await trio.sleep(60)

    assert (0, 0) == (system.abandoned, system.dead_letters.total)
