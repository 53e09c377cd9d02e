"""How much a daemon says and keeps, whatever its agents do."""

from __future__ import annotations

import trio

from actors.desktop_daemon.ports import Done, Output, Ready, Working
from actors.desktop_daemon.settings import AgentSettings, DaemonSettings
from protocols.desktop import frames
from runtime.testing import World
from tests.actors.desktop_daemon.daemon_world import Desktop, ScriptedServer, asking, play


def test_flood_of_output_delays_neither_approval_nor_result() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            run.emit(Ready())
            for number in range(2000):
                run.emit(*(Output("stdout", f"{number} " + "x" * 50 + "\n") for _ in range(50)))
                if number == 1000:
                    run.emit(asking())
                    asked_at = trio.current_time()
                    await server.status("agent_1", "needs_approval")
                    assert trio.current_time() - asked_at < 0.1
                    server.say(frames.ApproveAgent(agent_id="agent_1", approval_id="a1", decision="deny"))
                if number % 100 == 0:
                    await trio.sleep(0.1)
            assert [("a1", "deny", None, None)] == run.answers
            run.emit(Done("done"))
            assert "done" == (await server.complete("agent_1")).result
            assert len(server.logs["agent_1"]) <= 24
            assert sum(len(log.content) for log in server.logs["agent_1"]) < 200_000

    play(scenario)


def test_state_is_told_twice_a_second_at_most() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            for number in range(100):
                run.emit(Working(f"step {number}"))
                await trio.sleep(0.05)
            await trio.sleep(1)
            newest = server.newest("agent_1")
            assert newest is not None
            assert "step 99" == newest.current_step
            assert 8 <= len(server.statuses["agent_1"]) <= 13

    play(scenario)


def test_result_too_large_for_the_server_is_cut_to_what_it_takes() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        server.result_bytes, server.takes_bytes = 40_000, 20_000
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            run.emit(Done("head " + "x" * 400_000 + " tail"))
            complete = await server.complete("agent_1")
            assert complete.result is not None
            assert complete.result.startswith("head ")
            assert complete.result.endswith(" tail")
            assert len(complete.result) < 20_000

    play(scenario)


def test_daemon_remembers_so_many_finished_agents_and_no_more() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            for number in range(8):
                server.spawn(f"agent_{number}")
                (await desktop.started(f"agent_{number}")).emit(Done("done"))
                await server.complete(f"agent_{number}")
                await trio.sleep(1)
        assert 6 >= len(desktop.disk)
        assert "agent_7" in desktop.disk

    play(scenario, DaemonSettings(agents=AgentSettings(remembered=5)))
