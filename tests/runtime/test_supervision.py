"""Supervisors: OTP's promises one by one. test_supervisor_model.py compares them with a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import trio

from runtime import (
    Actor,
    ActorStopped,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    DropReason,
    DynamicSupervisor,
    Escalated,
    Ref,
    RestartInfo,
    StartFailed,
    Supervisor,
    SystemFailed,
    TaskActor,
    open_system,
)


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


class Three(Supervisor):
    """Three children that write down what happens to them."""

    specs: ClassVar[list[ChildSpec[Any]]] = []

    def children(self) -> Sequence[ChildSpec[Any]]:
        return self.specs


class Diary:
    """What happened, as words."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def of(self, name: str) -> list[Any]:
        diary = self

        class Page(list[Any]):
            def append(self, entry: Any) -> None:
                diary.entries.append(f"{name} {entry[0]}")

        return Page()

    def take(self) -> list[str]:
        entries, self.entries = self.entries, []
        return entries


async def three(
    stage: Any, strategy: str, *, kinds: dict[str, str] | None = None, **settings: Any
) -> tuple[Ref[Any], Diary]:
    diary = Diary()
    specs = [
        stage.spec(name, diary=diary.of(name), restart=(kinds or {}).get(name, "permanent")) for name in "abc"
    ]
    kind = type("ThreeOfThem", (Three,), {"specs": specs, "strategy": strategy, **settings})
    ref = await stage.system.spawn(ChildSpec("sup", kind))
    return ref, diary


# ---------------------------------------------------------------------- start and stop


async def test_children_start_in_order_and_stop_in_reverse(stage: Any) -> None:
    ref, diary = await three(stage, "one_for_one")
    started = diary.take()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert started == ["a started", "b started", "c started"]
    assert diary.take() == ["c stopping", "b stopping", "a stopping"]


async def test_a_child_waits_for_the_slow_end_of_the_one_after_it(stage: Any) -> None:
    ref, diary = await three(stage, "one_for_one")
    diary.take()

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            diary.entries.append("c's task ended")

    stage.system.find("/sup/c").tell(lambda actor: actor.start(slow))
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert diary.take() == ["c stopping", "c's task ended", "b stopping", "a stopping"]


async def test_leaving_the_block_stops_the_whole_tree(stage: Any) -> None:
    diary = Diary()

    async def block() -> None:
        async with open_system("inner") as system:
            await system.spawn(stage.spec("a", diary=diary.of("a")))
            raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        await block()

    assert diary.take() == ["a started", "a stopping"]


async def test_a_cancelled_block_stops_the_whole_tree_too(stage: Any) -> None:
    diary = Diary()
    with trio.move_on_after(1) as scope:
        async with open_system("inner") as system:
            await system.spawn(stage.spec("a", diary=diary.of("a")))
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert diary.take() == ["a started", "a stopping"]


async def test_a_start_that_fails_leaves_nothing(stage: Any) -> None:
    with pytest.raises(StartFailed, match="/ref did not start") as caught:
        await stage.actor("ref", on_start=boom)

    assert isinstance(caught.value.cause, BoomError)
    assert stage.system.find("/ref") is None
    await stage.actor("ref")


async def test_a_factory_that_raises_is_a_start_that_failed(stage: Any) -> None:
    def factory() -> Any:
        raise BoomError

    with pytest.raises(StartFailed):
        await stage.system.spawn(ChildSpec("ref", factory))


async def test_a_child_that_does_not_start_stops_those_before_it_and_fails_the_supervisor(stage: Any) -> None:
    diary = Diary()
    specs = [
        stage.spec("a", diary=diary.of("a")),
        stage.spec("b", diary=diary.of("b")),
        stage.spec("c", on_start=boom),
    ]
    kind = type("Broken", (Three,), {"specs": specs})

    with pytest.raises(StartFailed) as caught:
        await stage.system.spawn(ChildSpec("sup", kind))

    assert "/sup/c" in str(caught.value.cause)
    assert diary.take() == ["a started", "b started", "b stopping", "a stopping"]
    assert stage.system.find("/sup") is None


async def test_a_name_can_be_taken_once(stage: Any) -> None:
    ref = await stage.actor("ref")

    with pytest.raises(AlreadyStarted) as caught:
        await stage.actor("ref")

    assert caught.value.ref is ref


