"""One run of Claude Code in a terminal, as a pure function.

What it does is learnt, in this order, from its exit, from its hooks, from its screen, from the clock. The
screen alone says what no hook tells: that it can be given its goal, that it asks something at its start, that
it was interrupted, that a hook was lost. Exit status 0 never means that the goal was reached.

Nothing is typed into a dialog but arrows and Enter, and Enter only while the cursor is seen on the option
that was decided for: a digit may pick another option of another version, and `n` allows.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from protocols.desktop.documents import Approval

from . import claude_dialog, claude_permission
from .claude_dialog import Dialog
from .claude_hooks import (
    PermissionRequest,
    PostToolUse,
    PostToolUseFailure,
    PreToolUse,
    Stop,
    StopFailure,
    UserPromptSubmit,
    describe_tool,
    hook_answer,
    tool_output,
)
from .claude_permission import DENIED, Asking, numbered, what_instead
from .claude_prompt import RESTARTS, first_prompt, killed_note
from .claude_screens import Look, look, said_since_prompt
from .ports import Done, Failed, NeedsApproval, Output, Ready, Withdrawn, Working
from .screens import Screen
from .terminal_facts import (
    Again,
    Answered,
    Describe,
    Described,
    End,
    Ended,
    HookHeard,
    HookLost,
    HookReply,
    InputGiven,
    InterruptAsked,
    ProgramEffect,
    ProgramFact,
    ScreenShown,
    Started,
    Tell,
    Type,
)

START_S: Final = 60.0
"""From the start to the input box. It takes 0.7 to 1.3 s on a free machine."""

SETTLE_S: Final = 0.2
"""How long a screen must stay before anything is typed on account of it."""

ENTER_S: Final = 0.4
"""From a paste to Enter: an Enter that comes with it becomes a part of it."""

ENTER_AGAIN_S: Final = 2.0
ENTERS: Final = 5
DIALOG_S: Final = 1.5
"""How long a dialog must stand without a hook for it; the hook comes 0.4 s before the dialog."""

UNKNOWN_S: Final = 3.0
INTERRUPTED_S: Final = 1.0
ERROR_S: Final = 3.0
DISAGREE_S: Final = 10.0
"""The hooks say that it works and the screen says that it does not: an observer is asked, if there is one."""

SILENT_S: Final = 15.0
"""Then the screen is believed."""

BACKGROUND_S: Final = 300.0
"""How long a finished turn is waited with for what it has left running in the background."""

HANG_S: Final = 300.0
"""Its screen moves ten times a second while it works. One that does not move for so long hangs."""

_DETAIL_LINES: Final = 20


class Entry(msgspec.Struct, frozen=True):
    """Something that was pasted into the input box.

    Attributes:
      enters: how often Enter was pressed for it; last at `typed_at`, or else it was pasted then.
    """

    text: str
    typed_at: float
    enters: int = 0


class ClaudeRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run's state.

    Attributes:
      asking: the permissions that its hooks wait for.
      prompts: what is still to be entered; the goal is the first.
      going_on: what a program is told that was started again.
      phase: `resting` waits to be told what to do instead.
      at: when the newest fact came.
      moved_at: when the terminal last printed.
      looked_since: how long `look` is what it is.
      result: of a turn that has ended while something still runs, since `result_at`.
      described_at: `looked_since` of what an observer was asked about.
    """

    asking: Asking
    prompts: tuple[str, ...]
    going_on: str = ""
    phase: Literal["starting", "working", "resting", "over"] = "starting"
    at: float = 0.0
    began_at: float = 0.0
    moved_at: float = 0.0
    bytes_read: int = 0
    screen: Screen = Screen()
    look: Look = Look(state="initializing")
    looked_since: float = 0.0
    entry: Entry | None = None
    dialog: Dialog | None = None
    resting: Approval | None = None
    is_interrupted: bool = False
    result: str | None = None
    result_at: float = 0.0
    described_at: float = -1.0
    restarts: int = 0


