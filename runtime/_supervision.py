"""A supervisor as a state machine: what it does when children start, end, and are asked to.

It works on a line of children: in the stop stage it stops the last one that is not down yet and waits, in
the start stage it starts the first one that is not up yet and waits. Start-up is a line of all static
children, a group restart (one_for_all, rest_for_one) a line of the affected ones stopped and then started,
the end a line of all. Whatever happens on the way, `_advance` looks at the line as it is and takes the next
step, so no interleaving of crashes needs a case of its own. one_for_one restarts need no line: each child
recovers alone.

Static children keep their cell while their supervisor is restarted: refs stay valid and mail waits. They
start clean then, for the ladder (keep the state, start clean, escalate) has been climbed. Dynamic children
end with the supervisor's incarnation, as OTP's do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ._errors import ActorStopped, AlreadyStarted, StartFailed
from ._events import Decided, Escalated
from ._spec import SHUTDOWN, SIBLING, Backoff, ChildSpec, RestartInfo, StopKind, StopReason

if TYPE_CHECKING:
    from ._actor import AnyActor
    from ._cell import Cell
    from ._deadlines import Alarm

_PATIENT = Backoff()  # for a child past its own intensity under a supervisor without a backoff


# Where a supervisor is, and which way its line moves. Literals for the reason of `Status`.
Phase = Literal["idle", "starting", "running", "regrouping", "halting"]
Stage = Literal["stop", "start"]


class Supervision:
    """The children of one supervisor's cell, over all its incarnations."""

    def __init__(self, cell: Cell) -> None:
        self.children: dict[str, Cell] = {}  # in the order of their start
        self.phase: Phase = "idle"
        self._cell = cell
        self._actor: Any = None
        self._static: set[str] = set()  # only asked for membership
        self._expected: dict[str, Cell] = {}
        self._line: list[Cell] = []
        self._stage: Stage = "start"
        self._infos: dict[Cell, RestartInfo | None] = {}
        self._begun: dict[Cell, bool] = {}  # of the line: started, and whether it has been up
        self._ended_early: list[Cell] = []
        self._alarm: Alarm | None = None
        self._delay_s = 0.0
        self._is_planning = False
        self._restarts: deque[float] = deque()

    # ------------------------------------------------------------------ starting

    def renew(self, actor: AnyActor[Any]) -> None:
        """A new incarnation of the supervisor is about to start."""
        self._actor = actor
        self._is_planning = True

    def expect(self, name: str) -> Cell:
        """The cell of a static child, also before its spec is known."""
        cell = self.children.get(name) or self._expected.get(name)
        if cell is not None:
            return cell
        if not self._is_planning:
            raise LookupError(
                f"{self._cell.path} has no child {name!r}; it has {', '.join(self.children) or 'none'}"
            )
        cell = self._expected[name] = type(self._cell)(self._cell.system, self._cell, name)
        return cell

    def begin(self) -> None:
        """Start the static children in order."""
        try:
            specs: Sequence[ChildSpec[Any]] = tuple(self._actor.children())
            self._adopt(specs)
        except Exception as error:
            self._cell.start_failed(error)
            return
        self._is_planning = False
        self.phase = "starting"
        self._restarts.clear()
        self._line = list(self.children.values())
        info = self._cell.restart_info
        if info is not None:
            info = RestartInfo(info.cause, info.attempt, info.since, False)
        self._infos = {cell: info if cell.was_up else None for cell in self._line}
        self._begun = {}
        self._stage = "start"
        self._advance()
        self._attach_waiting()

    def _adopt(self, specs: Sequence[ChildSpec[Any]]) -> None:
        before = {**self.children, **self._expected}
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise ValueError(f"children of {self._cell.path} share a name: {', '.join(names)}")
        stray = [name for name in self._expected if name not in names]
        if stray:
            raise LookupError(f"child({stray[0]!r}) of {self._cell.path} is not among its children()")
        self.children = {}
        self._expected = {}
        self._static = set(names)
        for spec in specs:
            check_name(spec.name)
            cell = before.pop(spec.name, None) or type(self._cell)(self._cell.system, self._cell, spec.name)
            cell.spec = spec
            cell.attempt = 0
            self.children[spec.name] = cell
        for cell in before.values():
            cell.terminate(SHUTDOWN)

    def _attach_waiting(self) -> None:
        waiting, self._cell.pending_spawns = self._cell.pending_spawns, None
        for cell in waiting or ():
            self.attach(cell)

    def holder_of(self, name: str) -> Cell | None:
        """The child that has `name` and will keep it; None while the supervisor itself ends."""
        return None if self._is_ending() else self.children.get(name)

    def attach(self, child: Cell) -> None:
        """Take a dynamic child and start it. While the supervisor restarts, the child waits."""
        if self._is_ending():
            wait_for_supervisor(self._cell, child)
            return
        there = self.children.get(child.name)
        if there is not None:
            child.terminate(StopReason(StopKind.REFUSED, AlreadyStarted(there.ref)))
            return
        self.children[child.name] = child
        child.order_start(None)

    # ------------------------------------------------------------------ what children report

    def child_started(self, child: Cell) -> None:
        """A child whose start was waited for is up."""
        if child in self._begun:
            self._begun[child] = True
            self._advance()

    def child_exited(self, child: Cell) -> None:
        """An incarnation of `child` is completely gone."""
        reason = child.ending
        if reason is None or child.status != "down" or self.children.get(child.name) is not child:
            return
        was_leaving, child.is_leaving = child.is_leaving, False
        if self.phase == "halting":
            if self._is_final() or child.name not in self._static:
                self._remove(child, reason)
            self._advance()
        elif child.is_unwanted:
            self._remove(child, reason)
            self._advance()
        elif was_leaving or (self._stage == "stop" and child in self._line):
            self._advance()
        elif self.phase == "starting":
            if child in self._line and reason.kind is StopKind.START_FAILED:
                cause = StartFailed(child.path, reason.cause or str(reason))
                self._cell.start_failed(cause)
            else:
                self._ended_early.append(child)
                self._advance()
        else:
            self._decide(child, reason)

    def streak_of(self, child: Cell, ends_at: float) -> int:
        """How many restarts in a row count when one ends at `ends_at`. A long life ends a streak."""
        is_over = child.up_since is not None and ends_at - child.up_since >= self._actor.period_s
        return 0 if is_over else child.attempt

    def stop_child(self, child: Cell) -> None:
        """Stop a child for good."""
        if self.children.get(child.name) is not child or child.is_unwanted:
            return
        child.is_unwanted = True
        if child.status == "down":
            self._remove(child, SHUTDOWN)
            self._advance()
        else:
            child.order_stop(SHUTDOWN)

    def _decide(self, child: Cell, reason: StopReason) -> None:
        assert child.spec is not None
        kind = child.spec.restart
        if not child.was_up or kind == "temporary" or (kind == "transient" and not reason.is_failure):
            self._announce(child, "remove", 0.0, state_kept=False)
            self._remove(child, reason)
            self._advance()
            return
        self._restart(child, reason)

    def _restart(self, child: Cell, reason: StopReason) -> None:
        actor, now = self._actor, self._cell.system.clock.now()
        assert child.spec is not None
        child.attempt = self.streak_of(child, child.down_since) + 1
        is_per_child = actor.intensity_scope == "child"
        is_past = self._is_past_intensity(child, now, is_per_child=is_per_child)
        if is_past and not is_per_child:
            self._escalate(child, reason)
            return
        failed_with_kept = (
            reason.kind is StopKind.START_FAILED
            and child.restart_info is not None
            and child.restart_info.state_kept
        )
        if failed_with_kept or is_past:
            child.attempt = max(child.attempt, child.spec.clean_after + 1)
        backoff: Backoff | None = actor.backoff
        chance = self._cell.system.random
        delay_s = 0.0 if backoff is None else backoff.delay_s(child.attempt, chance)
        if is_past:
            delay_s = max(delay_s, (backoff or _PATIENT).longest_s)
        is_kept = child.attempt <= child.spec.clean_after
        cause = reason.kind.value if reason.cause is None else reason.cause
        info = RestartInfo(cause, child.attempt, child.down_since, is_kept)
        self._announce(child, "restart", delay_s, state_kept=is_kept)
        if actor.strategy == "one_for_one":
            self._start_later(child, info, delay_s)
        else:
            self._regroup(child, info, delay_s)

    def _is_past_intensity(self, child: Cell, now: float, *, is_per_child: bool) -> bool:
        if is_per_child:
            if child.restarts is None:
                child.restarts = deque()
            restarts = child.restarts
        else:
            restarts = self._restarts
        while restarts and now - restarts[0] > self._actor.period_s:
            restarts.popleft()
        restarts.append(now)
        if len(restarts) <= self._actor.intensity:
            return False
        if is_per_child:
            restarts.clear()
        return True

    def _escalate(self, child: Cell, reason: StopReason) -> None:
        cell = self._cell
        cell.last_error = reason.cause
        self._announce(child, "escalate", 0.0, state_kept=False)
        cell.system.events.publish(Escalated(cell.path, child.path, reason.cause))
        cell.end(StopReason(StopKind.ESCALATED, reason.cause))

    def _start_later(self, child: Cell, info: RestartInfo, delay_s: float) -> None:
        if delay_s <= 0:
            child.order_start(info)
            return
        system = self._cell.system
        child.restart_at = system.clock.now() + delay_s
        child.retry = system.deadlines.alarm(child.restart_at, lambda: child.order_start(info))

    # ------------------------------------------------------------------ the line

    def _regroup(self, child: Cell, info: RestartInfo, delay_s: float) -> None:
        everyone = list(self.children.values())
        first = 0 if self._actor.strategy == "one_for_all" else everyone.index(child)
        is_under_way = self.phase == "regrouping"
        already = {cell for cell in self._line if is_under_way and not self._begun.get(cell)}
        self._line = [cell for place, cell in enumerate(everyone) if place >= first or cell in already]
        sibling = RestartInfo(info.cause, info.attempt, info.since, info.state_kept)
        self._infos = {cell: info if cell is child else sibling for cell in self._line}
        self.phase = "regrouping"
        self._stage = "stop"
        self._begun = {}
        self._drop_alarm()
        for cell in self._line:
            cell.restart_at = None if delay_s <= 0 else self._cell.system.clock.now() + delay_s
        self._delay_s = delay_s
        self._advance()

    def _advance(self) -> None:
        if self.phase in ("idle", "running") or self._alarm is not None:
            return
        if self._stage == "stop":
            for cell in reversed(self._line):
                if cell.status in ("new", "down", "terminated"):
                    continue
                if not cell.is_leaving:
                    cell.is_leaving = True
                    cell.order_stop(SIBLING if self.phase == "regrouping" else SHUTDOWN)
                return
            self._line_is_down()
        else:
            for cell in self._line:
                has_been_up = self._begun.get(cell)
                if has_been_up:
                    continue
                if has_been_up is None:
                    self._begun[cell] = False
                    cell.parent_waits = True
                    cell.order_start(self._infos.get(cell))
                return
            self._line_is_up()

    def _line_is_down(self) -> None:
        if self.phase == "halting":
            self._line = []
            self.phase = "idle"
            self._cell.children_gone()
            return
        for cell in tuple(self._line):
            assert cell.spec is not None
            if cell.spec.restart == "temporary":
                self._remove(cell, SHUTDOWN)
        self._begun = {}
        self._stage = "start"
        if self._delay_s > 0:
            system = self._cell.system
            start_at = system.clock.now() + self._delay_s
            for cell in self._line:
                cell.restart_at = start_at
            self._alarm = system.deadlines.alarm(start_at, self._line_may_start)
        else:
            self._advance()

    def _line_may_start(self) -> None:
        self._alarm = None
        self._advance()

    def _line_is_up(self) -> None:
        was_starting = self.phase == "starting"
        self.phase = "running"
        self._line = []
        self._infos = {}
        self._begun = {}
        ended, self._ended_early = self._ended_early, []
        if was_starting:
            self._cell.is_up()
        for cell in ended:
            if self._is_ending():
                return
            if cell.status == "down" and cell.ending is not None:
                self._decide(cell, cell.ending)

    # ------------------------------------------------------------------ ending

    def halt(self) -> None:
        """Stop all children in reverse order; then the cell is told `children_gone`."""
        self._drop_alarm()
        self._ended_early = []
        for cell in tuple(self.children.values()):
            if cell.retry is not None:
                self._cell.system.deadlines.drop(cell.retry)
                cell.retry = cell.restart_at = None
        self.phase = "halting"
        self._stage = "stop"
        self._line = list(self.children.values())
        for cell in reversed(self._line):
            if cell.status in ("new", "down") and (self._is_final() or cell.name not in self._static):
                self._remove(cell, SHUTDOWN)
        self._advance()

    def terminate(self) -> None:
        """The supervisor has ended for good, and so have its children."""
        for cell in (*self.children.values(), *self._expected.values()):
            cell.terminate(SHUTDOWN)
        self.children = {}
        self._expected = {}

    def _is_ending(self) -> bool:
        return self.phase in ("halting", "idle")

    def _is_final(self) -> bool:
        return self._cell.ending is not None and self._cell.ending.kind is StopKind.SHUTDOWN

    def _remove(self, child: Cell, reason: StopReason) -> None:
        self.children.pop(child.name, None)
        line = self._line
        if (
            line and line[-1] is child
        ):  # as a stop in order has it; the search is for a hundred thousand siblings
            line.pop()
        elif child in line:
            line.remove(child)
        child.terminate(reason)

    def _drop_alarm(self) -> None:
        if self._alarm is not None:
            self._cell.system.deadlines.drop(self._alarm)
            self._alarm = None

    def _announce(self, child: Cell, decision: str, delay_s: float, *, state_kept: bool) -> None:
        events = self._cell.system.events
        if events.is_heard:
            events.publish(Decided(child.path, decision, delay_s, state_kept))


def wait_for_supervisor(supervisor: Cell, child: Cell) -> None:
    """Keep `child` until its supervisor is up; refuse it when that has ended."""
    if supervisor.status == "terminated":
        stopped = ActorStopped(supervisor.path, supervisor.end_reason())
        child.terminate(StopReason(StopKind.REFUSED, stopped))
        return
    if supervisor.pending_spawns is None:
        supervisor.pending_spawns = []
    supervisor.pending_spawns.append(child)


def check_name(name: str) -> None:
    """Names are the parts of a path."""
    if not name or "/" in name:
        raise ValueError(f"child name {name!r} must not be empty and must not contain a slash")
