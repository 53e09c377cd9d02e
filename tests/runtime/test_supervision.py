"""Supervisors: OTP's promises one by one. test_supervisor_model.py compares them with a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from runtime import (
    Actor,
    ActorStopped,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    RestartInfo,
    StartFailed,
    Supervisor,
    TaskActor,
    open_system,
)


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


# ---------------------------------------------------------------------- start and stop


async def test_children_start_in_order_and_stop_in_reverse(stage: Any) -> None:
    ref, diary = await stage.three("one_for_one")
    started = diary.take()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert started == ["a started", "b started", "c started"]
    assert diary.take() == ["c stopping", "b stopping", "a stopping"]


async def test_a_child_waits_for_the_slow_end_of_the_one_after_it(stage: Any) -> None:
    ref, diary = await stage.three("one_for_one")
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
    diary = stage.diary()

    async def block() -> None:
        async with open_system("inner") as system:
            await system.spawn(stage.spec("a", diary=diary.of("a")))
            raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        await block()

    assert diary.take() == ["a started", "a stopping"]


async def test_a_cancelled_block_stops_the_whole_tree_too(stage: Any) -> None:
    diary = stage.diary()
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
    diary = stage.diary()
    specs = [
        stage.spec("a", diary=diary.of("a")),
        stage.spec("b", diary=diary.of("b")),
        stage.spec("c", on_start=boom),
    ]
    kind = stage.supervisor(*specs)

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


async def test_a_static_childs_name_is_one_part_of_a_path_too(stage: Any) -> None:
    with pytest.raises(StartFailed, match="slash"):
        await stage.system.spawn(ChildSpec("sup", stage.supervisor(stage.spec("a/b"))))


async def test_children_with_one_name_fail_the_start(stage: Any) -> None:
    kind = stage.supervisor(stage.spec("a"), stage.spec("a"))

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
    _, diary = await stage.three(strategy)
    diary.take()
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()

    assert diary.take() == expected


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_mail_of_everyone_restarted_is_kept(stage: Any, strategy: str) -> None:
    await stage.three(strategy)
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


async def test_a_temporary_child_ends_with_its_group_and_does_not_come_back(stage: Any) -> None:
    _, diary = await stage.three("one_for_all", kinds={"c": "temporary"})
    diary.take()
    stage.system.find("/sup/a").tell(boom)
    await stage.quiet()

    assert diary.take() == ["c stopping", "b stopping", "a started", "b started"]
    assert stage.system.find("/sup/c") is None


async def test_children_end_before_their_parent_is_restarted(stage: Any) -> None:
    """Akka issue 25556: children that survive their parent's restart."""
    ref, _ = await stage.three("one_for_one")
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


async def test_all_children_that_wait_for_their_supervisor_are_started(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=5, jitter=0, free=0)

    outer = await stage.system.spawn(ChildSpec("outer", Slow))
    inner = await stage.system.spawn(ChildSpec("inner", DynamicSupervisor), under=outer)
    inner.crash(BoomError())
    await stage.quiet()
    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(lambda name: stage.actor(name, under=inner), name)
            await stage.quiet()

    assert ["a", "b", "c"] == [node.name for node in stage.system.tree(inner).children]


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


async def test_stopping_twice_is_stopping_once(stage: Any) -> None:
    diary = stage.diary()
    ref = await stage.actor("ref", diary=diary.of("ref"))
    for _ in range(2):
        stage.system.stop_child(ref)
    await stage.system.stopped(ref)
    stage.system.stop_child(ref)
    await stage.quiet()

    assert diary.take() == ["ref started", "ref stopping"]


async def test_a_stop_that_meets_a_stop_is_one_stop(stage: Any) -> None:
    diary = stage.diary()
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

    diary = stage.diary()
    specs = [stage.spec("a", diary=diary.of("a")), ChildSpec("slow", Slow, start_s=1000, shutdown_s=1)]
    kind = stage.supervisor(*specs)
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


async def test_an_actor_without_a_receive_says_so(stage: Any) -> None:
    kind: Any = Actor if stage.kind.kind == "actor" else TaskActor
    ref = await stage.system.spawn(ChildSpec("bare", kind))
    ref.tell("message")
    await stage.quiet()

    assert "has no receive" in str(ref.cell.last_error)
    assert repr(ref) == "<Ref /bare>"


