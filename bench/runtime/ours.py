"""The workloads on this project's runtime, for both kinds of actor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from bench.runtime.meter import Meter, Tally, resident_kb
from runtime import Actor, ActorSystem, ChildSpec, DynamicSupervisor, Ref, TaskActor, open_system

_PORTION = 100  # spawns of one handler
_BUSY = 1000  # waiting messages; the default mailbox has room for 1,024
_ROOM = 2**20


class _Limitless(DynamicSupervisor):
    """Restarts without counting."""

    intensity = 10**9


class _Counts(Actor[Any]):
    """Counts what it gets. What any actor here does, so that the rest of a figure is the runtime."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def receive(self, message: Any) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


class _Collects(_Counts):
    mailbox_size = _ROOM


class _Answers(Actor[Any]):
    def receive(self, message: Any) -> None:
        message.tell(None)


class _Plays(Actor[Any]):
    """Sends a ball back until the tally is done."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.other: Ref[Any] | None = None

    def receive(self, message: Any) -> None:
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()
        elif self.other is not None:
            self.other.tell(message)


class _Produces(Actor[Any]):
    """Sends `message` messages to the collector."""

    def __init__(self, to: Ref[Any]) -> None:
        self.to = to

    def receive(self, message: int) -> None:
        to = self.to
        for number in range(message):
            to.tell(number)


class _Broadcasts(Actor[Any]):
    mailbox_size = _ROOM

    def __init__(self, refs: list[Ref[Any]]) -> None:
        self.refs = refs

    def receive(self, message: Any) -> None:
        for ref in self.refs:
            ref.tell(message)


class _Spawns(Actor[Any]):
    """Starts a child under a supervisor for every name it is told."""

    def __init__(self, factory: Callable[[], Any], under: Ref[Any], *, greets: bool) -> None:
        self.factory = factory
        self.under = under
        self.greets = greets
        self.refs: list[Ref[Any]] = []

    def receive(self, message: Any) -> None:
        for name in message:
            self.refs.append(self.spawn(ChildSpec(name, self.factory), under=self.under))
        if self.greets:
            self.refs[-1].tell(None)


class _Crashes(_Counts):
    def receive(self, message: Any) -> None:
        if message is None:
            raise ValueError
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


class _Watches(Actor[Any]):
    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def receive(self, message: Any) -> None:
        if isinstance(message, list):
            for ref in message:
                self.watch(ref)
            return
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()


class _Rearms(Actor[Any]):
    """Sets a timer again until all have fired often enough."""

    def __init__(self, tally: Tally, actors: int) -> None:
        self.tally = tally
        self.actors = actors

    def receive(self, message: Any) -> None:
        if message is not None:
            self.set_timer("held", 1000.0, None)
            return
        tally = self.tally
        tally.left -= 1
        if not tally.left:
            tally.finish()
        elif tally.left >= self.actors:
            self.set_timer("beat", 0.001, None)


class _Postpones(Actor[Any]):
    """Sets one timer again and again."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def receive(self, message: int) -> None:
        for _ in range(message):
            self.set_timer("idle", 1000.0, 0)
        self.tally.finish()


class _Bench:
    """A running system, a population, and what the workloads share."""

    def __init__(self, system: ActorSystem, kind: str, meter: Meter) -> None:
        self.system = system
        self.meter = meter
        self.size = meter.size
        self.tally = Tally()
        self.is_task = kind == "TaskActor"
        self._done = trio.Event()
        self._name = 0

    def of_kind(self, cls: type[Any]) -> type[Any]:
        """`cls`, or for TaskActor a class with the same handler and the same settings."""
        if not self.is_task:
            return cls
        handler = cls.receive

        async def receive(self: Any, message: Any) -> None:
            handler(self, message)

        own = {"__init__": cls.__init__, "receive": receive, "mailbox_size": cls.mailbox_size}
        return type(f"Task{cls.__name__}", (TaskActor,), own)

    async def begin(self) -> None:
        self.under: Ref[Any] = await self.system.spawn(ChildSpec("all", _Limitless))

    async def one(self, cls: type[Any], *args: Any) -> Ref[Any]:
        """One actor of the measured kind."""
        cls = self.of_kind(cls)
        return await self.system.spawn(ChildSpec(self.name(), lambda: cls(*args)), under=self.under)

    async def many(self, count: int, cls: type[Any], *args: Any) -> list[Ref[Any]]:
        """`count` actors of the measured kind, up and idle."""
        cls = self.of_kind(cls)
        spawner = await self.spawner(lambda: cls(*args))
        names = [self.name() for _ in range(count)]
        for first in range(0, count, _PORTION):
            spawner.tell(names[first : first + _PORTION])
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        actor: Any = spawner.cell.actor
        refs: list[Ref[Any]] = actor.refs
        self.system.stop_child(spawner)
        return refs

    async def spawner(self, factory: Callable[[], Any], *, greets: bool = False) -> Ref[Any]:
        """An actor that starts others with `factory`, and may tell the last one something."""
        spec = ChildSpec[Any](self.name(), lambda: _Spawns(factory, self.under, greets=greets))
        return await self.system.spawn(spec)

    def name(self) -> str:
        self._name += 1
        return f"a{self._name}"

    def expect(self, count: int) -> None:
        """`until_done` returns after so many counts."""
        self._done = trio.Event()
        self.tally.left = count
        self.tally.finish = self._done.set

    async def until_done(self) -> None:
        await self._done.wait()

    async def stop(self, refs: list[Ref[Any]]) -> None:
        """Stop `refs` for good and wait for it."""
        for ref in refs:
            self.system.stop_child(ref)
        for ref in reversed(refs):
            if ref.is_alive:
                await self.system.stopped(ref)


