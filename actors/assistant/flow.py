"""One task, from its query to its end, as a machine: decide, formulate the goal, spawn, wait, synthesise.

A task that goes on with an agent that has ended begins with the third: what the user says is what the agent
is told, and no model is asked about it.

It knows no model, no desktop and no clock. What it asks of them are effects, what comes of it are events; a
number says which of its questions an answer belongs to, so one that nobody waits for any more changes
nothing. The document that outsiders see is a part of its state: whoever runs the machine keeps it, tells of
it when it is kept, and begins again from it after a crash (`resumed`).

A task fails only where there is nothing to say: no decision, no agent, no end of one in time. An agent that
fails is a completed task that says so, and a goal or a synthesis that no model writes has a substitute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from protocols.desktop.documents import FINAL, AgentResult, Phase, SubAgent, Task, TaskResult
from protocols.desktop.lens import cut

from ..language_ports import ErrorKind, ModelAnswer, ModelMessage, ModelRequest, ToolCall, ToolResult
from . import costs, deciding, synthesis
from .settings import AssistantSettings


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A task and where its machine stands.

    Attributes:
      task: as it is to be kept and shown.
      history: what was said before, as models are shown it.
      rounds: calls and results of the decision so far.
      job: the model's answer, or the tools' results, that is waited for; 0 where none is.
      jobs: how many there have been.
      asked_at: when the model was first asked the present question.
      attempts: at it.
      again_at: it is asked again then.
      due_at: the agent has begun, or ended, by then, or is given up.
      is_free: the model refuses to be told which tool to call.
      goal: of the agent: what was decided, then what was formulated.
      directory: where the agent is to work.
      ended: how the agent ended.
    """

    task: Task
    history: tuple[ModelMessage, ...] = ()
    rounds: tuple[ModelMessage, ...] = ()
    job: int = 0
    jobs: int = 0
    asked_at: float = 0.0
    attempts: int = 0
    again_at: float | None = None
    due_at: float | None = None
    is_free: bool = False
    goal: str = ""
    directory: str | None = None
    ended: AgentResult | None = None

    @property
    def is_over(self) -> bool:
        return self.task.status != "processing"


# ---------------------------------------------------------------------------------------------------------
# Events


class Began(msgspec.Struct, frozen=True, tag=True):
    """The task begins, or is taken up again after a crash: nothing runs. `agent` is the one it has."""

    agent: SubAgent | None = None


class Answered(msgspec.Struct, frozen=True, tag=True):
    job: int
    answer: ModelAnswer


class NotAnswered(msgspec.Struct, frozen=True, tag=True):
    job: int
    kind: ErrorKind
    cause: str
    retry_after_s: float = 0.0


class ToolsRan(msgspec.Struct, frozen=True, tag=True):
    job: int
    results: tuple[ToolResult, ...]


class Spawned(msgspec.Struct, frozen=True, tag=True):
    agent: SubAgent


class NotSpawned(msgspec.Struct, frozen=True, tag=True):
    """`cause` is plain language that fits the lens."""

    cause: str


class AgentMoved(msgspec.Struct, frozen=True, tag=True):
    agent: SubAgent


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """The user gives it up."""


class Looked(msgspec.Struct, frozen=True, tag=True):
    """Time has passed."""


FlowEvent = Began | Answered | NotAnswered | ToolsRan | Spawned | NotSpawned | AgentMoved | Cancelled | Looked

# ---------------------------------------------------------------------------------------------------------
# Effects


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Ask the model, and say what came of it."""

    job: int
    request: ModelRequest
    within_s: float


class RunTools(msgspec.Struct, frozen=True, tag=True):
    """Run these, and say what came of them."""

    job: int
    calls: tuple[ToolCall, ...]


class Start(msgspec.Struct, frozen=True, tag=True):
    """Have a desktop start an agent; once, however often it is asked for. `resumes` as in the task."""

    goal: str
    working_directory: str | None
    resumes: str | None = None


class Kill(msgspec.Struct, frozen=True, tag=True):
    """End the agent: nobody waits for it."""

    agent_id: str


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits for this job any more."""

    job: int


