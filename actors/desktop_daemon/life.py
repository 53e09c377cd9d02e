"""The life of one terminal agent, as a pure machine: what it reports, when it asks, how it ends.

An adapter that asks before it acts (`goals.ASKS_ITSELF`) is started at once. For any other the goal is a
command, and so is every later input; the daemon then asks the user before it starts anything, and takes no
input, unless the user allowed that adapter in that directory. So what a language model wrote runs nowhere
before somebody said yes.

Reports count upwards by `seq` over all runs of an agent, the daemon's crashes included: each run has its own
thousand million numbers.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.desktop.documents import AgentStatus, Approval, Decision, Option
from protocols.desktop.lens import cut
from protocols.desktop.reports import CompleteReport, StatusReport

from .cutting import cut_result
from .goals import ASKS_ITSELF, plain, sayable
from .ports import (
    AgentEvent,
    AgentOrder,
    Done,
    Failed,
    NeedsApproval,
    Output,
    Ready,
    Withdrawn,
    Working,
)

SEQ_OF_A_RUN = 1_000_000_000
MOST_WAITING = 8
"""Approvals that may wait behind the open one; a further one is denied at once."""

NOBODY_ANSWERED = "nobody answered in time"
_STEP_CHARACTERS = 200
_ALLOW, _DENY = "allow", "deny"


class Asked(msgspec.Struct, frozen=True):
    """An approval that is open, or waits for its turn. `is_gate`: the daemon asks whether to start at all."""

    approval: Approval
    key: str = ""
    expires_at: float = 0.0
    is_gate: bool = False


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """Where an agent stands. Times are the system clock's seconds.

    Attributes:
      run: 1 for the first; another after each crash of the daemon.
      reports: told in this run.
      ends_at: when the run has taken too long.
    """

    order: AgentOrder
    run: int
    phase: Literal["new", "gated", "starting", "running", "over"] = "new"
    reports: int = 0
    step: str = ""
    asked: Asked | None = None
    waiting: tuple[Asked, ...] = ()
    began_at: float = 0.0
    ends_at: float = 0.0

    @property
    def status(self) -> AgentStatus:
        """As the wire has it; `over` only says that the outcome is told elsewhere."""
        if self.asked is not None:
            return "needs_approval"
        return "running" if self.phase == "running" or self.order.is_resume else "initializing"

    @property
    def seq(self) -> int:
        """Of the newest report."""
        return self.run * SEQ_OF_A_RUN + self.reports

    @property
    def due_at(self) -> float | None:
        """When `Tick` is due."""
        if self.phase == "over":
            return None
        return self.ends_at if self.asked is None else min(self.ends_at, self.asked.expires_at)


class Begin(msgspec.Struct, frozen=True):
    """The agent's actor has started."""


class Happened(msgspec.Struct, frozen=True):
    """What the adapter said."""

    event: AgentEvent


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The user's answer to an approval."""

    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None


class KillAsked(msgspec.Struct, frozen=True):
    """The user, or the server, does not want it any more."""


class InputCame(msgspec.Struct, frozen=True):
    """The user says something to it."""

    text: str


class RunEnded(msgspec.Struct, frozen=True):
    """The run is over. `cause` is what it raised; empty where it returned."""

    cause: str = ""


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


Event = Begin | Happened | Answered | KillAsked | InputCame | RunEnded | Tick


class StartRun(msgspec.Struct, frozen=True):
    """Let the adapter begin."""


class Report(msgspec.Struct, frozen=True):
    """Tell the server where it stands. `is_urgent`: do not wait for the pace of reports."""

    report: StatusReport
    is_urgent: bool = False


class Log(msgspec.Struct, frozen=True):
    """Show this in the agent's log."""

    type: Literal["stdout", "stderr", "status", "note"]
    content: str


class Answer(msgspec.Struct, frozen=True):
    """Answer the adapter's approval."""

    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None


class Input(msgspec.Struct, frozen=True):
    """Give the adapter a line."""

    text: str


class Conclude(msgspec.Struct, frozen=True):
    """This is its end. The run, where there is one, is cancelled."""

    report: CompleteReport


