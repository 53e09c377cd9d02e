"""What an actor starts comes back to it as messages, or not at all once it is cancelled or gone."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from runtime import Abandoned, StopKind, Terminated


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


# ---------------------------------------------------------------------- timers


async def test_a_timer_is_a_message(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.set_timer("t", 2, "timer"))
    await trio.sleep(1.9)
    assert stage.state(ref) == ()
    await trio.sleep(0.2)

    assert stage.state(ref) == ("timer",)


async def test_a_timer_may_set_itself_again(stage: Any) -> None:
    """Orleans issue 7865: a timer's callback that deadlocks its own actor."""
    ref = await stage.actor()

    def tick(actor: Any) -> None:
        actor.state = (*actor.state, actor.now)
        if len(actor.state) < 3:
            actor.set_timer("t", 1, tick)

    ref.tell(lambda actor: actor.set_timer("t", 1, tick))
    await trio.sleep(10)

    assert len(stage.state(ref)) == 3


async def test_a_timer_set_again_replaces_the_one_before(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.set_timer("t", 2, "first"))
    ref.tell(lambda actor: actor.set_timer("t", 1, "second"))
    await trio.sleep(5)

    assert stage.state(ref) == ("second",)
    assert stage.system.tree(ref).restarts == 0


async def test_a_cancelled_timer_does_not_arrive_even_if_it_waits_already(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.set_timer("t", 1, "timer"))
    await stage.quiet()
    await stage.system.suspend(ref)
    await trio.sleep(2)
    assert stage.system.tree(ref).depth == 1
    ref.cell.mailbox.put_back([lambda actor: actor.cancel_timer("t")])
    await stage.system.resume(ref)
    await stage.quiet()

    assert stage.state(ref) == ()
    assert stage.system.tree(ref).restarts == 0


async def test_cancelling_a_timer_that_is_not_there_does_nothing(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.cancel_timer("none"))
    ref.tell(lambda actor: actor.set_timer("t", 1, "timer"))
    ref.tell(lambda actor: actor.cancel_timer("t"))
    await trio.sleep(2)

    assert stage.state(ref) == ()
    assert stage.system.tree(ref).restarts == 0


async def test_every_ticks_until_cancelled_without_drift(stage: Any) -> None:
    ref = await stage.actor()

    def tick(actor: Any) -> None:
        actor.state = (*actor.state, round(actor.now - began, 6))
        if len(actor.state) == 3:
            actor.cancel_timer("t")

    began = trio.current_time()
    ref.tell(lambda actor: actor.every("t", 2, tick))
    await trio.sleep(20)

    assert stage.state(ref) == (2, 4, 6)


async def test_a_slow_actor_misses_ticks_instead_of_being_buried_in_them(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.every("t", 1, "tick"))
    await stage.quiet()
    await stage.system.suspend(ref)
    await trio.sleep(10.5)
    await stage.system.resume(ref)
    await stage.quiet()

    assert stage.state(ref) == ("tick",)


async def test_a_period_must_be_positive(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.every("t", 0, "tick"))
    await stage.quiet()

    assert "must be positive" in stage.system.tree(ref).last_error


async def test_timers_die_with_the_incarnation(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.set_timer("t", 1, "timer"))
    ref.tell(lambda actor: actor.every("e", 1, "tick"))
    ref.tell(boom)
    await trio.sleep(5)

    assert stage.state(ref) == ()
    assert stage.system.tree(ref).timers == ()


async def test_a_timer_that_has_come_is_set_no_more(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.set_timer("t", 1, "timer"))
    await stage.quiet()
    before = stage.system.tree(ref).timers
    await trio.sleep(2)

    assert (("t",), ()) == (before, stage.system.tree(ref).timers)


async def test_timers_of_one_moment_come_in_the_order_they_were_set(stage: Any) -> None:
    ref = await stage.actor()

    def set_three(actor: Any) -> None:
        for name in ("first", "second", "third"):
            actor.set_timer(name, 1, name)

    ref.tell(set_three)
    await trio.sleep(2)

    assert stage.state(ref) == ("first", "second", "third")


async def test_a_late_tick_does_not_shift_those_behind_it(
    stage: Any, autojump_clock: trio.testing.MockClock
) -> None:
    ref = await stage.actor()
    busy = await stage.actor()
    began = trio.current_time()

    def tick(actor: Any) -> None:
        actor.state = (*actor.state, round(actor.now - began, 6))

    ref.tell(lambda actor: actor.every("t", 2, tick))
    busy.tell(lambda actor: actor.set_timer("hold", 1.5, lambda _: autojump_clock.jump(1.2)))
    await trio.sleep(8.5)

    assert stage.state(ref) == (2.7, 4, 6, 8)