_Stepped = tuple[ClaudeRun, tuple[ProgramEffect, ...]]
_with = msgspec.structs.replace


def step(state: ClaudeRun, fact: ProgramFact, now: float) -> _Stepped:
    """What a fact makes of a run."""
    if state.phase == "over":
        return state, ()
    state, effects = _heard(_with(state, at=now), fact)
    if state.phase == "over":
        return state, effects
    state, more = _settle(state)
    return state, (*effects, *more)


def _heard(state: ClaudeRun, fact: ProgramFact) -> _Stepped:
    match fact:
        case Started():
            return _with(state, began_at=state.at, moved_at=state.at, looked_since=state.at), ()
        case ScreenShown():
            return _shown(state, fact)
        case HookHeard():
            return _hook(state, fact)
        case HookLost():
            return _lost(state, fact)
        case Answered():
            return _answered(state, fact)
        case InputGiven():
            return _given(state, fact.text)
        case InterruptAsked():
            # In a dialog it declines; with an empty input box it would be the first half of another command.
            if state.phase != "working" or state.look.state == "ready":
                return state, ()
            return _with(state, is_interrupted=True), (Type("\x1b"),)
        case Described():
            return state, (Tell(Output("note", fact.text)),) if fact.text else ()
        case Ended():
            if state.result is not None:
                return _done(state, state.result)
            if fact.code is None and state.phase == "working" and state.restarts < RESTARTS:
                return _again(state, fact)
            return _failed(state, f"Claude Code has ended: {fact.how}", state.screen.text or fact.text)
        case _:
            return state, ()


def wake_at(state: ClaudeRun) -> float | None:
    """When to look again though nothing happens."""
    if state.phase == "over":
        return None
    waits = (SETTLE_S, INTERRUPTED_S, DIALOG_S, UNKNOWN_S, ERROR_S, DISAGREE_S, SILENT_S)
    times = [state.looked_since + wait for wait in waits]
    if state.entry is not None:
        times += [state.entry.typed_at + ENTER_S, state.entry.typed_at + ENTER_AGAIN_S]
    if state.phase == "starting":
        times.append(state.began_at + START_S)
    if state.phase == "working" and not state.asking.held:
        times.append(state.moved_at + HANG_S)
    if state.result is not None:
        times.append(state.result_at + BACKGROUND_S)
    if state.dialog is not None:
        times += claude_dialog.wake_times(state.dialog)
    return min((time for time in times if time > state.at), default=None)


def takes(state: ClaudeRun, answer: Answered) -> bool:
    """Whether an answer is to a question that is open, and says enough."""
    if state.resting is not None and state.resting.approval_id == answer.approval_id:
        return answer.decision == "deny" or bool(answer.message)
    if state.dialog is not None and state.dialog.approval_id == answer.approval_id:
        return claude_dialog.option_of(state.dialog, answer) is not None
    return claude_permission.takes(state.asking, answer)


# ---------------------------------------------------------------------------------------------------------
# The screen


def _shown(state: ClaudeRun, fact: ScreenShown) -> _Stepped:
    seen = look(fact.screen)
    return _with(
        state,
        screen=fact.screen,
        look=seen,
        looked_since=state.looked_since if _is_same(seen, state.look) else state.at,
        moved_at=state.at if fact.bytes_read != state.bytes_read else state.moved_at,
        bytes_read=fact.bytes_read,
    ), ()


def _is_same(one: Look, other: Look) -> bool:
    """Whether two looks are one state of the program; the cursor and what is typed may differ.

    Two dialogs may differ in what they are about alone. Of what is unknown that is the whole screen, which
    may move.
    """
    if one.kind != "unknown" and one.detail != other.detail:
        return False
    return (one.state, one.kind, one.title, one.options, one.is_interrupted) == (
        *(other.state, other.kind, other.title, other.options, other.is_interrupted),
    )


