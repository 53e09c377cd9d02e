"""What becomes of an agent (desktop.md section 5.3): `step` decides, the desk's `desktops` actor performs.

Final is final: whatever comes later changes nothing but `late_result`. A status never moves backwards by an
ack or a report. A daemon that is away makes its agents lost, with a deadline; what it says of one of them
ends that. An approval is answered once, and the answer is said again until the daemon is known to have it.

Deadlines are monotonic seconds and are not kept: a server that starts anew begins each grace anew.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from protocols.desktop.documents import (
    APPROVAL_S,
    FINAL,
    AgentStatus,
    Approval,
    Decision,
    Document,
    SubAgent,
)
from protocols.desktop.frames import (
    ApproveAgent,
    HeldAgent,
    KillAgent,
    SpawnAgent,
    SpawnOptions,
    ToDaemon,
)
from protocols.desktop.reports import CompleteReport, StatusReport

from .settings import DesktopSettings

NOTES_KEPT: Final = 50
ANSWERS_KEPT: Final = 8
LONGEST_STEP: Final = 1_000
LONGEST_TITLE: Final = 300
LONGEST_DETAIL: Final = 20_000
MOST_OPTIONS: Final = 20
LONGEST_APPROVAL_S: Final = 86_400.0

DISCONNECTED: Final = "Daemon disconnected"
FORGOTTEN: Final = "The computer no longer runs it"
NOT_STARTED: Final = "The computer did not start it"
REMOVED: Final = "The computer was removed"
OUR_CAUSES: Final = frozenset({DISCONNECTED, FORGOTTEN, NOT_STARTED, REMOVED})
NOBODY: Final = "nobody answered"
TOO_LATE: Final = "the answer came after the approval had expired"

_RANK: Final[dict[AgentStatus, int]] = {"pending": 0, "initializing": 1, "running": 2, "needs_approval": 2}


# ---------------------------------------------------------------------------------------------------------
# State


class Answer(Document, frozen=True, kw_only=True):
    """How an approval was answered.

    Attributes:
      is_heard: the daemon has gone on since.
    """

    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None
    expires_at: int
    is_heard: bool = False


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as its machine knows it.

    Attributes:
      agent: as it is shown and kept.
      answers: the newest, the last one last; kept, too.
      start_until: the daemon has to have said by then that it has started it.
      lost_until: it has failed then, with `lost_cause`, unless its daemon speaks of it.
      approval_until: its approval expires then.
    """

    agent: SubAgent
    answers: tuple[Answer, ...] = ()
    start_until: float | None = None
    lost_until: float | None = None
    lost_cause: str = DISCONNECTED
    approval_until: float | None = None

    @property
    def is_final(self) -> bool:
        return self.agent.status in FINAL


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When, and whether its daemon's socket is open.

    Attributes:
      now: monotonic seconds.
      wall_ms: epoch milliseconds.
    """

    now: float
    wall_ms: int
    is_online: bool = True


# ---------------------------------------------------------------------------------------------------------
# Events; StatusReport and CompleteReport are the daemon's own


class Acked(msgspec.Struct, frozen=True):
    """The daemon's answer to `spawn_agent`."""

    is_started: bool
    error: str | None = None


class Mentioned(msgspec.Struct, frozen=True):
    """Its daemon spoke of it, in a heartbeat or a log line."""


class DaemonAway(msgspec.Struct, frozen=True):
    """Its daemon's socket has ended."""


class DaemonBack(msgspec.Struct, frozen=True):
    """Its daemon's `hello`; `held` is None where that does not list it."""

    held: HeldAgent | None


class Killed(msgspec.Struct, frozen=True):
    """Its user wants it to end."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Its user has answered an approval."""

    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None


class DaemonRemoved(msgspec.Struct, frozen=True):
    """Its daemon is not its user's any more."""


class Due(msgspec.Struct, frozen=True):
    """One of its deadlines may have passed."""


AgentEvent = (
    Acked
    | StatusReport
    | CompleteReport
    | Mentioned
    | DaemonAway
    | DaemonBack
    | Killed
    | Answered
    | DaemonRemoved
    | Due
)

Outcome = Literal["taken", "ignored"]
"""Whether the event counted. An answer that is ignored is stale, a kill that is ignored met a final agent."""


class Step(msgspec.Struct, frozen=True):
    """The state after an event, and what the daemon is to be told once that is kept."""

    state: AgentState
    frames: tuple[ToDaemon, ...] = ()
    outcome: Outcome = "taken"


