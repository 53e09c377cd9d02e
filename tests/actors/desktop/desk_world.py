"""Daemons and their user at the desks of the whole tree, without sockets and with virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from actors.desktop import tokens
from actors.desktop.daemon_messages import AgentReport, ReportOutcome, register_daemon, reported
from actors.desktop.entrance import DaemonEntrance
from actors.desktop.messages import (
    AgentChanged,
    AgentSpawned,
    AnswerApproval,
    ApprovalOutcome,
    DaemonView,
    Desk,
    DeskEvent,
    KillOutcome,
    ListDaemons,
    Listen,
    Spawn,
    SpawnRefused,
    find_agent,
    kill_agent,
)
from actors.desktop.settings import DesktopSettings
from actors.domain import DomainSettings
from actors.front.daemon_gate import DaemonGate
from actors.ports import Admitted, Refused
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import AgentStatus, Daemon, Decision, SubAgent
from protocols.desktop.reports import CompleteReport, LogReport, StatusReport
from runtime import open_system
from runtime.testing import Probe
from runtime.testing import World as SimulatedWorld
from tests.actors.world import FakeConnection, World, upgrade

ADA = "ada@example.org"
SETTINGS = DesktopSettings()


class FakeDaemon:
    """A daemon with a token, and the socket that it has dialled last."""

    def __init__(self, desks: Desks, daemon: Daemon, token: str) -> None:
        self.desks = desks
        self.id = daemon.daemon_id
        self.user_id = daemon.user_id
        self.token = token
        self.connections: list[FakeConnection] = []

    @property
    def connection(self) -> FakeConnection:
        return self.connections[-1]

    async def dial(self, **agents: str) -> FakeConnection:
        """Dial and say hello, with these agents in hand."""
        connection = await self.dial_silently()
        held = [{"agentId": name, "status": status, "seq": 0} for name, status in agents.items()]
        connection.say({"type": "hello", "protocol": 1, "adapters": ["claude"], "agents": held})
        await self.desks.world.settle()
        return connection

    async def dial_silently(self) -> FakeConnection:
        verdict = await self.desks.admit(self.token)
        assert isinstance(verdict, Admitted), verdict
        connection = self.desks.world.connect()
        connection.open(verdict.handler)
        self.connections.append(connection)
        await self.desks.world.settle()
        return connection

    async def report(self, agent_id: str, report: AgentReport) -> ReportOutcome:
        outcome = await self.desks.entrance.ask(self.user_id, reported(self.id, agent_id, report))
        await self.desks.world.settle()
        return outcome

    async def status(self, agent_id: str, status: AgentStatus, **fields: Any) -> ReportOutcome:
        return await self.report(agent_id, StatusReport(status=status, **fields))

    async def complete(self, agent_id: str, result: str) -> ReportOutcome:
        return await self.report(agent_id, CompleteReport(status="completed", result=result))

    async def log(self, agent_id: str, content: str) -> ReportOutcome:
        return await self.report(agent_id, LogReport(type="stdout", content=content))

    def told(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What its newest socket has heard."""
        return self.connection.heard(kind)