class LookAgain(msgspec.Struct, frozen=True, tag=True):
    """Say `Looked` in so long at the latest."""

    after_s: float


FlowEffect = Ask | RunTools | Start | Kill | Drop | LookAgain

Step = tuple[Work, tuple[FlowEffect, ...]]

_AGAIN: Final[frozenset[ErrorKind]] = frozenset({"rate", "overloaded", "network", "timeout", "protocol"})
"""The kinds of failure that may pass; the others come again."""

_SAID: Final[Mapping[ErrorKind, str]] = {
    "auth": "The assistant's key was refused. Its server needs a good one.",
    "quota": "The assistant's account has no credits left.",
    "rate": "The assistant is asked too much right now. Try again soon.",
    "overloaded": "The assistant is overloaded right now. Try again soon.",
    "network": "The assistant cannot be reached right now. Try again soon.",
    "timeout": "The assistant took too long to decide. Try again.",
    "protocol": "The assistant could not be understood. Try again.",
    "request": "The assistant's model refused the question.",
    "model": "The assistant's settings name a model that there is not.",
}
"""What a wearer reads of a decision that no model made."""

CANCELLED: Final = "Cancelled."
AGENT_GONE: Final = "The agent is gone. Please ask again."
NOT_STARTED: Final = "Your computer did not start an agent in time."
TOO_LONG: Final = "The agent took too long and was stopped."


def resumed(task: Task, history: tuple[ModelMessage, ...]) -> Work:
    """What goes on from a task that was kept before the process ended."""
    return Work(task=task, history=history, directory=task.working_directory)


def step(work: Work, event: FlowEvent, now: float, wall_ms: int, settings: AssistantSettings) -> Step:
    """What `event` changes and what is to be done, in order.

    Args:
      now: monotonic seconds, for deadlines.
      wall_ms: epoch milliseconds, for the document.
    """
    return _Turn(work, now, wall_ms, settings).take(event)