# ---------------------------------------------------------------------------------------------------------
# Decisions


def spawned(agent: SubAgent, moment: Moment, settings: DesktopSettings) -> Step:
    """A new agent, and the order to its daemon."""
    state = AgentState(agent=agent, start_until=moment.now + settings.start_s)
    return Step(state, (_order(agent),))


def found(
    agent: SubAgent, answers: tuple[Answer, ...], moment: Moment, settings: DesktopSettings
) -> AgentState:
    """An agent that the process before has left: lost until its daemon speaks of it."""
    state = AgentState(agent=agent, answers=answers)
    if state.is_final:
        return state
    approval_until = None
    if agent.approval is not None:
        approval_until = moment.now + max(0, agent.approval.expires_at - moment.wall_ms) / 1000
    return _lose(replace(state, approval_until=approval_until), moment, settings.grace_s, DISCONNECTED)


def deadline(state: AgentState) -> float | None:
    """When a `Due` is to come; None where nothing is waited for."""
    every = (state.start_until, state.lost_until, state.approval_until)
    known = [one for one in every if one is not None]
    return None if state.is_final or not known else min(known)


def step(state: AgentState, event: AgentEvent, moment: Moment, settings: DesktopSettings) -> Step:
    """What the event makes of the agent."""
    if state.is_final:
        return _late(state, event, moment)
    match event:
        case Acked():
            return _acked(state, event, moment)
        case StatusReport():
            return _reported(_mentioned(state, moment, settings), event, moment)
        case CompleteReport():
            return _completed(state, event, moment)
        case Mentioned():
            return Step(_mentioned(state, moment, settings))
        case DaemonAway():
            is_new = state.lost_until is None
            return Step(_lose(state, moment, settings.grace_s, DISCONNECTED) if is_new else state)
        case DaemonBack(held):
            return _back(state, held, moment, settings)
        case Killed():
            ended = _ended(state, "cancelled", moment)
            return Step(ended, (KillAgent(agent_id=state.agent.agent_id),))
        case Answered():
            return _answered(state, event, moment)
        case DaemonRemoved():
            return Step(_ended(state, "failed", moment, error=REMOVED))
        case Due():
            return _due(state, moment)


def _acked(state: AgentState, ack: Acked, moment: Moment) -> Step:
    if state.agent.status != "pending":
        return Step(state, outcome="ignored")  # it has shown life since, or the order came to it twice
    if not ack.is_started:
        error = (ack.error or NOT_STARTED)[:LONGEST_STEP]
        return Step(_ended(state, "failed", moment, error=error))
    return Step(_lives(state, "initializing", moment))


def _reported(state: AgentState, report: StatusReport, moment: Moment) -> Step:
    agent = state.agent
    if report.seq is not None:
        if report.seq <= agent.seq:
            return Step(state, outcome="ignored")
        state = _with(state, moment, seq=report.seq)
    if report.status == "cancelled":
        return Step(_ended(state, "cancelled", moment, error=report.current_step))
    state = _noted(state, report, moment)
    status = report.status
    if status in FINAL or _RANK[status] < _RANK[agent.status]:
        return Step(state)  # its end is told by `complete`; and no status goes backwards
    state = _lives(state, status, moment)
    if status != "needs_approval":
        return Step(_gone_on(state, moment))
    if report.approval is None:
        return Step(state)
    return _asked(state, report.approval, report.timestamp, moment)


def _asked(state: AgentState, asked: Approval, timestamp: float | None, moment: Moment) -> Step:
    """An approval is open; or it was answered, and the daemon does not know yet."""
    for answer in state.answers:
        if answer.approval_id == asked.approval_id:
            answering = _with(state, moment, status="running", approval=None)
            return _say_again(replace(answering, approval_until=None), answer, moment)
    if state.agent.approval is not None and state.agent.approval.approval_id != asked.approval_id:
        state = _gone_on(state, moment)
    state = _heard(state)
    left_s = APPROVAL_S
    if asked.expires_at:
        left_s = (asked.expires_at - (timestamp or moment.wall_ms)) / 1000
    left_s = min(max(left_s, 0.0), LONGEST_APPROVAL_S)
    approval = Approval(
        approval_id=asked.approval_id,
        title=asked.title[:LONGEST_TITLE],
        options=tuple(
            replace(option, label=option.label[:LONGEST_TITLE]) for option in asked.options[:MOST_OPTIONS]
        ),
        kind=asked.kind,
        tool=asked.tool[:LONGEST_TITLE],
        detail=asked.detail[:LONGEST_DETAIL],
        default=asked.default,
        expires_at=moment.wall_ms + round(left_s * 1000),
    )
    state = _with(state, moment, status="needs_approval", approval=approval)
    return Step(replace(state, approval_until=moment.now + left_s))


