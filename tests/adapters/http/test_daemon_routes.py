"""`/daemon-api`: what a daemon reports, with its token and about its own agents."""

from __future__ import annotations

import msgspec
import pytest
from trio.testing import MockClock

from tests.actors.desktop.desk_world import SETTINGS
from tests.adapters.http.desktop_client import open_routes

RUNNING = {"status": "running", "currentStep": "reading", "timestamp": 1.5}


async def test_a_daemons_reports_are_taken(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        await daemon.dial()
        agent_id = await routes.desks.running_agent(daemon)
        agent = f"subagent/{agent_id}"

        beat = {"activeAgents": 1, "agentIds": [agent_id], "timestamp": 1}
        assert (200, {"ok": True}) == await routes.by_daemon(daemon, "POST", "daemon/heartbeat", beat)
        assert (200, {"ok": True}) == await routes.by_daemon(daemon, "POST", f"{agent}/status", RUNNING)
        line = {"type": "stdout", "content": "make: done", "timestamp": 1}
        assert (200, {"ok": True}) == await routes.by_daemon(daemon, "POST", f"{agent}/log", line)
        status, shown = await routes.by_daemon(daemon, "GET", "daemon/status")
        assert 200 == status
        assert ("online", 1) == (shown["daemon"]["status"], shown["daemon"]["activeAgents"])
        assert {"id", "type", "status", "goal", "createdAt"} == set(shown["agents"][0])
        done = {"status": "completed", "result": "all green", "executionTimeMs": 12, "timestamp": 1}
        assert (200, {"ok": True}) == await routes.by_daemon(daemon, "POST", f"{agent}/complete", done)
        ignored = (200, {"ok": True, "ignored": True})
        assert ignored == await routes.by_daemon(daemon, "POST", f"{agent}/complete", done)
        assert ignored == await routes.by_daemon(daemon, "POST", f"{agent}/log", line)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("daemon/heartbeat", {"activeAgents": "three"}),
        ("daemon/heartbeat", {}),
        ("subagent/ID/status", {"currentStep": "x"}),
        ("subagent/ID/status", {"status": "dancing"}),
        ("subagent/ID/status", {"status": "needs_approval", "approval": {"title": "?"}}),
        ("subagent/ID/complete", {"status": "running"}),
        ("subagent/ID/log", {"type": "stdout", "content": ""}),
        ("subagent/ID/log", {"type": "song", "content": "la"}),
        ("subagent/ID/status", b"no json"),
        ("subagent/ID/status", b'{"status": "\xff"}'),
        ("subagent/ID/status", b"[" * 100_000),
    ],
)
async def test_a_report_of_another_form_is_a_400(autojump_clock: MockClock, path: str, body: object) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        await daemon.dial()
        agent_id = await routes.desks.running_agent(daemon)

        status, said = await routes.by_daemon(daemon, "POST", path.replace("ID", agent_id), body)

        assert (400, "INVALID_REPORT") == (status, said["code"])
        assert "running" == (await routes.desks.agent(agent_id)).status


async def test_agents_of_others_are_refused(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        await daemon.dial()
        path = f"subagent/{await routes.desks.running_agent(daemon)}/status"
        attic, bobs = await routes.desks.daemon("attic"), await routes.desks.daemon("study", "bob@x.org")

        assert 403 == (await routes.by_daemon(attic, "POST", path, RUNNING))[0]
        status, said = await routes.by_daemon(bobs, "POST", path, RUNNING)
        assert (404, "Agent not found") == (status, said["error"])
        assert 404 == (await routes.by_daemon(daemon, "POST", "subagent/nobody/status", RUNNING))[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/daemon-api/daemon/heartbeat"),
        ("POST", "/daemon-api/subagent/x/status"),
        ("POST", "/daemon-api/subagent/x/complete"),
        ("POST", "/daemon-api/subagent/x/log"),
        ("GET", "/daemon-api/daemon/status"),
        ("POST", "/daemon-api/test/spawn"),
        ("GET", "/daemon-api/test/agent/x"),
        ("GET", "/daemon-api/test/daemons"),
    ],
)
async def test_without_a_good_token_there_is_a_401(autojump_clock: MockClock, method: str, path: str) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        user = routes.desks.world.tokens.mint("ada@example.org", expires_s=None)
        other = (await routes.desks.daemon("attic")).token

        status, said = await routes.call(method, path, {})
        assert (401, "Missing X-Daemon-Email header or Authorization") == (status, said["error"])
        wrong = ("x", daemon.token + "x", daemon.token[:-1], user, "ada@example.org")
        for token in (*wrong, daemon.token.replace("study", "attic"), other.replace("attic", "study")):
            status, said = await routes.call(method, path, {}, token=token)
            assert (401, "Invalid token") == (status, said["error"])
        claimed = {"X-Daemon-Email": "ada@example.org"}
        assert 401 == (await routes.call(method, path, {}, headers=claimed))[0]


