"""A whole run as a function of its seed: virtual time, seeded scheduling, seeded chance, planned faults, a
trace.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import trio
import trio.testing

from .._actor import AnyActor
from .._cell import Cell
from .._clock import VirtualClock
from .._faults import set_fault_plan
from .._system import ActorSystem, open_system
from ._crashes import SimulatedCrash, forbid_hidden_state, mark_handlers
from ._determinism import deterministic_trio
from ._streams import Link

T = TypeVar("T")

LIMIT_S = 24 * 3600.0  # virtual; a scenario that waits longer waits for nothing


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """What a simulated run returned, and everything that happened in it, one line a step."""

    seed: int | str
    result: T
    trace: tuple[str, ...]


class Faults:
    """What shall happen at fault points. Everything is drawn from the run's seed."""

    def __init__(self, chance: random.Random, note: Callable[[str], None]) -> None:
        self._chance = chance
        self._note = note
        self._plans: dict[str, tuple[Callable[[], None], float, int | None, int]] = {}
        self.reached: dict[str, int] = {}

    def plan(
        self,
        name: str,
        error: Callable[[], BaseException] | None = None,
        *,
        call: Callable[[], None] | None = None,
        probability: float = 1.0,
        times: int | None = None,
        after: int = 0,
    ) -> None:
        """At fault point `name` raise `error()` (a SimulatedCrash unless given), or call `call`.

        Args:
          probability: of it happening each time the point is reached, 0 to 1.
          times: how often at most; None for always.
          after: nothing happens the first `after` times from now on.
        """

        def act() -> None:
            if call is not None:
                call()
            else:
                raise SimulatedCrash(name) if error is None else error()

        self._plans[name] = (act, probability, times, after)

    def __call__(self, name: str) -> None:
        self.reached[name] = self.reached.get(name, 0) + 1
        plan = self._plans.get(name)
        if plan is None:
            return
        act, probability, times, after = plan
        if after > 0:
            self._plans[name] = (act, probability, times, after - 1)
            return
        if times == 0 or self._chance.random() >= probability:
            return
        self._plans[name] = (act, probability, None if times is None else times - 1, 0)
        self._note(f"fault {name}")
        act()


class World:
    """What a scenario gets.

    Attributes:
      random: the scenario's own source of chance, not shared with anything it watches.
      faults: plans for `fault_point`s.
    """

    def __init__(self, seed: int | str, *, is_strict: bool) -> None:
        self.seed = seed
        self.random = random.Random(f"scenario {seed}")
        self.faults = Faults(random.Random(f"faults {seed}"), self.note)
        self._is_strict = is_strict
        self._trace: list[str] = []

    def note(self, line: str) -> None:
        """Add a line to the trace, with the virtual time. It must not contain addresses or hashes."""
        self._trace.append(f"{trio.current_time():.6f} {line}")

    @property
    def trace(self) -> tuple[str, ...]:
        """What happened so far."""
        return tuple(self._trace)

    @asynccontextmanager
    async def open_system(self, name: str) -> AsyncIterator[ActorSystem]:
        """An actor system whose every step goes into the trace."""
        async with open_system(name, clock=VirtualClock(), seed=f"{name} {self.seed}") as system:
            self.observe(system)
            yield system

    def observe(self, system: ActorSystem) -> None:
        """Trace a seeded system that somebody else opened."""

        def step(cell: Cell, done: int) -> None:
            message = type(system.scheduler.turn.message).__name__ if done else ""
            self.note(f"run {cell.path or '/'} {done} {message}")

        system.scheduler.observer = step
        system.events.listen(self._note_event)
        if self._is_strict:
            system.prepare = forbid_hidden_state

    def mark_handlers(self, system: ActorSystem) -> None:
        """Let every handler of every actor that starts from now on pass fault points (`handler_point`)."""
        prepare = system.prepare

        def mark(actor: AnyActor[Any]) -> None:
            mark_handlers(actor)
            if prepare is not None:
                prepare(actor)

        system.prepare = mark

    def link(self, *, delay_s: float = 0.0, capacity: int = 65_536, is_split: bool = True) -> Link:
        """A pair of byte streams with faults.

        Args:
          delay_s: how long bytes are under way.
          capacity: bytes under way and unread in one direction before the sender waits.
          is_split: chance splits what is received into odd pieces, as TCP may.
        """
        chance = random.Random(f"link {self.random.random()}") if is_split else None
        return Link(delay_s=delay_s, capacity=capacity, chance=chance)

    def _note_event(self, event: Any) -> None:
        path = getattr(event, "path", None) or getattr(event, "group", "")
        self.note(f"{type(event).__name__} {path}")


def simulate(
    seed: int | str,
    scenario: Callable[[World], Awaitable[T]],
    *,
    limit_s: float = LIMIT_S,
    is_strict: bool = False,
) -> Run[T]:
    """Run `scenario(world)` under a virtual clock; the same seed gives the same run, step by step.

    For plain test functions: it brings its own `trio.run`, so it cannot be used inside one.

    Args:
      limit_s: virtual seconds after which the scenario is stuck.
      is_strict: a handler that changes an attribute other than `state` and the declared `transient` ones
        crashes.

    Raises: whatever the scenario raised, trio.TooSlowError past `limit_s`; with a note that names the seed.
    """
    world = World(seed, is_strict=is_strict)

    async def main() -> T:
        with trio.fail_after(limit_s):
            return await scenario(world)

    before = set_fault_plan(world.faults)
    try:
        with deterministic_trio(seed):
            result = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except BaseException as error:
        error.add_note(f"simulated with seed {seed!r}, which replays it; {len(world.trace)} steps:")
        for line in world.trace[-20:]:
            error.add_note(f"  {line}")
        raise
    finally:
        set_fault_plan(before)
    return Run(seed, result, world.trace)
