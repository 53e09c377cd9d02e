"""A simulated run is a function of its seed, in every process."""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import trio

from runtime import (
    Actor,
    Backoff,
    ChildSpec,
    DropReason,
    DynamicSupervisor,
    Ref,
    ReplyTo,
    RestartInfo,
    Supervisor,
    TaskActor,
    fault_point,
    open_system,
)
from runtime.testing import (
    CrashPoint,
    DeterminismUnavailable,
    HiddenState,
    Probe,
    SimulatedCrash,
    World,
    crash,
    deterministic_trio,
    handler_point,
    simulate,
)
from runtime.testing._determinism import check_switch


class Chatter(Actor[int]):
    """Talks to others as chance says, starts tasks and timers, and crashes sometimes."""

    def __init__(self, others: list[Ref[int]]) -> None:
        self.state = 0
        self.others = others

    def started(self, restart: RestartInfo | None) -> None:
        self.set_timer("tick", self.system.random.random(), 3)

    def receive(self, message: int) -> None:
        chance = self.system.random
        self.state += message
        fault_point("chatter")
        if message > 0:
            chance.choice(self.others).tell(message - 1)
            self.start(trio.sleep, chance.random(), then=lambda _: message - 1)


class SlowChatter(TaskActor[int]):
    def __init__(self, others: list[Ref[int]]) -> None:
        self.state = 0
        self.others = others

    async def receive(self, message: int) -> None:
        await trio.sleep(self.system.random.random())
        self.state += message
        if message > 0:
            for other in self.others[:2]:
                other.tell(message - 1)


class Patient(DynamicSupervisor):
    intensity = 1000
    backoff = Backoff(first_s=0.5)


class Together(Supervisor):
    """Static children that talk among themselves, and are ended and started again in one go."""

    strategy = "one_for_all"
    intensity = 1000

    def children(self) -> Sequence[ChildSpec[int]]:
        others = [self.child(name) for name in TOGETHER]
        return [ChildSpec(name, partial(Chatter, others)) for name in TOGETHER]


TOGETHER = ("one", "two", "three", "four")


async def chatting(world: World) -> list[int]:
    async with world.open_system("chat") as system:
        world.faults.plan("chatter", probability=0.05)
        under = await system.spawn(ChildSpec("sup", Patient))
        others: list[Ref[int]] = []
        for number in range(8):
            kind: Any = Chatter if number % 2 else SlowChatter
            others.append(await system.spawn(ChildSpec(f"c{number}", partial(kind, others)), under=under))
        await system.spawn(ChildSpec("together", Together), under=under)
        everyone = [*others, *(system.find(f"/sup/together/{name}") for name in TOGETHER)]
        for ref in everyone:
            assert ref is not None
            ref.tell(4)
        await trio.sleep(60)
        return [0 if ref is None else system.state_of(ref) for ref in everyone]


def digest(seed: int) -> str:
    run = simulate(seed, chatting)
    return hashlib.sha256("\n".join((*run.trace, repr(run.result))).encode()).hexdigest()


def test_the_same_seed_gives_the_same_run_in_processes_with_different_hash_seeds() -> None:
    program = (
        f"import importlib.util as u; s = u.spec_from_file_location('scenario', {__file__!r});"
        "m = u.module_from_spec(s); s.loader.exec_module(m); print(m.digest(7))"
    )

    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }

    assert digests == {digest(7)}


def test_another_seed_is_another_run() -> None:
    assert digest(1) != digest(2)


def test_a_failing_run_names_its_seed_and_its_last_steps() -> None:
    async def failing(world: World) -> None:
        world.note("the first step")
        for number in range(30):
            world.note(f"step {number}")
        world.note("the last step")
        raise KeyError("failed")

    with pytest.raises(KeyError) as caught:
        simulate("a seed", failing)

    notes = "\n".join(caught.value.__notes__)
    assert "seed 'a seed'" in notes
    assert "the last step" in notes
    assert "the first step" not in notes


def test_a_scenario_that_waits_for_nothing_ends() -> None:
    async def stuck(_: World) -> None:
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        simulate(1, stuck, limit_s=100)


def test_trios_deterministic_switch_is_where_we_expect_it() -> None:
    check_switch()