class _Turn:
    """One step, while it is made."""

    def __init__(self, work: Work, now: float, wall_ms: int, settings: AssistantSettings) -> None:
        self.work = work
        self.now = now
        self.wall_ms = wall_ms
        self.settings = settings
        self.effects: list[FlowEffect] = []

    def take(self, event: FlowEvent) -> Step:
        if self.work.is_over:
            if isinstance(event, Spawned) and event.agent.status not in FINAL:
                self.effects.append(Kill(event.agent.agent_id))  # it came when the task was given up
            return self.work, tuple(self.effects)
        match event:
            case Began(agent):
                self._begin(agent)
            case Answered(job, answer):
                if job == self.work.job > 0:
                    self._answered(answer)
            case NotAnswered():
                if event.job == self.work.job > 0:
                    self._not_answered(event)
            case ToolsRan(job, results):
                if job == self.work.job > 0:
                    self._tools_ran(results)
            case Spawned(agent) | AgentMoved(agent):
                self._agent_moved(agent)
            case NotSpawned(cause):
                if self.work.task.phase == "spawning":
                    self._fail(cause)
            case Cancelled():
                self._drop_job()
                self._kill_agent()
                self._fail(CANCELLED, is_cancelled=True)
            case Looked():
                pass
            case _ as never:
                assert_never(never)
        self._look()
        return self.work, tuple(self.effects)

    # -- the way of a task

    def _begin(self, agent: SubAgent | None) -> None:
        task = self.work.task
        self._put(job=0, again_at=None, due_at=None, attempts=0)
        if agent is not None and task.agent_id not in (None, agent.agent_id):
            agent = None
        if self.work.ended is not None:
            self._phase("synthesizing")
            self._ask_first()
        elif agent is not None and agent.status in FINAL:
            self._put_task(agent_id=agent.agent_id, agent_spawned=True)
            self._synthesize(agent)
        elif agent is not None:
            # Asking for it again tells whoever runs it that somebody waits here.
            self.effects.append(Start(agent.goal, agent.working_directory, task.resumes))
            self._agent_moved(agent)
        elif task.agent_id is not None:
            self._fail(AGENT_GONE)
        elif task.resumes is not None:
            self._put(goal=task.query)
            self._spawn()
        elif task.phase == "spawning" and self.work.goal:
            self._spawn()
        elif task.phase == "formulating" and self.work.goal:
            self._formulate()
        else:
            self._put(rounds=())
            self._decide()

    def _decide(self) -> None:
        self._phase("deciding")
        self._ask_first()

    def _formulate(self) -> None:
        self._phase("formulating")
        self._ask_first()

    def _spawn(self) -> None:
        self._phase("spawning")
        self._put(due_at=self.now + self.settings.spawn_s)
        self.effects.append(Start(self.work.goal, self.work.directory, self.work.task.resumes))

    def _synthesize(self, agent: SubAgent) -> None:
        ended = AgentResult(
            agent_id=agent.agent_id,
            status=agent.status,
            result=_cut(agent.result, self.settings),
            error=_cut(agent.error, self.settings),
            execution_time_ms=agent.execution_time_ms,
        )
        self._put(ended=ended, due_at=None)
        self._phase("synthesizing")
        if ended.status == "cancelled":
            self._complete_with(synthesis.fallback(ended))
        else:
            self._ask_first()

    # -- the models

    def _ask_first(self) -> None:
        self._put(asked_at=self.now, attempts=0)
        self._ask()

    def _ask(self) -> None:
        left_s = self.work.asked_at + self._patience_s() - self.now
        job = self.work.jobs + 1
        self._put(job=job, jobs=job, attempts=self.work.attempts + 1, again_at=None)
        self.effects.append(Ask(job, self._request(), left_s))

    def _patience_s(self) -> float:
        return self.settings.decide_s if self.work.task.phase == "deciding" else self.settings.think_s

    def _request(self) -> ModelRequest:
        work, settings = self.work, self.settings
        query = work.task.query
        if work.task.phase == "deciding":
            return deciding.request_of(
                query,
                work.history,
                work.rounds,
                model=settings.fast_model,
                most_tokens=settings.answer_tokens,
                is_last=len(work.rounds) // 2 + 1 >= settings.rounds,
                may_force=not work.is_free,
            )
        if work.task.phase == "formulating":
            return synthesis.goal_request(
                query,
                work.goal,
                work.history,
                model=settings.smart_model,
                most_tokens=settings.answer_tokens,
            )
        assert work.ended is not None, work.task.phase
        return synthesis.result_request(
            query,
            work.ended,
            model=settings.smart_model,
            most_tokens=settings.answer_tokens,
            characters=settings.result_characters,
        )

    def _answered(self, answer: ModelAnswer) -> None:
        self._put(job=0)
        usage = costs.with_answer(self.work.task.usage, answer, self.settings.prices)
        self._put_task(usage=usage, cost_usd=round(sum(use.cost_usd for use in usage), 9))
        phase = self.work.task.phase
        if phase == "deciding":
            self._decided(answer)
        elif phase == "formulating":
            self._put(goal=synthesis.goal_of(answer, self.work.goal))
            self._spawn()
        elif self.work.ended is not None:
            self._complete_with(synthesis.texts_of(answer) or synthesis.fallback(self.work.ended))

    def _decided(self, answer: ModelAnswer) -> None:
        calls = deciding.wanted_tools(answer)
        if calls and len(self.work.rounds) // 2 + 1 < self.settings.rounds:
            job = self.work.jobs + 1
            rounds = (*self.work.rounds, ModelMessage("assistant", answer.text, calls=calls))
            self._put(job=job, jobs=job, rounds=rounds)
            self.effects.append(RunTools(job, calls))
            return
        decided = deciding.POLITE if calls else deciding.decision_of(answer)
        if decided.type == "spawn_agent":
            self._put(goal=decided.goal, directory=self.work.directory or decided.working_directory)
            self._formulate()
        else:
            self._complete(
                TaskResult(
                    type=decided.type,
                    glasses_display=cut(decided.glasses_display),
                    webview_content=decided.webview_content,
                )
            )

    def _tools_ran(self, results: tuple[ToolResult, ...]) -> None:
        # The query stands behind the results, so that it is the last thing in every question.
        message = ModelMessage("user", self.work.task.query, results=results)
        self._put(job=0, rounds=(*self.work.rounds, message))
        self._ask_first()

    def _not_answered(self, failure: NotAnswered) -> None:
        work, settings = self.work, self.settings
        self._put(job=0)
        is_deciding = work.task.phase == "deciding"
        if failure.kind == "request" and is_deciding and not work.is_free:
            self._put(is_free=True)
            self._ask()
            return
        wait_s = max(failure.retry_after_s, settings.retry_s * 2.0 ** (work.attempts - 1))
        is_in_time = self.now + wait_s < work.asked_at + self._patience_s()
        if (
            failure.kind in _AGAIN
            and work.attempts < settings.attempts
            and wait_s <= settings.retry_most_s
            and is_in_time
        ):
            self._put(again_at=self.now + wait_s)
        elif is_deciding:
            self._fail(_SAID[failure.kind], detail=failure.cause)
        elif work.task.phase == "formulating":
            self._spawn()  # with the goal as it was decided
        elif work.ended is not None:
            self._complete_with(synthesis.fallback(work.ended))

    # -- the agent

    def _agent_moved(self, agent: SubAgent) -> None:
        task = self.work.task
        if task.agent_id is None:
            self._put_task(agent_id=agent.agent_id, agent_spawned=True)
        elif task.agent_id != agent.agent_id or task.phase == "synthesizing":
            return
        self._drop_job()
        if agent.status in FINAL:
            self._synthesize(agent)
            return
        if task.phase not in {"running", "needs_approval"} or self.work.due_at is None:
            # By the wall clock once only: one that jumps afterwards ends nobody's agent.
            left_s = self.settings.agent_s - max(0.0, (self.wall_ms - agent.created_at) / 1000)
            self._put(due_at=self.now + left_s)
        self._phase("needs_approval" if agent.status == "needs_approval" else "running")
        if agent.status == "needs_approval" and agent.approval != self.work.task.approval:
            self._put_task(approval=agent.approval)
        self._put(again_at=None)

    # -- time

    def _look(self) -> None:
        """Do what is due, and say when the next thing is."""
        work = self.work
        if work.again_at is not None and self.now >= work.again_at:
            self._ask()
        if work.due_at is not None and self.now >= work.due_at:
            self._kill_agent()
            self._fail(NOT_STARTED if work.task.phase == "spawning" else TOO_LONG)
        moments = [at for at in (self.work.again_at, self.work.due_at) if at is not None]
        if moments and not self.work.is_over:
            self.effects.append(LookAgain(max(min(moments) - self.now, 0.0)))

    # -- the ends

    def _complete_with(self, texts: synthesis.Texts) -> None:
        ended = self.work.ended
        assert ended is not None
        self._complete(
            TaskResult(
                type="agent_result",
                glasses_display=cut(texts.glasses_display),
                webview_content=texts.webview_content,
                agent_id=ended.agent_id,
                agent_result=ended,
            )
        )

    def _complete(self, result: TaskResult) -> None:
        self._end()
        self._put_task(status="completed", result=result)

    def _fail(self, error: str, *, detail: str | None = None, is_cancelled: bool = False) -> None:
        self._end()
        self._put_task(status="failed", error=cut(error), error_detail=detail, is_cancelled=is_cancelled)

    def _end(self) -> None:
        self._put(job=0, again_at=None, due_at=None)
        self._put_task(
            phase=None,
            approval=None,
            processing_time_ms=max(0, self.wall_ms - self.work.task.created_at),
            completed_at=self.wall_ms,
        )

    def _drop_job(self) -> None:
        if self.work.job:
            self.effects.append(Drop(self.work.job))
            self._put(job=0)

    def _kill_agent(self) -> None:
        if self.work.task.agent_id is not None and self.work.ended is None:
            self.effects.append(Kill(self.work.task.agent_id))

    def _phase(self, phase: Phase) -> None:
        if self.work.task.phase != phase:
            self._put_task(phase=phase, approval=None)

    def _put_task(self, **fields: object) -> None:
        self._put(task=replace(self.work.task, updated_at=self.wall_ms, **fields))

    def _put(self, **fields: object) -> None:
        self.work = replace(self.work, **fields)


def _cut(text: str | None, settings: AssistantSettings) -> str | None:
    return None if text is None else synthesis.head_and_tail(text, settings.result_characters)
