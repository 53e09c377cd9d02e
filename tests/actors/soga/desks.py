"""Desks that do what a test says: one actor that is roster, assistant and desktops of everybody."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec

from actors.assistant.messages import FindTask, ListTasks, Query
from actors.desktop.messages import (
    AgentChanged,
    AnswerApproval,
    ApprovalOutcome,
    Desk,
    DeskEvent,
    EnsureDesk,
    ListAgents,
    Listen,
    TaskChanged,
)
from actors.domain import Domain
from protocols.desktop.documents import FINAL, SubAgent, Task
from runtime import Actor, ChildSpec, Recipient


class Desks:
    """What the scripted desks know, beyond the life of their actor: what is kept in the store.

    Attributes:
      queries, answers: what was asked, and how approvals were answered, in order.
      is_deaf: nothing is answered; with `hears_ensure` nothing but where the desk is.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.agents: dict[str, SubAgent] = {}
        self.queries: list[Query] = []
        self.answers: list[AnswerApproval] = []
        self.listeners: list[Recipient[DeskEvent]] = []
        self.outcomes: dict[str, ApprovalOutcome] = {}
        self.is_deaf = self.hears_ensure = False
        self._numbers = itertools.count(1)

    def spec(self, domain: Domain) -> ChildSpec[Any]:
        return ChildSpec(name="desk roster", factory=lambda: ScriptedDesks(self))

    def tell(self, *changed: Task | SubAgent) -> None:
        """Keep these documents, and tell whoever listens."""
        for one in changed:
            if isinstance(one, Task):
                self.tasks[one.task_id] = one
            else:
                self.agents[one.agent_id] = one
            event = TaskChanged(one) if isinstance(one, Task) else AgentChanged(one)
            for listener in self.listeners:
                listener.tell(event)

    def take(self, query: Query, user_id: str, now_ms: int) -> Task:
        task = Task(
            task_id=f"task_{next(self._numbers)}",
            user_id=user_id,
            conversation_id="conv_1",
            query=query.query,
            source=query.source,
            created_at=now_ms,
            updated_at=now_ms,
        )
        self.queries.append(query)
        self.tasks[task.task_id] = task
        return task

    @property
    def task(self) -> Task:
        """The newest one."""
        return list(self.tasks.values())[-1]


class ScriptedDesks(Actor[Any]):
    """Answers as `Desks` has it."""

    def __init__(self, desks: Desks) -> None:
        self.desks = desks
        self.state: Mapping[str, str] = {}

    def receive(self, message: Any) -> None:
        desks = self.desks
        if desks.is_deaf and not (desks.hears_ensure and isinstance(message, EnsureDesk)):
            return
        match message:
            case EnsureDesk(user_id, reply_to):
                reply_to.tell(Desk(user_id, self.ref, self.ref))
            case Listen(listener):
                desks.listeners = [*(known for known in desks.listeners if known is not listener), listener]
            case Query(reply_to=reply_to):
                reply_to.tell(desks.take(message, "ada@example.org", round(self.system.clock.wall() * 1000)))
            case ListTasks(limit, reply_to):
                newest = sorted(desks.tasks.values(), key=lambda one: -one.created_at)
                reply_to.tell(tuple(newest[:limit]))
            case ListAgents(reply_to, only_unfinished):
                agents = (
                    one for one in desks.agents.values() if not only_unfinished or one.status not in FINAL
                )
                reply_to.tell(tuple(agents))
            case FindTask(task_id, reply_to):
                reply_to.tell(desks.tasks.get(task_id))
            case AnswerApproval():
                self._answer(message)

    def _answer(self, answer: AnswerApproval) -> None:
        agent = self.desks.agents.get(answer.agent_id)
        is_open = (
            agent is not None
            and agent.approval is not None
            and agent.approval.approval_id == answer.approval_id
        )
        if is_open and agent is not None:
            self.desks.answers.append(answer)
            running = msgspec.structs.replace(agent, status="running", approval=None)
            self.desks.tell(running)
        if answer.reply_to is not None:
            answer.reply_to.tell("taken" if is_open else "stale")
