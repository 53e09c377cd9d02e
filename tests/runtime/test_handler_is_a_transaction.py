"""A crash at any point of a handler leaves the old state and no trace outside."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import CrashReport, DropReason, Group, OutsideHandler, StopKind, Terminated


class BoomError(Exception):
    pass


async def test_a_handler_that_raises_leaves_the_old_state(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell("kept")

    def forget(actor: Any) -> None:
        actor.state = ("lost",)
        raise BoomError

    ref.tell(forget)
    await stage.quiet()

    assert stage.state(ref) == ("kept",)


async def test_a_handler_that_raises_leaves_no_trace_outside(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")
    calls: list[str] = []

    async def task() -> None:
        calls.append("task")

    def do_everything(actor: Any) -> None:
        assert other.tell("told")
        actor.set_timer("t", 0.0, "timer")
        actor.start(task)
        actor.perform(calls.append, "performed")
        actor.spawn(stage.spec("child"), under=stage.system.find("/"))
        actor.stop()
        raise BoomError

    ref.tell(do_everything)
    await stage.quiet()

    assert stage.state(other) == ()
    assert stage.state(ref) == ()
    assert calls == []
    assert stage.system.find("/child") is None
    assert ref.is_alive


async def test_the_message_that_killed_is_a_dead_letter_with_its_error(stage: Any) -> None:
    ref = await stage.actor("ref")

    def kill(_: Any) -> None:
        raise BoomError("why")

    ref.tell(kill)
    await stage.quiet()

    (letter,) = stage.system.dead_letters.recent
    assert ("/ref", kill, DropReason.POISON, "why") == (
        letter.path,
        letter.message,
        letter.reason,
        str(letter.error),
    )


async def test_effects_happen_in_their_order_after_the_swap(stage: Any) -> None:
    seen: list[Any] = []
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def script(actor: Any) -> None:
        actor.perform(lambda: seen.append(("first", actor.system.state_of(ref))))
        other.tell(lambda _: seen.append("told"))
        actor.perform(lambda: seen.append("second"))
        actor.state = ("swapped",)
        seen.append("handler")

    ref.tell(script)
    await stage.quiet()

    assert seen == ["handler", ("first", ("swapped",)), "second", "told"]


async def test_a_call_that_raises_at_commit_crashes_with_the_new_state_and_the_rest_is_delivered(
    stage: Any,
) -> None:
    other = await stage.actor("other")
    diary: list[Any] = []
    ref = await stage.actor("ref", diary=diary)

    def fail() -> None:
        raise BoomError

    def script(actor: Any) -> None:
        actor.state = ("new",)
        other.tell("before")
        actor.perform(fail)
        other.tell("after")

    ref.tell(script)
    await stage.quiet()

    assert stage.state(other) == ("before", "after")
    assert stage.state(ref) == ("new",)
    assert isinstance(diary[-1][1].cause, BoomError)
    assert stage.system.dead_letters.total == 0


async def test_two_failing_calls_are_both_reported_and_crash_once(stage: Any) -> None:
    ref = await stage.actor("ref")
    errors = [BoomError("one"), BoomError("two")]

    def fail(error: BoomError) -> None:
        raise error

    def script(actor: Any) -> None:
        for error in errors:
            actor.perform(fail, error)

    with stage.system.events.subscribe(CrashReport) as crashes:
        ref.tell(script)
        await stage.quiet()

    assert sorted(map(str, errors)) == sorted(str(report.error) for report in crashes.drain())
    assert stage.system.tree(ref).restarts == 1


async def test_started_is_a_transaction_too(stage: Any) -> None:
    other = await stage.actor("other")

    def start(actor: Any) -> None:
        other.tell("from a start that failed")
        raise BoomError

    with pytest.raises(Exception, match="did not start"):
        await stage.actor("ref", on_start=start)
    await stage.quiet()

    assert stage.state(other) == ()


async def test_an_effect_outside_the_handler_is_an_error(stage: Any) -> None:
    actors: list[Any] = []
    ref = await stage.actor("ref")
    ref.tell(actors.append)
    await stage.quiet()

    with pytest.raises(OutsideHandler, match="outside its own handler"):
        actors[0].set_timer("t", 1.0, "never")
    with pytest.raises(OutsideHandler):
        _ = type(actors[0])().ref


async def test_an_actor_cannot_write_into_another_actors_transaction(stage: Any) -> None:
    actors: list[Any] = []
    errors: list[Exception] = []
    first = await stage.actor("first")
    second = await stage.actor("second")
    first.tell(actors.append)
    await stage.quiet()

    def use_the_other(_: Any) -> None:
        try:
            actors[0].stop()
        except OutsideHandler as error:
            errors.append(error)

    second.tell(use_the_other)
    await stage.quiet()

    assert len(errors) == 1
    assert first.is_alive


async def test_put_is_sent_even_if_the_handler_raises(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def script(_: Any) -> None:
        other.put("at once")
        raise BoomError

    ref.tell(script)
    await stage.quiet()

    assert stage.state(other) == ("at once",)


async def test_a_refused_tell_comes_back_as_a_message_where_it_was_asked_for(stage: Any) -> None:
    full = await stage.actor("full", settings={"mailbox_size": 1})
    await stage.system.suspend(full)
    full.tell("fills it")
    ref = await stage.actor("ref")

    ref.tell(lambda actor: actor.tell(full, "too much", refused=lambda error: ("refused", error.size)))
    await stage.quiet()

    assert stage.state(ref) == (("refused", 1),)
    assert stage.system.dead_letters.counts[DropReason.OVERFLOW] == 1


async def test_stopping_is_a_transaction_that_may_say_last_words(stage: Any) -> None:
    other = await stage.actor("other")
    diary: list[Any] = []
    ref = await stage.actor("ref", diary=diary, restart="temporary")
    cell_actor = ref.cell.actor
    cell_actor.diary = _TellOnStop(other)

    ref.tell(lambda actor: actor.stop())
    await stage.quiet()

    assert stage.state(other) == ("normal",)


class _TellOnStop(list[Any]):
    def __init__(self, other: Any) -> None:
        self.other = other

    def append(self, entry: Any) -> None:
        self.other.tell(entry[1].kind.value)


async def test_a_stop_goes_on_when_stopping_raises(stage: Any) -> None:
    class Bad(list[Any]):
        def append(self, entry: Any) -> None:
            if entry[0] == "stopping":
                raise BoomError

    watcher = await stage.actor("watcher")
    ref = await stage.actor("ref", diary=Bad(), restart="temporary")
    watcher.tell(lambda actor: actor.watch(ref))
    ref.tell(lambda actor: actor.stop())
    await stage.quiet()

    (end,) = stage.state(watcher)
    assert isinstance(end, Terminated)
    assert end.reason.kind is StopKind.NORMAL


def _fail() -> None:
    raise BoomError


@pytest.mark.parametrize("first", ["stop", "failing call"])
async def test_a_stop_that_is_committed_goes_on_when_the_same_commit_fails(stage: Any, first: str) -> None:
    diary: list[Any] = []
    watcher = await stage.actor("watcher")
    ref = await stage.actor("ref", diary=diary, restart="transient")

    def end(actor: Any) -> None:
        if first == "stop":
            actor.stop()
            actor.perform(_fail)
        else:
            actor.perform(_fail)
            actor.stop()

    watcher.tell(lambda actor: actor.watch(ref))
    with stage.system.events.subscribe(CrashReport) as reports:
        ref.tell(end)
        await stage.quiet()

    (report,) = reports.drain()
    assert isinstance(report.error, BoomError)
    (over,) = stage.state(watcher)
    assert over.reason.kind is StopKind.NORMAL
    assert [entry[0] for entry in diary] == ["started", "stopping"]


async def test_a_stop_that_is_committed_goes_on_when_a_crash_comes_between(stage: Any) -> None:
    diary: list[Any] = []
    watcher = await stage.actor("watcher")
    ref = await stage.actor("ref", diary=diary, restart="transient")

    def end(actor: Any) -> None:
        actor.perform(lambda: ref.crash(BoomError()))
        actor.stop()

    watcher.tell(lambda actor: actor.watch(ref))
    ref.tell(end)
    await stage.quiet()

    (over,) = stage.state(watcher)
    assert over.reason.kind is StopKind.NORMAL
    assert [entry[0] for entry in diary] == ["started"]


async def test_a_restarted_actor_no_longer_ends_itself(stage: Any) -> None:
    diary: list[Any] = []
    ref = await stage.actor("ref", diary=diary)

    ref.tell(lambda actor: actor.stop())
    await stage.quiet()
    ref.tell(lambda actor: _fail())
    await stage.quiet()

    assert [entry[0] for entry in diary] == ["started", "stopping", "started", "started"]
    assert isinstance(diary[-1][1].cause, BoomError)


async def test_a_crash_says_no_last_words(stage: Any) -> None:
    diary: list[Any] = []
    ref = await stage.actor("ref", diary=diary)

    def kill(_: Any) -> None:
        raise BoomError

    ref.tell(kill)
    await stage.quiet()

    assert [entry[0] for entry in diary] == ["started", "started"]


async def test_nothing_a_crashing_handler_asked_for_happens(stage: Any) -> None:
    old: Group[Any] = Group("old")
    new: Group[Any] = Group("new")
    asked: list[Any] = []
    other = await stage.actor("other")
    watched = await stage.actor("watched")
    dead = await stage.actor("dead")
    stage.system.stop_child(dead)
    await stage.system.stopped(dead)
    ref = await stage.actor("ref")
    ref.tell(lambda actor: (actor.join(old), actor.watch(watched)))

    def do_the_rest(actor: Any) -> None:
        actor.ask(other, lambda reply_to: asked.append, then=str, failed=str)
        actor.watch(dead)
        actor.unwatch(watched)
        actor.join(new)
        actor.leave(old)
        actor.stop_child(other)
        actor.system.stop_child(other)
        raise BoomError

    ref.tell(do_the_rest)
    await stage.quiet()

    assert (stage.state(ref), asked, other.is_alive) == ((), [], True)
    assert ((ref,), ()) == (stage.system.registry.members(old), stage.system.registry.members(new))
    stage.system.stop_child(watched)
    await stage.quiet()
    assert [watched] == [end.ref for end in stage.state(ref)]