async def test_a_child_that_crashes_while_its_siblings_start_is_restarted_after_them(stage: Any) -> None:
    starts: Any = []
    specs = [
        stage.spec(
            "a", on_start=lambda actor: (starts.append("a"), len(starts) == 1 and actor.ref.tell(boom))
        ),
        stage.spec("b", on_start=lambda actor: starts.append("b")),
        stage.spec("c", on_start=lambda actor: starts.append("c")),
    ]
    kind = stage.supervisor(*specs)
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
    kind = stage.supervisor(*specs, strategy="one_for_all")
    await stage.system.spawn(ChildSpec("sup", kind))
    stage.system.find("/sup/a").tell(boom)
    await stage.quiet()

    assert starts == ["a", "b", "a", "b", "a", "b"]
    assert [node.status for node in stage.system.tree().find("/sup").children] == ["running"] * 2


async def test_a_tree_stops_depth_first(stage: Any) -> None:
    diary: list[str] = []

    class Noted(Supervisor):
        def stopping(self, reason: Any) -> None:
            diary.append(f"{self.ref.path} stopping")

    def noted(path: str) -> Any:
        class Page(list[Any]):
            def append(self, entry: Any) -> None:
                if entry[0] == "stopping":
                    diary.append(f"{path} stopping")

        return Page()

    inner = type(
        "Inner",
        (Noted,),
        {"children": lambda _: [stage.spec(name, diary=noted(f"/outer/inner/{name}")) for name in "ab"]},
    )

    class Outer(Noted):
        def children(self) -> Sequence[ChildSpec[Any]]:
            return [
                stage.spec("x", diary=noted("/outer/x")),
                ChildSpec("inner", inner),
                stage.spec("y", diary=noted("/outer/y")),
            ]

    outer = await stage.system.spawn(ChildSpec("outer", Outer))
    stage.system.stop_child(outer)
    await stage.system.stopped(outer)

    paths = ("/outer/y", "/outer/inner/b", "/outer/inner/a", "/outer/inner", "/outer/x", "/outer")
    assert [f"{path} stopping" for path in paths] == diary


async def test_each_child_has_a_time_of_its_own_to_end(stage: Any) -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    specs = [stage.spec("a", shutdown_s=2), stage.spec("b", shutdown_s=7)]
    ref = await stage.system.spawn(ChildSpec("sup", stage.supervisor(*specs)))
    for name in "ab":
        stage.system.find(f"/sup/{name}").tell(lambda actor: actor.start(stubborn))
    await stage.quiet()
    began = trio.current_time()
    stage.system.stop_child(ref)
    await stage.system.stopped(ref)

    assert trio.current_time() - began == pytest.approx(9)
    assert stage.system.abandoned == 2


async def test_children_end_completely_before_their_parent_is_restarted(stage: Any) -> None:
    diary: list[str] = []

    class Noted(Supervisor):
        def started(self, restart: RestartInfo | None) -> None:
            diary.append("parent started")

        def children(self) -> Sequence[ChildSpec[Any]]:
            return [stage.spec("child", on_start=lambda _: diary.append("child started"))]

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            diary.append("child's task ended")

    ref = await stage.system.spawn(ChildSpec("sup", Noted))
    stage.system.find("/sup/child").tell(lambda actor: actor.start(slow))
    await stage.quiet()
    ref.crash(BoomError())
    await trio.sleep(10)

    begin = ["parent started", "child started"]
    assert [*begin, "child's task ended", *begin] == diary


async def test_dynamic_children_are_gone_before_their_supervisor_is_back(stage: Any) -> None:
    class Slow(DynamicSupervisor):
        backoff = Backoff(first_s=5, jitter=0, free=0)

    outer = await stage.system.spawn(ChildSpec("outer", Slow))
    inner = await stage.system.spawn(ChildSpec("inner", DynamicSupervisor), under=outer)
    ref = await stage.actor("ref", under=inner)
    ref.tell("state")
    await stage.quiet()
    inner.crash(BoomError())
    await stage.quiet()

    assert ("down", False) == (stage.system.tree(inner).status, ref.is_alive)


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