@pytest.mark.parametrize(
    "module",
    [
        types.SimpleNamespace(),
        types.SimpleNamespace(_ALLOW_DETERMINISTIC_SCHEDULING=False),
        types.SimpleNamespace(_ALLOW_DETERMINISTIC_SCHEDULING=1, _r=random.Random()),
    ],
)
def test_a_switch_that_went_away_is_said_loudly(module: Any) -> None:
    with pytest.raises(DeterminismUnavailable, match="needs another way"):
        check_switch(module)


def test_the_switch_really_decides_the_order_of_tasks(trio_internals: Any) -> None:
    trio_internals._ALLOW_DETERMINISTIC_SCHEDULING = False  # Hypothesis has turned it on here

    def order(seed: int) -> list[int]:
        done: list[int] = []

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                for number in range(8):

                    async def task(number: int = number) -> None:
                        await trio.lowlevel.checkpoint()
                        done.append(number)

                    nursery.start_soon(task)

        with deterministic_trio(seed):
            trio.run(main)
        return done

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_scheduling_of_actors_is_drawn_from_the_seed() -> None:
    async def scenario(world: World) -> list[str]:
        order: list[str] = []

        class Noter(Actor[Any]):
            def receive(self, message: Any) -> None:
                order.append(self.ref.path)

        async with world.open_system("order") as system:
            refs = [await system.spawn(ChildSpec(f"n{number}", Noter)) for number in range(6)]
            for ref in refs:
                ref.tell("go")
            await trio.testing.wait_all_tasks_blocked()
        return order

    runs = [simulate(seed, scenario).result for seed in range(10)]

    assert len({tuple(run) for run in runs}) > 5


def test_a_fault_point_is_nothing_outside_of_a_simulation() -> None:
    fault_point("anything")


def test_faults_happen_as_often_as_planned() -> None:
    async def scenario(world: World) -> list[str]:
        seen: list[str] = []
        world.faults.plan("twice", lambda: KeyError("planned"), times=2)
        world.faults.plan("call", call=lambda: seen.append("called"))
        world.faults.plan("never", probability=0)
        for name in ("twice", "twice", "twice", "call", "never", "unplanned"):
            try:
                fault_point(name)
            except KeyError:
                seen.append("raised")
        assert world.faults.reached["twice"] == 3
        return seen

    assert simulate(1, scenario).result == ["raised", "raised", "called"]


def steps_of(seed: int, path: str) -> tuple[int, ...]:
    """How many messages the actor at `path` handled at a time, with 300 waiting for two."""

    async def scenario(world: World) -> None:
        class Idle(Actor[Any]):
            def receive(self, message: Any) -> None:
                pass

        async with world.open_system("steps") as system:
            refs = [await system.spawn(ChildSpec(name, Idle)) for name in ("one", "two")]
            for ref in refs:
                for number in range(300):
                    ref.tell(number)
            await trio.testing.wait_all_tasks_blocked()

    lines = [line.split() for line in simulate(seed, scenario).trace]
    return tuple(int(line[3]) for line in lines if line[1:3] == ["run", path] and line[3] != "0")


def test_the_length_of_a_batch_is_drawn_from_the_seed() -> None:
    batches = [steps_of(seed, "/one") for seed in range(5)]

    assert [300] * 5 == [sum(lengths) for lengths in batches]
    assert all(1 <= length <= 64 for lengths in batches for length in lengths)
    assert len(set(batches)) == 5
    assert len(set(batches[0])) > 3
    assert batches[0] == steps_of(0, "/one")


def test_an_ask_in_a_simulation_is_a_step_as_every_other() -> None:
    class Answers(Actor[Any]):
        def receive(self, message: Any) -> None:
            message.tell("answer")

    async def scenario(world: World) -> str:
        async with world.open_system("ask") as system:
            ref: Ref[Any] = await system.spawn(ChildSpec("ref", Answers))
            answer: str = await ref.ask(lambda reply_to: reply_to)
            return answer

    run = simulate(1, scenario)

    assert run.result == "answer"
    assert 1 == sum(line.split()[1:4] == ["run", "/ref", "1"] for line in run.trace)


def test_when_a_turn_ends_is_drawn_from_the_seed() -> None:
    async def scenario(world: World) -> tuple[int, ...]:
        handled = 0
        seen = {0}

        class Counts(Actor[Any]):
            def receive(self, message: Any) -> None:
                nonlocal handled
                handled += 1

        async with world.open_system("turns") as system:
            ref = await system.spawn(ChildSpec("ref", Counts))
            for number in range(1000):
                ref.tell(number)
            while handled < 1000:
                await trio.lowlevel.checkpoint()
                seen.add(handled)
        return tuple(sorted(seen))

    turns = [simulate(seed, scenario).result for seed in range(5)]

    assert all(len(turn) > 4 for turn in turns)
    assert len(set(turns)) == 5


