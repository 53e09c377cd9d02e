"""A conversation: what was said lately, and which of it a model is shown.

Questions of one user are answered side by side, so turns come in any order. A model is shown pairs: a
question with its own answer, in the order of the questions. A question that is not answered yet is in no
model's way, and the one that is being asked is never seen twice.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from protocols.desktop.documents import Conversation, Task, Turn

from ..language_ports import ModelMessage
from .settings import AssistantSettings
from .synthesis import head_and_tail

_LONGEST_TURN: Final = 16_000
"""Characters of an answer that are kept; the task has all of it."""


def going_on(
    conversation: Conversation | None, now_ms: int, settings: AssistantSettings
) -> Conversation | None:
    """The conversation that a question now belongs to; None where a new one begins with it."""
    if conversation is None or now_ms - conversation.last_active_at > settings.conversation_s * 1000:
        return None
    return conversation


def begun(user_id: str, now_ms: int) -> Conversation:
    """A conversation without a word."""
    return Conversation(
        conversation_id=f"conv_{user_id}_{now_ms}",
        user_id=user_id,
        created_at=now_ms,
        updated_at=now_ms,
        last_active_at=now_ms,
    )


def asked(conversation: Conversation, task: Task, settings: AssistantSettings) -> Conversation:
    """With a task's question."""
    turn = Turn(role="user", content=task.query, timestamp=task.created_at, task_id=task.task_id)
    return _with_turn(conversation, turn, settings)


def answered(conversation: Conversation, task: Task, settings: AssistantSettings) -> Conversation:
    """With what became of a task that has ended; unchanged where it is of another conversation.

    That one failed is said too: the next question may be about it.
    """
    if task.conversation_id != conversation.conversation_id or task.completed_at is None:
        return conversation
    result = task.result
    turn = Turn(
        role="assistant",
        content=head_and_tail(
            result.webview_content if result is not None else task.error or "", _LONGEST_TURN
        ),
        timestamp=task.completed_at,
        glasses_display=result.glasses_display if result is not None else task.error,
        type=None if result is None else result.type,
        task_id=task.task_id,
        agent_id=task.agent_id,
    )
    return _with_turn(conversation, turn, settings)


def without(conversation: Conversation, task_id: str) -> Conversation:
    """Without a task that never came to be."""
    turns = tuple(turn for turn in conversation.turns if turn.task_id != task_id)
    return replace(conversation, turns=turns)


def history(conversation: Conversation, settings: AssistantSettings) -> tuple[ModelMessage, ...]:
    """What a model is shown before a question: user and assistant in turn.

    A question that has no answer yet, as the one that is being asked, is not in it.
    """
    answers = {turn.task_id: turn for turn in conversation.turns if turn.role == "assistant"}
    shown: list[ModelMessage] = []
    for turn in conversation.turns:
        answer = answers.get(turn.task_id)
        if turn.role == "user" and answer is not None and answer.content.strip():
            shown += (
                ModelMessage("user", head_and_tail(turn.content, settings.history_characters)),
                ModelMessage("assistant", head_and_tail(answer.content.strip(), settings.history_characters)),
            )
    return tuple(shown)


def _with_turn(conversation: Conversation, turn: Turn, settings: AssistantSettings) -> Conversation:
    turns = (*conversation.turns, turn)[-settings.conversation_turns :]
    return replace(conversation, turns=turns, updated_at=turn.timestamp, last_active_at=turn.timestamp)
