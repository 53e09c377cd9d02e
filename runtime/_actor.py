"""The two kinds of actor that applications write. What both do inside a handler is buffered until the commit.

`Actor` has a synchronous `receive` and runs on the shared run queue: no message waits behind somebody's
I/O, and nothing interleaves with a handler. `TaskActor` has an asynchronous one and a trio task of its own,
for what is sequential over something slow. Both keep what must survive a crash in `self.state`, one frozen
value assigned whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from ._ask import ActorPending
from ._cell import Cell
from ._dead_letters import DropReason
from ._errors import ActorStopped, AlreadyStarted, OutsideHandler, StashFull
from ._mailbox import Overflow
from ._ref import Ref
from ._registry import Group, Key
from ._reply import ReplyTo
from ._spec import Backoff, ChildSpec, RestartInfo, StopReason, Strategy
from ._supervision import check_name, wait_for_supervisor
from ._tasks import TaskHandle
from ._timers import Timer
from ._tree import state_name
from ._turn import CURRENT, Effect
from ._watch import unwatch, watch

if TYPE_CHECKING:
    from ._system import ActorSystem

M = TypeVar("M")
N = TypeVar("N")
R = TypeVar("R")

_STATE_TIMEOUT = "state timeout"

Kind = Literal["actor", "task", "supervisor"]


class AnyActor(Generic[M]):
    """What both kinds share.

    What a handler does by these methods happens when it commits, in the order of the calls, and not at all if
    it raises. They raise OutsideHandler while no handler of this actor runs, in `__init__` say.

    Class settings:
      mailbox_size: user messages that may wait, 1024 unless set. What the actor asked for itself does not
        count.
      overflow: `reject` (a tell is refused and returns False), `drop_oldest`, `drop_newest` (the new
        message is the one dropped), `latest(key)`, or `block` (a tell is refused, senders in `send` wait).
        Every dropped message is a dead letter.
      transient: names of attributes that are mutable and start clean in every incarnation (rings,
        decoders). All other attributes but `state` are expected to be set once; a simulated run checks that.
    """

    kind: ClassVar[Kind]
    mailbox_size: ClassVar[int] = 1024
    overflow: ClassVar[Overflow] = "reject"
    transient: ClassVar[tuple[str, ...]] = ()

    state: Any = None  # what outlives a crash: one frozen value, assigned whole
    has_start: ClassVar[bool] = True  # whether `started` does anything
    started: Callable[[RestartInfo | None], Awaitable[None] | None]
    receive: Callable[[M], Awaitable[None] | None]
    stopping: Callable[[StopReason], Awaitable[None] | None]
    _cell: Cell | None = None

    def _bind(self, cell: Cell) -> None:
        self._cell = cell

    def _place(self) -> Cell:
        if self._cell is None:
            raise OutsideHandler(self)
        return self._cell

    def _effects(self) -> list[Effect]:
        if self._cell is not None:
            turn = self._cell.turn
            is_open = turn.effects is not None and turn.cell is self._cell
            # While a TaskActor's handler waits, a task of its own is not part of the transaction.
            if is_open and (self._cell.runner is None or CURRENT.get() is turn):
                assert turn.effects is not None
                return turn.effects
        raise OutsideHandler(self)

    # ------------------------------------------------------------------ itself

    @property
    def ref(self) -> Ref[M]:
        """This actor's own handle. Not in `__init__`: the actor has no place yet."""
        cell = self._cell
        if cell is None:
            raise OutsideHandler(self)
        return cell.ref

    @property
    def system(self) -> ActorSystem:
        """The system this actor lives in."""
        return self._place().system

    @property
    def now(self) -> float:
        """The system clock, monotonic seconds."""
        return self._place().system.clock.now()

    def facts(self) -> Mapping[str, object]:
        """What the tree is to show of this actor beside what the runtime knows; plain values by name.

        Called between handlers, so it only reads. If it raises, the tree shows that. OTP: format_status.
        """
        return {}

    # ------------------------------------------------------------------ others

    def spawn(self, spec: ChildSpec[N], *, under: Ref[SupervisorMessage]) -> Ref[N]:
        """Start a child of the supervisor `under`. The ref can be told at once; its mail waits for the start.

        A start that fails is heard of by watching the ref: Terminated with the cause. While `under`
        restarts the child waits for it. OTP: supervisor:start_child, but without waiting.

        Raises:
          AlreadyStarted: `under` has a child of that name; carries its ref.
          ValueError: the name is empty or has a slash.
        """
        effects = self._effects()
        child = new_child(under.cell, spec)
        effects.append((None, partial(attach, child)))
        return child.ref

    def stop_child(self, ref: Ref[Any]) -> None:
        """Ask `ref`'s supervisor to stop it for good. No error when it has ended."""
        self._effects().append((None, partial(order_stop_child, ref.cell)))

    def tell(self, ref: Ref[N], message: N, *, refused: Callable[[Exception], M]) -> None:
        """`ref.tell(message)`, and hear of it by a message when it is refused at commit.

        The error is MailboxFull, or ActorStopped with its reason.
        """
        self._effects().append((None, partial(_tell_or_hear, ref.cell, message, self._place(), refused)))

    def ask(
        self,
        ref: Ref[N],
        make: Callable[[ReplyTo[R]], N],
        *,
        then: Callable[[R], M],
        failed: Callable[[Exception], M],
        timeout_s: float = 5.0,
    ) -> None:
        """Ask `ref` at commit; the outcome comes as the message that `then` or `failed` makes of it.

        Exactly one of the two comes, after `timeout_s` at the latest; none when this incarnation ends first.

        Args:
          make: builds the request around the ReplyTo; called at once.
          then: makes the message of the reply. If it raises, this actor crashes.
          failed: makes the message of the error, one of those of `Ref.ask` but AskCycle.
          timeout_s: seconds from the commit; 5 s is OTP's gen_server:call default.
        """
        effects = self._effects()
        pending = ActorPending(ref.cell, timeout_s, self._place(), then, failed)
        message = make(ReplyTo(pending))
        effects.append((None, partial(pending.begin, message)))

    def watch(self, ref: Ref[Any]) -> None:
        """Receive Terminated(ref, reason) once, when `ref` has ended for good, at once if it has already.

        Behind everything `ref` has told this actor. A restart is no end. OTP: monitor.

        The watch survives a restart that keeps the state, and is forgotten by one that starts clean.
        """
        self._effects().append((None, partial(watch, self._place(), ref.cell)))

    def unwatch(self, ref: Ref[Any]) -> None:
        """Hear no more of `ref`, also if the news waits in the mailbox already."""
        self._effects().append((None, partial(unwatch, self._place(), ref.cell)))

    # ------------------------------------------------------------------ tasks, timers, calls

    def start(
        self,
        fn: Callable[..., Awaitable[R]],
        *args: Any,
        then: Callable[[R], M] | None = None,
        failed: Callable[[Exception], M] | None = None,
        name: str = "",
        outlives_crash: bool = False,
    ) -> TaskHandle:
        """Start `fn(*args)` as a task of this actor, at commit. Its outcome comes back as a message.

        Args:
          then: makes the message of the result; without it the result is dropped.
          failed: makes the message of the error; without it the error crashes this actor.
          name: for people; the function's name unless given.
          outlives_crash: the task belongs to the actor and not to this incarnation; its outcome goes to the
            next.

        When the incarnation ends the task is cancelled and awaited, for `shutdown_s` at most.
        """
        effects = self._effects()
        handle = TaskHandle(self._place(), fn, args, then, failed, name, outlives_crash=outlives_crash)
        effects.append((None, handle.begin))
        return handle

    def cancel_task(self, handle: TaskHandle) -> None:
        """Cancel a task; its outcome will not arrive. No error when it is over."""
        self._effects().append((None, handle.cancel))

    def set_timer(self, key: str, after_s: float, message: M) -> None:
        """Receive `message` in `after_s` seconds, unless the timer is cancelled or its key set anew.

        Counted from this call, by the system's clock; 0 is behind the mail that waits. A timer dies with its
        incarnation: keep the deadline in `state` and set it again in `started`. Akka: keyed timers.
        """
        cell = self._place()
        timer = Timer(cell, key, cell.system.clock.now() + after_s, message, None)
        self._effects().append((None, timer.begin))

    def every(self, key: str, period_s: float, message: M) -> None:
        """Receive `message` every `period_s` seconds. A tick whose predecessor still waits is left out.

        It shares its keys with `set_timer`. Raises ValueError unless `period_s` is positive.
        """
        cell = self._place()
        if period_s <= 0:
            raise ValueError(f"period_s of timer {key!r} must be positive, not {period_s:g}")
        timer = Timer(cell, key, cell.system.clock.now() + period_s, message, period_s)
        self._effects().append((None, timer.begin))

    def cancel_timer(self, key: str) -> None:
        """The timer's message will not arrive, also if it waits already. No error when there is none."""
        self._effects().append((None, partial(_cancel_timer, self._place(), key)))

    def perform(self, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)` at commit, in order with the other effects: for connections and ports.

        If it raises, the actor crashes with its new state, and the rest of the effects still happens.
        """
        self._effects().append((None, partial(fn, *args)))

    # ------------------------------------------------------------------ names, mail, end

    def register(self, key: Key[M]) -> None:
        """Hold `key` until this actor ends for good; it may be registered again after a restart.

        Raises AlreadyRegistered, with the holder, when another actor has it. Of two that register it at once
        the second to commit crashes with it. Elixir: Registry with unique keys.
        """
        cell = self._place()
        cell.system.registry.check(key, cell)
        self._effects().append((None, partial(cell.system.registry.register, key, cell)))

    def join(self, group: Group[M]) -> None:
        """Be a member of `group` until `leave` or the end for good; again is no error. OTP: pg."""
        cell = self._place()
        self._effects().append((None, partial(cell.system.registry.join, group, cell)))

    def leave(self, group: Group[M]) -> None:
        """Be a member of `group` no more. No error when it is none."""
        cell = self._place()
        self._effects().append((None, partial(cell.system.registry.leave, group, cell)))

    def stash(self) -> None:
        """Put the message in hand aside until `unstash`. It outlives crashes: a restart brings it back first.

        Raises StashFull past `mailbox_size` messages. Catch it where others decide how many come: uncaught it
        crashes the actor, whose restart brings all of them back. Akka: Stash.
        """
        cell = self._place()
        effects = self._effects()
        if cell.stash is not None and len(cell.stash) >= self.mailbox_size:
            raise StashFull(cell.path, len(cell.stash))
        effects.append((None, partial(cell.put_aside, cell.turn.message)))

    def unstash(self) -> None:
        """Bring everything stashed back, in its order, before all mail that waits."""
        self._effects().append((None, self._place().bring_back))

    def become(self, state: Any, *, timeout_s: float | None = None, message: M | None = None) -> None:
        """Go to `state`: assign it, and if its name differs (see `TreeNode.state`) be another state machine
        state.

        Then what was postponed comes back, in its order and before all mail that waits, and the state
        timeout of the state before is cancelled. OTP: gen_statem's next_state with postpone and
        state_timeout.

        Args:
          timeout_s: receive `message` after so many seconds in this state. It dies with the incarnation, as
            every timer: keep the deadline in the state and arm it again in `started`.
        """
        is_other = state_name(state) != state_name(self.state)
        if is_other:
            self.unstash()
            self.cancel_timer(_STATE_TIMEOUT)
        if timeout_s is not None:
            assert message is not None, "a state timeout needs its message"
            self.set_timer(_STATE_TIMEOUT, timeout_s, message)
        self.state = state

    def postpone(self) -> None:
        """Handle the message in hand again in the next state. Loss-free and bounded, as `stash`.

        Raises StashFull, as `stash`. OTP: gen_statem's postpone.
        """
        self.stash()

    def unhandled(self, message: Any) -> None:
        """Say that there is no handler for `message`: it becomes a dead letter, not an error."""
        self._effects().append((None, partial(self._place().dropped, message, DropReason.UNHANDLED)))

    def stop(self) -> None:
        """End normally after this handler. A permanent actor is restarted by its supervisor.

        Once it is committed no crash takes it back: an error in the same commit is reported, no more.
        """
        self._effects().append((None, self._place().end_itself))


class Actor(AnyActor[M]):
    """An actor on the shared run queue. Override `receive`."""

    kind: ClassVar[Kind] = "actor"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.has_start = cls.started is not Actor.started

    def started(self, restart: RestartInfo | None) -> None:
        """The first transaction of every incarnation; `restart` says why there is another, None at the first.

        `state` is what `restart.state_kept` says. Arm timers here. If it raises, the start has failed.
        """

    def receive(self, message: M) -> None:
        """Handle one message. Raise to crash."""
        raise NotImplementedError(f"{type(self).__name__} has no receive")

    def stopping(self, reason: StopReason) -> None:
        """Last words of an orderly stop, a transaction too. Not called after a crash.

        Mail that waits is not handled any more. What is told here may find that its actor is stopped, too. If
        it raises, the stop goes on. OTP: terminate.
        """


class TaskActor(AnyActor[M]):
    """An actor with a trio task of its own. Override `receive`; the other handlers may be asynchronous
    too.
    """

    kind: ClassVar[Kind] = "task"

    def started(self, restart: RestartInfo | None) -> Awaitable[None] | None:
        """The first transaction of every incarnation, at most `start_s` long; see `Actor.started`."""

    async def receive(self, message: M) -> None:
        """Handle one message. Raise to crash. Commits on return."""
        raise NotImplementedError(f"{type(self).__name__} has no receive")

    def stopping(self, reason: StopReason) -> Awaitable[None] | None:
        """Last words of an orderly stop, in what is left of `shutdown_s`. Not called after a crash, nor when
        the running handler had to be cancelled.
        """

    async def commit(self) -> None:
        """Make what was done so far final: swap the state, apply the effects. A later crash leaves it
        standing.

        Raises:
          OutsideHandler: not called in this actor's handler, but in a task of its own for instance.
          ActorStopped: the handler was abandoned; nothing is committed.
          Exception: whatever a call given to `perform` raised; the rest is committed.

        Cancellation: the commit has happened.
        """
        runner = self._place().runner
        if runner is None:
            raise OutsideHandler(self)
        await runner.commit()


class SupervisorMessage:
    """Supervisors take no messages from outside; this type only says that a ref is a supervisor's."""


class Supervisor(Actor[SupervisorMessage]):
    """Starts children in order, restarts them by its strategy, stops them in reverse order.

    Class settings:
      strategy: one_for_one restarts the child alone, one_for_all all of them, rest_for_one the child and
        those after it.
      intensity, period_s: more than `intensity` restarts within `period_s` seconds and the supervisor ends,
        for its own supervisor to decide. 3 in 5 s; OTP's default is 1 in 5 s.
      intensity_scope: `child` counts for each child alone and never escalates: one past it starts clean
        after the longest wait of the backoff.
      backoff: how long restarts wait; None as in OTP: not at all.
    """

    kind: ClassVar[Kind] = "supervisor"
    strategy: ClassVar[Strategy] = "one_for_one"
    intensity: ClassVar[int] = 3
    period_s: ClassVar[float] = 5.0
    intensity_scope: ClassVar[Literal["supervisor", "child"]] = "supervisor"
    backoff: ClassVar[Backoff | None] = None

    def children(self) -> Sequence[ChildSpec[Any]]:
        """The static children, in the order of their start."""
        return ()

    def child(self, name: str) -> Ref[Any]:
        """The ref of a static child, usable before it has started (its mail waits) and after every restart.

        For `children` and the factories in it. Raises LookupError when there is no such child.
        """
        cell = self._place()
        assert cell.supervision is not None
        return cell.supervision.expect(name).ref

    def receive(self, message: SupervisorMessage) -> None:
        self.unhandled(message)


class DynamicSupervisor(Supervisor):
    """A supervisor whose children come by `spawn`. Past its own intensity it escalates as every
    supervisor.
    """


def new_child(parent: Cell, spec: ChildSpec[Any]) -> Cell:
    """A place for what `spec` makes, not yet attached. Raises ValueError and AlreadyStarted for its name."""
    name = spec.name
    check_name(name)
    if parent.supervision is not None:
        holder = parent.supervision.holder_of(name)
        if holder is not None:
            raise AlreadyStarted(holder.ref)
    child = Cell(parent.system, parent, name)
    child.spec = spec
    return child


def attach(child: Cell) -> None:
    """Give `child` to its supervisor, now or when that is up."""
    parent = child.parent
    assert parent is not None
    if parent.supervision is not None:
        parent.supervision.attach(child)
    else:
        wait_for_supervisor(parent, child)


def order_stop_child(child: Cell) -> None:
    """Tell `child`'s supervisor to stop it for good."""
    if child.parent is not None:
        child.parent.mailbox.put_system((Cell._stop_child, child))


class _Refusal:
    """News of a refused tell."""

    __slots__ = ("error", "refused")

    def __init__(self, refused: Callable[[Exception], Any], error: Exception) -> None:
        self.refused = refused
        self.error = error

    def open(self) -> Any:
        return self.refused(self.error)


def _tell_or_hear(target: Cell, message: Any, sender: Cell, refused: Callable[[Exception], Any]) -> None:
    if not target.mailbox.put(message):
        mailbox = target.mailbox
        error = mailbox.full() if mailbox.is_open else ActorStopped(target.path, target.end_reason())
        sender.mailbox.put_envelope(_Refusal(refused, error))


def _cancel_timer(cell: Cell, key: str) -> None:
    timer = None if cell.timers is None else cell.timers.pop(key, None)
    if timer is not None:
        timer.cancel()
