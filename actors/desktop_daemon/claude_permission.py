"""A permission that Claude Code waits for at its hook, and what the hook is answered with."""

from __future__ import annotations

from typing import Final

import msgspec

from protocols.desktop.documents import Approval, Option

from .claude_hooks import (
    AskedQuestion,
    PermissionRequest,
    allow,
    answer_questions,
    deny,
    describe_tool,
)
from .terminal_facts import Answered

DENIED: Final = "The user did not allow this. Go on without it, or end with what is done."
_UNANSWERED: Final = "The user does not want to answer. Decide yourself, or end with what is done."


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A permission request whose hook waits.

    Attributes:
      questions: those of the model's that were not answered yet; the approval is the first one's.
      answers: to the ones before.
    """

    number: int
    request: PermissionRequest
    approval: Approval
    questions: tuple[AskedQuestion, ...] = ()
    answers: dict[str, str] = {}


def approval_of(
    approval_id: str, request: PermissionRequest, questions: tuple[AskedQuestion, ...]
) -> Approval:
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


def reply_of(held: Held, answer: Answered) -> bytes | dict[str, str] | None:
    """What the hook is answered with; the answers so far, when there are more questions; None: no answer."""
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
