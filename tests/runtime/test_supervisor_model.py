"""Random trees, crashes, stops and restarts: a supervisor does what a model in plain Python does.

The model has no time, no tasks and no messages; it says what OTP's documentation says, and nothing else. Time
does not pass in it, so every restart counts against the intensity, and there is no backoff. The
supervisor's own supervisor restarts it without limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    RestartInfo,
    StartFailed,
    StopReason,
    Supervisor,
    TaskActor,
    open_system,
)

NAMES = "abcde"
RESTARTS = ("permanent", "transient", "temporary")


@dataclass(eq=False)
class Child:
    """One child that is supposed to be up."""

    name: str
    restart: str


@dataclass
class Model:
    """What a supervisor with these static children does.

    `log` has the starts and the orderly stops of children, in order; a crash says nothing.
    """

    strategy: str
    intensity: int
    static: list[tuple[str, str]]
    children: list[Child] = field(default_factory=list)
    bad_starts: dict[str, int] = field(default_factory=dict)  # how many of the next starts fail
    log: list[str] = field(default_factory=list)
    restarts: int = 0
    incarnations: int = 0  # that came up

    def __post_init__(self) -> None:
        self._start_static()

    # ------------------------------------------------------------------ what can happen

    def spawn(self, name: str, restart: str) -> None:
        if self._find(name) is None and self._try(name):
            self.children.append(Child(name, restart))

    def stop(self, name: str) -> None:
        child = self._find(name)
        if child is not None:
            self.log.append(f"stop {name}")
            self.children.remove(child)

    def end(self, name: str) -> None:
        """The child stops by itself."""
        child = self._find(name)
        if child is not None:
            self.log.append(f"stop {name}")
            self._ended(child, failed=False)

    def crash(self, name: str) -> None:
        child = self._find(name)
        if child is not None:
            self._ended(child, failed=True)

    def crash_supervisor(self, _: str = "") -> None:
        self._stop(self.children)
        self._begin_again()

    def break_start(self, name: str) -> None:
        self.bad_starts[name] = self.bad_starts.get(name, 0) + 1

    # ------------------------------------------------------------------ what it does about it

    def _ended(self, child: Child, *, failed: bool) -> None:
        if child.restart == "temporary" or (child.restart == "transient" and not failed):
            self.children.remove(child)
        else:
            self._restart(child, down=[child])

    def _restart(self, child: Child, down: list[Child]) -> None:
        """Restart `child` and whom the strategy names; those in `down` are not up."""
        self.restarts += 1
        if self.restarts > self.intensity:
            self._stop([other for other in self.children if other not in down])
            self._begin_again()
            return
        group = self._group(child, down)
        self._stop([other for other in group if other not in down])
        for other in group:
            if other.restart == "temporary":
                self.children.remove(other)
        group = [other for other in group if other.restart != "temporary"]
        for place, other in enumerate(group):
            if not self._try(other.name):
                self._restart(other, down=group[place:])
                return

    def _group(self, child: Child, down: list[Child]) -> list[Child]:
        if self.strategy == "one_for_one":
            return [child]
        if self.strategy == "one_for_all":
            return list(self.children)
        first = self.children.index(child)
        return [other for place, other in enumerate(self.children) if place >= first or other in down]

    def _begin_again(self) -> None:
        self._start_static()

    def _start_static(self) -> None:
        self.children = []
        self.restarts = 0
        for name, restart in self.static:
            if not self._try(name):
                self._stop(self.children)
                self._begin_again()
                return
            self.children.append(Child(name, restart))
        self.incarnations += 1

    def _try(self, name: str) -> bool:
        self.log.append(f"start {name}")
        if self.bad_starts.get(name, 0) == 0:
            return True
        self.bad_starts[name] -= 1
        return False

    def _stop(self, children: list[Child]) -> None:
        self.log.extend(f"stop {child.name}" for child in reversed(children))

    def _find(self, name: str) -> Child | None:
        return next((child for child in self.children if child.name == name), None)


class BrokenStartError(Exception):
    pass


class CrashError(Exception):
    pass


class Book:
    """What really happened, in the model's words."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.bad_starts: dict[str, int] = {}

    def start(self, name: str) -> None:
        self.log.append(f"start {name}")
        if self.bad_starts.get(name, 0):
            self.bad_starts[name] -= 1
            raise BrokenStartError