@pytest.mark.parametrize("name", ["", "a/b"])
async def test_a_name_is_one_part_of_a_path(stage: Any, name: str) -> None:
    with pytest.raises(ValueError, match="slash"):
        await stage.system.spawn(stage.spec(name))


async def test_children_with_one_name_fail_the_start(stage: Any) -> None:
    kind = type("Twins", (Three,), {"specs": [stage.spec("a"), stage.spec("a")]})

    with pytest.raises(StartFailed, match="share a name"):
        await stage.system.spawn(ChildSpec("sup", kind))


async def test_a_supervisor_that_has_ended_refuses_children(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    stage.system.stop_child(under)
    await stage.system.stopped(under)

    with pytest.raises(ActorStopped):
        await stage.actor("ref", under=under)


# ---------------------------------------------------------------------- restarts


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["b started"]),
        ("one_for_all", ["c stopping", "a stopping", "a started", "b started", "c started"]),
        ("rest_for_one", ["c stopping", "b started", "c started"]),
    ],
)
async def test_a_strategy_restarts_what_it_says(stage: Any, strategy: str, expected: list[str]) -> None:
    _, diary = await three(stage, strategy)
    diary.take()
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()

    assert diary.take() == expected


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_mail_of_everyone_restarted_is_kept(stage: Any, strategy: str) -> None:
    await three(stage, strategy)
    refs = [stage.system.find(f"/sup/{name}") for name in "abc"]
    for ref in refs:
        await stage.system.suspend(ref)
        ref.tell("kept")
    refs[1].crash(BoomError())
    for ref in refs:
        await stage.system.resume(ref)
    await stage.quiet()

    assert [("kept",)] * 3 == [stage.state(ref) for ref in refs]


@pytest.mark.parametrize(
    ("restart", "how", "comes_back"),
    [
        ("permanent", "crash", True),
        ("permanent", "stop", True),
        ("transient", "crash", True),
        ("transient", "stop", False),
        ("temporary", "crash", False),
        ("temporary", "stop", False),
    ],
)
async def test_who_is_restarted(stage: Any, restart: str, how: str, comes_back: bool) -> None:
    ref = await stage.actor("ref", restart=restart)
    ref.tell(boom if how == "crash" else lambda actor: actor.stop())
    await stage.quiet()

    assert ref.is_alive is comes_back
    assert (stage.system.find("/ref") is ref) is comes_back


async def test_the_new_incarnation_is_told_why(stage: Any) -> None:
    """Ray issue 48310: a restarted actor that cannot learn why."""
    diary: list[Any] = []
    ref = await stage.actor(diary=diary)
    await trio.sleep(3)
    ref.tell(boom)
    await stage.quiet()

    assert diary[0] == ("started", None)
    info = diary[1][1]
    assert isinstance(info, RestartInfo)
    assert isinstance(info.cause, BoomError)
    assert (1, True) == (info.attempt, info.state_kept)
    assert info.since == pytest.approx(trio.current_time())


async def test_a_temporary_child_ends_with_its_group_and_does_not_come_back(stage: Any) -> None:
    _, diary = await three(stage, "one_for_all", kinds={"c": "temporary"})
    diary.take()
    stage.system.find("/sup/a").tell(boom)
    await stage.quiet()

    assert diary.take() == ["c stopping", "b stopping", "a started", "b started"]
    assert stage.system.find("/sup/c") is None


async def test_the_ladder_keeps_the_state_then_starts_clean_then_escalates(stage: Any) -> None:
    ref, _ = await three(stage, "one_for_one")
    child = stage.system.find("/sup/a")
    states: list[Any] = []
    with stage.system.events.subscribe(Escalated) as escalations:
        for _ in range(4):
            child.tell("state")
            child.tell(boom)
            await stage.quiet()
            states.append(stage.state(child))

    assert states == [("state",), ("state", "state"), (), ()]
    (escalation,) = escalations.drain()
    assert ("/sup", "/sup/a") == (escalation.path, escalation.child)
    assert stage.system.tree(ref).restarts == 1
    assert stage.system.tree(child).status == "running"