def _settle(state: ClaudeRun) -> _Stepped:
    """What the screen, and how long it is so, makes of a run."""
    if state.dialog is not None:
        return _at_dialog(state, state.dialog)
    if state.entry is not None:
        return _entering(state, state.entry)
    if state.look.state == "needs_approval":
        return _sees_dialog(state)
    if not _has_stood(state, SETTLE_S) or state.look.state == "initializing":
        return _deadlines(state)
    if state.prompts and not state.asking.held and state.look.state != "working":
        return _enter(state)  # never in the middle of a turn: a dialog may come between the text and Enter
    if state.phase == "working" and state.look.state in ("ready", "error"):
        return _at_rest(state)
    return _deadlines(state)


def _has_stood(state: ClaudeRun, seconds: float) -> bool:
    """Whether the screen says the same for so long. In the sums of `wake_at`, or it would wake in vain."""
    return state.at >= state.looked_since + seconds


def _enter(state: ClaudeRun) -> _Stepped:
    """Paste the next prompt; Enter comes later."""
    text, *rest = state.prompts
    effects: list[ProgramEffect] = []
    if state.phase == "starting":
        effects.append(Tell(Ready()))
    if state.look.typed:
        effects.append(Type("\x15" * (2 * state.look.typed.count(" ") + 2)))
    effects.append(Type(f"\x1b[200~{text}\x1b[201~"))
    state = _with(
        state,
        phase="working",
        prompts=tuple(rest),
        entry=Entry(text, state.at),
        is_interrupted=False,
    )
    return state, tuple(effects)


def _entering(state: ClaudeRun, entry: Entry) -> _Stepped:
    """Press Enter until the program has taken what was pasted."""
    if entry.enters and not _is_typed(state.look, entry.text):
        return _with(state, entry=None, looked_since=state.at), ()
    if state.at < entry.typed_at + (ENTER_AGAIN_S if entry.enters else ENTER_S):
        return state, ()
    if entry.enters >= ENTERS:
        return _failed(state, "Claude Code does not take what it is told.", state.screen.text)
    entry = _with(entry, enters=entry.enters + 1, typed_at=state.at)
    if state.look.state == "needs_approval" or state.asking.held:
        return _with(state, entry=entry), ()  # Enter would answer that
    return _with(state, entry=entry), (Type("\r"),)


def _is_typed(seen: Look, text: str) -> bool:
    """Whether it is still in the input box."""
    head = " ".join(text.split())[:20]
    return bool(seen.typed) and (seen.typed.startswith(head) or "[Pasted text" in seen.typed)


def _at_rest(state: ClaudeRun) -> _Stepped:
    """The screen says that it has stopped, and no hook has said so."""
    if state.asking.held:
        return state, ()
    if state.look.state == "error" and _has_stood(state, ERROR_S):
        return _failed(state, state.look.title, said_since_prompt(state.screen))
    if (state.is_interrupted or state.look.is_interrupted) and _has_stood(state, INTERRUPTED_S):
        return _rest(state)
    if state.result is not None:
        return _deadlines(state)
    if _has_stood(state, SILENT_S):
        said = said_since_prompt(state.screen)
        return _done(state, said) if said else _failed(state, "It stopped without a word.", state.screen.text)
    if _has_stood(state, DISAGREE_S) and state.described_at != state.looked_since:
        return _with(state, described_at=state.looked_since), (Describe(state.screen),)
    return state, ()


def _rest(state: ClaudeRun) -> _Stepped:
    asking, approval_id = numbered(state.asking)
    approval = what_instead(approval_id, said_since_prompt(state.screen))
    state = _with(state, phase="resting", resting=approval, asking=asking, is_interrupted=False)
    return state, (Tell(NeedsApproval(approval, "interrupted")),)


def _deadlines(state: ClaudeRun) -> _Stepped:
    if state.phase == "starting" and state.at >= state.began_at + START_S:
        return _failed(state, "Claude Code did not start.", state.screen.text)
    if state.result is not None and state.at >= state.result_at + BACKGROUND_S:
        return _done(state, f"{state.result}\n\n[What it had left running was ended.]")
    if state.phase == "working" and not state.asking.held and state.at >= state.moved_at + HANG_S:
        return _failed(state, "Claude Code hangs: its screen does not move.", state.screen.text)
    return state, ()


