"""What the next incarnation is told, and what it starts from."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from runtime import ChildSpec, CrashReport, Escalated, RestartInfo


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


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


async def test_each_restart_of_a_streak_is_told_its_number_and_since_when(stage: Any) -> None:
    diary: list[Any] = []
    ref = await stage.actor(diary=diary)

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    began = trio.current_time()
    for _ in range(2):
        ref.tell(lambda actor: actor.start(slow))
        await stage.quiet()
        ref.tell(boom)
        await trio.sleep(3)

    told = [(info.attempt, info.since - began) for word, info in diary if word == "started" and info]
    assert told == [(1, pytest.approx(0)), (2, pytest.approx(3))]


@pytest.mark.parametrize(("strategy", "told"), [("one_for_all", "abc"), ("rest_for_one", "bc")])
async def test_everybody_in_a_group_restart_is_told_why(stage: Any, strategy: str, told: str) -> None:
    infos: list[tuple[str, Any]] = []

    def page(name: str) -> Any:
        class Page(list[Any]):
            def append(self, entry: Any) -> None:
                if entry[0] == "started" and entry[1] is not None:
                    infos.append((name, entry[1]))

        return Page()

    specs = [stage.spec(name, diary=page(name)) for name in "abc"]
    kind = stage.supervisor(*specs, strategy=strategy)
    await stage.system.spawn(ChildSpec("sup", kind))
    stage.system.find("/sup/b").tell(boom)
    await stage.quiet()

    assert list(told) == [name for name, _ in infos]
    assert all(isinstance(info.cause, BoomError) and info.attempt == 1 for _, info in infos)


async def test_children_of_a_restarted_supervisor_are_told_why(stage: Any) -> None:
    diary: list[Any] = []
    kind = stage.supervisor(stage.spec("a", diary=diary))
    ref = await stage.system.spawn(ChildSpec("sup", kind))
    ref.crash(BoomError())
    await stage.quiet()

    info = diary[-1][1]
    assert isinstance(info.cause, BoomError)
    assert info.state_kept is False


# ---------------------------------------------------------------------- the ladder


async def test_the_ladder_keeps_the_state_then_starts_clean_then_escalates(stage: Any) -> None:
    ref, _ = await stage.three("one_for_one")
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


async def test_what_is_not_in_the_state_starts_clean(stage: Any) -> None:
    ref = await stage.actor(settings={"transient": ("ring",)})
    rings: list[Any] = []

    def look(actor: Any) -> None:
        rings.append(getattr(actor, "ring", None))
        actor.ring = "filled"

    for message in ("kept", look, boom, look):
        ref.tell(message)
    await stage.quiet()

    assert rings == [None, None]
    assert stage.state(ref) == ("kept",)


async def test_a_restart_of_the_supervisor_begins_a_new_streak(stage: Any) -> None:
    diary: list[Any] = []
    kind = stage.supervisor(stage.spec("a", diary=diary), intensity=3)
    await stage.system.spawn(ChildSpec("sup", kind))
    child = stage.system.find("/sup/a")
    for _ in range(4):
        child.tell(boom)
        await stage.quiet()
    child.tell("state")
    child.tell(boom)
    await stage.quiet()

    info = diary[-1][1]
    assert (1, True, ("state",)) == (info.attempt, info.state_kept, stage.state(child))


async def test_a_crash_report_counts_as_the_supervisor_does(stage: Any) -> None:
    ref = await stage.actor()
    with stage.system.events.subscribe(CrashReport) as reports:
        for _ in range(2):
            ref.tell(boom)
            await trio.sleep(100)  # longer than the period: each crash is the first of a streak

    assert [1, 1] == [report.attempt for report in reports.drain()]


async def test_a_slow_start_is_no_long_life(stage: Any) -> None:
    async def slow(_: Any) -> None:
        await trio.sleep(50)

    diary: list[Any] = []
    on_start = slow if stage.kind.kind == "task" else None
    ref = await stage.actor(on_start=on_start, diary=diary, start_s=100)
    for _ in range(3):
        ref.tell(boom)
    await trio.sleep(500)

    assert [1, 2, 3] == [info.attempt for _, info in diary if info is not None]