async def test_a_state_that_cannot_be_started_from_is_given_up_at_once(stage: Any) -> None:
    starts: list[Any] = []

    def on_start(actor: Any) -> None:
        starts.append(actor.state)
        if actor.state:
            raise BoomError

    ref = await stage.actor(on_start=on_start)
    ref.tell("poisonous")
    ref.tell(boom)
    await stage.quiet()

    assert starts == [(), ("poisonous",), ()]
    assert stage.state(ref) == ()


async def test_crashes_far_apart_are_a_new_streak(stage: Any) -> None:
    ref = await stage.actor()
    for number in range(8):
        ref.tell(number)
        ref.tell(boom)
        await trio.sleep(10)

    assert stage.state(ref) == tuple(range(8))


async def test_past_its_intensity_a_supervisor_ends_and_its_own_supervisor_decides(stage: Any) -> None:
    _, diary = await three(stage, "one_for_one", intensity=1)
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


async def test_children_end_before_their_parent_is_restarted(stage: Any) -> None:
    """Akka issue 25556: children that survive their parent's restart."""
    ref, _ = await three(stage, "one_for_one")
    dynamic = await stage.actor("dynamic", under=ref)
    ref.crash(BoomError())
    await stage.quiet()

    assert not dynamic.is_alive
    assert stage.system.tree(ref).restarts == 1
    assert ["a", "b", "c"] == [node.name for node in stage.system.tree(ref).children]


async def test_a_child_spawned_while_its_supervisor_restarts_waits_for_it(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=5, jitter=0, free=0)

    outer = await stage.system.spawn(ChildSpec("outer", Slow))
    inner = await stage.system.spawn(ChildSpec("inner", DynamicSupervisor), under=outer)
    inner.crash(BoomError())
    await stage.quiet()
    assert stage.system.tree(inner).status == "down"

    ref = await stage.actor("ref", under=inner)

    assert trio.current_time() >= 5
    assert ref.is_alive


async def test_a_child_that_waits_for_a_supervisor_that_ends_is_refused(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=5, jitter=0, free=0)

    outer = await stage.system.spawn(ChildSpec("outer", Slow))
    inner = await stage.system.spawn(ChildSpec("inner", DynamicSupervisor), under=outer)
    inner.crash(BoomError())
    await stage.quiet()
    async with trio.open_nursery() as nursery:

        async def spawn() -> None:
            with pytest.raises(ActorStopped):
                await stage.actor("ref", under=inner)

        nursery.start_soon(spawn)
        await stage.quiet()
        stage.system.stop_child(inner)


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


async def test_intensity_per_child_harms_nobody_else(stage: Any) -> None:
    class Users(DynamicSupervisor):
        intensity_scope = "child"
        intensity = 2

    under = await stage.system.spawn(ChildSpec("users", Users))
    bad = await stage.actor("bad", under=under)
    good = await stage.actor("good", under=under)
    good.tell("state")
    bad.tell("state")
    for _ in range(3):
        bad.tell(boom)
    await stage.quiet()
    down = stage.system.tree(bad)
    await trio.sleep(60)

    assert down.status == "down"
    assert stage.system.tree(bad).status == "running"
    assert stage.state(bad) == ()
    assert (0, ("state",)) == (stage.system.tree(good).restarts, stage.state(good))
    assert stage.system.tree(under).restarts == 0


async def test_backoff_grows_with_jitter_and_stays_under_its_bound(stage: Any) -> None:
    backoff = Backoff(first_s=1, factor=2, longest_s=5, jitter=0.2, free=1)
    chance = stage.system.random

    delays = [backoff.delay_s(attempt, chance) for attempt in range(1, 7)]

    assert delays[0] == 0
    for delay, middle in zip(delays[1:], (1, 2, 4, 5, 5), strict=True):
        assert middle * 0.8 <= delay <= min(middle * 1.2, 5)
    assert delays[1:4] != [1, 2, 4]


async def test_a_group_waits_out_the_backoff_together(stage: Any) -> None:
    _, diary = await three(stage, "one_for_all", backoff=Backoff(first_s=3, jitter=0, free=0))
    diary.take()
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()
    stopped = diary.take()
    await trio.sleep(4)

    assert stopped == ["c stopping", "a stopping"]
    assert diary.take() == ["a started", "b started", "c started"]


async def test_a_supervisor_can_be_stopped_during_a_backoff(stage: Any) -> None:
    ref, _ = await three(stage, "one_for_all", backoff=Backoff(first_s=30, jitter=0, free=0))
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    await trio.sleep(60)

    assert trio.current_time() < 90
    assert stage.system.find("/sup") is None


