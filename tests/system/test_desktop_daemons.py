"""A scripted daemon and the real server: a task with an approval, two daemons, kill -9 amid the work."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from adapters.listener.reload import request_reload
from clients.socket import RefusedError
from tests.system.scripted_daemon import ScriptedDaemon, call, registered
from tests.system.server import Server, eventually, is_alive, wait_until

ADA, BOB = "ada@example.org", "bob@example.org"
QUICK = (
    "desktop.test_endpoints=true",
    "desktop.grace_s=3",
    "desktop.ping_s=0.3",
    "desktop.silence_s=1.5",
    "desktop.login_interval_s=0.2",
)
ASKING = {
    "status": "needs_approval",
    "seq": 2,
    "approval": {
        "approvalId": "a1",
        "title": "Run the tests?",
        "tool": "Bash",
        "options": [{"id": "1", "label": "Yes"}, {"id": "2", "label": "No"}],
    },
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.start(tmp_path, *QUICK) as server:
        yield server


async def test_a_daemon_logs_in_works_asks_and_answers_for_its_user_alone(server: Server) -> None:
    ada = server.token(ADA)
    _, code = await call(server, "POST", "/api/daemons/codes", {"name": "study"})
    device = {"deviceCode": code["deviceCode"]}
    assert 202 == (await call(server, "POST", "/api/daemons/codes/poll", device))[0]
    allow = f"/api/daemons/codes/{code['userCode']}/approve"
    assert 401 == (await call(server, "POST", allow))[0]
    assert 200 == (await call(server, "POST", allow, token=ada))[0]
    _, made = await call(server, "POST", "/api/daemons/codes/poll", device)
    async with trio.open_nursery() as nursery:
        study = ScriptedDaemon(server, made["token"], made["daemonId"])
        attic, bobs = await registered(server, ADA, "attic"), await registered(server, BOB, "study")
        for token in ("", "x", study.token + "x", ada):
            with pytest.raises(RefusedError) as refused:
                await ScriptedDaemon(server, token).dial(nursery)
            assert 401 == refused.value.status
        for daemon in (study, attic, bobs):
            await daemon.dial(nursery)

        agent_id = await study.spawn()
        path = f"subagent/{agent_id}"
        assert 403 == (await attic.report(f"{path}/status", ASKING))[0]
        assert 404 == (await bobs.report(f"{path}/status", ASKING))[0]
        assert (200, {"ok": True}) == await study.report(f"{path}/status", ASKING)
        answer = {"approvalId": "a1", "decision": "approve"}
        approval = f"/api/agents/{agent_id}/approval"
        assert 404 == (await call(server, "POST", approval, answer, token=server.token(BOB)))[0]
        assert 200 == (await call(server, "POST", approval, answer, token=ada))[0]
        assert 409 == (await call(server, "POST", approval, answer, token=ada))[0]
        assert "approve" == (await study.hears("approve_agent", agentId=agent_id))["decision"]
        typed = f"/api/agents/{agent_id}/input"
        assert 200 == (await call(server, "POST", typed, {"text": "and then?"}, token=ada))[0]
        assert "and then?" == (await study.hears("send_input", agentId=agent_id))["text"]
        bob = server.token(BOB)
        for text, token, expected in (("", ada, 400), ("x" * 4_001, ada, 400), ("mine", bob, 404)):
            assert expected == (await call(server, "POST", typed, {"text": text}, token=token))[0]
        huge = {"status": "completed", "result": "x" * 400_000}
        status, said = await study.report(f"{path}/complete", huge)
        assert (413, 262_144) == (status, said["maxResultBytes"])
        done = {"status": "completed", "result": "all green", "executionTimeMs": 5}
        assert (200, {"ok": True}) == await study.report(f"{path}/complete", done)
        assert (200, {"ok": True, "ignored": True}) == await study.report(f"{path}/complete", done)
        shown = await call(server, "GET", f"/api/agents/{agent_id}", token=ada)
        assert "all green" in str(shown)
        assert 409 == (await call(server, "POST", typed, {"text": "x"}, token=ada))[0]
        assert [] == attic.told("spawn_agent") + bobs.told("spawn_agent")

        other = await attic.spawn("another")
        killed = await call(server, "POST", f"/api/agents/{other}/kill", token=ada)
        assert 202 == killed[0]
        await attic.hears("kill_agent", agentId=other)
        assert 409 == (await call(server, "POST", f"/api/agents/{other}/kill", token=ada))[0]
        _, listed = await call(server, "GET", "/api/daemons", token=ada)
        assert ["attic", "study"] == [one["name"] for one in listed["daemons"] if one["isOnline"]]
        nursery.cancel_scope.cancel()


async def test_sockets_end_with_the_code_that_says_why(server: Server) -> None:
    async with trio.open_nursery() as nursery:
        daemon = await registered(server, ADA, "study")
        await daemon.dial(nursery)
        agent_id = await daemon.spawn()
        await daemon.dial(nursery, agent_id)
        await eventually(lambda: daemon.ends == [4008])
        await daemon.say("no json")
        await daemon.say({"type": "dance"})
        await eventually(lambda: len(daemon.told("ping")) > 8)  # longer than the silence that ends a socket
        assert [4008] == daemon.ends

        await daemon.say(" " * 70_000)
        await eventually(lambda: daemon.ends == [4008, 4009])
        mute = ScriptedDaemon(server, daemon.token)
        await mute.dial(nursery, agent_id)
        assert mute.socket is not None
        mute.socket.send = _say_nothing  # type: ignore[method-assign, assignment]
        await eventually(lambda: mute.ends == [4010])
        await daemon.dial(nursery, agent_id)
        removed = await call(server, "DELETE", f"/api/daemons/{daemon.id}", token=server.token(ADA))
        assert 200 == removed[0]
        await eventually(lambda: daemon.ends == [4008, 4009, 4003])
        assert 401 == (await daemon.report("daemon/heartbeat", {"activeAgents": 0}))[0]
        shown = await call(server, "GET", f"/api/agents/{agent_id}", token=server.token(ADA))
        assert "The computer was removed" in str(shown)
        nursery.cancel_scope.cancel()


async def _say_nothing(_: str | bytes) -> None:
    """As a computer whose lid was closed."""
    await trio.lowlevel.checkpoint()


async def test_a_server_reloaded_and_killed_amid_the_work_finds_every_agents_true_end(
    server: Server,
) -> None:
    async with trio.open_nursery() as nursery:
        study, attic = await registered(server, ADA, "study"), await registered(server, ADA, "attic")
        await study.dial(nursery)
        reloaded = await study.spawn("before a reload")
        outcome = await request_reload(str(server.data))
        assert outcome.is_done, outcome
        await eventually(lambda: len(study.ends) == 1)
        for daemon in (study, attic):
            await daemon.dial(nursery, reloaded)
        assert [[reloaded], []] == [daemon.told("welcome")[-1]["resume"] for daemon in (study, attic)]
        assert (200, {"ok": True}) == await study.report(
            f"subagent/{reloaded}/complete", {"status": "completed", "result": "by the second server"}
        )
        true, lost, asking = await study.spawn("one"), await attic.spawn("two"), await study.spawn("three")
        assert 200 == (await study.report(f"subagent/{asking}/status", ASKING))[0]
        before = server.child

        os.kill(before, signal.SIGKILL)
        await trio.to_thread.run_sync(wait_until, lambda: not is_alive(before) and server.child != before)
        await eventually(lambda: len(study.ends) == 2)
        answer = {"approvalId": "a1", "decision": "deny"}
        approval = f"/api/agents/{asking}/approval"
        assert 200 == (await call(server, "POST", approval, answer, token=server.token(ADA)))[0]
        await study.dial(nursery, true, asking, "agent_of_nobody")

        welcome = study.told("welcome")[-1]
        assert ({true, asking}, ["agent_of_nobody"]) == (set(welcome["resume"]), welcome["lost"])
        assert "deny" == (await study.hears("approve_agent", agentId=asking))["decision"]
        done = {"status": "completed", "result": "the true result", "seq": 3}
        assert (200, {"ok": True}) == await study.report(f"subagent/{true}/complete", done)
        kept = await study.agent(true)
        assert ("completed", "the true result") == (kept["status"], kept["result"])
        await server.log_line("agent_ended", lost, "failed")
        kept = await study.agent(lost)
        assert ("failed", "Daemon disconnected") == (kept["status"], kept["error"])
        late = {"status": "completed", "result": "too late"}
        assert (200, {"ok": True, "ignored": True}) == await attic.report(f"subagent/{lost}/complete", late)
        assert ("failed", "too late") == (
            (await study.agent(lost))["status"],
            (await study.agent(lost))["lateResult"],
        )
        assert study.token.rpartition(".")[2] not in server.log()
        nursery.cancel_scope.cancel()
