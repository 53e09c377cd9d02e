"""A task that goes on with an ended agent: no model decides or writes a goal, all else is as ever."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.assistant import flow
from actors.assistant.settings import AssistantSettings
from adapters.simulated.language_model import sums_up
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import FINAL, SubAgent, Task
from tests.actors.assistant.desk import open_desk
from tests.actors.assistant.flows import APPROVAL, Machine, agent, task

GO_ON = "  bash: Go on, “please”\n!now "


def _machine(**fields: object) -> Machine:
    return Machine(GO_ON, phase="spawning", resumes="agent_0", **fields)  # type: ignore[arg-type]


def test_going_on_asks_no_model_until_there_is_something_to_sum_up() -> None:
    machine = _machine(working_directory="/srv").begin()

    assert [] == machine.all(flow.Ask)
    assert flow.Start(GO_ON, "/srv", "agent_0") == machine.the(flow.Start)
    assert "spawning" == machine.task.phase
    machine.take(flow.Spawned(agent("initializing", resumes="agent_0")))
    machine.take(flow.AgentMoved(agent("needs_approval", approval=APPROVAL)))
    assert ("needs_approval", APPROVAL) == (machine.task.phase, machine.task.approval)
    machine.take(flow.AgentMoved(agent("completed", result="The docs too.")))
    assert "The docs too." in machine.the(flow.Ask).request.messages[-1].text
    machine.answer(sums_up("Docs mended.", "# Docs"))

    assert ("completed", True, "agent_1") == (
        machine.task.status,
        machine.task.agent_spawned,
        machine.task.agent_id,
    )
    assert machine.task.result is not None
    assert "Docs mended." == machine.task.result.glasses_display
    assert [1] == [use.calls for use in machine.task.usage]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (
            flow.NotSpawned("No daemon online: study is not connected"),
            "No daemon online: study is not connected",
        ),
        (flow.NotSpawned("That agent is still at work"), "That agent is still at work"),
        (flow.Cancelled(), flow.CANCELLED),
    ],
)
def test_what_stands_in_the_way_of_going_on_fails_the_task_in_a_sentence(
    event: flow.FlowEvent, error: str
) -> None:
    machine = _machine().begin().take(event)

    assert ("failed", error, False) == (machine.task.status, machine.task.error, machine.task.agent_spawned)
    assert [] == machine.all(flow.Ask)


def test_a_desktop_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    machine = _machine().begin()

    machine.look(after_s=machine.settings.spawn_s)

    assert ("failed", flow.NOT_STARTED) == (machine.task.status, machine.task.error)


@pytest.mark.parametrize("phase", ["deciding", "spawning"])
def test_a_task_to_go_on_that_was_cut_off_before_its_agent_asks_for_it_again(phase: str) -> None:
    machine = Machine("Go on", phase=phase, resumes="agent_0").begin()

    assert flow.Start("Go on", None, "agent_0") == machine.the(flow.Start)
    assert "spawning" == machine.task.phase


@pytest.mark.parametrize("status", ["running", "completed"])
def test_a_task_to_go_on_that_was_cut_off_with_its_agent_takes_that_up(status: str) -> None:
    known: SubAgent = agent("running") if status == "running" else agent("completed", result="Done.")
    machine = Machine("Go on", phase="running", resumes="agent_0", agent_id="agent_1").take(flow.Began(known))

    if known.status in FINAL:
        assert "synthesizing" == machine.task.phase
    else:
        assert flow.Start("Fix it.", None, "agent_0") == machine.the(flow.Start)


async def test_an_actor_goes_on_with_what_is_said_and_remembers_it(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        desk.desktops.made("agent_0", "task_0", "Mend it.", "failed", can_resume=True)

        asked = await desk.ask("On to the docs", resumes="agent_0")
        await desk.settle()
        desk.desktops.move("agent_2", "completed", result="Mended.")
        await desk.settle()

        assert ("spawning", "agent_0") == (asked.phase, asked.resumes)
        (spawn,) = desk.desktops.spawns
        assert ("On to the docs", "agent_0") == (spawn.goal, spawn.resumes)
        (synthesis,) = desk.model.requests
        assert synthesis.output is not None
        assert "completed" == (await desk.find(asked)).status
        (stored,) = await desk.world.store.list_documents("conversations", desk.user_id, 10)
        assert b"On to the docs" in stored.document


async def test_a_process_that_is_killed_before_the_agent_leaves_a_task_that_still_goes_on(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_desk(documents=documents) as desk:
        desk.desktops.is_silent = True
        asked = await desk.ask("On to the docs", resumes="agent_0")
        await desk.settle()
        await desk.world.die()

    async with open_desk(documents=documents, settings=AssistantSettings(spawn_s=5.0)) as desk:
        await trio.sleep(1.0)

        (spawn,) = desk.desktops.spawns
        assert (asked.task_id, "On to the docs", "agent_0") == (spawn.task_id, spawn.goal, spawn.resumes)
        assert [] == desk.model.requests


def test_a_task_that_was_kept_before_there_was_resuming_is_read() -> None:
    kept = msgspec.json.decode(msgspec.json.encode(task()))
    del kept["resumes"]

    assert task() == msgspec.json.decode(msgspec.json.encode(kept), type=Task)