async def test_stopping_twice_is_stopping_once(stage: Any) -> None:
    diary = Diary()
    ref = await stage.actor("ref", diary=diary.of("ref"))
    for _ in range(2):
        stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    stage.system.stop_child(ref)
    await stage.quiet()

    assert diary.take() == ["ref started", "ref stopping"]


async def test_a_stop_that_meets_a_stop_is_one_stop(stage: Any) -> None:
    diary = Diary()
    ref = await stage.actor("ref", diary=diary.of("ref"))

    def stop_in_two_ways(actor: Any) -> None:
        actor.stop()
        actor.stop()
        actor.stop_child(actor.ref)

    ref.tell(stop_in_two_ways)
    await stage.system.stopped(ref)

    assert diary.take() == ["ref started", "ref stopping"]


async def test_a_supervisor_can_be_stopped_while_it_starts(stage: Any) -> None:
    class Slow(TaskActor[Any]):
        async def started(self, restart: RestartInfo | None) -> None:
            await trio.sleep_forever()

    diary = Diary()
    specs = [stage.spec("a", diary=diary.of("a")), ChildSpec("slow", Slow, start_s=1000, shutdown_s=1)]
    kind = type("Starting", (Three,), {"specs": specs})
    async with trio.open_nursery() as nursery:

        async def spawn() -> None:
            with pytest.raises(StartFailed):
                await stage.system.spawn(ChildSpec("sup", kind))

        nursery.start_soon(spawn)
        await stage.quiet()
        assert stage.system.tree().find("/sup").status == "starting"
        stage.system.stop_child(stage.system.find("/sup"))

    assert diary.take() == ["a started", "a stopping"]
    assert trio.current_time() < 10


async def test_two_early_crashes_past_the_intensity_escalate_once(stage: Any) -> None:
    starts: Any = []

    def crash_at_first(actor: Any) -> None:
        starts.append(actor.ref.path)
        if len(starts) <= 2:
            actor.ref.tell(boom)

    specs = [stage.spec(name, on_start=crash_at_first) for name in "abc"]
    kind = type("Early", (Three,), {"specs": specs, "intensity": 0})
    with stage.system.events.subscribe(Escalated) as escalations:
        await stage.system.spawn(ChildSpec("sup", kind))
        await stage.quiet()

    assert len(escalations.drain()) == 1
    assert [node.status for node in stage.system.tree().find("/sup").children] == ["running"] * 3


async def test_an_actor_without_a_receive_says_so(stage: Any) -> None:
    kind: Any = Actor if stage.kind.kind == "actor" else TaskActor
    ref = await stage.system.spawn(ChildSpec("bare", kind))
    ref.tell("message")
    await stage.quiet()

    assert "has no receive" in str(ref.cell.last_error)
    assert repr(ref) == "<Ref /bare>"


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


async def test_a_child_that_crashes_while_its_siblings_start_is_restarted_after_them(stage: Any) -> None:
    starts: Any = []
    specs = [
        stage.spec(
            "a", on_start=lambda actor: (starts.append("a"), len(starts) == 1 and actor.ref.tell(boom))
        ),
        stage.spec("b", on_start=lambda actor: starts.append("b")),
        stage.spec("c", on_start=lambda actor: starts.append("c")),
    ]
    kind = type("Early", (Three,), {"specs": specs})
    await stage.system.spawn(ChildSpec("sup", kind))
    await stage.quiet()

    assert starts == ["a", "b", "c", "a"]


async def test_a_crash_in_a_group_restart_starts_the_group_again(stage: Any) -> None:
    failures = [True]
    starts: Any = []

    def second(actor: Any) -> None:
        starts.append("b")
        if len(starts) > 2 and failures:
            failures.pop()
            raise BoomError

    specs = [stage.spec("a", on_start=lambda actor: starts.append("a")), stage.spec("b", on_start=second)]
    kind = type("Again", (Three,), {"specs": specs, "strategy": "one_for_all"})
    await stage.system.spawn(ChildSpec("sup", kind))
    stage.system.find("/sup/a").tell(boom)
    await stage.quiet()

    assert starts == ["a", "b", "a", "b", "a", "b"]
    assert [node.status for node in stage.system.tree().find("/sup").children] == ["running"] * 2
