"""A task's machine in a test's hands: what it asks for is collected, and answered by the test."""

from __future__ import annotations

from typing import Any, TypeVar

from actors.assistant import flow
from actors.assistant.flow import FlowEffect, FlowEvent, Work
from actors.assistant.settings import AssistantSettings
from actors.language_ports import ErrorKind, ModelAnswer, ModelMessage
from adapters.simulated.language_model import decides, says
from protocols.desktop.documents import AgentStatus, Approval, Option, SubAgent, Task

ADA = "ada@example.org"
START_MS = 1_700_000_000_000
E = TypeVar("E")


def task(query: str = "Fix the auth bug in login.ts", **fields: Any) -> Task:
    return Task(
        task_id="task_1_abcdef",
        user_id=ADA,
        conversation_id="conv_1",
        query=query,
        created_at=START_MS,
        updated_at=START_MS,
        **fields,
    )


def agent(status: AgentStatus = "running", *, agent_id: str = "agent_1", **fields: Any) -> SubAgent:
    kept: dict[str, Any] = {"goal": "Fix it.", "created_at": START_MS, **fields}
    return SubAgent(
        agent_id=agent_id,
        daemon_id="daemon_1",
        user_id=ADA,
        session_id="master_1",
        task_id="task_1_abcdef",
        status=status,
        updated_at=START_MS,
        **kept,
    )


class Machine:
    """One task, step by step.

    Attributes:
      effects: of the last step.
      now: seconds; the calendar goes along, `wall_offset_ms` ahead.
    """

    def __init__(
        self,
        query: str = "Fix the auth bug in login.ts",
        *,
        history: tuple[ModelMessage, ...] = (),
        settings: AssistantSettings | None = None,
        **fields: Any,
    ) -> None:
        self.settings = settings or AssistantSettings()
        self.work: Work = flow.resumed(task(query, **fields), history)
        self.now = 0.0
        self.wall_offset_ms = 0
        self.effects: tuple[FlowEffect, ...] = ()

    @property
    def task(self) -> Task:
        return self.work.task

    def take(self, event: FlowEvent, *, after_s: float = 0.0) -> Machine:
        self.now += after_s
        wall_ms = START_MS + round(self.now * 1000) + self.wall_offset_ms
        self.work, self.effects = flow.step(self.work, event, self.now, wall_ms, self.settings)
        return self

    def begin(self) -> Machine:
        return self.take(flow.Began())

    def answer(self, answer: ModelAnswer, *, after_s: float = 0.0) -> Machine:
        return self.take(flow.Answered(self.work.job, answer), after_s=after_s)

    def fail(self, kind: ErrorKind, *, retry_after_s: float = 0.0, after_s: float = 0.0) -> Machine:
        return self.take(
            flow.NotAnswered(self.work.job, kind, f"the cause of {kind}", retry_after_s), after_s=after_s
        )

    def look(self, *, after_s: float) -> Machine:
        return self.take(flow.Looked(), after_s=after_s)

    def the(self, kind: type[E]) -> E:
        """The one effect of that kind in the last step."""
        (found,) = self.all(kind)
        return found

    def all(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


APPROVAL = Approval(approval_id="approval_1", title="Run npm test?", options=(Option(id="1", label="Yes"),))


def spawning(machine: Machine | None = None) -> Machine:
    """A task whose agent is to be started."""
    machine = (machine or Machine()).begin()
    machine.answer(decides("spawn_agent", goal="the draft"))
    return machine.answer(says("Fix the password check in login.ts.", model="claude-sonnet-4-6"))


def running(machine: Machine | None = None) -> Machine:
    return spawning(machine).take(flow.Spawned(agent("initializing")))


def synthesizing(status: AgentStatus = "completed", **fields: Any) -> Machine:
    return running().take(flow.AgentMoved(agent(status, **fields)))
