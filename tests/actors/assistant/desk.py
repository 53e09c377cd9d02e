"""An assistant with its server's tree, a planned model and desktops that do what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from unittest import mock

import msgspec
import trio

from actors.assistant.actor import Assistant
from actors.assistant.messages import AssistantMessage, CancelTask, FindTask, ListTasks, Query
from actors.assistant.settings import AssistantSettings
from actors.assistant.state import AssistantInbox
from actors.desktop import roster
from actors.desktop.messages import (
    AgentChanged,
    AgentSpawned,
    AnswerApproval,
    ApprovalOutcome,
    DaemonView,
    DeskEvent,
    DesktopsMessage,
    FindAgent,
    Kill,
    ListAgents,
    ListDaemons,
    Listen,
    Spawn,
    SpawnRefused,
    TaskChanged,
)
from actors.domain import DomainSettings
from actors.language_ports import LanguageModel, ModelRequest
from actors.ports import StorageError
from adapters.simulated.language_model import PlannedModel, Reply, decides, says, sums_up
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import FINAL, AgentStatus, SubAgent, Task
from runtime import Actor, ChildSpec, Recipient, Ref, ReplyTo, open_system
from runtime.testing import World as SimulatedWorld
from tests.actors.world import ADA, World

LAPTOP = DaemonView("daemon_1", "laptop", True, 0, ("claude", "bash"), 1_000)
TOWER = DaemonView("daemon_2", "Big Tower", True, 1, ("claude", "bash"), 2_000)
R = TypeVar("R")


class ScriptedDesktops(Actor[DesktopsMessage]):
    """Starts an agent for every Spawn, and tells what the test has it tell.

    Attributes:
      spawns, kills, answers: what it was asked, in order.
      agents: by id, as they stand.
      refusal: while it is a text, nothing is started.
      is_silent: a Spawn is not answered.
      is_failing: whoever asks is failed.
    """

    def __init__(self, user_id: str = ADA) -> None:
        self.user_id = user_id
        self.spawns: list[Spawn] = []
        self.kills: list[str] = []
        self.answers: list[AnswerApproval] = []
        self.agents: dict[str, SubAgent] = {}
        self.daemons: tuple[DaemonView, ...] = (LAPTOP,)
        self.refusal: str | None = None
        self.is_silent = False
        self.is_failing = False
        self.listeners: dict[str, Recipient[AgentSpawned | SpawnRefused | AgentChanged]] = {}

    def receive(self, message: DesktopsMessage) -> None:
        match message:
            case Spawn():
                self.spawns.append(message)
                self._spawn(message)
            case Kill(_, reply_to) | ListAgents(reply_to) if self.is_failing and reply_to is not None:
                reply_to.fail(StorageError("planned"))
            case Kill(agent_id, reply_to):
                self.kills.append(agent_id)
                agent = self.agents.get(agent_id)
                if reply_to is not None:
                    is_over = agent is not None and agent.status in FINAL
                    reply_to.tell("unknown" if agent is None else "final" if is_over else "cancelled")
            case FindAgent(agent_id, reply_to):
                reply_to.tell(self.agents.get(agent_id))
            case ListAgents(reply_to, only_unfinished):
                agents = reversed(self.agents.values())
                reply_to.tell(tuple(one for one in agents if not (only_unfinished and one.status in FINAL)))
            case ListDaemons(reply_to):
                reply_to.tell(self.daemons)
            case AnswerApproval():
                self.answers.append(message)
                if message.reply_to is not None:
                    message.reply_to.tell(self._outcome_of(message))
            case _:
                self.unhandled(message)

    def _outcome_of(self, answer: AnswerApproval) -> ApprovalOutcome:
        agent = self.agents.get(answer.agent_id)
        if agent is None:
            return "unknown"
        is_open = agent.approval is not None and agent.approval.approval_id == answer.approval_id
        return "taken" if is_open else "stale"

    def _spawn(self, spawn: Spawn) -> None:
        if self.is_silent:
            return
        if self.refusal is not None:
            spawn.listener.tell(SpawnRefused(spawn.task_id, self.refusal))
            return
        known = next((one for one in self.agents.values() if one.task_id == spawn.task_id), None)
        name = f"agent_{len(self.agents) + 1}"
        agent = known or self.made(name, spawn.task_id, spawn.goal, resumes=spawn.resumes)
        self.listeners[agent.agent_id] = spawn.listener
        spawn.listener.tell(AgentSpawned(spawn.task_id, agent, "laptop"))

    def made(
        self, agent_id: str, task_id: str, goal: str, status: AgentStatus = "initializing", **fields: Any
    ) -> SubAgent:
        now_ms = round(self.system.clock.wall() * 1000)
        agent = SubAgent(
            agent_id=agent_id,
            user_id=self.user_id,
            session_id="master_1",
            goal=goal,
            task_id=task_id,
            status=status,
            created_at=now_ms,
            updated_at=now_ms,
            **{"daemon_id": "daemon_1", **fields},
        )
        self.agents[agent_id] = agent
        return agent

    def move(self, agent_id: str, status: AgentStatus, **fields: object) -> None:
        """An agent has moved."""
        agent = msgspec.structs.replace(self.agents[agent_id], status=status, **fields)
        self.agents[agent_id] = agent
        self.listeners[agent_id].tell(AgentChanged(agent))


class Ear(Actor[DeskEvent]):
    """Hears what listeners hear."""

    def __init__(self) -> None:
        self.heard: list[Task] = []

    def receive(self, message: DeskEvent) -> None:
        assert isinstance(message, TaskChanged)
        self.heard.append(message.task)


class Desk:
    """One user's assistant, and all that is around it."""

    def __init__(self, world: World, model: PlannedModel, user_id: str = ADA) -> None:
        assert world.hall is not None
        self.world = world
        self.model = model
        self.user_id = user_id
        self.ears = 0
        self.domain = world.hall.domain
        self.desktops = ScriptedDesktops(user_id)
        self.assistant: Ref[AssistantMessage]
        self.desktops_ref: Ref[DesktopsMessage]

    async def open(self) -> None:
        desktops = await self.world.system.spawn(
            ChildSpec(f"desktops of {self.user_id}", lambda: self.desktops)
        )
        self.desktops_ref = desktops
        spec: ChildSpec[AssistantInbox] = ChildSpec(
            f"assistant of {self.user_id}",
            lambda: Assistant(user_id=self.user_id, domain=self.domain, desktops=desktops),
        )
        assistant: Ref[AssistantInbox] = await self.world.system.spawn(spec)
        self.assistant = assistant

    async def ask(self, query: str = "What is React?", **fields: object) -> Task:
        def make(reply_to: ReplyTo[Task]) -> Query:
            return Query(query=query, source="rest", reply_to=reply_to, **fields)  # type: ignore[arg-type]

        return await self.assistant.ask(make)

    async def find(self, task: Task) -> Task:
        def make(reply_to: ReplyTo[Task | None]) -> FindTask:
            return FindTask(task.task_id, reply_to)

        found = await self.assistant.ask(make)
        assert found is not None
        return found

    async def cancel(self, task_id: str) -> Task | None:
        def make(reply_to: ReplyTo[Task | None]) -> CancelTask:
            return CancelTask(task_id, reply_to)

        return await self.assistant.ask(make)

    async def answered(self, query: str = "What is React?", **fields: object) -> Task:
        """A task once nothing moves any more."""
        task = await self.ask(query, **fields)
        await self.settle()
        return await self.find(task)

    async def listed(self, limit: int = 10) -> tuple[Task, ...]:
        def make(reply_to: ReplyTo[tuple[Task, ...]]) -> ListTasks:
            return ListTasks(limit, reply_to)

        return await self.assistant.ask(make)

    async def listen(self) -> Ear:
        """Somebody who listens from now on."""
        self.ears += 1
        ear = Ear()
        await self.world.system.spawn(ChildSpec(f"ear {self.ears} of {self.user_id}", lambda: ear))
        self.assistant.tell(Listen(ear.ref))
        return ear

    def facts(self) -> Mapping[str, object]:
        actor = self.assistant.cell.actor
        assert actor is not None
        return actor.facts()

    async def settle(self) -> None:
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(0.01)
        await trio.testing.wait_all_tasks_blocked()


