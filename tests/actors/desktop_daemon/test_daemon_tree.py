"""The whole daemon against a scripted server: what its user and the server notice."""

from __future__ import annotations

import trio

from actors.desktop_daemon.ports import Done, NeedsApproval, Output, Ready, Working
from protocols.desktop import frames
from protocols.desktop.documents import Approval, Option
from runtime.testing import World, simulate
from tests.actors.desktop_daemon.daemon_world import SERVER_MS, Desktop, ScriptedServer, until

APPROVAL = Approval(
    approval_id="a1", title="Run npm test?", options=(Option(id="yes", label="Yes"),), tool="Bash"
)


def test_goal_becomes_a_result_with_an_approval_in_between() -> None:
    async def scenario(world: World) -> None:
        server = ScriptedServer()
        desktop = Desktop(world, server)
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1", "mend the\x1b[201~ test")
            assert "started" == (await server.ack("agent_1")).status
            run = await desktop.started("agent_1")
            assert "mend the[201~ test" == run.order.goal

            run.emit(Ready(), Working("reads the test"), NeedsApproval(APPROVAL))
            report = await server.status("agent_1", "needs_approval")
            assert report.approval is not None
            assert "a1" == report.approval.approval_id
            assert abs(report.approval.expires_at - SERVER_MS - (trio.current_time() + 600) * 1000) < 1000

            server.say(frames.ApproveAgent(agent_id="agent_1", approval_id="a1", decision="approve"))
            await until(lambda: bool(run.answers))
            assert [("a1", "approve", None, None)] == run.answers
            await server.status("agent_1", "running")
            run.emit(Output("stdout", "2 passed\n"), Done("The test passes."))
            complete = await server.complete("agent_1")
            assert ("completed", "The test passes.") == (complete.status, complete.result)
            assert ["2 passed\n"] == [log.content for log in server.logs["agent_1"]]

    simulate("goal", scenario, is_strict=True)


def test_daemon_killed_in_mid_task_resumes_its_agent() -> None:
    async def scenario(world: World) -> None:
        server = ScriptedServer()
        desktop = Desktop(world, server)
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            first = await desktop.started("agent_1")
            first.emit(Ready(), Working("half of it"))
            before = await server.status("agent_1", "running")
            desktop.kill()
        async with desktop.daemon():
            await until(lambda: len(desktop.terminals.runs["agent_1"]) == 2)
            second = await desktop.started("agent_1")

            assert second.order.is_resume
            assert first.order.session_uuid == second.order.session_uuid
            await until(lambda: len(server.hellos) == 2)
            assert ["agent_1"] == [held.agent_id for held in server.hellos[-1].agents]
            second.emit(Done("all of it"))
            complete = await server.complete("agent_1")
            assert ("completed", "all of it") == (complete.status, complete.result)
            assert (complete.seq or 0) > (before.seq or 0)

    simulate("killed", scenario, is_strict=True)
