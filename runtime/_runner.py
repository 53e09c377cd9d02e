"""The trio task of one TaskActor incarnation: takes a message, awaits its handler, commits.

A stop lets the running handler end; after `shutdown_s` it is cancelled, and after as much again abandoned.
The message it was on is then a dead letter, and what it had not committed is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import trio

from ._dead_letters import DropReason
from ._errors import ActorStopped, OutsideHandler
from ._mailbox import SKIP, Envelope
from ._spec import SHUTDOWN, StopReason
from ._turn import CURRENT, Turn

if TYPE_CHECKING:
    from ._actor import AnyActor
    from ._cell import Cell
    from ._deadlines import Alarm
    from ._spec import RestartInfo

_MESSAGES_A_TURN = 32  # handlers that never wait must not starve the loop: back to trio after so many
_NOTHING: Any = object()


class Runner:
    """Runs one incarnation of a TaskActor from `started` to its end."""

    def __init__(self, cell: Cell, actor: AnyActor[Any]) -> None:
        self.turn = Turn()
        self.turn.cell = cell
        self.is_busy = False  # a handler is running
        self.is_parked = False
        self.when_free: list[Callable[[], None]] = []
        self._cell = cell
        self._actor = actor
        self._scope = trio.CancelScope(shield=True)
        self._task: trio.lowlevel.Task | None = None
        self._stop_reason: StopReason | None = None
        self._failure: BaseException | None = None
        self._message: Any = _NOTHING
        self._alarm: Alarm | None = None
        self._is_abandoned = False

    def begin(self, info: RestartInfo | None) -> None:
        """Start the task."""
        self._cell.system.nursery.start_soon(self._run, info, name=self._cell.path)

    def stop(self, reason: StopReason) -> None:
        """End after the running handler, or when its time is over."""
        if self._stop_reason is not None or self._failure is not None:
            return
        self._stop_reason = reason
        if self.is_parked:
            self.wake()
        else:
            self._alarm_after_shutdown(self._cancel)

    def fail(self, error: BaseException) -> None:
        """End at once as if the handler had raised."""
        if self._failure is None:
            self._failure = error
            self._scope.cancel()

    def cancel(self) -> None:
        """End at once, with nobody left to tell."""
        self._stop_reason = self._stop_reason or SHUTDOWN
        self._scope.cancel()

    def wake(self) -> None:
        """There is something to do. Only while parked."""
        self.is_parked = False
        self._cell.mailbox.is_idle = False
        assert self._task is not None
        trio.lowlevel.reschedule(self._task)

    def settle(self) -> None:
        """Orders have been obeyed; look whether there is mail."""
        if self.is_parked:
            if self._has_work():
                self.wake()
            else:
                self._cell.mailbox.is_idle = not self._cell.is_suspended

    async def commit(self) -> None:
        """See `TaskActor.commit`."""
        if self.turn.effects is None or CURRENT.get() is not self.turn:
            raise OutsideHandler(self._actor)
        if self._is_abandoned:
            raise ActorStopped(self._cell.path, self._cell.end_reason())
        failure = self._swap()
        self.turn.effects = []
        if failure is not None:
            raise failure
        await trio.lowlevel.checkpoint()

    async def _run(self, info: RestartInfo | None) -> None:
        CURRENT.set(self.turn)
        try:
            with self._scope:
                await self._live(info)
        except Exception as error:  # what a group still holds after the scope took its Cancelled out
            self._failure = self._failure or error
        except BaseException as error:  # SystemExit, KeyboardInterrupt: they end the system, in order
            self._failure = error
            self._cell.system.end_with(error)
        self.turn.effects = None
        if not self._is_abandoned:
            self._over()

    async def _live(self, info: RestartInfo | None) -> None:
        cell = self._cell
        assert cell.spec is not None
        with trio.move_on_after(cell.spec.start_s) as patience:
            await self._transact(self._actor.started, info)
        if patience.cancelled_caught and self._failure is None:
            self._failure = TimeoutError(f"started took longer than start_s={cell.spec.start_s:g}")
        if self._failure is not None or self._stop_reason is not None:
            return
        cell.is_up()
        cell.mailbox.waker = self.wake
        handled = 0
        while self._stop_reason is None and self._failure is None:
            if cell.mailbox.system is not None or not self._has_work():  # the run queue obeys orders first
                await self._park()
                continue
            await self._handle_next()
            handled += 1
            if handled % _MESSAGES_A_TURN == 0:
                await trio.lowlevel.cancel_shielded_checkpoint()
        if self._failure is None:
            await self._speak_last_words()

    async def _handle_next(self) -> None:
        cell = self._cell
        mailbox = cell.mailbox
        mail = mailbox.mail
        assert mail is not None
        mailbox.high_water = max(mailbox.high_water, len(mail))
        message = mail.popleft()
        receive: Callable[[Any], Any] = self._actor.receive
        if cell.trace is not None:
            receive = cell.trace.around_async(receive)
        if message.__class__ is Envelope:
            mailbox.envelopes -= 1
            try:
                message = message.source.open()
            except Exception as error:
                self._failure = error
                return
        if message is not SKIP:
            self._message = message
            await self._transact(receive, message)
        cell.handled += 1
        if mail:
            mailbox.mark(1)
        else:
            mailbox.taken += 1
        if mailbox.is_pressed:
            mailbox.relieve()

    async def _transact(self, handler: Callable[[Any], Any], argument: Any) -> None:
        turn = self.turn
        turn.effects = []
        turn.message = argument
        self.is_busy = True
        try:
            result = handler(argument)
            if isawaitable(result):
                await result
        except Exception as error:
            self._failure = self._failure or error
        else:
            self._message = _NOTHING
            failure = None if self._is_abandoned else self._swap()
            self._failure = self._failure or failure
        finally:
            turn.effects = None
            self.is_busy = False
            if self.when_free:
                calls, self.when_free = self.when_free, []
                for call in calls:
                    call()

    def _swap(self) -> Exception | None:
        effects = self.turn.effects
        self.turn.effects = None
        self._cell.state = self._actor.state
        return self._cell.commit(effects) if effects else None

    async def _speak_last_words(self) -> None:
        if self._alarm is None:
            self._alarm_after_shutdown(self._cancel)
        await self._transact(self._actor.stopping, self._stop_reason)
        if self._failure is not None:
            self._cell.report(self._failure, None)
            self._failure = None

    async def _park(self) -> None:
        self._task = trio.lowlevel.current_task()
        self.is_parked = True
        mailbox = self._cell.mailbox
        mailbox.is_idle = not self._cell.is_suspended and not mailbox.is_queued
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.is_parked = False
        self._cell.mailbox.is_idle = False
        return trio.lowlevel.Abort.SUCCEEDED

    def _has_work(self) -> bool:
        return bool(self._cell.mailbox.mail) and not self._cell.is_suspended

    def _alarm_after_shutdown(self, call: Callable[[], None]) -> None:
        cell = self._cell
        assert cell.spec is not None
        self._alarm = cell.system.deadlines.alarm(cell.system.clock.now() + cell.spec.shutdown_s, call)

    def _cancel(self) -> None:
        self._scope.cancel()
        self._alarm_after_shutdown(self._abandon)

    def _abandon(self) -> None:
        self._alarm = None
        self._is_abandoned = True
        self._cell.abandoned("receive")
        self._over()

    def _over(self) -> None:
        cell = self._cell
        if self._alarm is not None:
            cell.system.deadlines.drop(self._alarm)
            self._alarm = None
        message, self._message = self._message, _NOTHING
        if self._failure is not None:
            if message is _NOTHING:
                cell.crashed(self._failure)
            else:
                cell.crashed(self._failure, message)
            return
        if message is not _NOTHING:
            cell.dropped(message, DropReason.STOPPED)
        assert self._stop_reason is not None
        cell.end(self._stop_reason)