# ---------------------------------------------------------------------------------------------------------
# Dialogs on the screen


def _sees_dialog(state: ClaudeRun) -> _Stepped:
    if state.asking.held:
        return state, ()  # the hook has told of it, or of one before it
    if state.look.kind == "trust" and _has_stood(state, SETTLE_S):
        # The folder is one that the user has allowed agents to work in.
        return _with(state, dialog=Dialog("", state.look, decided=state.look.trusts, since=state.at)), ()
    if not _has_stood(state, UNKNOWN_S if state.look.kind == "unknown" else DIALOG_S):
        return _deadlines(state)
    return _ask_about(state)


def _ask_about(state: ClaudeRun) -> _Stepped:
    asking, approval_id = numbered(state.asking)
    approval = claude_dialog.approval(state.look, state.screen, approval_id)
    dialog = Dialog(approval.approval_id, state.look, since=state.at)
    state = _with(state, dialog=dialog, asking=asking)
    describe = (Describe(state.screen),) if state.look.kind == "unknown" else ()
    return state, (Tell(NeedsApproval(approval, f"screen {approval.title}")), *describe)


def _at_dialog(state: ClaudeRun, dialog: Dialog) -> _Stepped:
    if not _is_same(state.look, dialog.look):
        effects: tuple[ProgramEffect, ...] = ()
        if dialog.approval_id and dialog.decided is None:
            effects = (Tell(Withdrawn(dialog.approval_id)),)
        prompts = (*((dialog.message,) if dialog.is_denied else ()), *state.prompts)
        state = _with(state, dialog=None, prompts=prompts, is_interrupted=False)
        return state, effects
    dialog, keys, has_failed = claude_dialog.press(dialog, state.look, state.at)
    state = _with(state, dialog=dialog)
    if has_failed:
        return _ask_about(_with(state, dialog=None))
    return state, (Type(keys),) if keys else ()


# ---------------------------------------------------------------------------------------------------------
# Hooks


def _hook(state: ClaudeRun, fact: HookHeard) -> _Stepped:
    event = fact.event
    match event:
        case UserPromptSubmit():
            # Its own, for something that has ended in the background, leaves what is being entered alone.
            entry = state.entry if state.entry is not None and not state.entry.enters else None
            state = _with(state, phase="working", entry=entry, result=None, looked_since=state.at)
            return state, (Tell(Working("Thinks")),)
        case PreToolUse():
            title, _ = describe_tool(event.tool_name, event.tool_input)
            return state, (Tell(Output("stdout", f"● {title}\n")), Tell(Working(title)))
        case PermissionRequest():
            return _asks_permission(state, fact.number, event)
        case PostToolUse():
            said = tool_output(event.tool_response)
            return state, (Tell(Output("stdout", f"{said}\n")),) if said else ()
        case PostToolUseFailure():
            return state, (Tell(Output("stdout", f"{event.error}\n")),) if event.error else ()
        case Stop():
            return _stopped(state, event)
        case StopFailure():
            error = event.last_assistant_message or f"The model's API has failed: {event.error}"
            return _failed(state, error, said_since_prompt(state.screen))
        case _:
            return state, ()


def _stopped(state: ClaudeRun, stop: Stop) -> _Stepped:
    said = stop.last_assistant_message
    running = [task for task in stop.background_tasks if task.status == "running"]
    if state.prompts or state.entry is not None:
        return state, (Tell(Output("stdout", f"{said}\n")),)  # there is more to do
    if not running:
        return _done(state, said)
    step_now = f"Waits for {running[0].description}" if running[0].description else "Waits"
    state = _with(state, result=said, result_at=state.at)
    return state, (Tell(Output("stdout", f"{said}\n")), Tell(Working(step_now)))