async def _tell_busy(bench: _Bench) -> None:
    ref = await bench.one(_Counts, bench.tally)
    await bench.many(bench.size - 1, _Counts, bench.tally)
    await _tell_in_portions(bench, ref)


async def _tell_traced(bench: _Bench) -> None:
    ref = await bench.one(_Counts, bench.tally)
    bench.system.trace_messages(ref, on=True)
    await _tell_in_portions(bench, ref)


async def _tell_in_portions(bench: _Bench, ref: Ref[Any]) -> None:
    rounds = bench.meter.rounds(_BUSY)
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * _BUSY):
            for _ in range(rounds):
                bench.expect(_BUSY)
                for number in range(_BUSY):
                    ref.tell(number)
                await bench.until_done()


async def _tell_asleep(bench: _Bench) -> None:
    refs = await bench.many(bench.size, _Counts, bench.tally)
    rounds = bench.meter.rounds(max(10, bench.size))
    for _ in bench.meter.samples():
        with bench.meter.timed(rounds * bench.size):
            for _ in range(rounds):
                bench.expect(bench.size)
                for ref in refs:
                    ref.tell(1)
                await bench.until_done()


def _itself(reply_to: Any) -> Any:
    return reply_to


async def _ask(bench: _Bench) -> None:
    refs = await bench.many(bench.size, _Answers)
    asks = bench.meter.rounds(10)
    for _ in bench.meter.samples():
        with bench.meter.timed(asks):
            for number in range(asks):
                await refs[number % bench.size].ask(_itself)


async def _round_trip(bench: _Bench) -> None:
    a, b = await bench.one(_Plays, bench.tally), await bench.one(_Plays, bench.tally)
    await bench.many(bench.size - 2, _Counts, bench.tally)
    for one, other in ((a, b), (b, a)):
        actor: Any = one.cell.actor
        actor.other = other
    trips = bench.meter.rounds(2)
    for _ in bench.meter.samples():
        bench.expect(2 * trips)
        with bench.meter.timed(trips):
            a.tell("ball")
            await bench.until_done()


async def _fan_in(bench: _Bench) -> None:
    collector = await bench.one(_Collects, bench.tally)
    producers = await bench.many(bench.size, _Produces, collector)
    each = max(1, min(1000, bench.meter.effort // bench.size))
    for _ in bench.meter.samples():
        bench.expect(bench.size * each)
        with bench.meter.timed(bench.size * each):
            for ref in producers:
                ref.tell(each)
            await bench.until_done()


async def _fan_out(bench: _Bench) -> None:
    refs = await bench.many(bench.size, _Counts, bench.tally)
    broadcaster = await bench.one(_Broadcasts, refs)
    rounds = min(bench.meter.rounds(bench.size), 1000)
    for _ in bench.meter.samples():
        bench.expect(bench.size * rounds)
        with bench.meter.timed(bench.size * rounds):
            for number in range(rounds):
                broadcaster.tell(number)
            await bench.until_done()


async def _spawn(bench: _Bench, *, is_spawn_timed: bool = True) -> None:
    await bench.many(bench.size, _Counts, bench.tally)
    tally = bench.tally
    cls = bench.of_kind(_Counts)
    if bench.is_task:
        # Tasks begin in no order, so each says that it has; on the run queue the last one's message is proof.
        cls = type("Born", (cls,), {"started": lambda self, restart: _Counts.receive(self, restart)})
    spawner = await bench.spawner(lambda: cls(tally), greets=not bench.is_task)
    actor: Any = spawner.cell.actor

    async def spawn(names: list[str]) -> None:
        actor.refs = []
        bench.expect(_PORTION if bench.is_task else 1)
        spawner.tell(names)
        await bench.until_done()

    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(5 * _PORTION)):
            names = [bench.name() for _ in range(_PORTION)]
            if is_spawn_timed:
                with bench.meter.timed(_PORTION):
                    await spawn(names)
                await bench.stop(actor.refs)
            else:
                await spawn(names)
                with bench.meter.timed(_PORTION):
                    await bench.stop(actor.refs)


async def _stop(bench: _Bench) -> None:
    await _spawn(bench, is_spawn_timed=False)


async def _spawn_awaited(bench: _Bench) -> None:
    await bench.many(bench.size, _Counts, bench.tally)
    cls = bench.of_kind(_Counts)

    def factory() -> Any:
        return cls(bench.tally)

    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(10 * _PORTION)):
            names = [bench.name() for _ in range(_PORTION)]
            with bench.meter.timed(_PORTION):
                refs = [
                    await bench.system.spawn(ChildSpec(name, factory), under=bench.under) for name in names
                ]
            await bench.stop(refs)


