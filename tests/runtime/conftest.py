"""Actors whose messages are what they shall do, in both kinds, so that one suite holds for both.

A callable message is called with the actor; what it returns is awaited where the kind can. Any other message
is appended to the state, so the state tells what was handled and committed, in order.
"""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Callable, Sequence
from inspect import isawaitable, iscoroutinefunction
from typing import Any, ClassVar

import pytest
import trio
import trio.testing

from runtime import (
    Actor,
    ActorSystem,
    ChildSpec,
    Ref,
    RestartInfo,
    StopReason,
    Supervisor,
    TaskActor,
    open_system,
)

LIMIT_S = 24 * 3600.0  # virtual; a test that waits longer waits for nothing, and would spin for ever


def run_under_a_virtual_clock(main: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`trio.run`, but time passes only when everything waits for it."""

    async def bounded() -> Any:
        with trio.fail_after(LIMIT_S):
            return await main(*args)

    kwargs["clock"] = kwargs.get("clock") or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(bounded, **kwargs)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test here waits for real time: pytest-trio takes a clock only from a test's own arguments."""
    here = pathlib.Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=run_under_a_virtual_clock), append=False)


class Scripted(Actor[Any]):
    """On the run queue."""

    def __init__(self, diary: list[Any] | None = None, on_start: Callable[[Any], Any] | None = None) -> None:
        self.state: tuple[Any, ...] = ()
        self.diary = [] if diary is None else diary
        self.on_start = on_start

    def started(self, restart: RestartInfo | None) -> None:
        self.diary.append(("started", restart))
        if self.on_start is not None:
            self.on_start(self)

    def receive(self, message: Any) -> None:
        if callable(message):
            message(self)
        else:
            self.state = (*self.state, message)

    def stopping(self, reason: StopReason) -> None:
        self.diary.append(("stopping", reason))


class ScriptedTask(TaskActor[Any]):
    """With a task of its own."""

    def __init__(self, diary: list[Any] | None = None, on_start: Callable[[Any], Any] | None = None) -> None:
        self.state: tuple[Any, ...] = ()
        self.diary = [] if diary is None else diary
        self.on_start = on_start

    async def started(self, restart: RestartInfo | None) -> None:
        self.diary.append(("started", restart))
        if self.on_start is not None:
            result = self.on_start(self)
            if isawaitable(result):
                await result

    async def receive(self, message: Any) -> None:
        if callable(message):
            result = message(self)
            if isawaitable(result):
                await result
        else:
            self.state = (*self.state, message)

    async def stopping(self, reason: StopReason) -> None:
        self.diary.append(("stopping", reason))


class Parent(Supervisor):
    """Of the children it is given."""

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


class Stage:
    """A system and a kind of actor to try promises on."""

    def __init__(self, system: ActorSystem, kind: type[Scripted] | type[ScriptedTask]) -> None:
        self.system = system
        self.kind = kind
        self._count = 0

    async def actor(
        self,
        name: str = "",
        *,
        on_start: Callable[[Any], Any] | None = None,
        diary: list[Any] | None = None,
        under: Ref[Any] | None = None,
        settings: dict[str, Any] | None = None,
        **spec: Any,
    ) -> Ref[Any]:
        self._count += 1
        child = self.spec(
            name or f"actor{self._count}", on_start=on_start, diary=diary, settings=settings, **spec
        )
        return await self.system.spawn(child, under=under)

    def spec(
        self,
        name: str,
        *,
        on_start: Callable[[Any], Any] | None = None,
        diary: list[Any] | None = None,
        settings: dict[str, Any] | None = None,
        **spec: Any,
    ) -> ChildSpec[Any]:
        kind = type(self.kind.__name__, (self.kind,), settings or {})
        return ChildSpec(name, lambda: kind(diary, on_start), **spec)

    async def three(
        self, strategy: str, *, kinds: dict[str, str] | None = None, **settings: Any
    ) -> tuple[Ref[Any], Diary]:
        """The supervisor `/sup` of `a`, `b` and `c`, and what they write down."""
        diary = Diary()
        specs = [
            self.spec(name, diary=diary.of(name), restart=(kinds or {}).get(name, "permanent"))
            for name in "abc"
        ]
        kind = self.supervisor(*specs, strategy=strategy, **settings)
        return await self.system.spawn(ChildSpec("sup", kind)), diary

    def supervisor(self, *specs: ChildSpec[Any], **settings: Any) -> type[Supervisor]:
        """A supervisor of these children."""
        return type("GivenParent", (Parent,), {"specs": list(specs), **settings})

    def diary(self) -> Diary:
        return Diary()

    def state(self, ref: Ref[Any]) -> Any:
        return self.system.state_of(ref)

    async def quiet(self) -> None:
        """Until nothing moves by itself any more."""
        await trio.testing.wait_all_tasks_blocked()


@pytest.fixture(params=[Scripted, ScriptedTask], ids=["actor", "task_actor"])
async def stage(
    request: pytest.FixtureRequest, autojump_clock: trio.testing.MockClock
) -> AsyncIterator[Stage]:
    async with open_system("test") as system:
        yield Stage(system, request.param)


@pytest.fixture
async def system() -> AsyncIterator[ActorSystem]:
    async with open_system("test") as system:
        yield system
