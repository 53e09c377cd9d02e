"""One run of a command line, of a shell or of a REPL, as a pure function.

A command is executed and its exit is the result. A shell is given the goal at its first prompt and says at
the next one how it went; it is ours, so its prompt is no guess: it prints a mark that holds a secret. Either
may ask something on the way. Only what is plainly a question is taken for one, when the cursor has rested
behind it for QUIET_S, and nobody but the user answers it.

A test runner that exits 1 has done its work: 0 and 1 are results, everything else is a failure. An exception
that a REPL shows is a failure.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from protocols.desktop.documents import Approval, Option

from .ports import Done, Failed, NeedsApproval, Ready, Withdrawn, Working
from .screens import Screen
from .terminal_facts import (
    Answered,
    End,
    Ended,
    InputGiven,
    InterruptAsked,
    ProgramEffect,
    ProgramFact,
    Prompted,
    ScreenShown,
    Started,
    Tell,
    TimePassed,
    Type,
)

QUIET_S: Final = 0.4
"""How long a program must have printed nothing before its last line is taken for a question."""

START_S: Final = 30.0
_RESULTS: Final = frozenset({0, 1})
_DETAIL_LINES: Final = 20

_YES_NO: Final = re.compile(r"[\[(]\s*(?P<yes>y(?:es)?)\s*[/|]\s*no?\b[^\])]*[\])]\W*$", re.IGNORECASE)
_ENTER: Final = re.compile(r"\b(?:press|hit)\s+(?:enter|return|any key)\b.*$", re.IGNORECASE)
_SECRET: Final = re.compile(r"\b(?:password|passphrase|passcode)\b[^:]*:\s*$", re.IGNORECASE)


class Question(msgspec.Struct, frozen=True):
    """What a program asks, and what has to be typed for each answer."""

    approval: Approval
    keys: dict[str, str]


class CommandRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run's state.

    Attributes:
      label: what runs, for people.
      line: what a shell is given at its first prompt; None where the program is the command itself.
      is_repl: it runs a language; a code says only whether there was an exception.
      ids: what the ids of its approvals begin with; no other run has it.
      asked: questions so far.
      changed_at: when the terminal last printed.
      answered_at_bytes: of the newest question that was answered: it is not asked again before more came.
    """

    label: str
    line: str | None
    ids: str
    is_repl: bool = False
    phase: Literal["starting", "running", "over"] = "starting"
    began_at: float = 0.0
    screen: Screen = Screen()
    bytes_read: int = 0
    changed_at: float = 0.0
    question: Question | None = None
    asked: int = 0
    answered_at_bytes: int = -1


def step(state: CommandRun, fact: ProgramFact, now: float) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    """What a fact makes of a run."""
    if state.phase == "over":
        return state, ()
    match fact:
        case Started():
            return _started(state, now)
        case ScreenShown():
            return _shown(state, fact, now)
        case Prompted():
            return _prompted(state, fact)
        case Ended():
            return _ended(state, fact)
        case Answered():
            return _answered(state, fact)
        case InputGiven():
            return state, (Type(fact.text + "\r"),)
        case InterruptAsked():
            return state, (Type("\x03"),)
        case TimePassed():
            return _look(state, now)
        case _:
            return state, ()  # it has no hooks


def wake_at(state: CommandRun) -> float | None:
    """When to look again though nothing happens."""
    if state.phase == "starting" and state.line is not None:
        return state.began_at + START_S
    if state.phase == "running" and state.question is None and _asks(state):
        return state.changed_at + QUIET_S
    return None


def takes(state: CommandRun, answer: Answered) -> bool:
    """Whether an answer is to the question that is open, and says enough."""
    question = state.question
    if question is None or question.approval.approval_id != answer.approval_id:
        return False
    return _keys(question, answer) is not None


def find_question(line: str) -> Question | None:
    """What the last line of a program asks; None for whatever is not plainly a question. It has no id yet."""
    match = _YES_NO.search(line)
    if match is not None:
        is_long = len(match["yes"]) > 1
        keys = {"yes": "yes\r" if is_long else "y\r", "no": "no\r" if is_long else "n\r"}
        return _question("confirm", line, (Option(id="yes", label="Yes"), Option(id="no", label="No")), keys)
    if _SECRET.search(line):
        return _question("question", line, (Option(id="no", label="Stop it"),), {"no": "\x03"})
    if _ENTER.search(line):
        options = (Option(id="yes", label="Go on"), Option(id="no", label="Stop it"))
        return _question("confirm", line, options, {"yes": "\r", "no": "\x03"})
    return None