@pytest.fixture
def trio_internals() -> Iterator[Any]:
    """trio's private switch and generator, put back whatever the test does."""
    module: Any = importlib.import_module("trio._core._run")
    switch, state = module._ALLOW_DETERMINISTIC_SCHEDULING, module._r.getstate()
    yield module
    module._ALLOW_DETERMINISTIC_SCHEDULING = switch
    module._r.setstate(state)


def test_a_simulation_leaves_everything_as_it_was(trio_internals: Any) -> None:
    trio_internals._ALLOW_DETERMINISTIC_SCHEDULING = False
    state = trio_internals._r.getstate()

    async def scenario(world: World) -> None:
        world.faults.plan("anything")
        await trio.sleep(1)

    simulate(1, scenario)

    fault_point("anything")
    assert trio_internals._ALLOW_DETERMINISTIC_SCHEDULING is False
    assert trio_internals._r.getstate() == state


# ---------------------------------------------------------------------- crash points


class Sync(Actor[Any]):
    def __init__(self, probe: Ref[Any]) -> None:
        self.state: tuple[Any, ...] = ()
        self.probe = probe

    def receive(self, message: Any) -> None:
        self.state = (*self.state, message)
        self.probe.tell(f"{message} one")
        self.probe.tell(f"{message} two")


class Async(TaskActor[Any]):
    def __init__(self, probe: Ref[Any]) -> None:
        self.state: tuple[Any, ...] = ()
        self.probe = probe

    async def receive(self, message: Any) -> None:
        self.state = (*self.state, message)
        self.probe.tell(f"{message} one")
        self.probe.tell(f"{message} two")


@pytest.mark.parametrize("kind", [Sync, Async])
@pytest.mark.parametrize(
    ("point", "is_handled"),
    [
        (CrashPoint.BEFORE_HANDLER, False),
        (CrashPoint.AFTER_SWAP, True),
        (CrashPoint.BETWEEN_EFFECTS, True),
    ],
)
def test_a_crash_at_any_point_is_all_or_nothing(kind: Any, point: CrashPoint, is_handled: bool) -> None:
    async def scenario(world: World) -> None:
        async with world.open_system("crash") as system:
            probe: Probe[Any] = await Probe.spawn(system)
            ref: Ref[Any] = await system.spawn(ChildSpec("ref", lambda: kind(probe.ref)))
            crash(ref, point, after=1, chance=world.random)
            for message in "abc":
                ref.tell(message)
            await trio.sleep(1)

            expected = ["a", "b", "c"] if is_handled else ["a", "c"]
            assert tuple(expected) == system.state_of(ref)
            assert [f"{m} {n}" for m in expected for n in ("one", "two")] == probe.take()
            assert system.tree(ref).restarts == 1
            assert isinstance(ref.cell.last_error, SimulatedCrash)
            assert system.dead_letters.counts[DropReason.POISON] == (0 if is_handled else 1)

    for seed in range(5):
        simulate(seed, scenario)


@pytest.mark.parametrize("kind", [Sync, Async])
@pytest.mark.parametrize("point", CrashPoint)
def test_marked_handlers_crash_where_it_was_planned(kind: Any, point: CrashPoint) -> None:
    name = handler_point(kind, str, point)

    async def scenario(world: World) -> None:
        world.faults.plan(name, times=1, after=1)
        async with world.open_system("crash") as system:
            world.mark_handlers(system)
            probe: Probe[Any] = await Probe.spawn(system)
            ref: Ref[Any] = await system.spawn(ChildSpec("ref", lambda: kind(probe.ref)))
            for message in "abc":
                ref.tell(message)
            await trio.sleep(1)

            is_lost = point is CrashPoint.BEFORE_HANDLER
            expected = ("a", "c") if is_lost else ("a", "b", "c")
            assert expected == system.state_of(ref)
            assert [f"{m} {n}" for m in expected for n in ("one", "two")] == probe.take()
            assert system.tree(ref).restarts == 1
            assert world.faults.reached[name] == 3

    simulate(1, scenario)


