"""How often a supervisor restarts before it gives up, and how long it waits."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio

from runtime import Backoff, ChildSpec, DropReason, DynamicSupervisor, Escalated, SystemFailed, open_system


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


async def test_past_its_intensity_a_supervisor_ends_and_its_own_supervisor_decides(stage: Any) -> None:
    _, diary = await stage.three("one_for_one", intensity=1)
    child = stage.system.find("/sup/a")
    diary.take()
    child.tell(boom)
    child.tell(boom)
    child.tell("kept across the escalation")
    await stage.quiet()

    assert diary.take() == [
        "a started",
        "c stopping",
        "b stopping",
        "a started",
        "b started",
        "c started",
    ]
    assert child is stage.system.find("/sup/a")
    assert stage.state(child) == ("kept across the escalation",)


async def test_a_restarted_supervisor_has_its_whole_intensity_again(stage: Any) -> None:
    ref, _ = await stage.three("one_for_one", intensity=1)
    child = stage.system.find("/sup/a")
    restarts = []
    for _ in range(5):
        child.tell(boom)
        await stage.quiet()
        restarts.append(stage.system.tree(ref).restarts)

    assert restarts == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(("apart_s", "escalates"), [(5.0, True), (5.5, False)])
async def test_a_restart_exactly_a_period_ago_counts(stage: Any, apart_s: float, escalates: bool) -> None:
    ref, _ = await stage.three("one_for_one", intensity=1, period_s=5.0)
    child = stage.system.find("/sup/a")
    child.tell(boom)
    await trio.sleep(apart_s)
    child.tell(boom)
    await stage.quiet()

    assert stage.system.tree(ref).restarts == (1 if escalates else 0)


async def test_a_transient_supervisor_that_escalates_is_restarted(stage: Any) -> None:
    kind = stage.supervisor(stage.spec("a"), intensity=0)
    ref = await stage.system.spawn(ChildSpec("sup", kind, restart="transient"))
    stage.system.find("/sup/a").tell(boom)
    await stage.quiet()

    assert ref.is_alive
    assert (1, "running") == (stage.system.tree(ref).restarts, stage.system.tree(ref).status)


async def test_two_early_crashes_past_the_intensity_escalate_once(stage: Any) -> None:
    starts: Any = []

    def crash_at_first(actor: Any) -> None:
        starts.append(actor.ref.path)
        if len(starts) <= 2:
            actor.ref.tell(boom)

    specs = [stage.spec(name, on_start=crash_at_first) for name in "abc"]
    kind = stage.supervisor(*specs, intensity=0)
    with stage.system.events.subscribe(Escalated) as escalations:
        await stage.system.spawn(ChildSpec("sup", kind))
        await stage.quiet()

    assert len(escalations.drain()) == 1
    assert [node.status for node in stage.system.tree().find("/sup").children] == ["running"] * 3


async def test_an_error_past_the_root_ends_the_block(stage: Any) -> None:
    async def block() -> None:
        async with open_system("inner") as system:
            ref = await system.spawn(stage.spec("ref"))
            for _ in range(4):
                ref.tell(boom)
            await trio.sleep_forever()

    with pytest.raises(SystemFailed) as caught:
        await block()

    assert isinstance(caught.value.cause, BoomError)


# ---------------------------------------------------------------------- per child


class PerChild(DynamicSupervisor):
    intensity_scope = "child"
    intensity = 1
    period_s = 1000.0


async def test_intensity_per_child_is_counted_for_each_alone(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("users", PerChild))
    refs = [await stage.actor(name, under=under) for name in "abc"]
    for ref in refs:
        ref.tell(boom)
    await stage.quiet()

    assert [("running", 1)] * 3 == [
        (node.status, node.restarts) for node in stage.system.tree(under).children
    ]


async def test_one_past_its_own_intensity_starts_clean(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("users", PerChild))
    ref = await stage.actor("ref", under=under, clean_after=100)
    ref.tell("state")
    ref.tell(boom)
    await stage.quiet()
    kept = stage.state(ref)
    ref.tell(boom)
    await trio.sleep(60)

    assert (("state",), ()) == (kept, stage.state(ref))


async def test_intensity_per_child_is_counted_anew_after_the_long_wait(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("users", PerChild))
    ref = await stage.actor("ref", under=under)
    ref.tell(boom)
    ref.tell(boom)
    await trio.sleep(60)
    ref.tell(boom)
    await stage.quiet()

    assert ("running", 3) == (stage.system.tree(ref).status, stage.system.tree(ref).restarts)


# ---------------------------------------------------------------------- backoff


async def test_backoff_grows_with_jitter_and_stays_under_its_bound(stage: Any) -> None:
    backoff = Backoff(first_s=1, factor=2, longest_s=5, jitter=0.2, free=1)
    chance = stage.system.random

    delays = [backoff.delay_s(attempt, chance) for attempt in range(1, 7)]

    assert delays[0] == 0
    for delay, middle in zip(delays[1:], (1, 2, 4, 5, 5), strict=True):
        assert middle * 0.8 <= delay <= min(middle * 1.2, 5)
    assert delays[1:4] != [1, 2, 4]


class Chance(random.Random):
    """Says what it was told to."""

    def __init__(self, says: float) -> None:
        super().__init__(0)
        self.says = says

    def random(self) -> float:
        return self.says


@pytest.mark.parametrize(
    ("first_s", "says", "expected_s"), [(4, 0.999, 5), (1, 0.75, 1.25), (1, 0.25, 0.75), (4, 0.5, 4)]
)
def test_jitter_stays_under_the_bound_whatever_chance_says(
    first_s: float, says: float, expected_s: float
) -> None:
    backoff = Backoff(first_s=first_s, longest_s=5, jitter=0.5, free=0)

    assert backoff.delay_s(1, Chance(says)) == pytest.approx(expected_s)


async def test_a_group_waits_out_the_backoff_together(stage: Any) -> None:
    _, diary = await stage.three("one_for_all", backoff=Backoff(first_s=3, jitter=0, free=0))
    diary.take()
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()
    stopped = diary.take()
    await trio.sleep(4)

    assert stopped == ["c stopping", "a stopping"]
    assert diary.take() == ["a started", "b started", "c started"]


async def test_a_child_of_a_group_that_waits_is_not_forgotten_when_another_crashes(stage: Any) -> None:
    ref, diary = await stage.three("rest_for_one", backoff=Backoff(first_s=10, jitter=0, free=0))
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()
    late = await stage.actor("late", under=ref, diary=diary.of("late"))
    diary.take()
    late.tell(boom)
    await trio.sleep(60)

    assert ["running"] * 4 == [node.status for node in stage.system.tree(ref).children]
    assert diary.take() == ["b started", "c started", "late started"]


async def test_a_supervisor_can_be_stopped_during_a_backoff(stage: Any) -> None:
    ref, _ = await stage.three("one_for_all", backoff=Backoff(first_s=30, jitter=0, free=0))
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await trio.sleep(60)

    assert trio.current_time() < 90
    assert stage.system.find("/sup") is None


async def test_a_supervisor_that_crashes_during_a_childs_backoff_starts_it_once(stage: Any) -> None:
    ref, diary = await stage.three("one_for_one", backoff=Backoff(first_s=10, jitter=0, free=0))
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()
    ref.crash(BoomError())
    await stage.quiet()
    diary.take()
    await trio.sleep(60)

    assert diary.take() == []
    assert [("running", 1)] * 3 == [(node.status, node.restarts) for node in stage.system.tree(ref).children]


async def test_a_child_can_be_stopped_while_it_waits_for_its_restart(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=30, jitter=0, free=0)

    under = await stage.system.spawn(ChildSpec("sup", Slow))
    ref = await stage.actor("ref", under=under)
    ref.tell(boom)
    ref.tell("waits")
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await trio.sleep(60)

    assert stage.system.find("/sup/ref") is None
    assert stage.system.dead_letters.counts[DropReason.STOPPED] == 1