class Worker(Actor[str]):
    def __init__(self, name: str, book: Book) -> None:
        self.name = name
        self.book = book

    def started(self, restart: RestartInfo | None) -> None:
        self.book.start(self.name)

    def receive(self, message: str) -> None:
        if message == "crash":
            raise CrashError
        self.stop()

    def stopping(self, reason: StopReason) -> None:
        self.book.log.append(f"stop {self.name}")


class TaskWorker(TaskActor[str]):
    def __init__(self, name: str, book: Book) -> None:
        self.name = name
        self.book = book

    async def started(self, restart: RestartInfo | None) -> None:
        self.book.start(self.name)

    async def receive(self, message: str) -> None:
        if message == "crash":
            raise CrashError
        self.stop()

    async def stopping(self, reason: StopReason) -> None:
        self.book.log.append(f"stop {self.name}")


class Endless(DynamicSupervisor):
    intensity = 10**9


def spec(kind: Any, name: str, restart: Any, book: Book) -> ChildSpec[Any]:
    return ChildSpec(name, lambda: kind(name, book), restart=restart)


async def run(
    kind: Any, strategy: Any, intensity: int, static: list[tuple[str, str]], operations: list[Any]
) -> tuple[list[str], list[str], int]:
    book = Book()

    class Tried(Supervisor):
        def children(self) -> Sequence[ChildSpec[Any]]:
            return [spec(kind, name, restart, book) for name, restart in static]

    Tried.strategy = strategy
    Tried.intensity = intensity
    async with open_system("model") as system:
        top = await system.spawn(ChildSpec("top", Endless))
        tried = await system.spawn(ChildSpec("tried", Tried), under=top)
        for operation, name, restart in operations:
            child = system.find(f"/top/tried/{name}")
            if operation == "spawn" and child is None:
                try:
                    await system.spawn(spec(kind, name, restart, book), under=tried)
                except StartFailed:
                    assert system.find(f"/top/tried/{name}") is None
            elif operation == "break_start":
                book.bad_starts[name] = book.bad_starts.get(name, 0) + 1
            elif operation == "crash_supervisor":
                tried.crash(CrashError())
            elif child is not None and operation == "stop":
                system.stop_child(child)
            elif child is not None and operation in ("crash", "end"):
                child.tell(operation)
            await trio.testing.wait_all_tasks_blocked()
        tree = system.tree(tried)
        assert all(node.status == "running" for node in tree.walk())
        log = list(book.log)
    return log, [node.name for node in tree.children], tree.restarts + 1


EXAMPLES = 500  # for each strategy and kind; 3,000 in all
OPERATIONS = ("spawn", "stop", "end", "crash", "crash", "crash", "break_start", "crash_supervisor")

operations_strategy = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.sampled_from(NAMES),
        st.sampled_from(RESTARTS),
    ),
    min_size=3,
    max_size=20,
)
static_strategy = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(RESTARTS)), max_size=4, unique_by=lambda child: child[0]
)


@pytest.mark.parametrize("kind", [Worker, TaskWorker])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(intensity=st.integers(0, 4), static=static_strategy, operations=operations_strategy)
@example(
    intensity=2,
    static=[("a", "permanent"), ("b", "permanent"), ("c", "temporary")],
    operations=[("break_start", "b", ""), ("break_start", "b", ""), ("crash", "a", "")],
)
def test_a_supervisor_does_what_the_model_does(
    kind: Any, strategy: str, intensity: int, static: list[tuple[str, str]], operations: list[Any]
) -> None:
    model = Model(strategy, intensity, static)
    for operation, name, restart in operations:
        if operation == "spawn":
            model.spawn(name, restart)
        else:
            getattr(model, operation)(name)

    async def bounded() -> tuple[list[str], list[str], int]:
        with trio.fail_after(1000):  # virtual: without it a run that waits for nothing spins for ever
            return await run(kind, strategy, intensity, static, operations)

    log, children, incarnations = trio.run(bounded, clock=trio.testing.MockClock(autojump_threshold=0))

    assert model.log == log
    assert [child.name for child in model.children] == children
    assert model.incarnations == incarnations
