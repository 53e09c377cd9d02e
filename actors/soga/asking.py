"""What the asks for a desk's answers are made with."""

from __future__ import annotations

from collections.abc import Callable

from protocols.desktop.documents import SubAgent, Task
from runtime import ReplyTo

from ..assistant.messages import ListTasks, Query
from ..desktop.messages import AnswerApproval, ApprovalOutcome, ListAgents
from .events import Answer


def put_question(question: str) -> Callable[[ReplyTo[Task]], Query]:
    return lambda reply_to: Query(query=question, source="voice", reply_to=reply_to)


def list_tasks(limit: int) -> Callable[[ReplyTo[tuple[Task, ...]]], ListTasks]:
    return lambda reply_to: ListTasks(limit, reply_to)


def list_unfinished() -> Callable[[ReplyTo[tuple[SubAgent, ...]]], ListAgents]:
    return lambda reply_to: ListAgents(reply_to, only_unfinished=True)


def give_answer(answer: Answer) -> Callable[[ReplyTo[ApprovalOutcome]], AnswerApproval]:
    return lambda reply_to: AnswerApproval(
        agent_id=answer.agent_id,
        approval_id=answer.approval_id,
        decision=answer.decision,
        choice=answer.choice,
        reply_to=reply_to,
    )
