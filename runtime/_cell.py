"""The cell: what stays of an actor across its incarnations.

It owns the mailbox, the last committed state, the stash, names and watches; an incarnation owns its timers,
tasks and asks, which end with it. A handler is a transaction: it runs with an empty list of effects; when
it returns, its state is swapped in and the effects are applied in order; when it raises, both are forgotten.

A life: NEW, STARTING, RUNNING, ENDING (timers dropped, children stopped, tasks cancelled and awaited), DOWN
(the supervisor decides), and then STARTING again or TERMINATED. Orders of supervisors come in the mailbox's
system lane as (method, argument) and are obeyed by the run queue between two messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from ._dead_letters import DeadLetter, DropReason
from ._errors import ActorFailed, ActorStopped, StartFailed
from ._events import Abandoned, CrashReport, Restarted, Spawned, Stopped
from ._mailbox import SKIP, Envelope, Mailbox
from ._ref import Ref
from ._reply import Failed
from ._runner import Runner
from ._spec import NORMAL, ChildSpec, RestartInfo, StopKind, StopReason
from ._supervision import Supervision
from ._turn import Effect, Turn
from ._watch import Down, forget_watches

if TYPE_CHECKING:
    from ._actor import AnyActor
    from ._ask import ActorPending, Pending
    from ._deadlines import Alarm
    from ._system import ActorSystem
    from ._tasks import TaskHandle
    from ._timers import Timer
    from ._trace import Trace
    from ._waiter import Waiter

NO_MESSAGE: Any = object()


# Where in its life an actor is. Literals: on Python 3.11 a member of an Enum costs 95 ns to name.
Status = Literal["new", "starting", "running", "ending", "down", "terminated"]


class Cell:
    """One place in the tree. All its methods run in the loop's thread, between handlers."""

    __slots__ = (
        "__dict__",
        "actor",
        "handled",
        "incarnation",
        "mailbox",
        "name",
        "parent",
        "path",
        "ref",
        "runner",
        "spec",
        "state",
        "status",
        "system",
        "takes_mail",
        "trace",
        "up_since",
        "worked_s",
    )

    # What most actors never need is read from the class until it is set: 1 us and 200 bytes less an actor.
    is_suspended = False
    is_leaving = False  # its supervisor has asked it to stop, to start it again or to end itself
    is_unwanted = False  # it was asked to stop for good
    ends_itself = False  # this incarnation has committed its own stop: no later crash takes that back
    parent_waits = False  # the supervisor wants to hear that it is up
    attempt = 0
    restarts_total = 0
    down_since = 0.0
    ending: StopReason | None = None
    restart_info: RestartInfo | None = None
    restart_at: float | None = None
    last_error: BaseException | None = None
    supervision: Supervision | None = None
    timers: dict[str, Timer] | None = None
    tasks: dict[TaskHandle, None] | None = None
    waits_for: dict[TaskHandle, None] | None = None
    asks: dict[Pending, None] | None = None
    asking: dict[ActorPending, None] | None = None
    stash: list[Any] | None = None
    watchers: dict[Cell, None] | None = None
    watching: dict[Cell, None] | None = None
    pending_spawns: list[Cell] | None = None
    start_waiters: list[Waiter] | None = None
    stop_waiters: list[Waiter] | None = None
    retry: Alarm | None = None
    shutdown_alarm: Alarm | None = None
    restarts: deque[float] | None = None

    def __init__(self, system: ActorSystem, parent: Cell | None, name: str) -> None:
        self.system = system
        self.parent = parent
        self.name = name
        self.path: str = "" if parent is None else f"{parent.path}/{name}"
        self.mailbox = Mailbox(self, system.scheduler)
        self.ref: Ref[Any] = Ref(self.mailbox, self.path)
        self.spec: ChildSpec[Any] | None = None
        self.actor: AnyActor[Any] | None = None
        self.runner: Runner | None = None
        self.trace: Trace | None = None
        self.state: Any = None
        self.status: Status = "new"
        self.incarnation: int = 0
        self.takes_mail = False  # the run queue may run it on user messages
        self.handled = 0
        self.worked_s = 0.0
        self.up_since: float | None = None

    # ------------------------------------------------------------------ running

    @property
    def was_up(self) -> bool:
        """Whether any incarnation has ever been up."""
        return self.up_since is not None

    @property
    def turn(self) -> Turn:
        """The transaction its handlers write into."""
        return self.system.scheduler.turn if self.runner is None else self.runner.turn

    def run(self, limit: int) -> int:
        """Obey orders, then handle at most `limit` messages. Returns how many were handled."""
        mailbox = self.mailbox
        if mailbox.system is not None:
            self._obey()
        done = 0
        mail = mailbox.mail
        if mail and self.takes_mail:
            actor: Any = self.actor
            turn = mailbox.scheduler.turn
            turn.cell = self
            receive: Callable[[Any], Any] = actor.receive
            if self.trace is not None:
                receive = self.trace.around(receive)
            if len(mail) > mailbox.high_water:
                mailbox.high_water = len(mail)
            while mail:
                turn.message = message = mail.popleft()
                done += 1
                effects: list[Effect] = []
                turn.effects = effects
                try:
                    if message.__class__ is Envelope:
                        mailbox.envelopes -= 1
                        turn.message = message = message.source.open()
                        if message is SKIP:
                            turn.effects = None
                            continue
                    receive(message)
                except Exception as error:
                    turn.effects = None
                    self.crashed(error, message)
                    break
                except BaseException as error:  # SystemExit and its like end the system, in order
                    turn.effects = None
                    self.system.end_with(error)
                    self.crashed(error, message)
                    break
                turn.effects = None
                self.state = actor.state
                if effects:
                    target, what = effects[0]
                    if target is not None and len(effects) == 1:  # one tell: most handlers
                        target.put(what)
                    else:
                        failure = self.commit(effects)
                        if failure is not None:
                            self.crashed(failure)
                            break
                if done >= limit or mailbox.system is not None:
                    break
            self.handled += done
            if mail:
                mailbox.mark(done)
            else:
                mailbox.taken += done
                if mailbox.system is None and not mailbox.is_pressed and self.runner is None:
                    mailbox.is_queued = False
                    mailbox.is_idle = self.takes_mail
                    return done
            if mailbox.is_pressed:
                mailbox.relieve()
            mail = mailbox.mail
        if mailbox.system is not None or (mail and self.takes_mail):
            mailbox.scheduler.ready.append(self)
            return done
        mailbox.is_queued = False
        if self.runner is None:
            mailbox.is_idle = self.takes_mail
        else:
            self.runner.settle()
        return done

    def _obey(self) -> None:
        mailbox = self.mailbox
        while mailbox.system is not None:
            orders, mailbox.system = mailbox.system, None
            for order, argument in orders:
                order(self, argument)

    def commit(self, effects: list[Effect]) -> Exception | None:
        """Apply `effects` in order, all of them. Returns the first error a call raised, unless it stops."""
        failure: Exception | None = None
        for target, what in effects:
            if target is not None:
                target.put(what)
                continue
            try:
                what()
            except Exception as error:
                if failure is None:
                    failure = error
                else:
                    self.report(error, NO_MESSAGE)
        if failure is not None and self.ends_itself:
            self.report(failure, NO_MESSAGE)
            return None
        return failure

    def dropped(self, message: Any, reason: DropReason, error: BaseException | None = None) -> None:
        """`message` will not be handled: a dead letter, and an error for who asked."""
        system = self.system
        system.dead_letters.add(DeadLetter(self.path, message, reason, error))
        pending = system.asks.get(id(message))
        if pending is None or pending.message is not message:
            return
        if reason is DropReason.POISON and error is not None:
            pending.finish(Failed(ActorFailed(self.path, error)))
        elif reason in (DropReason.STOPPED, DropReason.NO_SUCH_ACTOR):
            pending.finish(Failed(ActorStopped(self.path, self.end_reason())))
        elif reason is not DropReason.UNHANDLED:
            pending.finish(Failed(self.mailbox.full()))

    def drop_reason(self) -> DropReason:
        """Why its mail is not handled once it has ended."""
        return DropReason.STOPPED if self.was_up else DropReason.NO_SUCH_ACTOR

    def end_reason(self) -> StopReason:
        """Why it has ended."""
        return NORMAL if self.ending is None else self.ending

    # ------------------------------------------------------------------ starting

    def order_start(self, info: RestartInfo | None) -> None:
        """Start the next incarnation soon. Only while NEW or DOWN."""
        assert self.status in ("new", "down"), self.status
        self.status = "starting"
        if self.retry is not None or self.restart_at is not None:
            self.restart_at = self.retry = None
        self.mailbox.put_system((Cell._start, info))

    def _start(self, info: RestartInfo | None) -> None:
        assert self.spec is not None
        if info is not self.restart_info:
            self.restart_info = info
        if self.watching is not None and (info is None or not info.state_kept):
            forget_watches(self)
        try:
            actor = self.spec.factory()
            actor._bind(self)
            if info is not None and info.state_kept:
                actor.state = self.state
        except Exception as error:
            self.start_failed(error)
            return
        self.actor = actor
        if self.system.prepare is not None:
            self.system.prepare(actor)
        self.mailbox.configure(actor.mailbox_size, actor.overflow)
        if actor.kind == "actor" and not actor.has_start:
            self.state = actor.state
            self.is_up()
            return
        if actor.kind == "task":
            self.runner = Runner(self, actor)
            self.runner.begin(info)
            return
        if actor.kind == "supervisor":
            if self.supervision is None:
                self.supervision = Supervision(self)
            self.supervision.renew(actor)
        failure = self._transact(actor.started, info)
        if failure is not None:
            self.start_failed(failure)
        elif self.supervision is not None:
            self.supervision.begin()
        else:
            self.is_up()

    def _transact(self, handler: Callable[[Any], Any], argument: Any) -> Exception | None:
        """Run a handler other than `receive` as a transaction. Returns its error, or its commit's."""
        assert self.actor is not None
        turn = self.system.scheduler.turn
        turn.cell = self
        turn.message = NO_MESSAGE
        effects: list[Effect] = []
        turn.effects = effects
        try:
            handler(argument)
        except Exception as error:
            return error
        finally:
            turn.effects = None
        self.state = self.actor.state
        return self.commit(effects) if effects else None

    def is_up(self) -> None:
        """The start is complete."""
        self.status = "running"
        if self.ending is not None:
            self.ending = None
        # The run queue has just read the clock; a TaskActor's own task may have waited since.
        deadlines, clock = self.system.deadlines, self.system.clock
        now = self.up_since = deadlines.time if self.runner is None else clock.now()
        if self.runner is None:
            self.takes_mail = not self.is_suspended
        if self.parent_waits and self.parent is not None:
            self.parent_waits = False
            self.parent.mailbox.put_system((Cell._child_started, self))
        if self.start_waiters is not None:
            for waiter in self.start_waiters:
                waiter.resolve(self.ref)
            self.start_waiters = None
        info = self.restart_info
        if info is not None:
            self.restarts_total += 1
        if self.system.events.is_heard:
            if info is None:
                self.system.events.publish(Spawned(self.path))
            else:
                event = Restarted(self.path, info.attempt, now - info.since, info.state_kept)
                self.system.events.publish(event)

    def start_failed(self, error: Exception) -> None:
        """The start is over: undo what there is of it."""
        self.report(error, NO_MESSAGE)
        self.end(StopReason(StopKind.START_FAILED, error))

    # ------------------------------------------------------------------ ending

    def crash(self, error: BaseException) -> None:
        """Crash the present incarnation before its next message."""
        if self.status in ("starting", "running"):
            self.mailbox.put_system((Cell._crash_ordered, (self.incarnation, error)))

    def _crash_ordered(self, argument: tuple[int, Exception]) -> None:
        incarnation, error = argument
        if incarnation != self.incarnation:
            return
        if self.runner is not None:
            self.runner.fail(error)
        else:
            self.crashed(error)

    def crashed(self, error: BaseException, message: Any = NO_MESSAGE) -> None:
        """The incarnation is lost; `message` killed it."""
        if message.__class__ is Envelope:
            message = NO_MESSAGE
        if message is not NO_MESSAGE:
            self.dropped(message, DropReason.POISON, error)
        if self.status == "starting":
            self.report(error, message)
            self.end(StopReason(StopKind.START_FAILED, error))
        elif self.status == "running":
            self.report(error, message)
            self.end(NORMAL if self.ends_itself else StopReason(StopKind.CRASHED, error))

    def report(self, error: BaseException, message: Any) -> None:
        """Remember and announce an error."""
        self.last_error = error
        if self.system.events.is_heard:
            shown = None if message is NO_MESSAGE else message
            recent = () if self.trace is None else tuple(self.trace.recent)
            event = CrashReport(self.path, error, shown, self.state, self._streak() + 1, recent)
            self.system.events.publish(event)

    def _streak(self) -> int:
        parent = self.parent
        if parent is None or parent.supervision is None:
            return self.attempt
        return parent.supervision.streak_of(self, self.system.clock.now())

    def end_itself(self) -> None:
        """End normally before the next message, whatever else happens."""
        self.ends_itself = True
        self.order_stop(NORMAL)

    def order_stop(self, reason: StopReason) -> None:
        """Stop before the next message."""
        self.mailbox.put_system((Cell._stop, reason))

    def _stop(self, reason: StopReason) -> None:
        if self.status == "running":
            if self.runner is not None:
                self.runner.stop(reason)
            elif self.supervision is not None:
                self.end(reason)
            else:
                self.last_words(reason)
                self.end(reason)
        elif self.status == "starting":
            if self.runner is not None:
                self.runner.stop(reason)
            else:
                self.end(reason)

    def last_words(self, reason: StopReason) -> None:
        """Run `stopping` as the last transaction. If it raises, the stop goes on."""
        assert self.actor is not None
        failure = self._transact(self.actor.stopping, reason)
        if failure is not None:
            self.report(failure, NO_MESSAGE)

    def end(self, reason: StopReason) -> None:
        """End the incarnation: its timers, its asks, then its children, then its tasks."""
        self.status = "ending"
        self.ending = reason
        if self.ends_itself:
            self.ends_itself = False
        self.down_since = self.system.clock.now()
        self.takes_mail = self.mailbox.is_idle = False
        if self.runner is not None:
            self.mailbox.waker = None
        self.incarnation += 1
        if self.timers is not None:
            for timer in self.timers.values():
                timer.cancel()
            self.timers = None
        if self.asking is not None:
            for pending in tuple(self.asking):
                pending.abandon()
            self.asking = None
        if self.stash is not None:
            stashed, self.stash = self.stash, None
            self.mailbox.put_back(stashed)
        if self.supervision is not None:
            self.supervision.halt()
        else:
            self._end_tasks()

    def children_gone(self) -> None:
        """All children of this ending supervisor are down."""
        assert self.ending is not None
        if not self.ending.is_failure:
            self.last_words(self.ending)
        self._end_tasks()

    def _end_tasks(self) -> None:
        assert self.ending is not None
        if self.tasks is not None:
            all_of_them = not self.ending.is_failure
            doomed = {task: None for task in self.tasks if all_of_them or not task.outlives_crash}
            if doomed:
                self.waits_for = doomed
                for task in doomed:
                    task.cancel()
                self.shutdown_alarm = self._alarm_at_shutdown(self._abandon_tasks)
                return
        self._gone()

    def _alarm_at_shutdown(self, call: Callable[[], None]) -> Alarm:
        assert self.spec is not None
        return self.system.deadlines.alarm(self.system.clock.now() + self.spec.shutdown_s, call)

    def task_ended(self, task: TaskHandle) -> None:
        """A task is over, and its outcome is on its way."""
        if self.tasks is not None:
            self.tasks.pop(task, None)
            if not self.tasks:
                self.tasks = None
        if self.waits_for is not None and task in self.waits_for:
            del self.waits_for[task]
            if not self.waits_for:
                assert self.shutdown_alarm is not None
                self.system.deadlines.drop(self.shutdown_alarm)
                self._gone()

    def _abandon_tasks(self) -> None:
        for task in self.waits_for or ():
            self.abandoned(task.name)
            if self.tasks is not None:
                self.tasks.pop(task, None)
        self._gone()

    def abandoned(self, task_name: str) -> None:
        """Something did not end in time; it is not waited for any more."""
        self.system.abandoned += 1
        self.system.events.publish(Abandoned(self.path, task_name))

    def _gone(self) -> None:
        assert self.ending is not None
        self.status = "down"
        if self.waits_for is not None:
            self.waits_for = self.shutdown_alarm = None
        if self.runner is not None:
            self.runner = None
        self.actor = None
        if self.parent is None:
            self.system.root_gone(self.ending)
        else:
            self.parent.mailbox.put_system((Cell._child_exited, self))

    def terminate(self, reason: StopReason) -> None:
        """End for good: nobody will start it again. Called once."""
        self.status = "terminated"
        self.ending = reason
        if self.retry is not None:
            self.system.deadlines.drop(self.retry)
            self.retry = None
        self.restart_at = None
        if self.supervision is not None:
            self.supervision.terminate()
        for spawned in self.pending_spawns or ():
            spawned.terminate(StopReason(StopKind.REFUSED, ActorStopped(self.path, reason)))
        for task in tuple(self.tasks or ()):
            task.cancel()
        self.system.registry.release(self)
        self._close_mailbox(reason)
        forget_watches(self)
        for watcher in self.watchers or ():
            watcher.mailbox.put_envelope(Down(watcher, self, reason))
        error = (
            reason.cause
            if reason.kind is StopKind.REFUSED
            else StartFailed(self.path, reason.cause or str(reason))
        )
        for waiter in self.start_waiters or ():
            waiter.resolve(error=error if isinstance(error, Exception) else None)
        for waiter in self.stop_waiters or ():
            waiter.resolve(reason)
        self.__dict__.pop("watchers", None)
        self.__dict__.pop("supervision", None)
        self.__dict__.pop("pending_spawns", None)
        self.state = None
        if self.system.events.is_heard:
            self.system.events.publish(Stopped(self.path, reason))

    def _close_mailbox(self, reason: StopReason) -> None:
        messages, senders = self.mailbox.close()
        for message in messages:
            self.dropped(message, self.drop_reason())
        for sender in senders:
            sender.refused(ActorStopped(self.path, reason))
        for pending in tuple(self.asks or ()):
            pending.finish(Failed(ActorStopped(self.path, reason)))

    # ------------------------------------------------------------------ stashing, suspending

    def put_aside(self, message: Any) -> None:
        """Stash `message`."""
        if self.stash is None:
            self.stash = []
        self.stash.append(message)

    def bring_back(self) -> None:
        """Put the stash before everything that waits."""
        if self.stash is not None:
            stashed, self.stash = self.stash, None
            self.mailbox.put_back(stashed)

    def suspend(self, waiter: Waiter) -> None:
        """Take no further user message until resumed; orders are obeyed."""
        self.is_suspended = True
        self.takes_mail = False
        if self.runner is not None and self.runner.is_busy:
            self.runner.when_free.append(waiter.resolve)
        else:
            waiter.resolve()

    def resume(self, waiter: Waiter) -> None:
        """Take user messages again."""
        self.is_suspended = False
        if self.runner is None:
            self.takes_mail = self.status == "running"
        waiter.resolve()

    # ------------------------------------------------------------------ a supervisor's orders

    def _child_started(self, child: Cell) -> None:
        if self.supervision is not None:
            self.supervision.child_started(child)

    def _child_exited(self, child: Cell) -> None:
        if self.supervision is not None:
            self.supervision.child_exited(child)

    def _stop_child(self, child: Cell) -> None:
        if self.supervision is not None:
            self.supervision.stop_child(child)
