"""Two lanes, a bound, and a named policy for when it is reached."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from runtime import (
    Actor,
    ActorRestarting,
    ActorStopped,
    ActorSystem,
    Backoff,
    ChildSpec,
    DropReason,
    DynamicSupervisor,
    HighWater,
    MailboxFull,
    latest,
)


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


async def held(stage: Any, **settings: Any) -> Any:
    ref = await stage.actor(settings=settings)
    await stage.system.suspend(ref)
    return ref


async def released(stage: Any, ref: Any) -> Any:
    await stage.system.resume(ref)
    await stage.quiet()
    return stage.state(ref)


async def test_messages_of_one_sender_arrive_in_order(stage: Any) -> None:
    ref = await stage.actor()
    for number in range(300):
        ref.tell(number)
    await stage.quiet()

    assert stage.state(ref) == tuple(range(300))


async def test_reject_refuses_what_does_not_fit(stage: Any) -> None:
    ref = await held(stage, mailbox_size=2)

    taken = [ref.tell(number) for number in range(4)]

    assert taken == [True, True, False, False]
    assert stage.system.dead_letters.counts[DropReason.OVERFLOW] == 2
    assert await released(stage, ref) == (0, 1)


async def test_drop_oldest_makes_room_for_the_newest(stage: Any) -> None:
    ref = await held(stage, mailbox_size=2, overflow="drop_oldest")

    taken = [ref.tell(number) for number in range(4)]

    assert taken == [True] * 4
    assert [letter.message for letter in stage.system.dead_letters.recent] == [0, 1]
    assert await released(stage, ref) == (2, 3)


async def test_drop_newest_keeps_what_waits(stage: Any) -> None:
    ref = await held(stage, mailbox_size=2, overflow="drop_newest")

    for number in range(4):
        ref.tell(number)

    assert [letter.message for letter in stage.system.dead_letters.recent] == [2, 3]
    assert await released(stage, ref) == (0, 1)


async def test_latest_keeps_the_newest_of_each_key_in_the_oldests_place(stage: Any) -> None:
    ref = await held(stage, overflow=latest(lambda message: message[0]))

    for message in ("a1", "b1", "a2", "a3"):
        assert ref.tell(message)

    assert stage.system.dead_letters.counts[DropReason.REPLACED] == 2
    assert await released(stage, ref) == ("a3", "b1")


async def test_latest_leaves_messages_without_a_key_alone_and_is_bounded(stage: Any) -> None:
    ref = await held(stage, mailbox_size=2, overflow=latest(lambda message: None))

    taken = [ref.tell(message) for message in ("a", "b", "c")]

    assert taken == [True, True, False]
    assert await released(stage, ref) == ("a", "b")


async def test_latest_frees_its_keys_as_messages_are_handled(stage: Any) -> None:
    ref = await stage.actor(settings={"overflow": latest(lambda message: message[0])})
    for message in ("a1", "a2"):
        ref.tell(message)
        await stage.quiet()

    assert stage.state(ref) == ("a1", "a2")


async def test_a_key_function_that_raises_costs_the_message_only(stage: Any) -> None:
    ref = await held(stage, overflow=latest(lambda message: message[0]))

    assert not ref.tell(7)

    assert stage.system.dead_letters.counts[DropReason.POISON] == 1
    assert ref.is_alive


async def test_what_a_latest_mailbox_held_is_not_lost_without_a_word(stage: Any) -> None:
    ref = await held(stage, overflow=latest(lambda message: message[0]))
    ref.tell("a1")
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    (letter,) = stage.system.dead_letters.recent
    assert ("a1", DropReason.STOPPED) == (letter.message, letter.reason)


async def test_block_refuses_a_tell_and_lets_send_wait(stage: Any) -> None:
    ref = await held(stage, mailbox_size=1, overflow="block")
    ref.tell("first")
    assert not ref.tell("refused")

    async with trio.open_nursery() as nursery:
        for message in ("second", "third"):
            nursery.start_soon(lambda message: ref.send(message, timeout_s=5), message)
            await stage.quiet()
        await stage.system.resume(ref)

    await stage.quiet()
    assert stage.state(ref) == ("first", "second", "third")


async def test_send_gives_up_at_its_deadline(stage: Any) -> None:
    ref = await held(stage, mailbox_size=1)
    await ref.send("fits", timeout_s=1)

    began = trio.current_time()
    with pytest.raises(MailboxFull, match="full"):
        await ref.send("does not", timeout_s=1)

    assert trio.current_time() - began == pytest.approx(1)
    assert await released(stage, ref) == ("fits",)


async def test_a_cancelled_send_sends_nothing(stage: Any) -> None:
    ref = await held(stage, mailbox_size=1)
    ref.tell("fits")

    with trio.move_on_after(1):
        await ref.send("cancelled", timeout_s=5)

    assert await released(stage, ref) == ("fits",)


async def test_send_hears_that_the_actor_stopped(stage: Any) -> None:
    ref = await held(stage, mailbox_size=1)
    ref.tell("fits")
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ActorStopped):
                await ref.send("waits", timeout_s=5)

        nursery.start_soon(send)
        await stage.quiet()
        stage.system.stop_child(ref)
    with pytest.raises(ActorStopped):
        await ref.send("later", timeout_s=5)


async def test_restart_keeps_queued_mail(stage: Any) -> None:
    ref = await held(stage)
    for message in ("one", boom, "two", boom, "three"):
        ref.tell(message)

    assert await released(stage, ref) == ("one", "two", "three")


async def test_orders_overtake_all_mail(stage: Any) -> None:
    ref = await held(stage)
    for number in range(100):
        ref.tell(number)
    stage.system.stop_child(ref)
    await stage.system.resume(ref)
    await stage.system.stopped(ref)

    assert stage.system.dead_letters.counts[DropReason.STOPPED] == 100


async def test_what_the_actor_asked_for_itself_is_never_refused(stage: Any) -> None:
    ref = await stage.actor(settings={"mailbox_size": 1})
    ref.tell(lambda actor: actor.set_timer("t", 1.0, "timer"))
    await stage.quiet()
    await stage.system.suspend(ref)
    ref.tell("fills it")
    await trio.sleep(2)

    assert await released(stage, ref) == ("fills it", "timer")


async def test_what_the_actor_asked_for_takes_nobodys_room(stage: Any) -> None:
    ref = await stage.actor(settings={"mailbox_size": 1})
    ref.tell(lambda actor: actor.set_timer("t", 1.0, "timer"))
    await stage.quiet()
    await stage.system.suspend(ref)
    await trio.sleep(2)

    assert ref.tell("has room")

    assert await released(stage, ref) == ("timer", "has room")


async def test_drop_oldest_never_drops_what_the_actor_asked_for(stage: Any) -> None:
    ref = await stage.actor(settings={"mailbox_size": 1, "overflow": "drop_oldest"})
    ref.tell(lambda actor: actor.set_timer("t", 1.0, "timer"))
    await stage.quiet()
    await stage.system.suspend(ref)
    await trio.sleep(2)
    ref.tell("dropped")
    ref.tell("kept")

    assert await released(stage, ref) == ("timer", "kept")


async def test_a_message_to_a_stopped_actor_is_a_dead_letter(stage: Any) -> None:
    ref = await stage.actor("gone")
    ref.tell("handled")
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert not ref.tell("late")

    (letter,) = stage.system.dead_letters.recent
    assert ("/gone", "late", DropReason.STOPPED) == (letter.path, letter.message, letter.reason)


async def test_stashed_messages_survive_a_restart_that_fails_again(stage: Any) -> None:
    """Akka issue 31814: the stash was lost when a restart failed."""
    failures = [True, False]

    class Quick(DynamicSupervisor):
        backoff = Backoff(first_s=0.1, free=0)

    under = await stage.system.spawn(ChildSpec("sup", Quick))
    starts: list[int] = []

    def on_start(_: Any) -> None:
        starts.append(1)
        if len(starts) > 1 and failures.pop(0):
            raise BoomError

    ref = await stage.actor("ref", on_start=on_start, under=under)

    def put_aside(actor: Any) -> None:
        if len(starts) == 1:
            actor.stash()
        else:
            actor.state = (*actor.state, "brought back")

    ref.tell(put_aside)
    ref.tell(put_aside)
    ref.tell(boom)
    ref.tell("later")
    await trio.sleep(5)

    assert len(starts) == 3
    assert stage.state(ref) == ("brought back", "brought back", "later")


async def test_unstash_brings_everything_back_in_order_before_what_waits(stage: Any) -> None:
    ref = await held(stage)
    ready: list[bool] = []

    def aside(name: str) -> Any:
        def message(actor: Any) -> None:
            if ready:
                actor.state = (*actor.state, name)
            else:
                actor.stash()

        return message

    def go(actor: Any) -> None:
        ready.append(True)
        actor.unstash()

    for message in (aside("one"), aside("two"), go, "three"):
        ref.tell(message)

    assert await released(stage, ref) == ("one", "two", "three")


async def test_unstash_with_nothing_stashed_does_nothing(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.unstash())
    ref.tell("next")
    await stage.quiet()

    assert stage.state(ref) == ("next",)


async def test_a_stash_is_bounded(stage: Any) -> None:
    ref = await stage.actor(settings={"mailbox_size": 2})
    for _ in range(3):
        ref.tell(lambda actor: actor.stash())
        await stage.quiet()

    assert "StashFull" in stage.system.tree(ref).last_error


async def test_mail_waits_during_a_backoff_and_an_ask_is_told_when_to_come_back(stage: Any) -> None:
    class Patient(DynamicSupervisor):
        backoff = Backoff(first_s=10, jitter=0, free=0)

    under = await stage.system.spawn(ChildSpec("sup", Patient))
    ref = await stage.actor("ref", under=under)
    ref.tell(boom)
    await stage.quiet()
    assert ref.tell("waits")

    with pytest.raises(ActorRestarting) as caught:
        await ref.ask(lambda reply_to: reply_to)

    assert caught.value.retry_after_s == pytest.approx(10)
    await trio.sleep(11)
    assert stage.state(ref) == ("waits",)


async def test_high_water_and_the_age_of_the_oldest_message_are_known(stage: Any) -> None:
    ref = await held(stage)
    ref.tell("first")
    await trio.sleep(3)
    ref.tell("second")
    waiting = stage.system.tree(ref)
    await released(stage, ref)
    done = stage.system.tree(ref)

    assert (2, 2) == (waiting.depth, waiting.high_water)
    assert waiting.oldest_age_s == pytest.approx(3)
    assert (0, 2, None, 2) == (done.depth, done.high_water, done.oldest_age_s, done.handled)


async def test_a_full_mailbox_is_announced_once_until_it_is_half_empty(stage: Any) -> None:
    ref = await held(stage, mailbox_size=4)
    with stage.system.events.subscribe(HighWater) as events:
        for _ in range(3):
            for number in range(6):
                ref.tell(number)
        once = len(events.drain())
        await released(stage, ref)
        await stage.system.suspend(ref)
        for number in range(6):
            ref.tell(number)
        again = events.drain()

    assert (1, 1) == (once, len(again))
    assert (ref.path, 4) == (again[0].path, again[0].size)


class Keeps(Actor[Any]):
    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def receive(self, message: Any) -> None:
        if callable(message):
            message(self)
        else:
            self.state = (*self.state, message)


async def test_an_order_does_not_wait_for_the_end_of_a_batch(stage: Any) -> None:
    ref = await stage.actor(restart="temporary")
    await stage.system.suspend(ref)
    ref.tell(lambda actor: actor.stop())
    ref.tell("not handled any more")
    await stage.system.resume(ref)
    await stage.system.stopped(ref)

    (letter,) = stage.system.dead_letters.recent
    assert ("not handled any more", DropReason.STOPPED) == (letter.message, letter.reason)


async def test_age_counts_from_the_arrival_at_an_actor_that_is_suspended(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell("early")
    await trio.sleep(50)
    await stage.system.suspend(ref)
    await trio.sleep(20)
    ref.tell("waits")
    await trio.sleep(3)

    assert stage.system.tree(ref).oldest_age_s == pytest.approx(3)


async def test_an_order_overtakes_mail_that_waits_already(system: ActorSystem) -> None:
    ref = await system.spawn(ChildSpec("ref", Keeps))
    for number in range(3):
        ref.tell(number)
    await system.replace_state(ref, lambda state: (*state, "order"))
    await trio.testing.wait_all_tasks_blocked()

    assert system.state_of(ref) == ("order", 0, 1, 2)


async def test_latest_is_bounded_in_its_keys_too(stage: Any) -> None:
    ref = await held(stage, mailbox_size=2, overflow=latest(lambda message: message[0]))

    taken = [ref.tell(message) for message in ("a1", "b1", "c1", "a2")]

    assert taken == [True, True, False, True]
    assert await released(stage, ref) == ("a2", "b1")


async def test_the_age_is_that_of_what_is_left_after_a_batch(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        intensity = 1000
        backoff = Backoff(first_s=10, factor=1, jitter=0, free=0)

    under = await stage.system.spawn(ChildSpec("sup", Slow))
    ref = await stage.actor("ref", under=under)
    ref.tell(boom)  # each takes it down for 10 s
    ref.tell(boom)
    await trio.sleep(5)
    ref.tell(boom)
    await trio.sleep(7)
    ref.tell("12 s late")
    await trio.sleep(8.5)
    node = stage.system.tree(ref)

    assert ("down", 1) == (node.status, node.depth)
    assert 8.5 <= node.oldest_age_s <= 11  # exact to one batch, which was at 10


async def test_what_is_stashed_when_its_actor_ends_is_a_dead_letter(stage: Any) -> None:
    ref = await stage.actor()

    def aside(actor: Any) -> None:
        actor.stash()

    ref.tell(aside)
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    (letter,) = stage.system.dead_letters.recent
    assert (aside, DropReason.STOPPED) == (letter.message, letter.reason)


async def test_the_size_holds_where_mail_came_before_the_start(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    parent = await stage.actor("parent")
    spec = stage.spec("ref", settings={"mailbox_size": 2})
    parent.tell(lambda actor: actor.spawn(spec, under=under).tell("before the start"))
    await stage.quiet()
    ref = stage.system.find("/sup/ref")
    await stage.system.suspend(ref)

    taken = [ref.tell(number) for number in range(4)]

    assert taken == [True, True, False, False]
    assert await released(stage, ref) == ("before the start", 0, 1)


async def test_a_sender_is_let_in_also_where_nothing_was_refused_before(stage: Any) -> None:
    ref = await held(stage, mailbox_size=1)
    ref.tell("first")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: ref.send("second", timeout_s=5))
        await stage.quiet()
        await stage.system.resume(ref)
    await stage.quiet()

    assert stage.state(ref) == ("first", "second")


async def test_once_all_senders_are_in_the_next_does_not_wait(stage: Any) -> None:
    ref = await held(stage, mailbox_size=1)
    ref.tell("first")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: ref.send("second", timeout_s=5))
        await stage.quiet()
        await stage.system.resume(ref)
    await stage.quiet()
    began = trio.current_time()
    await ref.send("third", timeout_s=5)
    await stage.quiet()

    assert trio.current_time() == began
    assert stage.state(ref) == ("first", "second", "third")


async def test_a_mailbox_that_is_not_half_empty_is_not_announced_again(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=10, jitter=0, free=0)

    under = await stage.system.spawn(ChildSpec("sup", Slow))
    ref = await stage.actor("ref", under=under, settings={"mailbox_size": 4})
    await stage.system.suspend(ref)
    with stage.system.events.subscribe(HighWater) as events:
        for message in (boom, 1, 2, 3, "too much"):
            ref.tell(message)
        await stage.system.resume(ref)
        await stage.quiet()
        assert ("down", 3) == (stage.system.tree(ref).status, stage.system.tree(ref).depth)
        for message in (4, "too much"):
            ref.tell(message)

        assert len(events.drain()) == 1