async def _crash(bench: _Bench) -> None:
    refs = await bench.many(bench.size, _Crashes, bench.tally)
    crashes = bench.meter.rounds(20)
    for _ in bench.meter.samples():
        for first in range(0, crashes, 200):
            bench.expect(200)
            with bench.meter.timed(200):
                for number in range(first, first + 200):
                    ref = refs[number % bench.size]
                    ref.tell(None)
                    ref.tell("next")
                await bench.until_done()


async def _watch(bench: _Bench) -> None:
    await bench.many(bench.size, _Counts, bench.tally)
    watcher = await bench.one(_Watches, bench.tally)
    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(10 * _PORTION)):
            refs = await bench.many(_PORTION, _Counts, bench.tally)
            bench.expect(_PORTION)
            with bench.meter.timed(_PORTION):
                watcher.tell(refs)
                await bench.stop(refs)
                await bench.until_done()


async def _timer(bench: _Bench) -> None:
    hot = min(100, bench.size)
    refs = await bench.many(bench.size, _Rearms, bench.tally, hot)
    for ref in refs:
        ref.tell("hold")
    fired = bench.meter.rounds(1) if bench.size > 1 else bench.meter.rounds(100)
    for _ in bench.meter.samples():
        bench.expect(fired)
        with bench.meter.timed(fired):
            for ref in refs[:hot]:
                ref.tell(None)
            await bench.until_done()


async def _timer_restart(bench: _Bench) -> None:
    refs = await bench.many(bench.size, _Rearms, bench.tally, 1)
    for ref in refs:
        ref.tell("hold")
    ref = await bench.one(_Postpones, bench.tally)
    for _ in bench.meter.samples():
        for _ in range(bench.meter.rounds(200)):
            bench.expect(1)
            with bench.meter.timed(100):
                ref.tell(100)
                await bench.until_done()


async def _memory(bench: _Bench, *, is_told: bool = False) -> None:
    warm = await bench.many(50, _Counts, bench.tally)
    await bench.stop(warm)
    before = resident_kb()
    refs = await bench.many(bench.size, _Counts, bench.tally)
    if is_told:
        bench.expect(bench.size)
        for ref in refs:
            ref.tell(1)
        await bench.until_done()
    bench.meter.grown(before)


async def _memory_idle(bench: _Bench) -> None:
    await _memory(bench, is_told=True)


_CAN: dict[str, Callable[[_Bench], Awaitable[None]]] = {
    "tell busy": _tell_busy,
    "tell asleep": _tell_asleep,
    "tell traced": _tell_traced,
    "ask": _ask,
    "round trip": _round_trip,
    "fan-in": _fan_in,
    "fan-out": _fan_out,
    "spawn": _spawn,
    "spawn awaited": _spawn_awaited,
    "stop": _stop,
    "crash": _crash,
    "watch": _watch,
    "timer": _timer,
    "timer restart": _timer_restart,
    "memory fresh": _memory,
    "memory idle": _memory_idle,
}


def can() -> tuple[str, ...]:
    """The workloads this system has."""
    return tuple(_CAN)


def run(system: str, workload: str, meter: Meter, done: Callable[[], None]) -> None:
    """Measure one workload into `meter` and call `done`, before anything is stopped."""

    async def main() -> None:
        async with open_system("bench") as actors:
            bench = _Bench(actors, system, meter)
            await bench.begin()
            await _CAN[workload](bench)
            done()

    trio.run(main)