def _completed(state: AgentState, report: CompleteReport, moment: Moment) -> Step:
    error = report.error or ("It failed without saying why" if report.status == "failed" else None)
    ended = _ended(state, report.status, moment, error=error, result=report.result)
    seq = max(report.seq or 0, state.agent.seq)
    took_ms = max(0, int(report.execution_time_ms)) or ended.agent.execution_time_ms
    can_resume = ended.agent.can_resume or report.can_resume
    agent = replace(ended.agent, seq=seq, execution_time_ms=took_ms, can_resume=can_resume)
    return Step(replace(ended, agent=agent))


def _answered(state: AgentState, given: Answered, moment: Moment) -> Step:
    due = _due(state, moment)
    approval = due.state.agent.approval
    if due.state.is_final or approval is None or approval.approval_id != given.approval_id:
        return replace(due, outcome="ignored")
    if given.decision == "choose" and given.choice not in [option.id for option in approval.options]:
        return replace(due, outcome="ignored")
    answer = Answer(
        approval_id=approval.approval_id,
        decision=given.decision,
        choice=given.choice if given.decision == "choose" else None,
        message=given.message,
        expires_at=approval.expires_at,
    )
    return _settled(due.state, answer, moment)


def _back(state: AgentState, held: HeldAgent | None, moment: Moment, settings: DesktopSettings) -> Step:
    if held is None:
        if state.agent.status == "pending":
            waits = replace(_found_again(state, moment), start_until=moment.now + settings.start_s)
            return Step(waits, (_order(state.agent),))
        return Step(_lose(state, moment, settings.missing_s, FORGOTTEN))
    state = _found_again(state, moment)
    if held.status in FINAL:
        return Step(state)  # its `complete` is on its way
    if _RANK[held.status] > _RANK[state.agent.status] or state.agent.status == "pending":
        state = _lives(state, "running" if _RANK[held.status] == 2 else "initializing", moment)
    frames: list[ToDaemon] = []
    for answer in state.answers:
        if not answer.is_heard:
            said = _say_again(state, answer, moment, may_be_done=held.status != "needs_approval")
            state = said.state
            frames += said.frames
    return Step(state, tuple(frames))


def _due(state: AgentState, moment: Moment) -> Step:
    frames: tuple[ToDaemon, ...] = ()
    approval = state.agent.approval
    if _is_past(state.approval_until, moment) and approval is not None:
        default = next((option.id for option in approval.options if option.id == approval.default), None)
        answer = Answer(
            approval_id=approval.approval_id,
            decision="deny" if default is None else "choose",
            choice=default,
            message=NOBODY,
            expires_at=approval.expires_at,
        )
        expired = _settled(state, answer, moment, note=f"Not answered in time: {approval.title}")
        state, frames = expired.state, expired.frames
    if _is_past(state.lost_until, moment):
        return Step(_ended(state, "failed", moment, error=state.lost_cause))
    if _is_past(state.start_until, moment):
        ended = _ended(state, "failed", moment, error=NOT_STARTED)
        return Step(ended, (KillAgent(agent_id=state.agent.agent_id),))
    return Step(state, frames)


def _late(state: AgentState, event: AgentEvent, moment: Moment) -> Step:
    """What comes after the end."""
    agent = state.agent
    match event:
        case CompleteReport():
            said = event.result or event.error
            if said and agent.late_result is None and said not in (agent.result, agent.error):
                return Step(_with(state, moment, late_result=said), outcome="ignored")
        case StatusReport(status=status) if status not in FINAL:
            # It goes on as if nothing were: it has not heard, or cannot.
            return Step(state, (KillAgent(agent_id=agent.agent_id),), outcome="ignored")
    return Step(state, outcome="ignored")


# ---------------------------------------------------------------------------------------------------------
# Pieces


def _order(agent: SubAgent) -> SpawnAgent:
    return SpawnAgent(
        agent_id=agent.agent_id,
        agent_type=agent.type,
        goal=agent.goal,
        working_directory=agent.working_directory,
        options=SpawnOptions(),
        resumes=msgspec.UNSET if agent.resumes is None else agent.resumes,
    )


def _with(state: AgentState, moment: Moment, **fields: object) -> AgentState:
    return replace(state, agent=replace(state.agent, updated_at=moment.wall_ms, **fields))


