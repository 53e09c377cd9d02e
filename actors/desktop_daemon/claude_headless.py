"""One run of Claude Code without a terminal, as a pure function.

It says everything in lines of JSON (`claude_stream.py`), so nothing is guessed from a screen: a permission is
a request with an id and is answered with that id, and how a turn went is what its `result` says. Exit status
0 never means that the goal was reached.

A program that somebody has killed is started again in its session, and is told to go on. It is given the next
prompt when its turn has ended: one that comes in the middle would become a part of that turn.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from protocols.desktop.documents import Approval

from . import claude_permission, claude_stream
from .claude_hooks import describe_tool, tool_output
from .claude_permission import Asking, numbered, what_instead
from .claude_prompt import RESTARTS, first_prompt, killed_note
from .claude_stream import (
    ApiRetried,
    NotJson,
    OtherAsked,
    Overlong,
    PermissionAsked,
    PermissionDropped,
    Replied,
    StreamEvent,
    TasksChanged,
    TextSaid,
    ToolEnded,
    ToolUsed,
    TurnBegan,
    TurnEnded,
)
from .goals import plain
from .ports import Done, Failed, NeedsApproval, Output, Ready, Withdrawn, Working
from .terminal_facts import (
    Again,
    Answered,
    End,
    Ended,
    InputGiven,
    InterruptAsked,
    LineHeard,
    ProgramEffect,
    ProgramFact,
    Send,
    Started,
    Tell,
)

START_S: Final = 60.0
"""From the start to its first reply. It takes 0.5 to 1.5 s on a free machine."""

QUIET_S: Final = 60.0
"""After so long without a line it is asked whether it is there. It replies in some ms, whatever it does."""

HANG_S: Final = 300.0
"""One that has said nothing for so long, though asked, hangs."""

BACKGROUND_S: Final = 300.0
"""How long a finished turn is waited with for what it has left running in the background."""

AFTERWARDS_S: Final = 5.0
"""When that has ended the program begins a turn of its own, within a tenth of a second."""

_DETAIL_LINES: Final = 20
_LOG_CHARACTERS: Final = 2 * 1024
_HARMLESS: Final = (b'{"type":"user"', b'{"type":"assistant"')
"""How a line begins that nothing waits for."""


class ClaudeHeadless(msgspec.Struct, frozen=True, kw_only=True):
    """A run's state.

    Attributes:
      asking: the permissions that it waits for.
      prompts: what is still to be said to it; the goal is the first.
      going_on: what a program is told that was started again.
      phase: `resting` waits to be told what to do instead.
      at: when the newest fact came.
      heard_at: when it last said anything.
      pinged_at: when it was last asked whether it is there.
      requests: of ours, so far; their numbers are their ids.
      initialize: the id of this program's first.
      is_interrupted: it was told to end its turn.
      tasks: what runs in the background.
      result: of a turn that has ended while something still runs, since `result_at`.
      said: the newest text of the model's.
    """

    asking: Asking
    prompts: tuple[str, ...]
    going_on: str = ""
    phase: Literal["starting", "working", "resting", "over"] = "starting"
    at: float = 0.0
    began_at: float = 0.0
    heard_at: float = 0.0
    pinged_at: float = 0.0
    requests: int = 0
    initialize: str = ""
    is_interrupted: bool = False
    tasks: tuple[str, ...] = ()
    resting: Approval | None = None
    result: str | None = None
    result_at: float = 0.0
    said: str = ""
    restarts: int = 0


_Stepped = tuple[ClaudeHeadless, tuple[ProgramEffect, ...]]
_with = msgspec.structs.replace


def step(state: ClaudeHeadless, fact: ProgramFact, now: float) -> _Stepped:
    """What a fact makes of a run."""
    if state.phase == "over":
        return state, ()
    state, effects = _heard(_with(state, at=now), fact)
    if state.phase == "over":
        return state, effects
    state, more = _deadlines(state)
    return state, (*effects, *more)


def wake_at(state: ClaudeHeadless) -> float | None:
    """When to look again though nothing happens."""
    if state.phase == "over":
        return None
    if state.phase == "starting":
        return state.began_at + START_S
    times = [max(state.heard_at, state.pinged_at) + QUIET_S, state.heard_at + HANG_S]
    if state.result is not None:
        times.append(_result_due(state))
    return min(times)


def takes(state: ClaudeHeadless, answer: Answered) -> bool:
    """Whether an answer is to a question that is open, and says enough."""
    if state.resting is not None and state.resting.approval_id == answer.approval_id:
        return answer.decision == "deny" or bool(answer.message)
    return claude_permission.takes(state.asking, answer)


def _heard(state: ClaudeHeadless, fact: ProgramFact) -> _Stepped:
    match fact:
        case Started():
            state = _with(state, phase="starting", began_at=state.at, heard_at=state.at, pinged_at=state.at)
            state, request_id = _request(state)
            return _with(state, initialize=request_id), (Send(claude_stream.initialize(request_id)),)
        case LineHeard(Overlong() as line):
            return _overlong(_with(state, heard_at=state.at), line)
        case LineHeard(bytes() as line):
            return _line(_with(state, heard_at=state.at), line)
        case Answered():
            return _answered(state, fact)
        case InputGiven():
            return _given(state, fact.text)
        case InterruptAsked():
            if state.phase != "working" or state.result is not None:
                return state, ()
            state, request_id = _request(_with(state, is_interrupted=True))
            return state, (Send(claude_stream.interrupt(request_id)),)
        case Ended():
            return _ended(state, fact)
        case _:
            return state, ()  # it has no screen and no hooks


def _request(state: ClaudeHeadless) -> tuple[ClaudeHeadless, str]:
    number = state.requests + 1
    return _with(state, requests=number), f"glasshouse-{number}"


# ---------------------------------------------------------------------------------------------------------
# What it says


def _line(state: ClaudeHeadless, line: bytes) -> _Stepped:
    effects: tuple[ProgramEffect, ...] = ()
    for event in claude_stream.read_line(line):
        state, more = _event(state, event)
        effects += more
        if state.phase == "over":
            break
    return state, effects


def _overlong(state: ClaudeHeadless, line: Overlong) -> _Stepped:
    if line.head.startswith(_HARMLESS):
        return state, (Tell(Output("note", f"[... a line of {line.size} bytes left out ...]\n")),)
    return _failed(state, f"Claude Code has said more at once than is read: {line.size} bytes.", state.said)


def _event(state: ClaudeHeadless, event: StreamEvent) -> _Stepped:
    match event:
        case Replied():
            return _replied(state, event)
        case TurnBegan():
            return _with(state, result=None), (Tell(Working("Thinks")),)
        case TextSaid():
            return _with(state, said=event.text), (Tell(_output(event.text)),)
        case ToolUsed():
            title, _ = describe_tool(event.name, event.input)
            return state, (Tell(_output(f"● {title}")), Tell(Working(title)))
        case ToolEnded():
            said = event.content if event.is_error else tool_output(event.response)
            return state, (Tell(_output(said)),) if said else ()
        case PermissionAsked():
            if any(held.number == event.request_id for held in state.asking.held):
                return state, ()
            asking, asks = claude_permission.hold(state.asking, event.request_id, event.request)
            return _with(state, asking=asking), (Tell(asks),)
        case PermissionDropped():
            asking, withdrawn = claude_permission.release(state.asking, event.request_id)
            return _with(state, asking=asking), tuple(map(Tell, withdrawn))
        case OtherAsked():
            return state, (Send(claude_stream.refuse(event.request_id, f"{event.subtype}: not known here")),)
        case ApiRetried():
            return state, (Tell(Working(f"Asks the model again: {event.error}"[:_LOG_CHARACTERS])),)
        case TasksChanged():
            tasks = tuple(task.description for task in event.tasks)
            return _with(state, tasks=tasks, result_at=state.at), ()
        case TurnEnded():
            return _turn_ended(state, event)
        case NotJson():
            return state, (Tell(_output(plain(event.text))),)


def _output(text: str) -> Output:
    text = text.rstrip("\n")
    return Output(
        "stdout", f"{text[:_LOG_CHARACTERS]}\n[...]\n" if len(text) > _LOG_CHARACTERS else f"{text}\n"
    )


def _replied(state: ClaudeHeadless, reply: Replied) -> _Stepped:
    if state.phase != "starting" or reply.request_id != state.initialize:
        return state, ()
    if reply.error:
        return _failed(state, f"Claude Code could not be started: {reply.error}", "")
    state, effects = _say_next(state)
    return state, (Tell(Ready()), *effects)


def _say_next(state: ClaudeHeadless) -> _Stepped:
    """Say what there is to be said."""
    text, *rest = state.prompts
    state = _with(state, phase="working", prompts=tuple(rest), result=None)
    return state, (Send(claude_stream.prompt(text)),)


def _turn_ended(state: ClaudeHeadless, turn: TurnEnded) -> _Stepped:
    if state.phase == "starting":
        return _failed(state, turn.error or "Claude Code could not be started.", "")
    if state.phase == "resting":
        return state, ()  # one of its own, about something in the background
    if turn.is_interrupted or (state.is_interrupted and turn.subtype == "error_during_execution"):
        state = _with(state, is_interrupted=False)
        return _say_next(state) if state.prompts else _rest(state)
    state = _with(state, is_interrupted=False)
    if turn.is_error or turn.subtype != "success":
        return _failed(state, turn.error or f"Claude Code has given up: {turn.subtype}", state.said)
    if state.prompts:
        return _say_next(state)
    if state.tasks:
        step_now = f"Waits for {state.tasks[0]}" if state.tasks[0] else "Waits"
        return _with(state, result=turn.result, result_at=state.at), (Tell(Working(step_now)),)
    return (
        _done(state, turn.result) if turn.result else _failed(state, "It stopped without a word.", state.said)
    )


def _rest(state: ClaudeHeadless) -> _Stepped:
    asking, approval_id = numbered(state.asking)
    approval = what_instead(approval_id, state.said)
    state = _with(state, phase="resting", resting=approval, asking=asking)
    return state, (Tell(NeedsApproval(approval, "interrupted")),)


# ---------------------------------------------------------------------------------------------------------
# Decisions


def _answered(state: ClaudeHeadless, answer: Answered) -> _Stepped:
    if not takes(state, answer):
        return state, ()
    if state.resting is not None and state.resting.approval_id == answer.approval_id:
        if answer.decision == "deny":
            return _failed(state, "It was interrupted.", state.resting.detail)
        return _given(state, answer.message or "")
    held = claude_permission.find(state.asking, answer.approval_id)
    assert held is not None
    asking, outcome = claude_permission.decide(state.asking, held, answer)
    state = _with(state, asking=asking)
    if isinstance(outcome, NeedsApproval):
        return state, (Tell(outcome),)
    line = claude_stream.answer_permission(str(held.number), held.request, outcome)
    return state, (Send(line), Tell(Working(held.approval.title)))


def _given(state: ClaudeHeadless, text: str) -> _Stepped:
    """Another instruction; or the answer to a question of the model's, in the user's own words."""
    question = claude_permission.open_question(state.asking)
    if question is not None:
        return _answered(state, Answered(question.approval.approval_id, "approve", None, text))
    state = _with(state, prompts=(*state.prompts, first_prompt(text, is_resume=False)))
    if state.resting is not None:
        withdrawn = Withdrawn(state.resting.approval_id)
        state, effects = _say_next(_with(state, resting=None))
        return state, (Tell(withdrawn), Tell(Working()), *effects)
    if state.phase == "working" and state.result is not None:
        return _say_next(state)
    return state, ()


# ---------------------------------------------------------------------------------------------------------
# The end


def _ended(state: ClaudeHeadless, fact: Ended) -> _Stepped:
    if state.result is not None:
        return _done(state, state.result)
    if fact.code is None and state.phase == "working" and state.restarts < RESTARTS:
        return _again(state, fact)
    return _failed(state, f"Claude Code has ended: {fact.how}", plain(fact.text) or state.said)


def _again(state: ClaudeHeadless, fact: Ended) -> _Stepped:
    effects = (*_withdrawals(state), Tell(Output("note", killed_note(fact.how))), Again())
    state = ClaudeHeadless(
        asking=_with(state.asking, held=()),
        prompts=(state.going_on, *state.prompts),
        going_on=state.going_on,
        at=state.at,
        began_at=state.at,
        requests=state.requests,
        restarts=state.restarts + 1,
    )
    return state, effects


def _deadlines(state: ClaudeHeadless) -> _Stepped:
    if state.phase == "starting":
        is_late = state.at >= state.began_at + START_S
        return _failed(state, "Claude Code did not start.", state.said) if is_late else (state, ())
    if state.result is not None and state.at >= _result_due(state):
        left = "\n\n[What it had left running was ended.]" if state.tasks else ""
        return _done(state, f"{state.result}{left}")
    if state.at >= state.heard_at + HANG_S:
        return _failed(state, "Claude Code hangs: it does not answer.", state.said)
    if state.at >= max(state.heard_at, state.pinged_at) + QUIET_S:
        state, request_id = _request(_with(state, pinged_at=state.at))
        return state, (Send(claude_stream.are_you_there(request_id)),)
    return state, ()


def _result_due(state: ClaudeHeadless) -> float:
    return state.result_at + (BACKGROUND_S if state.tasks else AFTERWARDS_S)


def _done(state: ClaudeHeadless, result: str) -> _Stepped:
    return _with(state, phase="over"), (*_withdrawals(state), Tell(Done(result)), End())


def _failed(state: ClaudeHeadless, error: str, detail: str) -> _Stepped:
    last = "\n".join(line for line in detail.splitlines() if line.strip()).splitlines()[-_DETAIL_LINES:]
    failed = Failed(error, "" if last == [error] else "\n".join(last))
    return _with(state, phase="over"), (*_withdrawals(state), Tell(failed), End())


def _withdrawals(state: ClaudeHeadless) -> tuple[ProgramEffect, ...]:
    open_now = [held.approval.approval_id for held in state.asking.held]
    open_now += [state.resting.approval_id] if state.resting is not None else []
    return tuple(Tell(Withdrawn(approval_id)) for approval_id in open_now)
