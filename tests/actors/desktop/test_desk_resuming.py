"""An agent that has ended is gone on with: on its own daemon, in its directory, or not at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from trio.testing import MockClock

from actors.desktop import agent_machine as machine
from actors.desktop.agent_machine import Acked, DaemonAway, DaemonBack, Killed
from actors.desktop.daemon_messages import remove_daemon
from actors.desktop.messages import AgentSpawned, Spawn, SpawnRefused
from actors.desktop.state import agent_document, read_agent
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import SubAgent
from protocols.desktop.frames import SpawnAgent
from protocols.desktop.reports import CompleteReport, StatusReport
from runtime.testing import Probe
from tests.actors.desktop.desk_world import ADA, Desks, FakeDaemon, open_desks
from tests.actors.desktop.lives_of_agents import SETTINGS, Life, agent, done, running, status


async def _go_on(
    desks: Desks, resumes: str, *, task_id: str = "task_9_x", times: int = 1, **fields: Any
) -> Any:
    """Have an agent gone on with; what the follower hears first, and the follower."""
    follower: Probe[Any] = await desks.probe(f"follower of {task_id} {resumes}")
    order = Spawn(
        task_id=task_id, session_id="s", goal="Go on", resumes=resumes, listener=follower.ref, **fields
    )
    for _ in range(times):
        (await desks.desk()).desktops.tell(order)
    answer: AgentSpawned | SpawnRefused = await follower.next()
    await desks.world.settle()
    return answer


async def _ended(desks: Desks, daemon: FakeDaemon, *, can_resume: bool = True) -> str:
    agent_id = await desks.running_agent(daemon)
    await daemon.report(agent_id, StatusReport(status="running", can_resume=can_resume))
    await daemon.report(agent_id, CompleteReport(status="failed", error="It exited with 1."))
    return agent_id


def _orders(daemon: FakeDaemon) -> list[tuple[str, str, str | None]]:
    return [(told["agentId"], told["goal"], told.get("resumes")) for told in daemon.told("spawn_agent")]


async def test_an_ended_agents_own_daemon_goes_on_with_it(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        study = await desks.daemon()
        await study.dial()
        former = await _ended(desks, study)
        attic = await desks.daemon("attic")
        await attic.dial()

        spawned = await _go_on(desks, former, daemon_hint="attic", working_directory="/elsewhere")

        assert isinstance(spawned, AgentSpawned)
        assert ("study", former, None) == (
            spawned.daemon_name,
            spawned.agent.resumes,
            spawned.agent.working_directory,
        )
        assert [(former, "fix the test", None), ("agent_9_x", "Go on", former)] == _orders(study)
        assert [] == _orders(attic)
        kept = desks.kept("subagents", "agent_9_x")
        assert kept is not None
        assert former == kept["resumes"]


async def test_an_order_to_go_on_that_comes_twice_starts_one_agent(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        study = await desks.daemon()
        await study.dial()
        former = await _ended(desks, study)

        spawned = await _go_on(desks, former, times=3)

        assert isinstance(spawned, AgentSpawned)
        assert 1 == len([order for order in _orders(study) if order[2] == former])


async def test_what_cannot_be_gone_on_with_is_said_for_the_lens(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        study, attic = await desks.daemon(), await desks.daemon("attic")
        await study.dial()
        runs = await desks.running_agent(study)
        of_an_older_daemon = await _ended(desks, study, can_resume=False)
        former = await _ended(desks, study)
        study.connection.hang_up()
        await desks.world.settle()
        await attic.dial()

        refused = {
            resumes: await _go_on(desks, resumes, task_id=f"task_9_{number}")
            for number, resumes in enumerate((runs, of_an_older_daemon, former, "agent_of_nobody"))
        }
        assert await desks.entrance.ask(ADA, remove_daemon(study.id))
        refused["removed"] = await _go_on(desks, former, task_id="task_9_5")

        assert [
            "That agent is still at work",
            "That agent cannot be gone on with",
            "No daemon online: study is not connected",
            "That agent is not known any more",
            "The computer of that agent was removed",
        ] == [one.cause for one in refused.values()]
        assert [] == _orders(attic)


async def test_nobody_goes_on_with_another_users_agent(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        study = await desks.daemon()
        await study.dial()
        former = await _ended(desks, study)
        follower = await desks.probe("bob's follower")
        bob = await desks.desk("bob@example.org")
        order = Spawn(task_id="task_8_b", session_id="s", goal="Go on", resumes=former, listener=follower.ref)

        bob.desktops.tell(order)

        assert SpawnRefused("task_8_b", "That agent is not known any more") == await follower.next()
        assert [(former, "fix the test", None)] == _orders(study)


async def test_a_store_that_is_out_refuses_to_go_on(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        study = await desks.daemon()
        await study.dial()
        former = await _ended(desks, study)
        desks.world.store.outage = "the disk is full"

        refused = await _go_on(desks, former)

        assert SpawnRefused("task_9_x", "The server cannot keep anything at the moment") == refused


async def test_a_second_server_goes_on_with_what_the_first_one_kept(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_desks(documents) as desks:
        study = await desks.daemon()
        await study.dial()
        former = await _ended(desks, study)
        await desks.world.die()

    async with open_desks(documents) as desks:
        study = desks.known_daemon(study)
        await study.dial()
        assert isinstance(await _go_on(desks, former), AgentSpawned)
        assert [("agent_9_x", "Go on", former)] == _orders(study)


def test_an_order_that_its_daemon_never_had_names_the_former_agent_again() -> None:
    life = Life()
    state = replace(life.state, agent=replace(life.state.agent, resumes="agent_0"))

    again = machine.step(state, DaemonBack(None), life.moment, SETTINGS)

    (order,) = again.frames
    assert isinstance(order, SpawnAgent)
    assert "agent_0" == order.resumes


@pytest.mark.parametrize(
    ("events", "can_resume"),
    [
        ((status("running"), done()), False),
        ((status("running", can_resume=True), done()), True),
        ((status("running", can_resume=True), Killed()), True),
        ((status("running", can_resume=True), status("running"), Killed()), True),
        ((done(can_resume=True),), True),
        ((Acked(is_started=True), DaemonAway(), done(can_resume=True)), True),
        ((Acked(is_started=False, error="no"),), False),
    ],
)
def test_what_a_daemon_has_said_once_about_resuming_stays(events: Any, can_resume: bool) -> None:
    life = Life()
    life.hear(*events)

    assert life.state.is_final
    assert can_resume == life.state.agent.can_resume


def test_an_agent_that_was_kept_before_there_was_resuming_is_read() -> None:
    kept: dict[str, Any] = msgspec.json.decode(agent_document(running().state).document)
    for name in ("resumes", "canResume"):
        del kept[name]

    read, _ = read_agent(msgspec.json.encode(kept))

    assert (None, False) == (read.resumes, read.can_resume)
    assert agent().goal == read.goal
    assert isinstance(read, SubAgent)
