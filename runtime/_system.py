"""The actor system: one run queue, one heap of deadlines, one nursery for tasks, one tree below one root.

`open_system` is a block: leaving it, by whatever way, stops the tree in order, every actor within its own
deadline. An exception of the block comes out of it as it is, not wrapped in a group.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from ._actor import AnyActor, DynamicSupervisor, SupervisorMessage, attach, new_child, order_stop_child
from ._ask import Pending
from ._cell import Cell
from ._clock import Clock, CountingIds, Ids, RandomIds, TrioClock, VirtualClock
from ._dead_letters import DeadLetters
from ._deadlines import Deadlines
from ._errors import ActorStopped, SystemFailed
from ._events import Events, Held
from ._ref import Ref
from ._registry import Registry
from ._scheduler import Scheduler
from ._spec import SHUTDOWN, ChildSpec, StopKind, StopReason
from ._trace import Trace
from ._tree import TreeNode, children_of, describe
from ._turn import CURRENT
from ._waiter import Waiter
from ._watchdog import Watchdog

M = TypeVar("M")

SLOW_S = 0.05  # a handler that holds the loop longer is named in a Held event


class ActorSystem:
    """A running system. Made by `open_system`.

    Attributes:
      clock, random, ids: the only sources of time, chance and names for actors.
      events: what happens, published; dead_letters: what was not handled, counted; registry: keys and groups.
      abandoned: tasks and handlers that did not end within their `shutdown_s`, since the system began.
    """

    def __init__(
        self, name: str, nursery: trio.Nursery, clock: Clock, seed: int | str | None, ids: Ids | None
    ) -> None:
        self.name = name
        self.nursery = nursery
        self.clock = clock
        self.seed = seed
        self.random = random.Random(seed)
        self.ids: Ids = ids or (RandomIds(self.random) if seed is None else CountingIds())
        self.events = Events()
        self.dead_letters = DeadLetters(self.events)
        self.registry = Registry(self.events)
        self.deadlines = Deadlines(clock.now)
        self.asks: dict[int, Pending] = {}
        self.abandoned = 0
        self.failure: BaseException | None = None  # what ends the block
        self.prepare: Callable[[AnyActor[Any]], None] | None = None  # the test kit looks at every incarnation
        chance = None if seed is None else random.Random(f"schedule {seed}")
        self.scheduler = Scheduler(self.deadlines, chance=chance, held=self._held, slow_s=SLOW_S)
        self._root = Cell(self, None, name)
        self._root.spec = ChildSpec(name, DynamicSupervisor)
        self._root_is_gone = trio.Event()
        self._on_failure: Callable[[], None] = lambda: None

    # ------------------------------------------------------------------ actors

    async def spawn(self, spec: ChildSpec[M], *, under: Ref[SupervisorMessage] | None = None) -> Ref[M]:
        """Start an actor and wait until it is up, a supervisor with all its static children.

        Args:
          under: the supervisor that keeps it; the root unless given.

        Raises:
          StartFailed: it did not start; nothing of it is left.
          AlreadyStarted: the supervisor has a child of that name; carries its ref.
          ActorStopped: the supervisor has ended.
          ValueError: the name is empty or has a slash.

        Cancellation: the actor may still come up.
        """
        child = new_child(self._root if under is None else under.cell, spec)
        waiter = Waiter()
        child.start_waiters = [waiter]
        self.scheduler.run_after(attach, child)
        await waiter.wait()
        return child.ref

    def stop_child(self, ref: Ref[Any]) -> None:
        """Ask `ref`'s supervisor to stop it for good; no error when it has ended. In a handler: at commit.

        `await stopped(ref)` waits for the end.
        """
        turn = CURRENT.get()
        if turn is None or turn.effects is None:
            order_stop_child(ref.cell)
        else:
            turn.effects.append((None, lambda: order_stop_child(ref.cell)))

    async def stopped(self, ref: Ref[Any]) -> StopReason:
        """Wait until `ref` has ended for good. Returns why. Without a deadline of its own: a restart is no
        end.
        """
        cell = ref.cell
        if not ref.is_alive:
            await trio.lowlevel.checkpoint()
            return cell.end_reason()
        waiter = Waiter()
        cell.stop_waiters = [*(cell.stop_waiters or ()), waiter]
        reason: StopReason = await waiter.wait()
        return reason

    def find(self, path: str) -> Ref[Any] | None:
        """The actor at `path` (`/users/ada/session`); None when there is none."""
        cell: Cell | None = self._root
        for name in path.strip("/").split("/") if path.strip("/") else ():
            if cell is None or cell.supervision is None:
                return None
            cell = cell.supervision.children.get(name)
        return None if cell is None else cell.ref

    # ------------------------------------------------------------------ inspection

    def tree(self, ref: Ref[Any] | None = None) -> TreeNode:
        """The whole tree as data, or what is at and below `ref`."""
        return describe(self._root if ref is None else ref.cell)

    def children(self, ref: Ref[Any] | None = None) -> tuple[Ref[Any], ...]:
        """Those that `ref`, or the root, supervises, in the order of their start. OTP:
        supervisor:which_children.
        """
        return tuple(cell.ref for cell in children_of(self._root if ref is None else ref.cell))

    async def suspend(self, ref: Ref[Any]) -> None:
        """Let `ref` take no further message (a TaskActor: after the one in hand). Its mail waits.

        Raises ActorStopped. OTP: sys:suspend.
        """
        await self._order(ref, Cell.suspend)

    async def resume(self, ref: Ref[Any]) -> None:
        """Let `ref` take messages again. Raises ActorStopped. OTP: sys:resume."""
        await self._order(ref, Cell.resume)

    def state_of(self, ref: Ref[Any]) -> Any:
        """The last committed state; None once it has ended for good. OTP: sys:get_state."""
        return ref.cell.state

    async def replace_state(self, ref: Ref[Any], change: Callable[[Any], Any]) -> Any:
        """Swap the state for `change(state)` between two messages, and return it. OTP: sys:replace_state.

        Raises ActorStopped, and whatever `change` raises; the state then stands.
        """

        def swap(cell: Cell, waiter: Waiter) -> None:
            runner = cell.runner
            if runner is not None and runner.is_busy:
                runner.when_free.append(lambda: swap(cell, waiter))
                return
            try:
                state = change(cell.state)
            except Exception as error:
                waiter.resolve(error=error)
                return
            cell.state = state
            if cell.actor is not None:
                cell.actor.state = state
            waiter.resolve(state)

        return await self._order(ref, swap)

    def trace_messages(self, ref: Ref[Any], *, on: bool) -> None:
        """Record the last messages of everything at and below `ref`, and the time per message type."""
        todo = [ref.cell]
        while todo:
            cell = todo.pop()
            cell.trace = (cell.trace or Trace()) if on else None
            todo.extend(children_of(cell))

    async def _order(self, ref: Ref[Any], order: Callable[[Cell, Waiter], None]) -> Any:
        cell = ref.cell
        if not ref.is_alive:
            raise ActorStopped(ref.path, cell.end_reason())
        waiter = Waiter()
        cell.mailbox.put_system((order, waiter))
        return await waiter.wait()

    # ------------------------------------------------------------------ life

    async def begin(self, on_failure: Callable[[], None]) -> None:
        """Start the run queue and the root."""
        self._on_failure = on_failure
        await self.nursery.start(self._run_scheduler)
        waiter = Waiter()
        self._root.start_waiters = [waiter]
        self._root.order_start(None)
        await waiter.wait()

    async def end(self) -> None:
        """Stop the tree in order. Every actor bounds its own stop, so this is bounded too."""
        self._root.order_stop(SHUTDOWN)
        await self._root_is_gone.wait()
        self._root.terminate(SHUTDOWN)

    def root_gone(self, reason: StopReason) -> None:
        """The root has ended: as asked, or because it gave up."""
        if reason.kind is not StopKind.SHUTDOWN:
            self.end_with(SystemFailed(self.name, reason.cause))
        self._root_is_gone.set()

    def end_with(self, error: BaseException) -> None:
        """Cancel the block and raise `error` out of it once everything has stopped. The first one counts."""
        if self.failure is None:
            self.failure = error
            self._on_failure()

    async def _run_scheduler(self, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope(shield=True) as scope:
            self._scheduler_scope = scope
            try:
                await self.scheduler.run(task_status)
            except trio.Cancelled:
                raise
            except BaseException as error:  # the run queue is lost, so nothing can stop in order any more
                self.end_with(error)
                self._cancel_everything()

    def _cancel_everything(self) -> None:
        todo = [self._root]
        while todo:
            cell = todo.pop()
            for task in tuple(cell.tasks or ()):
                task.cancel()
            if cell.runner is not None:
                cell.runner.cancel()
            todo.extend(children_of(cell))
        self._root_is_gone.set()

    def stop_scheduler(self) -> None:
        """End the run queue; nothing happens any more."""
        self._scheduler_scope.cancel()

    def _held(self, cell: Cell, held_s: float) -> None:
        self.events.publish(Held(cell.path, self.scheduler.turn.message, held_s))


@asynccontextmanager
async def open_system(
    name: str,
    *,
    clock: Clock | None = None,
    seed: int | str | None = None,
    ids: Ids | None = None,
    watchdog: Watchdog | None = None,
) -> AsyncIterator[ActorSystem]:
    """Run an actor system for the length of the block.

    Args:
      clock: trio's clock and the computer's calendar unless given; with a seed a made-up calendar.
      seed: makes scheduling, chance and ids a function of it, and no decision reads the time.
      ids: random ones unless given; counting ones with a seed.
      watchdog: ends the process when the loop is held for too long; not with a seed, which never looks at
        real time.

    Raises:
      SystemFailed: the root supervisor passed its intensity; the block is cancelled first.
      Exception: whatever the block raised, as it is.

    Cancellation: the block is left, then the tree is stopped in order, shielded, before the cancellation
      goes on.
    """
    error: BaseException | None = None
    clock = clock or (TrioClock() if seed is None else VirtualClock())
    async with trio.open_nursery() as nursery:
        system = ActorSystem(name, nursery, clock, seed, ids)
        block = trio.CancelScope()
        await system.begin(block.cancel)
        if watchdog is not None and seed is None:
            nursery.start_soon(watchdog.run, system)
        try:
            with block:
                yield system
        except BaseException as raised:
            error = raised
        with trio.CancelScope(shield=True):
            await system.end()
        system.stop_scheduler()
        nursery.cancel_scope.cancel()
    if error is not None:
        raise error
    if system.failure is not None:
        raise system.failure
