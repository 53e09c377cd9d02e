"""Request and reply: one answer, one outcome, nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from runtime import (
    ActorFailed,
    ActorStopped,
    AskTimeout,
    DropReason,
    MailboxFull,
    ReplyTo,
    StopKind,
    latest,
)


class BoomError(Exception):
    pass


def answer_with(value: Any) -> Any:
    """A request whose handler answers `value`."""
    return lambda reply_to: lambda actor: reply_to.tell(value)


def never_answer(reply_to: ReplyTo[Any]) -> Any:
    return lambda actor: None


async def test_an_ask_gets_its_answer(stage: Any) -> None:
    ref = await stage.actor()

    assert await ref.ask(answer_with(42)) == 42


async def test_an_answer_may_come_later(stage: Any) -> None:
    ref = await stage.actor()

    def later(reply_to: ReplyTo[str]) -> Any:
        return lambda actor: actor.set_timer("t", 3, lambda _: reply_to.tell("later"))

    assert await ref.ask(later) == "later"


async def test_an_answer_may_come_from_another_actor_or_task(stage: Any) -> None:
    ref = await stage.actor()

    async def reply(reply_to: ReplyTo[str]) -> None:
        reply_to.tell("from a task")

    assert await ref.ask(lambda reply_to: lambda actor: actor.start(reply, reply_to)) == "from a task"


async def test_a_handler_that_raises_after_its_answer_has_not_answered(stage: Any) -> None:
    ref = await stage.actor()

    def answer_and_raise(reply_to: ReplyTo[str]) -> Any:
        def message(_: Any) -> None:
            reply_to.tell("undone")
            raise BoomError

        return message

    with pytest.raises(ActorFailed) as caught:
        await ref.ask(answer_and_raise)

    assert isinstance(caught.value.cause, BoomError)


async def test_no_answer_in_time(stage: Any) -> None:
    ref = await stage.actor("ref")
    began = trio.current_time()

    with pytest.raises(AskTimeout, match="/ref did not reply within 2 s") as caught:
        await ref.ask(never_answer, timeout_s=2)

    assert trio.current_time() - began == pytest.approx(2)
    assert ("/ref", 2) == (caught.value.actor_path, caught.value.timeout_s)


async def test_a_late_answer_is_an_expired_dead_letter(stage: Any) -> None:
    ref = await stage.actor()

    def late(reply_to: ReplyTo[str]) -> Any:
        return lambda actor: actor.set_timer("t", 3, lambda _: reply_to.tell("late"))

    with pytest.raises(AskTimeout):
        await ref.ask(late, timeout_s=1)
    await trio.sleep(5)

    (letter,) = stage.system.dead_letters.recent
    assert ("late", DropReason.EXPIRED) == (letter.message, letter.reason)


async def test_only_the_first_answer_counts(stage: Any) -> None:
    ref = await stage.actor()

    def twice(reply_to: ReplyTo[int]) -> Any:
        def message(_: Any) -> None:
            reply_to.tell(1)
            reply_to.fail(BoomError())

        return message

    assert await ref.ask(twice) == 1
    assert stage.system.dead_letters.counts[DropReason.EXPIRED] == 1


async def test_an_answer_can_be_an_error(stage: Any) -> None:
    ref = await stage.actor()

    with pytest.raises(BoomError, match="told"):
        await ref.ask(lambda reply_to: lambda actor: reply_to.fail(BoomError("told")))

    assert stage.system.tree(ref).restarts == 0


async def test_an_ask_of_a_stopped_actor_fails_at_once(stage: Any) -> None:
    ref = await stage.actor()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    with pytest.raises(ActorStopped) as caught:
        await ref.ask(answer_with(1))

    assert caught.value.reason.kind is StopKind.SHUTDOWN


async def test_an_ask_ends_when_its_actor_stops_before_the_answer(stage: Any) -> None:
    ref = await stage.actor(restart="temporary")
    began = trio.current_time()

    with pytest.raises(ActorStopped):
        await ref.ask(lambda reply_to: lambda actor: actor.stop(), timeout_s=60)

    assert trio.current_time() == began


async def test_an_ask_that_waits_in_the_mailbox_of_a_stopped_actor_ends(stage: Any) -> None:
    ref = await stage.actor()
    await stage.system.suspend(ref)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ActorStopped):
                await ref.ask(answer_with(1))

        nursery.start_soon(ask)
        await stage.quiet()
        stage.system.stop_child(ref)


async def test_an_ask_the_mailbox_refuses_fails_at_once(stage: Any) -> None:
    ref = await stage.actor(settings={"mailbox_size": 1})
    await stage.system.suspend(ref)
    ref.tell("fills it")

    with pytest.raises(MailboxFull, match=r"\(1 of 1, policy=reject\)"):
        await ref.ask(answer_with(1))


async def test_an_ask_whose_request_is_replaced_fails(stage: Any) -> None:
    ref = await stage.actor(settings={"overflow": latest(lambda message: 1)})
    await stage.system.suspend(ref)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(MailboxFull, match="latest"):
                await ref.ask(answer_with(1))

        nursery.start_soon(ask)
        await stage.quiet()
        ref.tell("newer")


async def test_a_restart_keeps_asks_that_wait(stage: Any) -> None:
    ref = await stage.actor()
    await stage.system.suspend(ref)

    def boom(_: Any) -> None:
        raise BoomError

    ref.tell(boom)
    answers: list[int] = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            answers.append(await ref.ask(answer_with(7)))

        nursery.start_soon(ask)
        await stage.quiet()
        await stage.system.resume(ref)

    assert answers == [7]


async def test_a_cancelled_ask_leaves_nothing_and_its_answer_is_dropped(stage: Any) -> None:
    ref = await stage.actor()

    def late(reply_to: ReplyTo[str]) -> Any:
        return lambda actor: actor.set_timer("t", 3, lambda _: reply_to.tell("late"))

    with trio.move_on_after(1):
        await ref.ask(late)
    await trio.sleep(5)

    assert stage.system.asks == {}
    assert not ref.cell.asks
    assert stage.system.dead_letters.counts[DropReason.EXPIRED] == 1


async def test_asks_that_are_over_are_known_nowhere(stage: Any) -> None:
    """Ray issue 38591: asks that leak."""
    ref = await stage.actor()
    for number in range(3000):
        await ref.ask(answer_with(number))

    assert stage.system.asks == {}
    assert not ref.cell.asks
    assert len(stage.system.deadlines) < 1500


async def test_an_actor_asks_and_gets_the_answer_as_a_message(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    ref.tell(
        lambda actor: actor.ask(
            other, answer_with(5), then=lambda value: ("got", value), failed=lambda error: ("failed", error)
        )
    )
    await stage.quiet()

    assert stage.state(ref) == (("got", 5),)


async def test_an_actor_hears_of_a_failed_ask_by_a_message(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def ask(actor: Any) -> None:
        actor.ask(other, never_answer, then=lambda _: "no", failed=lambda error: error, timeout_s=1)

    ref.tell(ask)
    await trio.sleep(2)

    (error,) = stage.state(ref)
    assert isinstance(error, AskTimeout)


async def test_the_answer_to_an_incarnation_that_is_gone_does_not_arrive(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def later(reply_to: ReplyTo[str]) -> Any:
        return lambda actor: actor.set_timer("t", 3, lambda _: reply_to.tell("late"))

    def boom(_: Any) -> None:
        raise BoomError

    ref.tell(lambda actor: actor.ask(other, later, then=lambda value: value, failed=lambda error: error))
    await stage.quiet()
    ref.tell(boom)
    await trio.sleep(5)

    assert stage.state(ref) == ()


async def test_an_answer_that_waits_when_its_incarnation_ends_does_not_arrive(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def later(reply_to: ReplyTo[str]) -> Any:
        return lambda actor: actor.set_timer("t", 1, lambda _: reply_to.tell("waits"))

    ref.tell(lambda actor: actor.ask(other, later, then=lambda value: value, failed=repr))
    await stage.quiet()
    await stage.system.suspend(ref)
    await trio.sleep(2)
    assert stage.system.tree(ref).depth == 1
    ref.crash(BoomError())
    await stage.system.resume(ref)
    await stage.quiet()

    assert stage.state(ref) == ()
    assert stage.system.tree(ref).restarts == 1


async def test_an_outcome_that_cannot_be_made_into_a_message_crashes_the_asker(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def then(_: Any) -> Any:
        raise BoomError

    ref.tell(lambda actor: actor.ask(other, answer_with(1), then=then, failed=repr))
    await stage.quiet()

    assert stage.system.tree(ref).restarts == 1


async def test_the_asks_of_an_incarnation_end_with_it(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")

    def boom(_: Any) -> None:
        raise BoomError

    ref.tell(lambda actor: actor.ask(other, never_answer, then=str, failed=str, timeout_s=60))
    await stage.quiet()
    assert len(stage.system.asks) == 1
    ref.tell(boom)
    await stage.quiet()

    assert stage.system.asks == {}
    assert not other.cell.asks


async def test_an_ask_answered_in_time_does_not_time_out_later(stage: Any) -> None:
    other = await stage.actor("other")
    ref = await stage.actor("ref")
    ref.tell(lambda actor: actor.ask(other, answer_with(1), then=str, failed=str, timeout_s=2))
    await trio.sleep(10)

    assert stage.state(ref) == ("1",)