def _question(
    kind: Literal["question", "confirm"], line: str, options: tuple[Option, ...], keys: dict[str, str]
) -> Question:
    approval = Approval(approval_id="", kind=kind, title=line.strip()[:200], options=options)
    return Question(approval, keys)


def _started(state: CommandRun, now: float) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    state = msgspec.structs.replace(state, began_at=now, changed_at=now)
    if state.line is not None:
        return state, ()
    return msgspec.structs.replace(state, phase="running"), (Tell(Ready()), Tell(Working(state.label)))


def _prompted(state: CommandRun, fact: Prompted) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    if state.line is None:
        return state, ()
    if state.phase == "starting":
        running = msgspec.structs.replace(state, phase="running")
        return running, (Tell(Ready()), Tell(Working(state.label)), Type(state.line + "\r"))
    if state.is_repl and fact.code:
        lines = fact.text.strip().splitlines()
        return _failed(state, lines[-1] if lines else "It failed.", fact.text)
    return _finished(state, f"exit status {fact.code}", fact.code, fact.text)


def _ended(state: CommandRun, fact: Ended) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    if state.line is not None and state.phase == "starting":
        return _failed(state, f"The shell could not be started: {fact.how}", fact.text)
    return _finished(state, fact.how, fact.code, fact.text)


def _finished(
    state: CommandRun, how: str, code: int | None, text: str
) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    if code not in _RESULTS:
        return _failed(state, f"{state.label}: {how}", text)
    result = text.strip("\n") if code == 0 else f"{text.rstrip()}\n\n[{how}]".lstrip("\n")
    return msgspec.structs.replace(state, phase="over", question=None), (
        *_withdrawal(state),
        Tell(Done(result)),
        End(),
    )


def _failed(state: CommandRun, error: str, text: str) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    last = "\n".join(text.rstrip().splitlines()[-_DETAIL_LINES:])
    return msgspec.structs.replace(state, phase="over", question=None), (
        *_withdrawal(state),
        Tell(Failed(error, last)),
        End(),
    )


def _shown(state: CommandRun, fact: ScreenShown, now: float) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    has_printed = fact.bytes_read != state.bytes_read
    state = msgspec.structs.replace(
        state,
        screen=fact.screen,
        bytes_read=fact.bytes_read,
        changed_at=now if has_printed else state.changed_at,
    )
    return _look(state, now)


def _look(state: CommandRun, now: float) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    """Ask what is to be asked; take back what is not asked any more."""
    if state.phase == "starting":
        if state.line is not None and now >= state.began_at + START_S:
            return _failed(state, "The shell showed no prompt", state.screen.text)
        return state, ()
    question = state.question
    if question is not None:
        if find_question(state.screen.cursor_line) is not None:
            return state, ()
        return msgspec.structs.replace(state, question=None), _withdrawal(state)
    if now < state.changed_at + QUIET_S or not _asks(state):
        return state, ()
    question = find_question(state.screen.cursor_line)
    assert question is not None
    approval = msgspec.structs.replace(
        question.approval,
        approval_id=f"{state.ids}-{state.asked + 1}",
        tool=state.label,
        detail=state.screen.text,
    )
    question = msgspec.structs.replace(question, approval=approval)
    state = msgspec.structs.replace(state, question=question, asked=state.asked + 1)
    return state, (Tell(NeedsApproval(approval, f"{approval.title}#{state.bytes_read}")),)


def _asks(state: CommandRun) -> bool:
    """Whether the screen ends in a question that was not answered yet."""
    return state.bytes_read > state.answered_at_bytes and find_question(state.screen.cursor_line) is not None


def _answered(state: CommandRun, fact: Answered) -> tuple[CommandRun, tuple[ProgramEffect, ...]]:
    question = state.question
    if question is None or not takes(state, fact):
        return state, ()
    keys = _keys(question, fact) or ""
    state = msgspec.structs.replace(state, question=None, answered_at_bytes=state.bytes_read)
    return state, (Type(keys), Tell(Working(state.label)))


def _keys(question: Question, fact: Answered) -> str | None:
    match fact.decision:
        case "deny":
            return question.keys["no"]
        case "choose":
            return question.keys.get(fact.choice or "")
        case "approve":
            if "yes" in question.keys:
                return question.keys["yes"]
            return None if fact.message is None else fact.message + "\r"


def _withdrawal(state: CommandRun) -> tuple[ProgramEffect, ...]:
    if state.question is None:
        return ()
    return (Tell(Withdrawn(state.question.approval.approval_id)),)
