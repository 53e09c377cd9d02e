"""An agent that has ended is gone on with by another one: in its session, its directory, with its adapter."""

from __future__ import annotations

import msgspec
import pytest
import trio

from actors.desktop_daemon.claude_prompt import first_prompt
from actors.desktop_daemon.messages import AgentRecord
from actors.desktop_daemon.ports import AgentOrder, Done, Failed, Ready
from actors.desktop_daemon.settings import AgentSettings, DaemonSettings
from protocols.desktop import frames
from runtime.testing import World
from tests.actors.desktop_daemon.daemon_world import Desktop, ScriptedRun, ScriptedServer, play, until


async def _ended(server: ScriptedServer, desktop: Desktop, agent_id: str) -> ScriptedRun:
    """A new agent's run, over as far as the server knows."""
    server.spawn(agent_id, "mend the test", working_directory="/srv/ada/other")
    run = await desktop.started(agent_id)
    run.emit(Ready(), Done("mended"))
    await server.complete(agent_id)
    return run


async def _refusal(server: ScriptedServer, agent_id: str, goal: str, resumes: str) -> str | None:
    server.spawn(agent_id, goal, resumes=resumes)
    return (await server.ack(agent_id)).error


def _former(desktop: Desktop, **fields: object) -> None:
    """What an earlier daemon has left of agent_old."""
    kept: dict[str, object] = {
        "adapter": "claude",
        "goal": "mend the test",
        "cwd": "/srv/ada/project",
        "session_uuid": "old-session",
        **fields,
    }
    order = AgentOrder(agent_id="agent_old", **kept)  # type: ignore[arg-type]
    record = AgentRecord(order=order, is_over=True, began_ms=1)
    desktop.disk["agent_old"] = msgspec.json.encode(record)


def test_an_ended_agent_is_gone_on_with_in_its_session_and_directory() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.allowed = ("Read",)
        async with desktop.daemon():
            await server.online()
            first = await _ended(server, desktop, "agent_1")
            server.spawn("agent_2", "bash: and the docs", working_directory="/etc", resumes="agent_1")
            second = await desktop.started("agent_2")
            second.emit(Done("the docs too"))
            await server.complete("agent_2")
            server.spawn("agent_3", "Thanks.", resumes="agent_2")
            third = await desktop.started("agent_3")
            assert "started" == (await server.ack("agent_3")).status

        assert first.order.session_uuid == second.order.session_uuid == third.order.session_uuid
        assert ("claude", "/srv/ada/other", ("Read",)) == (
            second.order.adapter,
            second.order.cwd,
            second.order.allowed,
        )
        assert ("bash: and the docs", "mend the test") == (second.order.goal, second.order.former_goal)
        assert ("Thanks.", "mend the test") == (third.order.goal, third.order.former_goal)
        assert not second.order.is_resume

    play(scenario)


def test_an_agent_of_a_daemon_that_is_gone_is_gone_on_with_by_the_next_one() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            first = await _ended(server, desktop, "agent_1")
            await until(lambda: msgspec.json.decode(desktop.disk["agent_1"], type=AgentRecord).is_over)
            desktop.kill()
        async with desktop.daemon():
            await server.online()
            await until(lambda: len(server.hellos) == 2)
            server.spawn("agent_2", "Go on", resumes="agent_1")
            second = await desktop.started("agent_2")

        assert first.order.session_uuid == second.order.session_uuid

    play(scenario)


@pytest.mark.parametrize("is_killed", [True, False])
def test_an_agent_that_still_ends_is_waited_for(is_killed: bool) -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            first = await desktop.started("agent_1")
            first.kill_s = 2.0
            if is_killed:
                server.say(frames.KillAgent(agent_id="agent_1"))
            else:
                first.emit(Failed("It exited with 1."))
            server.spawn("agent_2", "Go on", resumes="agent_1")
            await trio.sleep(1.0)
            assert "agent_2" not in desktop.terminals.runs
            assert ["agent_1"] == [ack.agent_id for ack in server.acks]
            await desktop.started("agent_2")
            assert first.is_over

    play(scenario, DaemonSettings(agents=AgentSettings(most=1)))