async def test_an_oversize_result_is_refused_with_the_limit_and_the_cut_one_is_taken(
    autojump_clock: MockClock,
) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        await daemon.dial()
        path = f"subagent/{await routes.desks.running_agent(daemon)}/complete"
        limit = SETTINGS.max_result_bytes

        status, said = await routes.by_daemon(
            daemon, "POST", path, {"status": "completed", "result": "é" * limit}
        )
        assert (413, "RESULT_TOO_LARGE", limit) == (status, said["code"], said["maxResultBytes"])
        status, said = await routes.by_daemon(
            daemon, "POST", path, {"status": "completed", "result": "x" * 3_000_000}
        )
        assert 413 == status
        assert "message" in said
        status, said = await routes.by_daemon(
            daemon, "POST", path.replace("complete", "log"), {"type": "note", "content": "x" * 300_000}
        )
        assert (413, "BODY_TOO_LARGE") == (status, said["code"])

        whole = {"status": "completed", "result": "é" * (limit // 2)}
        assert (200, {"ok": True}) == await routes.by_daemon(daemon, "POST", path, whole)


async def test_a_store_that_fails_is_a_503_and_the_report_is_to_come_again(
    autojump_clock: MockClock,
) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        await daemon.dial()
        path = f"subagent/{await routes.desks.running_agent(daemon)}/complete"
        body = {"status": "completed", "result": "done"}
        routes.desks.world.store.outage = "the disk is full"

        status, said = await routes.by_daemon(daemon, "POST", path, body)

        assert (503, "TRY_AGAIN") == (status, said["code"])
        routes.desks.world.store.outage = None
        assert 200 == (await routes.by_daemon(daemon, "POST", path, body))[0]


async def test_the_test_routes_reach_the_tokens_own_user_only(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        daemon, bobs = await routes.desks.daemon(), await routes.desks.daemon("study", "bob@x.org")
        await bobs.dial()
        order = {"email": "bob@x.org", "goal": "fix the test"}

        status, said = await routes.by_daemon(daemon, "POST", "test/spawn", order)
        assert 404 == status
        await daemon.dial()
        status, said = await routes.by_daemon(daemon, "POST", "test/spawn", order)

        assert (200, True, daemon.id) == (status, said["success"], said["daemonId"])
        assert [] == bobs.told("spawn_agent")
        (told,) = daemon.told("spawn_agent")
        assert told["agentId"] == said["agentId"]
        shown = await routes.by_daemon(daemon, "GET", f"test/agent/{said['agentId']}")
        assert "pending" == shown[1]["memory"]["status"]
        assert 404 == (await routes.by_daemon(bobs, "GET", f"test/agent/{said['agentId']}"))[0]
        await daemon.complete(said["agentId"], "done")
        shown = await routes.by_daemon(daemon, "GET", f"test/agent/{said['agentId']}")
        assert (None, "done") == (shown[1]["memory"], shown[1]["database"]["result"])
        assert 1 == (await routes.by_daemon(daemon, "GET", "test/daemons"))[1]["count"]
        assert 400 == (await routes.by_daemon(daemon, "POST", "test/spawn", {"goal": " "}))[0]


async def test_an_original_daemon_is_believed_only_where_the_setting_says_so(
    autojump_clock: MockClock,
) -> None:
    legacy = msgspec.structs.replace(SETTINGS, legacy_email_auth=True)
    claimed = {"X-Daemon-Email": "Ada@Example.org"}
    beat = {"activeAgents": 0}
    async with open_routes(legacy) as routes:
        for headers in (claimed, {"Authorization": "Bearer ada@example.org"}):
            answer = await routes.call("POST", "/daemon-api/daemon/heartbeat", beat, headers=headers)
            assert (200, {"ok": True}) == answer
        (daemon,) = await routes.desks.daemons()
        assert ("daemon_ada@example.org", "ada@example.org") == (daemon.daemon_id, daemon.name)
        assert 401 == (await routes.call("POST", "/daemon-api/daemon/heartbeat", beat))[0]
        bad = {"X-Daemon-Email": "nobody"}
        assert 401 == (await routes.call("POST", "/daemon-api/daemon/heartbeat", beat, headers=bad))[0]