def by_shape(
    decision: Callable[[ModelRequest], Reply] = lambda _: decides("direct_response"),
    goal: Callable[[ModelRequest], Reply] = lambda _: says("the goal", model="claude-sonnet-4-6"),
    synthesis: Callable[[ModelRequest], Reply] = lambda _: sums_up("Done.", "# Done"),
) -> Callable[[ModelRequest], Reply]:
    """A model whose answer depends on what kind of question it is."""

    def reply(request: ModelRequest) -> Reply:
        if request.tools:
            return decision(request)
        return synthesis(request) if request.output is not None else goal(request)

    return reply


def spawns(request: ModelRequest) -> Reply:
    return decides("spawn_agent", goal="the draft")


@asynccontextmanager
async def open_desk(
    reply: Callable[[ModelRequest], Reply] | None = None,
    *,
    documents: SimulatedDocuments | None = None,
    settings: AssistantSettings | None = None,
    delay_s: float = 0.0,
    outage: str | None = None,
    agents: Sequence[SubAgent] = (),
    other_model: LanguageModel | None = None,
    simulated: SimulatedWorld | None = None,
) -> AsyncIterator[Desk]:
    """A desk in a world of its own.

    Args:
      agents: that its desktops know from before.
      other_model: instead of the planned one.
      simulated: whose handlers are marked.
    """
    model = PlannedModel(reply or by_shape(), delay_s=delay_s)
    domain_settings = DomainSettings(assistant=settings or AssistantSettings())
    # The desk is the test's: the tree makes none of its own for what is left unfinished.
    no_other_desk = mock.patch.object(roster, "UNFINISHED", ())
    opening = open_system("test", seed=1) if simulated is None else simulated.open_system("test")
    with no_other_desk:
        async with opening as system:
            if simulated is not None:
                simulated.mark_handlers(system)
            world = World(system, documents or SimulatedDocuments(), model=other_model or model)
            world.store.outage = outage
            await world.start(domain_settings)
            desk = Desk(world, model)
            desk.desktops.agents = {agent.agent_id: agent for agent in agents}
            await desk.open()
            await desk.settle()
            yield desk
