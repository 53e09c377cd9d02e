"""The assistant crashes once over every message it handles, at every point of the handler.

What may be lost is that one message, where somebody says it again: whoever asks hears of the crash and asks
again. Nothing else: every task comes to its true end, once, and whoever listens hears of it; no agent is
started twice or left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import pytest
import trio

from actors.assistant.actor import Assistant
from actors.assistant.settings import AssistantSettings
from actors.desktop.messages import DesktopsBack, IsIdle, Listen, StopListening
from actors.document_ports import PutDocument
from actors.language_ports import ModelRequest
from actors.ports import StorageError
from adapters.simulated.language_model import Reply, calls, decides, fails, says, sums_up
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import SubAgent, Task
from runtime import RuntimeFailure
from runtime.testing import World, simulate
from tests.actors.assistant.desk import Desk, Ear, open_desk
from tests.actors.sweep import Sweep
from tests.actors.world import ADA

R = TypeVar("R")
QUICK = AssistantSettings(agent_s=60.0, spawn_s=5.0, decide_s=20.0)

OLD = Task(
    task_id="task_1_old",
    user_id=ADA,
    conversation_id="conv_old",
    query="agent old",
    phase="running",
    agent_id="agent_old",
    agent_spawned=True,
    created_at=1_699_999_999_000,
    updated_at=1_699_999_999_000,
)
OLD_AGENT = SubAgent(
    agent_id="agent_old",
    daemon_id="daemon_1",
    user_id=ADA,
    session_id="master_1",
    goal="old",
    task_id=OLD.task_id,
    status="running",
    created_at=1_700_000_000_000,
    updated_at=1_700_000_000_000,
)


def think(request: ModelRequest) -> Reply:
    """The model of the day: what it does stands in the query."""
    if request.output is not None:
        return sums_up("Summed up.", "Summed up.")
    if not request.tools:
        return says("the goal", model="claude-sonnet-4-6")
    query = request.messages[-1].text
    if query.startswith("agent"):
        return decides("spawn_agent", goal="the draft")
    if query.startswith("look") and not request.messages[-1].results:
        return calls(("get_recent_tasks", {}))
    if query.startswith("fail"):
        return fails("auth")
    return decides("direct_response")


async def sure(ask: Callable[[], Awaitable[R]]) -> R:
    """Ask, and ask again where a crash or the store was in the way: as everybody does who wants an answer."""
    for _ in range(20):
        try:
            return await ask()
        except (RuntimeFailure, StorageError):
            await trio.sleep(0.5)
    raise AssertionError("it was asked twenty times")


class Day:
    """What happens at a desk, and what is wrong with it."""

    def __init__(self, desk: Desk, ear: Ear) -> None:
        self.desk = desk
        self.ear = ear
        self.tasks: dict[str, str] = {}
        self.problems_met: list[str] = []

    async def ask(self, query: str, **fields: object) -> str:
        task = await sure(lambda: self.desk.ask(query, **fields))
        self.tasks[query] = task.task_id
        return task.task_id

    async def until(self, holds: Callable[[], bool]) -> None:
        with trio.fail_after(90):
            while not holds():  # noqa: ASYNC110 - seen from outside
                await trio.sleep(0.05)

    def agent_of(self, task_id: str) -> SubAgent | None:
        agents = self.desk.desktops.agents.values()
        return next((agent for agent in agents if agent.task_id == task_id), None)

    async def agent(self, query: str, **fields: object) -> str:
        """A task with an agent that runs."""
        task_id = await self.ask(query, **fields)
        await self.until(lambda: self.agent_of(task_id) is not None)
        agent = self.agent_of(task_id)
        assert agent is not None
        await trio.sleep(2.0)  # the assistant has heard of it
        return agent.agent_id

    async def live(self) -> None:
        """Every message once at least."""
        desk, desktops, store = self.desk, self.desk.desktops, self.desk.world.store
        with suppress(StorageError, RuntimeFailure):
            await desk.ask("nobody is answered yet")
        store.outage = None
        await sure(lambda: desk.ask("direct"))
        await self.until(lambda: "agent_old" in desktops.listeners)
        desktops.move("agent_old", "completed", result="old")

        for query in ("direct one", "look around", "fail"):
            await self.ask(query)
        done = await self.agent("agent to complete")
        desktops.move(done, "running")
        desktops.move(done, "completed", result="x")
        await trio.sleep(1.0)

        beyond = await self.agent("go on with it", resumes=done)
        if [desktops.agents[beyond].resumes, desktops.agents[beyond].goal] != [done, "go on with it"]:
            self.problems_met.append(f"{desktops.agents[beyond]} does not go on with {done}")
        desktops.move(beyond, "completed", result="y")
        await trio.sleep(1.0)

        desktops.is_failing = True
        desk.assistant.tell(DesktopsBack())
        again = await self.agent("agent while the desktops come back")
        desk.assistant.tell(DesktopsBack())
        await trio.sleep(1.5)
        desktops.is_failing = False
        await trio.sleep(1.5)
        desktops.move(again, "failed", error="exit status 1")

        desktops.refusal = "No computer is online."
        await self.ask("agent that nobody starts")
        await trio.sleep(2.0)
        desktops.refusal = None

        given_up = await self.agent("agent to give up")
        desktops.is_failing = True
        await sure(lambda: desk.cancel(self.tasks["agent to give up"]))
        await trio.sleep(0.5)
        desktops.is_failing = False
        await self.until(lambda: given_up in desktops.kills)
        late = await self.agent("agent that takes too long")

        store.outage = "the disk is full"
        await trio.sleep(1.0)
        desktops.move(late, "needs_approval")
        await trio.sleep(1.5)
        store.outage = None
        await trio.sleep(QUICK.agent_s + 2.0)
        await self.until(lambda: late in desktops.kills)

        await sure(desk.listed)
        old = await sure(lambda: desk.find(OLD))
        if old.status != "completed":
            self.problems_met.append(f"the old task is found {old.status}")
        await sure(lambda: desk.cancel("task_0_nobody"))
        await self._listen()
        await trio.sleep(12.0)
        for _ in range(2):
            await sure(lambda: desk.assistant.ask(IsIdle))

    async def _listen(self) -> None:
        for _ in range(2):
            extra = await self.desk.listen()
        self.desk.assistant.tell(StopListening(extra.ref))
        for _ in range(2):
            self.desk.assistant.tell(StopListening(extra.ref))
            await self.desk.settle()
        gone = await self.desk.listen()
        self.desk.world.system.stop_child(gone.ref)
        await self.desk.settle()

    async def problems(self) -> list[str]:
        desk, found = self.desk, self.problems_met
        ends: dict[str, tuple[str, str | None]] = {}
        for query, task_id in {**self.tasks, "old": OLD.task_id}.items():
            stored = await desk.world.store.find_document("tasks", task_id)
            assert stored is not None
            task = msgspec.json.decode(stored.document, type=Task)
            said = task.error if task.result is None else task.result.glasses_display
            ends[query] = (task.status, said)
            last = [heard for heard in self.ear.heard if heard.task_id == task_id][-1:]
            if query != "old" and last != [task]:
                found.append(f"of the end of {query!r} was told {last}")
        expected = {
            "direct one": ("completed", "For the lens."),
            "look around": ("completed", "For the lens."),
            "fail": ("failed", "The assistant's key was refused. Its server needs a good one."),
            "agent to complete": ("completed", "Summed up."),
            "go on with it": ("completed", "Summed up."),
            "agent while the desktops come back": ("completed", "Summed up."),
            "agent that nobody starts": ("failed", "No computer is online."),
            "agent to give up": ("failed", "Cancelled."),
            "agent that takes too long": ("failed", "The agent took too long and was stopped."),
            "old": ("completed", "Summed up."),
        }
        if ends != expected:
            found.append(f"the tasks ended as {ends}")
        if len(desk.desktops.agents) != 6:
            found.append(f"{len(desk.desktops.agents)} agents were started")
        if not await sure(lambda: desk.assistant.ask(IsIdle)) and desk.facts()["tasks"]:
            found.append("something is still under way")
        return found


def _left_by_the_process_before() -> SimulatedDocuments:
    documents = SimulatedDocuments()
    documents.documents["tasks", OLD.task_id] = PutDocument(
        collection="tasks",
        key=OLD.task_id,
        user_id=ADA,
        document=msgspec.json.encode(OLD),
        updated_at_ms=1,
        is_unfinished=True,
    )
    return documents


def _played(point: str | None) -> tuple[set[str], list[str]]:
    """A day with a crash at `point`: every handler that was reached, and what went wrong."""

    async def main(world: World) -> tuple[set[str], list[str]]:
        if point is not None:
            world.faults.plan(point, times=1)
        async with open_desk(
            think,
            documents=_left_by_the_process_before(),
            settings=QUICK,
            delay_s=0.2,
            outage="the disk is not there yet",
            agents=[OLD_AGENT],
            simulated=world,
        ) as desk:
            ear = await desk.listen()
            await trio.sleep(0.1)
            desk.assistant.tell(Listen(ear.ref))  # said again, as by whoever notices that nothing is heard
            day = Day(desk, ear)
            await day.live()
            problems = await day.problems()
        return set(world.faults.reached), problems

    return simulate("a day of an assistant", main, limit_s=20_000).result


SWEEP = Sweep([Assistant], _played)


def test_a_day_of_an_assistant_without_a_crash_ends_well() -> None:
    assert [] == SWEEP.problems_without_a_crash()


@pytest.mark.parametrize(("actor", "message"), SWEEP.pairs, ids=SWEEP.ids)
def test_a_crash_of_an_assistant_costs_one_message(actor: type[Any], message: type[Any]) -> None:
    assert {} == SWEEP.problems(actor, message)