def _asks_permission(state: ClaudeRun, number: int, request: PermissionRequest) -> _Stepped:
    effects: tuple[ProgramEffect, ...] = ()
    if state.dialog is not None and state.dialog.approval_id:
        effects = (Tell(Withdrawn(state.dialog.approval_id)),)
    asking, asks = claude_permission.hold(state.asking, number, request)
    return _with(state, dialog=None, asking=asking), (*effects, Tell(asks))


def _lost(state: ClaudeRun, fact: HookLost) -> _Stepped:
    """The dialog, if it stands, is left to the screen."""
    asking, withdrawn = claude_permission.release(state.asking, fact.number)
    return _with(state, asking=asking, looked_since=state.at), tuple(map(Tell, withdrawn))


# ---------------------------------------------------------------------------------------------------------
# Decisions


def _answered(state: ClaudeRun, answer: Answered) -> _Stepped:
    if not takes(state, answer):
        return state, ()
    if state.resting is not None and state.resting.approval_id == answer.approval_id:
        if answer.decision == "deny":
            return _failed(state, "It was interrupted.", state.resting.detail)
        return _given(state, answer.message or "")
    if state.dialog is not None and state.dialog.approval_id == answer.approval_id:
        if answer.choice == claude_dialog.END:
            return _failed(state, "It was ended at a question.", state.dialog.look.detail)
        dialog = claude_dialog.decide(state.dialog, answer, state.at, DENIED)
        return _with(state, dialog=dialog), ()
    held = claude_permission.find(state.asking, answer.approval_id)
    assert held is not None
    asking, outcome = claude_permission.decide(state.asking, held, answer)
    if isinstance(outcome, NeedsApproval):
        return _with(state, asking=asking), (Tell(outcome),)
    assert isinstance(held.number, int)
    return _with(state, asking=asking, looked_since=state.at), (
        HookReply(held.number, hook_answer(outcome)),
        Tell(Working(held.approval.title)),
    )


def _given(state: ClaudeRun, text: str) -> _Stepped:
    """Another instruction; or the answer to a question of the model's, in the user's own words."""
    question = claude_permission.open_question(state.asking)
    if question is not None:
        return _answered(state, Answered(question.approval.approval_id, "approve", None, text))
    effects: tuple[ProgramEffect, ...] = ()
    if state.resting is not None:
        effects = (Tell(Withdrawn(state.resting.approval_id)), Tell(Working()))
    phase = "working" if state.phase == "resting" else state.phase
    prompts = (*state.prompts, first_prompt(text, is_resume=False))
    return _with(state, phase=phase, prompts=prompts, resting=None, result=None), effects


def _again(state: ClaudeRun, fact: Ended) -> _Stepped:
    """Somebody has killed it. What it waited for is not known to the next one, which asks anew."""
    effects = (*_withdrawals(state), Tell(Output("note", killed_note(fact.how))), Again())
    state = ClaudeRun(
        asking=_with(state.asking, held=()),
        prompts=(state.going_on, *state.prompts),
        going_on=state.going_on,
        at=state.at,
        began_at=state.at,
        restarts=state.restarts + 1,
    )
    return state, effects


def _done(state: ClaudeRun, result: str) -> _Stepped:
    return _with(state, phase="over"), (*_withdrawals(state), Tell(Done(result)), End())


def _failed(state: ClaudeRun, error: str, detail: str) -> _Stepped:
    last = "\n".join(line for line in detail.splitlines() if line.strip()).splitlines()[-_DETAIL_LINES:]
    failed = Failed(error, "\n".join(last))
    return _with(state, phase="over"), (*_withdrawals(state), Tell(failed), End())


def _withdrawals(state: ClaudeRun) -> tuple[ProgramEffect, ...]:
    open_now = [held.approval.approval_id for held in state.asking.held]
    open_now += [state.dialog.approval_id] if state.dialog is not None and state.dialog.approval_id else []
    open_now += [state.resting.approval_id] if state.resting is not None else []
    return tuple(Tell(Withdrawn(approval_id)) for approval_id in open_now)
