"""Finding actors, hearing of them, and looking into them while they live."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from runtime import (
    ActorStopped,
    AlreadyRegistered,
    Backoff,
    ChildSpec,
    CountingIds,
    CrashReport,
    DeadLetter,
    DynamicSupervisor,
    Group,
    Joined,
    Key,
    Left,
    RandomIds,
    Restarted,
    Spawned,
    Stopped,
    VirtualClock,
    open_system,
)

KEY: Key[Any] = Key("key")
GROUP: Group[Any] = Group("group")


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


# ---------------------------------------------------------------------- names


async def test_a_key_finds_its_actor_until_that_ends(stage: Any) -> None:
    ref = await stage.actor("ref", on_start=lambda actor: actor.register(KEY))
    found = stage.system.registry.find(KEY)
    ref.tell(boom)
    await stage.quiet()
    after_a_restart = stage.system.registry.find(KEY)
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert (ref, ref, None) == (found, after_a_restart, stage.system.registry.find(KEY))


async def test_a_key_is_held_by_one(stage: Any) -> None:
    holder = await stage.actor("holder", on_start=lambda actor: actor.register(KEY))
    found: list[Any] = []

    def register(actor: Any) -> None:
        try:
            actor.register(KEY)
        except AlreadyRegistered as error:
            found.append((error.key, error.ref))

    other = await stage.actor("other")
    other.tell(register)
    await stage.quiet()

    assert found == [("key", holder)]


async def test_groups_are_in_the_order_of_joining_and_announced(stage: Any) -> None:
    with stage.system.events.subscribe(Joined, Left) as events:
        first = await stage.actor("first", on_start=lambda actor: actor.join(GROUP))
        second = await stage.actor("second", on_start=lambda actor: actor.join(GROUP))
        third = await stage.actor("third", on_start=lambda actor: actor.join(GROUP))
        first.tell(lambda actor: actor.join(GROUP))
        assert stage.system.registry.members(GROUP) == (first, second, third)
        first.tell(lambda actor: actor.leave(GROUP))
        first.tell(lambda actor: actor.leave(GROUP))
        stage.system.stop_child(second)
        await stage.quiet()
        assert stage.system.registry.members(GROUP) == (third,)
        stage.system.stop_child(third)
        await stage.quiet()

    names = [(type(event).__name__, event.ref.path) for event in events.drain()]
    assert names == [
        ("Joined", "/first"),
        ("Joined", "/second"),
        ("Joined", "/third"),
        *sorted([("Left", "/first"), ("Left", "/second")], key=names.index),
        ("Left", "/third"),
    ]
    assert stage.system.registry.members(GROUP) == ()


# ---------------------------------------------------------------------- events


async def test_the_life_of_an_actor_is_told_in_events(stage: Any) -> None:
    with stage.system.events.subscribe() as events:
        ref = await stage.actor("ref")
        ref.tell(boom)
        await stage.quiet()
        stage.system.stop_child(ref)
        await stage.system.stopped(ref)

    kinds = [type(event) for event in events.drain()]
    for kind in (Spawned, DeadLetter, CrashReport, Restarted, Stopped):
        assert kinds.count(kind) == 1, kind


async def test_a_subscriber_that_does_not_read_loses_the_oldest_counted(stage: Any) -> None:
    with stage.system.events.subscribe(int, size=2) as events:
        for number in range(5):
            stage.system.events.publish(number)
        stage.system.events.publish("not asked for")

    stage.system.events.publish(6)
    assert (3, [3, 4]) == (events.dropped, events.drain())


async def test_a_subscription_can_be_waited_for(stage: Any) -> None:
    seen: list[Any] = []
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with stage.system.events.subscribe(Spawned) as events:
                async for event in events:
                    seen.append(event.path)
                    if len(seen) == 2:
                        return

        nursery.start_soon(read)
        await stage.quiet()
        await stage.actor("one")
        await stage.actor("two")

    assert seen == ["/one", "/two"]


async def test_an_actor_hears_events_as_mail_while_it_lives(stage: Any) -> None:
    ref = await stage.actor("ref")
    stage.system.events.tell(ref, Spawned)
    await stage.actor("other")
    await stage.quiet()
    heard = stage.state(ref)
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await stage.actor("another")

    assert [event.path for event in heard] == ["/other"]
    assert not stage.system.events.is_heard


async def test_a_listener_that_raises_harms_nobody(stage: Any) -> None:
    seen: list[Any] = []
    stage.system.events.listen(boom)
    stage.system.events.listen(seen.append)
    await stage.actor("ref")
    stage.system.events.unsubscribe(seen.append)
    stage.system.events.unsubscribe(seen.append)

    assert len(seen) == 1
    assert stage.system.events.failures == 1


# ---------------------------------------------------------------------- inspection


async def test_the_tree_is_data(stage: Any) -> None:
    async def nap() -> None:
        await trio.sleep_forever()

    def be_busy(actor: Any) -> None:
        actor.set_timer("alarm", 9, "t")
        actor.start(nap, name="nap")

    ref = await stage.actor("ref")
    await trio.sleep(2)
    ref.tell(be_busy)
    ref.tell(boom)
    ref.tell(be_busy)
    await stage.quiet()
    await trio.sleep(1)
    node = stage.system.tree().find("/ref")

    assert node is not None
    assert (stage.kind.__name__, "running", "tuple", 1) == (node.kind, node.status, node.state, node.restarts)
    assert (("alarm",), ("nap",), 3) == (node.timers, node.tasks, node.handled)
    assert node.age_s == pytest.approx(1)
    assert "BoomError" in (node.last_error or "")
    assert ["/", "/ref"] == [each.path for each in stage.system.tree().walk()]


async def test_an_actor_adds_its_facts_to_the_tree(stage: Any) -> None:
    def facts(actor: Any) -> dict[str, object]:
        if not actor.state:
            raise LookupError("nothing yet")
        return {"newest": actor.state[-1]}

    ref = await stage.actor("open", settings={"facts": facts})
    failed = stage.system.tree(ref)
    ref.tell("a")
    await stage.quiet()

    assert {"error": "LookupError('nothing yet')"} == failed.facts
    assert {"newest": "a"} == stage.system.tree(ref).facts
    assert {} == stage.system.tree(await stage.actor()).facts
    assert 0 == failed.restarts


async def test_find_by_path(stage: Any) -> None:
    ref = await stage.actor("ref")

    assert stage.system.find("/ref") is ref
    assert stage.system.find("/ref/child") is None
    assert stage.system.find("/other/child") is None


async def test_suspend_read_replace_resume(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell("before")
    await stage.quiet()
    await stage.system.suspend(ref)
    ref.tell("waits")
    await stage.quiet()
    read = stage.state(ref)
    replaced = await stage.system.replace_state(ref, lambda state: (*state, "replaced"))
    await stage.quiet()
    waiting = stage.state(ref)
    status = stage.system.tree(ref).status
    await stage.system.resume(ref)
    await stage.quiet()

    assert (("before",), ("before", "replaced"), "suspended") == (read, replaced, status)
    assert waiting == replaced
    assert stage.state(ref) == ("before", "replaced", "waits")


async def test_a_replacement_that_fails_leaves_the_state(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell("state")
    await stage.quiet()

    with pytest.raises(BoomError):
        await stage.system.replace_state(ref, boom)

    assert stage.state(ref) == ("state",)


async def test_a_suspended_actor_can_be_stopped(stage: Any) -> None:
    ref = await stage.actor()
    await stage.system.suspend(ref)
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    with pytest.raises(ActorStopped):
        await stage.system.suspend(ref)


async def test_waiting_for_the_end_of_one_that_has_ended(stage: Any) -> None:
    ref = await stage.actor()
    stage.system.stop_child(ref)
    first = await stage.system.stopped(ref)

    assert await stage.system.stopped(ref) == first


async def test_tracing_records_messages_and_the_time_of_each_type(stage: Any) -> None:
    ref = await stage.actor()
    stage.system.trace_messages(stage.system.find("/"), on=True)
    ref.tell("one")
    ref.tell("two")
    ref.tell(boom)
    with stage.system.events.subscribe(CrashReport) as events:
        await stage.quiet()
    (report,) = events.drain()
    spent = stage.system.tree(ref).spent
    stage.system.trace_messages(ref, on=False)

    assert report.recent == ("one", "two", boom)
    assert (2, 1) == (spent["str"].count, spent["function"].count)
    assert stage.system.tree(ref).spent == {}


# ---------------------------------------------------------------------- sources


async def test_ids_are_unique_or_countable() -> None:
    async with open_system("random") as random_system, open_system("seeded", seed=1) as seeded_system:
        assert isinstance(random_system.ids, RandomIds)
        assert random_system.ids.next("id") != random_system.ids.next("id")
        assert isinstance(seeded_system.ids, CountingIds)
        assert ["id-1", "id-2", "x-1"] == [seeded_system.ids.next(prefix) for prefix in ("id", "id", "x")]


async def test_a_seed_makes_the_calendar_up() -> None:
    async with open_system("real") as real, open_system("seeded", seed=1) as seeded:
        assert real.clock.wall() > 1_700_000_000
        assert isinstance(seeded.clock, VirtualClock)
        began = seeded.clock.wall()
        await trio.sleep(5)
        assert seeded.clock.wall() - began == pytest.approx(5)


async def test_a_trace_is_bounded(stage: Any) -> None:
    ref = await stage.actor()
    stage.system.trace_messages(ref, on=True)
    for number in range(40):
        ref.tell(number)
    ref.tell(boom)
    with stage.system.events.subscribe(CrashReport) as events:
        await stage.quiet()

    (report,) = events.drain()
    assert report.recent == (*range(25, 40), boom)


async def test_the_time_of_a_message_type_is_its_sum_and_its_longest(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([10.0, 10.3, 20.0, 20.1])
    ref = await stage.actor()
    stage.system.trace_messages(ref, on=True)
    for message in ("slow", "quick"):
        ref.tell(message)
    with monkeypatch.context() as patch:
        patch.setattr("runtime._trace.time.perf_counter", lambda: next(clock, 0.0))
        ref.cell.run(64) if stage.kind.kind == "actor" else await stage.quiet()
    await stage.quiet()

    spent = stage.system.tree(ref).spent["str"]
    assert (2, pytest.approx(0.4), pytest.approx(0.3)) == (spent.count, spent.total_s, spent.longest_s)


async def test_an_actor_does_not_hear_of_its_own_full_mailbox(stage: Any) -> None:
    ref = await stage.actor(settings={"mailbox_size": 1})
    stage.system.events.tell(ref, DeadLetter)
    await stage.system.suspend(ref)
    ref.tell("fills it")
    ref.tell("too much")

    assert stage.system.dead_letters.total == 1
    assert stage.system.events.failures == 0


async def test_a_suspended_actor_that_crashes_stays_suspended(stage: Any) -> None:
    ref = await stage.actor()
    await stage.system.suspend(ref)
    ref.tell("waits")
    ref.crash(BoomError())
    await stage.quiet()
    node = stage.system.tree(ref)
    await stage.system.resume(ref)
    await stage.quiet()

    assert ("suspended", 1, 1) == (node.status, node.restarts, node.depth)
    assert stage.state(ref) == ("waits",)


async def test_a_key_is_kept_while_its_actor_is_down(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=5, jitter=0, free=0)

    under = await stage.system.spawn(ChildSpec("sup", Slow))
    ref = await stage.actor(on_start=lambda actor: actor.register(KEY), under=under)
    ref.tell(boom)
    await stage.quiet()

    assert stage.system.tree(ref).status == "down"
    assert stage.system.registry.find(KEY) is ref