@pytest.mark.parametrize("kind", [Sync, Async])
def test_a_crash_between_two_effects_is_between_two_effects(kind: Any) -> None:
    async def scenario(world: World) -> list[str]:
        seen: list[str] = []
        async with world.open_system("crash") as system:
            probe: Probe[Any] = await Probe.spawn(system)
            ref: Ref[Any] = await system.spawn(ChildSpec("ref", lambda: kind(probe.ref)))
            crash(ref, CrashPoint.BETWEEN_EFFECTS, chance=world.random)
            commit = ref.cell.commit

            def spied(effects: list[Any]) -> Any:
                seen.extend("call" if target is None else "tell" for target, _ in effects)
                return commit(effects)

            vars(ref.cell)["commit"] = spied
            ref.tell("a")
            await trio.sleep(1)
        return seen

    assert simulate(1, scenario).result == ["tell", "call", "tell"]


def test_the_crash_point_can_be_left_to_chance() -> None:
    async def scenario(world: World) -> str:
        async with world.open_system("crash") as system:
            probe: Probe[Any] = await Probe.spawn(system)
            ref: Ref[Any] = await system.spawn(ChildSpec("ref", lambda: Sync(probe.ref)))
            crash(ref)
            ref.tell("a")
            await trio.sleep(1)
            return str(ref.cell.last_error)

    assert len({simulate(seed, scenario).result for seed in range(20)}) == 3


def test_what_is_not_up_cannot_crash() -> None:
    async def scenario(world: World) -> None:
        async with world.open_system("crash") as system:
            probe: Probe[Any] = await Probe.spawn(system)
            system.stop_child(probe.ref)
            await system.stopped(probe.ref)
            with pytest.raises(LookupError, match="not up"):
                crash(probe.ref)

    simulate(1, scenario)


# ---------------------------------------------------------------------- hidden state


class Hider(Actor[str]):
    transient = ("ring",)

    def __init__(self) -> None:
        self.state = ""
        self.ring = ""
        self.hidden = ""

    def receive(self, message: str) -> None:
        setattr(self, message, self.system.ids.next("value"))


class AsyncHider(TaskActor[str]):
    transient = ("ring",)

    def __init__(self) -> None:
        self.state = ""
        self.ring = ""
        self.hidden = ""

    async def receive(self, message: str) -> None:
        setattr(self, message, self.system.ids.next("value"))


@pytest.mark.parametrize("kind", [Hider, AsyncHider])
@pytest.mark.parametrize(
    ("name", "is_allowed"), [("state", True), ("ring", True), ("hidden", False), ("fresh", False)]
)
def test_a_strict_run_finds_state_that_a_crash_would_lose(kind: Any, name: str, is_allowed: bool) -> None:
    async def scenario(world: World) -> BaseException | None:
        async with world.open_system("strict") as system:
            ref: Ref[Any] = await system.spawn(ChildSpec("hider", kind))
            ref.tell(name)
            await trio.sleep(1)
            return ref.cell.last_error

    error = simulate(1, scenario, is_strict=True).result

    assert (error is None) is is_allowed
    assert is_allowed or isinstance(error, HiddenState)


# ---------------------------------------------------------------------- probes


async def test_a_probe_waits_for_messages() -> None:
    async with open_system("probe") as system:
        probe: Probe[Any] = await Probe.spawn(system)
        for message in (1, "two", 3):
            probe.ref.tell(message)

        assert await probe.next() == 1
        assert await probe.next_of(int) == 3
        assert probe.take() == []
        with pytest.raises(trio.TooSlowError):
            await probe.next(timeout_s=1)
        await probe.none(for_s=1)
        probe.ref.tell("surprise")
        with pytest.raises(AssertionError, match="surprise"):
            await probe.none(for_s=1)


async def test_a_probe_can_be_asked() -> None:
    async with open_system("probe") as system:
        probe: Probe[Any] = await Probe.spawn(system)
        async with trio.open_nursery() as nursery:

            async def answer() -> None:
                reply_to: ReplyTo[str] = await probe.next()
                reply_to.tell("answer")

            nursery.start_soon(answer)
            assert await probe.ref.ask(lambda reply_to: reply_to) == "answer"


def test_a_worlds_link_is_drawn_from_the_seed_too() -> None:
    async def scenario(world: World) -> list[int]:
        link = world.link(delay_s=0.1)
        sizes = []
        for _ in range(10):
            await link.near.send_all(b"0123456789")
            await trio.sleep(1)
            sizes.append(len(await link.far.receive_some()))
        return sizes

    assert simulate(1, scenario).result == simulate(1, scenario).result
    assert simulate(1, scenario).result != simulate(2, scenario).result