class Desks:
    """The desks of one server, as daemons, routes and an assistant use them."""

    def __init__(self, world: World, settings: DesktopSettings) -> None:
        assert world.hall is not None
        self.world = world
        self.desks = world.hall.desks
        self.entrance = DaemonEntrance(
            desks=self.desks,
            store=world.store,
            settings=settings,
            telemetry=world.telemetry,
            wall=world.system.clock.wall,
        )
        self.gate = DaemonGate(entrance=self.entrance, limits=world.hall.domain.settings.limits)
        self._tasks = 0

    async def admit(self, token: str, **query: str) -> Admitted | Refused:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self.gate.admit(upgrade("/ws/daemon", headers, query))

    async def daemon(self, name: str = "study", user_id: str = ADA) -> FakeDaemon:
        """A daemon that its user has just registered."""
        daemon_id = f"{user_id.partition('@')[0]}-{name}"
        token = tokens.make_token(daemon_id, f"secret {name[::-1]}")
        daemon = Daemon(
            daemon_id=daemon_id,
            user_id=user_id,
            name=name,
            hashed_token=tokens.hash_of(token),
            created_at=1,
        )
        assert await self.entrance.ask(user_id, register_daemon(daemon)) is not None
        return FakeDaemon(self, daemon, token)

    def known_daemon(self, former: FakeDaemon) -> FakeDaemon:
        """The same daemon, for the server that comes after."""
        daemon = Daemon(daemon_id=former.id, user_id=former.user_id, name="", hashed_token="", created_at=1)
        return FakeDaemon(self, daemon, former.token)

    async def desk(self, user_id: str = ADA) -> Desk:
        return await self.entrance.desk(user_id)

    async def probe(self, name: str) -> Probe[Any]:
        return await Probe.spawn(self.world.system, name)

    async def listener(self, user_id: str = ADA, name: str = "listener") -> Probe[DeskEvent]:
        probe: Probe[DeskEvent] = await self.probe(name)
        (await self.desk(user_id)).desktops.tell(Listen(probe.ref))
        await self.world.settle()
        return probe

    async def order(
        self, follower: Probe[Any], *, task_id: str | None = None, hint: str | None = None
    ) -> AgentSpawned | SpawnRefused:
        """Have an agent started; what the follower hears first."""
        self._tasks += 1
        spawn = Spawn(
            task_id=task_id or f"task_{self._tasks}_abc",
            session_id="master_1",
            goal="fix the test",
            daemon_hint=hint,
            listener=follower.ref,
        )
        (await self.desk()).desktops.tell(spawn)
        answer: AgentSpawned | SpawnRefused = await follower.next()
        await self.world.settle()
        return answer

    async def running_agent(self, daemon: FakeDaemon, follower: Probe[Any] | None = None) -> str:
        """An agent that its daemon has reported as running."""
        answer = await self.order(follower or await self.probe(f"follower {self._tasks}"))
        assert isinstance(answer, AgentSpawned), answer
        agent_id = answer.agent.agent_id
        daemon.connection.say({"type": "agent_ack", "agentId": agent_id, "status": "started"})
        assert "taken" == await daemon.status(agent_id, "running", seq=1)
        return agent_id

    async def agent(self, agent_id: str, user_id: str = ADA) -> SubAgent:
        found = await self.find(agent_id, user_id)
        assert found is not None
        return found

    async def find(self, agent_id: str, user_id: str = ADA) -> SubAgent | None:
        return await self.entrance.ask(user_id, find_agent(agent_id))

    async def kill(self, agent_id: str, user_id: str = ADA) -> KillOutcome:
        outcome = await self.entrance.ask(user_id, kill_agent(agent_id))
        await self.world.settle()
        return outcome

    async def answer(
        self, agent_id: str, approval_id: str, decision: Decision = "approve"
    ) -> ApprovalOutcome:
        def make(reply_to: Any) -> AnswerApproval:
            return AnswerApproval(
                agent_id=agent_id, approval_id=approval_id, decision=decision, reply_to=reply_to
            )

        outcome: ApprovalOutcome = await (await self.desk()).desktops.ask(make)
        await self.world.settle()
        return outcome

    async def daemons(self, user_id: str = ADA) -> tuple[DaemonView, ...]:
        return await self.entrance.ask(user_id, ListDaemons)

    def kept(self, collection: str, key: str) -> dict[str, Any] | None:
        """The document as it lies on the disk."""
        found = self.world.store._documents.documents.get((collection, key))
        document: dict[str, Any] | None = None if found is None else msgspec.json.decode(found.document)
        return document


def statuses(follower: Probe[Any]) -> list[AgentStatus]:
    """What a follower was told since it was last asked, without repetitions."""
    seen: list[AgentStatus] = []
    for event in follower.take():
        if isinstance(event, AgentChanged) and [event.agent.status] != seen[-1:]:
            seen.append(event.agent.status)
    return seen


@asynccontextmanager
async def open_desks(
    documents: SimulatedDocuments | None = None,
    settings: DesktopSettings = SETTINGS,
    *,
    outage: str | None = None,
    simulated: SimulatedWorld | None = None,
    is_taking_over: bool = False,
) -> AsyncIterator[Desks]:
    """A server's tree with its desks.

    Args:
      outage: fails the store from the start.
      simulated: whose handlers are marked.
      is_taking_over: another server still has the desks.
    """
    opening = open_system("test", seed=1) if simulated is None else simulated.open_system("test")
    async with opening as system:
        if simulated is not None:
            simulated.mark_handlers(system)
        world = World(system, documents or SimulatedDocuments())
        world.store.outage = outage
        await world.start(DomainSettings(desktop=settings), is_taking_over=is_taking_over)
        yield Desks(world, settings)
