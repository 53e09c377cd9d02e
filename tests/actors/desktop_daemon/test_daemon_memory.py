"""What a daemon keeps of agents that have ended."""

from __future__ import annotations

import trio

from actors.desktop_daemon.ports import Done
from actors.desktop_daemon.settings import AgentSettings, DaemonSettings
from runtime.testing import World, simulate
from tests.actors.desktop_daemon.daemon_world import Desktop, ScriptedServer


def test_daemon_remembers_so_many_finished_agents_and_no_more() -> None:
    async def scenario(world: World) -> None:
        server = ScriptedServer()
        desktop = Desktop(world, server, DaemonSettings(agents=AgentSettings(remembered=5)))
        async with desktop.daemon():
            await server.online()
            for number in range(8):
                server.spawn(f"agent_{number}")
                (await desktop.started(f"agent_{number}")).emit(Done("done"))
                await server.complete(f"agent_{number}")
                await trio.sleep(1)
        assert 6 >= len(desktop.disk)
        assert "agent_7" in desktop.disk

    simulate("a daemon remembers", scenario, is_strict=True)