def test_nobody_comes_between_an_agent_and_its_session() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            assert "the former agent still runs" == await _refusal(server, "agent_2", "Go on", "agent_1")
            run.emit(Done("mended"))
            await server.complete("agent_1")
            await until(lambda: run.is_over)
            server.spawn("agent_3", "Go on", resumes="agent_1")
            server.spawn("agent_4", "Go on", resumes="agent_1")
            assert "another agent goes on with it already" == (await server.ack("agent_4")).error
            await desktop.started("agent_3")
            taken = await _refusal(server, "agent_5", "Go on", "agent_1")
            assert "another agent goes on with it already" == taken
            itself = await _refusal(server, "agent_6", "Go on", "agent_6")
            assert "this desktop does not know the former agent any more" == itself

        assert {"agent_1", "agent_3"} == set(desktop.terminals.runs)

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "goal", "refusal"),
    [
        (None, "Go on", "this desktop does not know the former agent any more"),
        ({"adapter": "bash"}, "Go on", "bash cannot go on where it ended"),
        ({"cwd": "/etc"}, "Go on", "/etc is not a directory that agents may work in"),
        ({}, " \x1b\x00 ", "the goal is empty"),
        ({}, "x" * 101, "the goal is longer than 100 characters"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused_in_a_sentence(
    fields: dict[str, object] | None, goal: str, refusal: str
) -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        if fields is not None:
            _former(desktop, **fields)
        async with desktop.daemon():
            await server.online()
            assert refusal == await _refusal(server, "agent_1", goal, "agent_old")

        assert {} == desktop.terminals.runs

    play(scenario, DaemonSettings(agents=AgentSettings(largest_goal=100)))


def test_an_adapter_that_is_not_installed_any_more_is_refused() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        _former(desktop)
        desktop.terminals.names = ("bash",)
        async with desktop.daemon():
            await server.online()
            told = await _refusal(server, "agent_1", "Go on", "agent_old")
            assert "claude cannot run on this desktop" == told

    play(scenario)


def test_a_directory_that_is_another_one_now_is_refused() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        _former(desktop, cwd="")  # the scripted places take no directory for their root
        async with desktop.daemon():
            await server.online()
            told = await _refusal(server, "agent_1", "Go on", "agent_old")
            assert "the former agent's directory is another one now" == told

    play(scenario)


def test_reports_say_whether_an_agent_can_be_gone_on_with() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.allowed = ("bash",)
        async with desktop.daemon():
            await server.online()
            for agent_id, goal in (("agent_1", "mend it"), ("agent_2", "bash: make")):
                server.spawn(agent_id, goal)
                (await desktop.started(agent_id)).emit(Ready(), Done("done"))
                await server.complete(agent_id)

        for agent_id, can_resume in (("agent_1", True), ("agent_2", False)):
            told = [*server.statuses.get(agent_id, ()), *server.completes[agent_id]]
            assert {can_resume} == {report.can_resume for report in told}

    play(scenario)


def test_a_record_of_an_older_daemon_is_read_and_can_be_gone_on_with() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.disk["agent_old"] = (
            b'{"order":{"agent_id":"agent_old","adapter":"claude","goal":"mend it","cwd":"/srv/ada/project",'
            b'"session_uuid":"old-session","is_resume":false,"timeout_s":1800.0,"allowed":[]},"run":1,'
            b'"is_over":true,"outcome":null,"began_ms":1}'
        )
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1", "Go on", resumes="agent_old")
            order = (await desktop.started("agent_1")).order

        assert ("old-session", "mend it") == (order.session_uuid, order.former_goal)

    play(scenario)


def test_a_conversation_that_is_lost_is_told_of_in_the_prompt() -> None:
    told = first_prompt("!Go on", is_resume=False, lost_goal="mend @/etc/passwd\x1b[201~")

    assert told.startswith("Please do this: !Go on\n\n")
    assert told.endswith("It began with: mend /etc/passwd [201~")
    assert "Go on" == first_prompt("Go on", is_resume=False)