def _lives(state: AgentState, status: AgentStatus, moment: Moment) -> AgentState:
    started_at = state.agent.started_at or moment.wall_ms
    return replace(_with(state, moment, status=status, started_at=started_at), start_until=None)


def _ended(
    state: AgentState,
    status: AgentStatus,
    moment: Moment,
    *,
    error: str | None = None,
    result: str | None = None,
) -> AgentState:
    agent = state.agent
    ended = replace(
        agent,
        status=status,
        error=error,
        result=result,
        approval=None,
        is_lost=False,
        execution_time_ms=max(0, moment.wall_ms - (agent.started_at or agent.created_at)),
        updated_at=moment.wall_ms,
        completed_at=moment.wall_ms,
    )
    return AgentState(agent=ended, answers=state.answers)


def _lose(state: AgentState, moment: Moment, for_s: float, cause: str) -> AgentState:
    lost = state if state.agent.is_lost else _with(state, moment, is_lost=True)
    return replace(lost, start_until=None, lost_until=moment.now + for_s, lost_cause=cause)


def _found_again(state: AgentState, moment: Moment) -> AgentState:
    known = _with(state, moment, is_lost=False) if state.agent.is_lost else state
    return replace(known, lost_until=None, lost_cause=DISCONNECTED)


def _mentioned(state: AgentState, moment: Moment, settings: DesktopSettings) -> AgentState:
    """Its daemon lives. Without a socket it stays lost, with the whole grace from here."""
    if state.lost_until is None:
        return state
    if moment.is_online:
        return _found_again(state, moment)
    return replace(state, lost_until=moment.now + settings.grace_s, lost_cause=DISCONNECTED)


def _noted(state: AgentState, report: StatusReport, moment: Moment) -> AgentState:
    agent = state.agent
    notes = list(agent.notes)
    current = agent.current_step
    for note in report.notes:
        if note and note[:LONGEST_STEP] not in notes:
            notes.append(note[:LONGEST_STEP])
    if report.current_step and report.current_step[:LONGEST_STEP] != current:
        current = report.current_step[:LONGEST_STEP]
        notes.append(current)
    can_resume = agent.can_resume or report.can_resume
    kept = tuple(notes[-NOTES_KEPT:])
    return _with(state, moment, current_step=current, notes=kept, can_resume=can_resume)


def _heard(state: AgentState) -> AgentState:
    """The daemon has gone on: it knows every answer that was given."""
    if all(answer.is_heard for answer in state.answers):
        return state
    return replace(state, answers=tuple(replace(answer, is_heard=True) for answer in state.answers))


def _gone_on(state: AgentState, moment: Moment) -> AgentState:
    """What was asked is settled at the daemon's end."""
    state = _heard(state)
    if state.agent.approval is None:
        return state
    return replace(_with(state, moment, approval=None), approval_until=None)


def _settled(state: AgentState, answer: Answer, moment: Moment, *, note: str = "") -> Step:
    notes = (*state.agent.notes, *([note] if note else []))[-NOTES_KEPT:]
    answered = _with(state, moment, status="running", approval=None, notes=notes)
    answers = (*state.answers, answer)[-ANSWERS_KEPT:]
    return Step(
        replace(answered, answers=answers, approval_until=None),
        (_telling(state, answer),),
    )


def _say_again(state: AgentState, answer: Answer, moment: Moment, *, may_be_done: bool = False) -> Step:
    """The answer once more, or a denial where its time has passed: then nobody knows what it would allow."""
    if answer.decision == "deny" or moment.wall_ms < answer.expires_at:
        return Step(state, (_telling(state, answer),))
    late = replace(answer, decision="deny", choice=None, message=TOO_LATE)
    answers = tuple(late if one.approval_id == answer.approval_id else one for one in state.answers)
    notes = state.agent.notes
    if not may_be_done:
        notes = (*notes, "An answer came to the computer after its approval had expired")[-NOTES_KEPT:]
    state = replace(_with(state, moment, notes=notes), answers=answers)
    return Step(state, (_telling(state, late),))


def _telling(state: AgentState, answer: Answer) -> ApproveAgent:
    return ApproveAgent(
        agent_id=state.agent.agent_id,
        approval_id=answer.approval_id,
        decision=answer.decision,
        choice=answer.choice,
        message=answer.message,
    )


def _is_past(until: float | None, moment: Moment) -> bool:
    return until is not None and moment.now >= until