Effect = StartRun | Report | Log | Answer | Input | Conclude


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every agent here.

    Attributes:
      timestamp_ms: epoch milliseconds now, by the server's clock where it is known.
      can_resume: another agent can go on with this one's session, once it has ended.
    """

    approval_s: float
    result_bytes: int
    timestamp_ms: int
    can_resume: bool = False


def step(life: Life, event: Event, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    """What the event changes, and what is to be done. After the end nothing changes any more."""
    if life.phase == "over":
        return life, ()
    match event:
        case Begin():
            return _begin(life, now, rules)
        case Happened(happened):
            return _happened(life, happened, now, rules)
        case Answered():
            return _answered(life, event, now, rules)
        case KillAsked():
            return _over(life, CompleteReport(status="cancelled", error="Stopped."), now, rules)
        case InputCame(text):
            return _input(life, text)
        case RunEnded(cause):
            error = (
                f"The agent ended without a result: {cause}" if cause else "The agent ended without a result."
            )
            return _over(life, CompleteReport(status="failed", error=error), now, rules)
        case Tick():
            return _tick(life, now, rules)


def _begin(life: Life, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    if life.phase != "new":
        return life, ()
    began = msgspec.structs.replace(life, began_at=now, ends_at=now + life.order.timeout_s)
    if _runs_unasked(life.order):
        step_text = "goes on after a restart of the desktop" if life.order.is_resume else ""
        starting = msgspec.structs.replace(began, phase="starting", step=step_text)
        return _told(starting, rules, StartRun())
    gate = Asked(
        Approval(
            approval_id=f"start-{life.run}",
            title=cut(f"Run in {life.order.adapter}: {life.order.goal}"),
            tool=life.order.adapter,
            detail=f"{life.order.goal}\n\nin {life.order.cwd}",
            options=(Option(id=_ALLOW, label="Yes"), Option(id=_DENY, label="No")),
        ),
        is_gate=True,
    )
    return _ask(msgspec.structs.replace(began, phase="gated"), gate, now, rules)


def _runs_unasked(order: AgentOrder) -> bool:
    return order.adapter in ASKS_ITSELF or order.adapter in order.allowed


def _happened(life: Life, event: AgentEvent, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    match event:
        case Ready():
            return _goes_on(life, life.step, rules)
        case Working(text):
            return _goes_on(life, cut(plain(text), _STEP_CHARACTERS), rules)
        case NeedsApproval():
            return _needs(life, event, now, rules)
        case Withdrawn(approval_id):
            return _withdrawn(life, approval_id, now, rules)
        case Output(kind, content):
            return life, (Log(kind, sayable(content)),) if content else ()
        case Done(result):
            return _over(life, CompleteReport(status="completed", result=result), now, rules)
        case Failed(error, detail):
            report = CompleteReport(status="failed", error=error, result=detail or None)
            return _over(life, report, now, rules)


def _goes_on(life: Life, text: str, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    text = text or life.step
    if life.phase == "running" and text == life.step:
        return life, ()
    return _told(msgspec.structs.replace(life, phase="running", step=text), rules)


def _needs(life: Life, event: NeedsApproval, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    approval = event.approval
    if approval.kind == "permission" and approval.tool and approval.tool in life.order.allowed:
        note = Log("note", f"allowed here by your settings: {approval.title}")
        return life, (Answer(approval.approval_id, "approve"), note)
    known = (*life.waiting, life.asked) if life.asked is not None else life.waiting
    for asked in known:
        if asked.approval.approval_id == approval.approval_id or (event.key and asked.key == event.key):
            return life, ()
    life = msgspec.structs.replace(life, phase="running")
    if life.asked is None:
        return _ask(life, Asked(approval, event.key), now, rules)
    if len(life.waiting) >= MOST_WAITING:
        return life, (Answer(approval.approval_id, "deny", None, "too many questions at once"),)
    return msgspec.structs.replace(life, waiting=(*life.waiting, Asked(approval, event.key))), ()


def _ask(life: Life, asked: Asked, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    """Open an approval: its time begins now."""
    approval = msgspec.structs.replace(
        asked.approval,
        title=cut(plain(asked.approval.title)),
        tool=plain(asked.approval.tool),
        detail=sayable(asked.approval.detail),
        options=tuple(Option(id=option.id, label=plain(option.label)) for option in asked.approval.options),
        expires_at=rules.timestamp_ms + round(rules.approval_s * 1000),
    )
    opened = msgspec.structs.replace(asked, approval=approval, expires_at=now + rules.approval_s)
    return _told(msgspec.structs.replace(life, asked=opened), rules, is_urgent=True)


def _answered(life: Life, event: Answered, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    asked = life.asked
    if asked is None or asked.approval.approval_id != event.approval_id:
        return life, ()
    if event.decision == "choose" and event.choice not in {option.id for option in asked.approval.options}:
        return life, ()
    if asked.is_gate:
        is_yes = event.decision == "approve" or (event.decision == "choose" and event.choice == _ALLOW)
        return _gate_answered(life, "" if is_yes else "You did not allow it.", now, rules)
    message = None if event.message is None else plain(event.message)
    answer = Answer(asked.approval.approval_id, event.decision, event.choice, message)
    return _closed(life, now, rules, answer)


def _gate_answered(life: Life, refusal: str, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    if refusal:
        return _over(life, CompleteReport(status="failed", error=refusal), now, rules)
    return _told(msgspec.structs.replace(life, phase="starting", asked=None), rules, StartRun())


def _withdrawn(life: Life, approval_id: str, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    asked = life.asked
    if asked is not None and not asked.is_gate and asked.approval.approval_id == approval_id:
        return _closed(life, now, rules)
    waiting = tuple(other for other in life.waiting if other.approval.approval_id != approval_id)
    return msgspec.structs.replace(life, waiting=waiting), ()


def _closed(life: Life, now: float, rules: Rules, *effects: Effect) -> tuple[Life, tuple[Effect, ...]]:
    """The open approval is answered: the next one, or on."""
    after = msgspec.structs.replace(life, asked=None, waiting=life.waiting[1:])
    if life.waiting:
        after, told = _ask(after, life.waiting[0], now, rules)
    else:
        after, told = _told(after, rules, is_urgent=True)
    return after, (*effects, *told)


def _input(life: Life, text: str) -> tuple[Life, tuple[Effect, ...]]:
    line = plain(text)
    if life.phase not in ("starting", "running") or not line.strip():
        return life, ()
    if not _runs_unasked(life.order):
        note = f"input refused: {life.order.adapter} would run it unasked, not allowed here"
        return life, (Log("note", note),)
    return life, (Input(line),)


def _tick(life: Life, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    if now >= life.ends_at:
        error = f"Not done within {life.order.timeout_s:g} seconds."
        return _over(life, CompleteReport(status="failed", error=error), now, rules)
    asked = life.asked
    if asked is None or now < asked.expires_at:
        return life, ()
    if asked.is_gate:
        return _gate_answered(life, "Nobody allowed it in time.", now, rules)
    default = asked.approval.default
    if default is not None and default in {option.id for option in asked.approval.options}:
        answer = Answer(asked.approval.approval_id, "choose", default, NOBODY_ANSWERED)
    else:
        answer = Answer(asked.approval.approval_id, "deny", None, NOBODY_ANSWERED)
    return _closed(life, now, rules, answer)


def _told(
    life: Life, rules: Rules, *effects: Effect, is_urgent: bool = False
) -> tuple[Life, tuple[Effect, ...]]:
    after = msgspec.structs.replace(life, reports=life.reports + 1)
    report = StatusReport(
        status=after.status,
        current_step=after.step or None,
        approval=None if after.asked is None else after.asked.approval,
        seq=after.seq,
        timestamp=rules.timestamp_ms,
        can_resume=rules.can_resume,
    )
    return after, (Report(report, is_urgent or after.asked is not None), *effects)


def _over(life: Life, report: CompleteReport, now: float, rules: Rules) -> tuple[Life, tuple[Effect, ...]]:
    after = msgspec.structs.replace(life, phase="over", asked=None, waiting=(), reports=life.reports + 1)
    complete = msgspec.structs.replace(
        report,
        result=None if report.result is None else cut_result(report.result, rules.result_bytes),
        error=None if report.error is None else cut_result(report.error, rules.result_bytes // 16),
        execution_time_ms=round((now - life.began_at) * 1000) if life.phase != "new" else 0,
        seq=None if life.phase == "new" else after.seq,  # what was told before is forgotten: never stale
        timestamp=rules.timestamp_ms,
        can_resume=rules.can_resume,
    )
    return after, (Conclude(complete),)