# ---------------------------------------------------------------------- tasks


async def test_a_tasks_result_comes_back_as_a_message(stage: Any) -> None:
    ref = await stage.actor()

    async def work(number: int) -> int:
        await trio.sleep(1)
        return number * 2

    ref.tell(lambda actor: actor.start(work, 21, then=lambda result: ("done", result)))
    ref.tell("meanwhile")
    await trio.sleep(2)

    assert stage.state(ref) == ("meanwhile", ("done", 42))


async def test_a_tasks_failure_is_a_message_where_declared(stage: Any) -> None:
    ref = await stage.actor()

    async def fail() -> None:
        raise BoomError("failed")

    ref.tell(lambda actor: actor.start(fail, failed=str))
    await stage.quiet()

    assert stage.state(ref) == ("failed",)


async def test_a_tasks_failure_crashes_the_actor_where_nothing_is_declared(stage: Any) -> None:
    diary: list[Any] = []
    ref = await stage.actor(diary=diary)

    async def fail() -> None:
        raise BoomError

    ref.tell(lambda actor: actor.start(fail))
    await stage.quiet()

    assert isinstance(diary[-1][1].cause, BoomError)


async def test_a_group_of_errors_ends_the_actor_and_never_the_system(stage: Any) -> None:
    ref = await stage.actor()

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise BoomError

    async def group() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    ref.tell(lambda actor: actor.start(group))
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert await (await stage.actor()).ask(lambda reply_to: lambda _: reply_to.tell("well")) == "well"


async def test_a_cancelled_task_reports_nothing(stage: Any) -> None:
    ref = await stage.actor()

    def start(actor: Any) -> None:
        handle = actor.start(trio.sleep, 1, then=lambda _: "done", name="nap")
        actor.set_timer("t", 0.5, lambda actor: actor.cancel_task(handle))

    ref.tell(start)
    await stage.quiet()
    assert stage.system.tree(ref).tasks == ("nap",)
    await trio.sleep(2)

    assert stage.state(ref) == ()
    assert stage.system.tree(ref).tasks == ()


async def test_a_task_cancelled_while_its_outcome_waits_reports_nothing(stage: Any) -> None:
    ref = await stage.actor()
    handles: list[Any] = []
    ref.tell(lambda actor: handles.append(actor.start(trio.sleep, 1, then=lambda _: "done")))
    await stage.quiet()
    await stage.system.suspend(ref)
    await trio.sleep(2)
    assert stage.system.tree(ref).depth == 1
    ref.cell.mailbox.put_back([lambda actor: actor.cancel_task(handles[0])])
    await stage.system.resume(ref)
    await stage.quiet()

    assert stage.state(ref) == ()
    assert "sleep" in repr(handles[0])


async def test_a_task_cancelled_in_the_handler_that_started_it_never_runs(stage: Any) -> None:
    ref = await stage.actor()
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    def start_and_cancel(actor: Any) -> None:
        handle = actor.start(work)
        actor.system.scheduler  # noqa: B018 - the system is reachable in a handler
        handle.cancel()

    ref.tell(start_and_cancel)
    await stage.quiet()

    assert ran == []


async def test_tasks_die_with_the_incarnation_and_are_awaited(stage: Any) -> None:
    diary: list[Any] = []
    ref = await stage.actor(diary=diary)

    async def work() -> None:
        try:
            await trio.sleep(1000)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            diary.append(("task ended", None))

    ref.tell(lambda actor: actor.start(work))
    await stage.quiet()
    ref.tell(boom)
    await trio.sleep(3)

    assert [entry[0] for entry in diary] == ["started", "task ended", "started"]


async def test_a_task_that_does_not_end_is_abandoned_counted_and_its_result_discarded(stage: Any) -> None:
    ref = await stage.actor(shutdown_s=1)

    async def stubborn() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        return "late"

    ref.tell(lambda actor: actor.start(stubborn, then=lambda result: result))
    await stage.quiet()
    with stage.system.events.subscribe(Abandoned) as abandoned:
        ref.tell(boom)
        await trio.sleep(2)
        assert stage.system.tree(ref).status == "running"
        await trio.sleep(20)

    assert len(abandoned.drain()) == 1
    assert stage.system.abandoned == 1
    assert stage.state(ref) == ()


