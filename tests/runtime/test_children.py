"""Children: their refs before they start, spawning them from handlers, and what is said of their crashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from runtime import (
    AlreadyStarted,
    ChildSpec,
    CrashReport,
    Decided,
    DropReason,
    DynamicSupervisor,
    StartFailed,
    StopKind,
    Supervisor,
)


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


# ---------------------------------------------------------------------- refs of children


async def test_a_childs_ref_can_be_used_before_it_has_started(stage: Any) -> None:
    class Pair(Supervisor):
        def children(self) -> Sequence[ChildSpec[Any]]:
            second = self.child("second")
            return [stage.spec("first", on_start=lambda _: second.tell("early")), stage.spec("second")]

    await stage.system.spawn(ChildSpec("sup", Pair))
    await stage.quiet()

    assert stage.state(stage.system.find("/sup/second")) == ("early",)


async def test_a_childs_ref_can_be_got_in_a_factory(stage: Any) -> None:
    class Pair(Supervisor):
        def children(self) -> Sequence[ChildSpec[Any]]:
            return [stage.spec("first"), ChildSpec("second", self.make)]

        def make(self) -> Any:
            self.child("first").tell("from the factory")
            return stage.kind()

    await stage.system.spawn(ChildSpec("sup", Pair))
    await stage.quiet()

    assert stage.state(stage.system.find("/sup/first")) == ("from the factory",)


@pytest.mark.parametrize("when", ["children", "factory"])
async def test_a_child_nobody_declared_fails_the_start(stage: Any, when: str) -> None:
    class Wrong(Supervisor):
        def children(self) -> Sequence[ChildSpec[Any]]:
            if when == "children":
                self.child("nobody")
                return [ChildSpec("first", stage.kind)]
            return [ChildSpec("first", lambda: stage.kind(self.child("nobody")))]

    with pytest.raises(StartFailed, match="nobody"):
        await stage.system.spawn(ChildSpec("sup", Wrong))


async def test_a_static_child_that_is_not_declared_again_ends(stage: Any) -> None:
    rounds = [["a", "b"], ["a"]]

    class Fewer(Supervisor):
        def children(self) -> Sequence[ChildSpec[Any]]:
            return [stage.spec(name) for name in rounds.pop(0)]

    ref = await stage.system.spawn(ChildSpec("sup", Fewer))
    gone = stage.system.find("/sup/b")
    ref.crash(BoomError())
    await stage.quiet()

    assert not gone.is_alive
    assert ["a"] == [node.name for node in stage.system.tree(ref).children]


# ---------------------------------------------------------------------- spawning from handlers


async def test_a_handler_spawns_and_tells_at_once(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    ref = await stage.actor("ref")

    def spawn(actor: Any) -> None:
        child = actor.spawn(stage.spec("child"), under=under)
        child.tell("first mail")

    ref.tell(spawn)
    await stage.quiet()

    assert stage.state(stage.system.find("/sup/child")) == ("first mail",)


async def test_a_handlers_spawn_of_a_taken_name_raises_there(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    there = await stage.actor("child", under=under)
    ref = await stage.actor("ref")
    found: list[Any] = []

    def spawn(actor: Any) -> None:
        try:
            actor.spawn(stage.spec("child"), under=under)
        except AlreadyStarted as error:
            found.append(error.ref)

    ref.tell(spawn)
    await stage.quiet()

    assert found == [there]


async def test_a_name_spawned_twice_in_one_handler_is_refused_the_second_time(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    ref = await stage.actor("ref")

    def spawn(actor: Any) -> None:
        actor.spawn(stage.spec("child"), under=under)
        second = actor.spawn(stage.spec("child"), under=under)
        actor.watch(second)
        second.tell("nobody hears")

    ref.tell(spawn)
    await stage.quiet()

    (end,) = stage.state(ref)
    assert end.reason.kind is StopKind.REFUSED
    assert isinstance(end.reason.cause, AlreadyStarted)
    assert stage.system.dead_letters.counts[DropReason.NO_SUCH_ACTOR] == 1


async def test_a_handler_hears_of_a_failed_start_by_watching(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    ref = await stage.actor("ref")
    ref.tell(lambda actor: actor.watch(actor.spawn(stage.spec("child", on_start=boom), under=under)))
    await stage.quiet()

    (end,) = stage.state(ref)
    assert end.reason.kind is StopKind.START_FAILED


async def test_a_handler_can_have_a_child_stopped(stage: Any) -> None:
    victim = await stage.actor("victim")
    other = await stage.actor("other")
    ref = await stage.actor("ref")
    ref.tell(lambda actor: actor.stop_child(victim))
    ref.tell(lambda actor: actor.system.stop_child(other))
    await stage.quiet()

    assert not victim.is_alive
    assert not other.is_alive


# ---------------------------------------------------------------------- reports


async def test_a_crash_is_one_structured_report_and_one_decision(stage: Any) -> None:
    ref = await stage.actor("ref")
    ref.tell("state")
    with stage.system.events.subscribe(CrashReport, Decided) as events:
        ref.tell(boom)
        await stage.quiet()
        report, decision = events.drain()

    assert ("/ref", boom, ("state",), 1) == (report.path, report.message, report.state, report.attempt)
    assert isinstance(report.error, BoomError)
    assert ("/ref", "restart", 0, True) == (
        decision.path,
        decision.decision,
        decision.delay_s,
        decision.state_kept,
    )


async def test_mail_to_a_supervisor_is_a_dead_letter(stage: Any) -> None:
    under = await stage.system.spawn(ChildSpec("sup", DynamicSupervisor))
    under.tell("hello")
    await stage.quiet()

    assert stage.system.dead_letters.counts[DropReason.UNHANDLED] == 1
    assert under.is_alive


async def test_a_crash_from_a_plain_call_ends_the_owner_and_not_the_caller(stage: Any) -> None:
    ref = await stage.actor("ref")
    ref.tell("state")
    await stage.quiet()
    ref.crash(BoomError())
    ref.crash(BoomError())
    await stage.quiet()

    assert stage.system.tree(ref).restarts == 1
    assert stage.state(ref) == ("state",)


async def test_a_report_has_the_state_that_stands(stage: Any) -> None:
    ref = await stage.actor("ref")
    ref.tell("stands")

    def lose(actor: Any) -> None:
        actor.state = ("lost",)
        raise BoomError

    with stage.system.events.subscribe(CrashReport) as reports:
        ref.tell(lose)
        await stage.quiet()

    assert [("stands",)] == [report.state for report in reports.drain()]


async def test_each_decision_of_a_supervisor_is_announced(stage: Any) -> None:
    class Strict(DynamicSupervisor):
        intensity = 1

    under = await stage.system.spawn(ChildSpec("sup", Strict))
    temporary = await stage.actor("temporary", under=under, restart="temporary")
    permanent = await stage.actor("permanent", under=under)
    with stage.system.events.subscribe(Decided) as decisions:
        for ref in (temporary, permanent, permanent):
            ref.tell(boom)
            await stage.quiet()
        decided = [(event.path, event.decision) for event in decisions.drain()]

    assert decided == [
        ("/sup/temporary", "remove"),
        ("/sup/permanent", "restart"),
        ("/sup/permanent", "escalate"),
        ("/sup", "restart"),
    ]
