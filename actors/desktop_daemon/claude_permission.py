"""The permissions that Claude Code waits for, and what each is decided to be.

It asks by a hook or, without a terminal, by a control request of its stream; the question is the same, and so
is what may answer it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from protocols.desktop.documents import Approval, Option

from .claude_hooks import (
    AskedQuestion,
    PermissionRequest,
    Ruling,
    allow,
    answer_questions,
    deny,
    describe_tool,
    questions_of,
)
from .ports import NeedsApproval, Withdrawn
from .terminal_facts import Answered

DENIED: Final = "The user did not allow this. Go on without it, or end with what is done."
_UNANSWERED: Final = "The user does not want to answer. Decide yourself, or end with what is done."
WHAT_INSTEAD: Final = "It was interrupted. What should it do instead?"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A permission that is waited for.

    Attributes:
      number: of the hook's call, or the control request's id.
      questions: those of the model's that were not answered yet; the approval is the first one's.
      answers: to the ones before.
    """

    number: int | str
    request: PermissionRequest
    approval: Approval
    questions: tuple[AskedQuestion, ...] = ()
    answers: dict[str, str] = {}


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks its user.

    Attributes:
      ids: what the ids of its approvals begin with; no other run has it.
      asked: approvals so far.
      held: permissions that are waited for, the oldest first.
    """

    ids: str
    asked: int = 0
    held: tuple[Held, ...] = ()


_with = msgspec.structs.replace


def numbered(asking: Asking) -> tuple[Asking, str]:
    """The id of the next approval."""
    return _with(asking, asked=asking.asked + 1), f"{asking.ids}-{asking.asked + 1}"


def hold(asking: Asking, number: int | str, request: PermissionRequest) -> tuple[Asking, NeedsApproval]:
    """It asks for a permission."""
    questions = questions_of(request)
    asking, approval_id = numbered(asking)
    held = Held(
        number=number,
        request=request,
        approval=_approval(approval_id, request, questions),
        questions=questions,
    )
    return _with(asking, held=(*asking.held, held)), NeedsApproval(held.approval, f"permission {number}")


def release(asking: Asking, number: int | str) -> tuple[Asking, tuple[Withdrawn, ...]]:
    """It does not wait for this one any more."""
    lost = [held for held in asking.held if held.number == number]
    rest = tuple(held for held in asking.held if held.number != number)
    return _with(asking, held=rest), tuple(Withdrawn(held.approval.approval_id) for held in lost)


def find(asking: Asking, approval_id: str) -> Held | None:
    """What an approval is for."""
    return next((held for held in asking.held if held.approval.approval_id == approval_id), None)


def open_question(asking: Asking) -> Held | None:
    """The first question of the model's, which words of the user's would answer."""
    return next((held for held in asking.held if held.questions), None)


def takes(asking: Asking, answer: Answered) -> bool:
    """Whether an answer is to a permission that is waited for, and says enough."""
    held = find(asking, answer.approval_id)
    return held is not None and _ruling(held, answer) is not None


def decide(asking: Asking, held: Held, answer: Answered) -> tuple[Asking, Ruling | NeedsApproval]:
    """Somebody has decided; `takes` has said so. The ruling, or what is asked next of the same request."""
    ruling = _ruling(held, answer)
    rest = tuple(other for other in asking.held if other is not held)
    if isinstance(ruling, Ruling):
        return _with(asking, held=rest), ruling
    questions = held.questions[1:]
    asking, approval_id = numbered(asking)
    held = _with(
        held,
        approval=_approval(approval_id, held.request, questions),
        questions=questions,
        answers=ruling or {},
    )
    key = f"permission {held.number} {len(questions)}"
    return _with(asking, held=(*rest, held)), NeedsApproval(held.approval, key)


def what_instead(approval_id: str, detail: str) -> Approval:
    """What the user of an interrupted run is asked."""
    return Approval(
        approval_id=approval_id,
        kind="question",
        title=WHAT_INSTEAD,
        detail=detail,
        options=(Option(id="no", label="End it"),),
    )


def _approval(approval_id: str, request: PermissionRequest, questions: tuple[AskedQuestion, ...]) -> Approval:
    """What somebody is asked: the first of the model's questions, or whether it may use a tool."""
    if questions:
        asked = questions[0]
        return Approval(
            approval_id=approval_id,
            kind="question",
            tool=request.tool_name,
            title=asked.question,
            detail="\n".join(f"{each.label}: {each.description}" for each in asked.options),
            options=tuple(
                Option(id=str(number), label=each.label) for number, each in enumerate(asked.options, 1)
            ),
        )
    title, detail = describe_tool(request.tool_name, request.tool_input)
    return Approval(
        approval_id=approval_id,
        tool=request.tool_name,
        title=title,
        detail=detail,
        options=(Option(id="yes", label="Yes"), Option(id="no", label="No")),
    )


def _ruling(held: Held, answer: Answered) -> Ruling | dict[str, str] | None:
    """What the program is told; the answers so far, when there are more questions; None: no answer."""
    if not held.questions:
        match answer.decision, answer.choice:
            case ("approve", _) | ("choose", "yes"):
                return allow()
            case ("deny", _) | ("choose", "no"):
                return deny(answer.message or DENIED)
            case _:
                return None
    if answer.decision == "deny":
        return deny(answer.message or _UNANSWERED)
    labels = {option.id: option.label for option in held.approval.options}
    said = labels.get(answer.choice or "") if answer.decision == "choose" else answer.message
    if not said:
        return None
    answers = {**held.answers, held.questions[0].question: said}
    return answers if len(held.questions) > 1 else answer_questions(held.request, answers)