async def test_a_task_that_is_over_is_listed_no_more(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.start(trio.sleep, 1, name="nap"))
    await stage.quiet()
    before = stage.system.tree(ref).tasks
    await trio.sleep(2)

    assert (("nap",), ()) == (before, stage.system.tree(ref).tasks)


async def test_a_declared_task_outlives_a_crash(stage: Any) -> None:
    ref = await stage.actor()

    async def work() -> str:
        await trio.sleep(1)
        return "done"

    ref.tell(lambda actor: actor.start(work, then=lambda result: result, outlives_crash=True))
    ref.tell(boom)
    await trio.sleep(2)

    assert stage.state(ref) == ("done",)


async def test_a_declared_task_does_not_outlive_the_actor(stage: Any) -> None:
    ended: list[int] = []
    ref = await stage.actor("ref", restart="temporary")

    async def work() -> None:
        try:
            await trio.sleep(1000)
        finally:
            ended.append(1)

    ref.tell(lambda actor: actor.start(work, outlives_crash=True))
    ref.tell(boom)
    await stage.quiet()

    assert ended == [1]


async def test_a_task_is_not_part_of_the_handlers_transaction(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    async def work() -> None:
        other.tell("from the task")
        await trio.sleep_forever()

    ref.tell(lambda actor: actor.start(work))
    await stage.quiet()

    assert stage.state(other) == ("from the task",)


# ---------------------------------------------------------------------- watches


async def test_a_watch_tells_of_the_end_exactly_once(stage: Any) -> None:
    ref = await stage.actor("ref", restart="temporary")
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()
    ref.tell(boom)
    await stage.quiet()

    (end,) = stage.state(watcher)
    assert isinstance(end, Terminated)
    assert (ref, StopKind.CRASHED) == (end.ref, end.reason.kind)
    assert isinstance(end.reason.cause, BoomError)


async def test_a_watch_of_a_dead_actor_tells_at_once(stage: Any) -> None:
    ref = await stage.actor("ref")
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()

    (end,) = stage.state(watcher)
    assert end.reason.kind is StopKind.SHUTDOWN


async def test_a_restart_is_no_end(stage: Any) -> None:
    ref = await stage.actor("ref")
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()
    ref.tell(boom)
    await stage.quiet()

    assert stage.state(watcher) == ()


async def test_unwatched_means_no_news_even_if_it_waits_already(stage: Any) -> None:
    ref = await stage.actor("ref")
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()
    await stage.system.suspend(watcher)
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    watcher.cell.mailbox.put_back([lambda actor: actor.unwatch(ref)])
    await stage.system.resume(watcher)
    await stage.quiet()

    assert stage.state(watcher) == ()
    assert stage.system.tree(watcher).restarts == 0


async def test_unwatching_a_live_actor_is_forgotten_by_it(stage: Any) -> None:
    ref = await stage.actor("ref")
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    watcher.tell(lambda actor: actor.unwatch(ref))
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await stage.quiet()

    assert stage.state(watcher) == ()


async def test_the_news_of_an_end_does_not_overtake_what_the_dead_said_before(stage: Any) -> None:
    watcher = await stage.actor("watcher")
    ref = await stage.actor("ref", restart="temporary")
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()

    def say_and_stop(actor: Any) -> None:
        watcher.tell("last")
        actor.stop()

    ref.tell(say_and_stop)
    await stage.quiet()

    said, end = stage.state(watcher)
    assert said == "last"
    assert isinstance(end, Terminated)


@pytest.mark.parametrize("crashes", [1, 3])
async def test_a_watch_outlives_a_restart_that_keeps_the_state_only(stage: Any, crashes: int) -> None:
    ref = await stage.actor("ref")
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    for _ in range(crashes):
        watcher.tell(boom)
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await stage.quiet()

    assert len(stage.state(watcher)) == (1 if crashes == 1 else 0)


async def test_an_end_that_was_heard_of_can_be_watched_again(stage: Any) -> None:
    ref = await stage.actor("ref")
    watcher = await stage.actor("watcher")
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await stage.quiet()
    watcher.tell(lambda actor: actor.watch(ref))
    await stage.quiet()

    assert [ref, ref] == [end.ref for end in stage.state(watcher)]
