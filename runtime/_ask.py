"""Questions under way: from tasks (`ref.ask`), from handlers (`self.ask`), and senders that wait for room.

A pending ask is known to its target, which ends it when the target ends, and to the system by its message,
which ends it when the message is dropped or kills its handler. So nobody waits for a time-out whose cause
is known, and an ask that is over is known nowhere any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from ._dead_letters import DeadLetter, DropReason
from ._errors import ActorRestarting, ActorStopped, AskTimeout
from ._mailbox import SKIP
from ._reply import Failed

if TYPE_CHECKING:
    from ._cell import Cell
    from ._mailbox import Mailbox


class Pending:
    """An ask under way. `is_dead` once it has its outcome, or nobody wants it any more."""

    __slots__ = ("is_dead", "message", "result", "target", "timeout_s")

    def __init__(self, target: Cell, timeout_s: float) -> None:
        self.target = target
        self.timeout_s = timeout_s
        self.is_dead = False
        self.message: Any = None
        self.result: Any = None

    def begin(self, message: Any) -> None:
        """Send the request. The outcome may be there when this returns."""
        target = self.target
        self.message = message
        system = target.system
        system.asks[id(message)] = self
        if target.asks is None:
            target.asks = {}
        target.asks[self] = None
        system.deadlines.add(system.clock.now() + self.timeout_s, self)
        if target.restart_at is not None:
            retry_after_s = max(0.0, target.restart_at - system.clock.now())
            self.finish(Failed(ActorRestarting(target.path, retry_after_s)))
        else:
            target.mailbox.put(message)

    def put(self, result: Any) -> bool:
        """Take the answer."""
        if self.is_dead:
            value = result.error if isinstance(result, Failed) else result
            letters = self.target.system.dead_letters
            letters.add(DeadLetter(self.target.path, value, DropReason.EXPIRED))
            return False
        self.finish(result)
        return True

    def due(self) -> None:
        self._forget()
        self.is_dead = True
        self.result = Failed(AskTimeout(self.target.path, self.timeout_s))
        self.deliver()

    def finish(self, result: Any) -> None:
        """Set the outcome and hand it over."""
        self.abandon()
        self.result = result
        self.deliver()

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._forget()
        self.target.system.deadlines.drop(self)

    def deliver(self) -> None:
        raise NotImplementedError

    def _forget(self) -> None:
        target = self.target
        if target.asks is not None:
            target.asks.pop(self, None)
        asks = target.system.asks
        if asks.get(id(self.message)) is self:
            del asks[id(self.message)]
        self.message = None


class TaskPending(Pending):
    """A task waits."""

    __slots__ = ("task",)

    def __init__(self, target: Cell, timeout_s: float) -> None:
        super().__init__(target, timeout_s)
        self.task: trio.lowlevel.Task | None = None

    def deliver(self) -> None:
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)

    async def outcome_of(self, message: Any) -> Any:
        """Send the request, wait for its outcome, and return or raise it."""
        self.target.system.scheduler.run_after(self.begin, message)
        if self.is_dead:
            await trio.lowlevel.checkpoint()
        else:
            self.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        if isinstance(self.result, Failed):
            raise self.result.error
        return self.result

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.abandon()
        return trio.lowlevel.Abort.SUCCEEDED


class ActorPending(Pending):
    """An actor's incarnation waits: the outcome becomes a message."""

    __slots__ = ("asker", "failed", "incarnation", "then")

    def __init__(
        self,
        target: Cell,
        timeout_s: float,
        asker: Cell,
        then: Callable[[Any], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        super().__init__(target, timeout_s)
        self.asker = asker
        self.incarnation = asker.incarnation
        self.then = then
        self.failed = failed

    def begin(self, message: Any) -> None:
        if self.asker.asking is None:
            self.asker.asking = {}
        self.asker.asking[self] = None
        super().begin(message)

    def deliver(self) -> None:
        self.asker.mailbox.put_envelope(self)

    def open(self) -> Any:
        if self.incarnation != self.asker.incarnation:
            return SKIP
        if isinstance(self.result, Failed):
            return self.failed(self.result.error)  # type: ignore[arg-type]
        return self.then(self.result)

    def _forget(self) -> None:
        super()._forget()
        if self.asker.asking is not None:
            self.asker.asking.pop(self, None)


class _Waiting:
    """A sender that waits for room."""

    __slots__ = ("error", "is_dead", "mailbox", "message", "task")

    def __init__(self, mailbox: Mailbox, message: Any) -> None:
        self.mailbox = mailbox
        self.message = message
        self.task = trio.lowlevel.current_task()
        self.is_dead = False
        self.error: Exception | None = None

    def admitted(self) -> None:
        self.mailbox.cell.system.deadlines.drop(self)
        trio.lowlevel.reschedule(self.task)

    def refused(self, error: Exception) -> None:
        self.error = error
        self.admitted()

    def due(self) -> None:
        self.is_dead = True
        self._leave()
        self.error = self.mailbox.full()
        trio.lowlevel.reschedule(self.task)

    def abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._leave()
        self.mailbox.cell.system.deadlines.drop(self)
        return trio.lowlevel.Abort.SUCCEEDED

    def _leave(self) -> None:
        if self.mailbox.senders is not None:
            self.mailbox.senders.remove(self)


async def send(mailbox: Mailbox, message: Any, timeout_s: float) -> None:
    """See `Ref.send`."""
    await trio.lowlevel.checkpoint_if_cancelled()
    if not mailbox.is_open:
        raise ActorStopped(mailbox.cell.path, mailbox.cell.end_reason())
    if mailbox.senders is None and mailbox.has_room():
        mailbox.put(message)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return
    waiting = _Waiting(mailbox, message)
    system = mailbox.cell.system
    system.deadlines.add(system.clock.now() + timeout_s, waiting)
    mailbox.wait_for_room(waiting)
    await trio.lowlevel.wait_task_rescheduled(waiting.abort)
    if waiting.error is not None:
        raise waiting.error
