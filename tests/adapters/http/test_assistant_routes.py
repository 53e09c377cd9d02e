"""`/api/master-agent` and `/api/agents`: statuses, bodies, and that the token alone says who asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest
import trio
from msgspec.structs import replace
from quart.testing import QuartClient
from trio.testing import MockClock

from actors.assistant.settings import AssistantSettings
from actors.desktop.messages import Desk as DeskRefs
from actors.desktop.messages import EnsureDesk
from adapters.http import create_application
from adapters.http.assistant_routes import assistant_routes
from protocols.desktop.documents import Approval, Option
from runtime import Actor, ChildSpec
from tests.actors.assistant.desk import LAPTOP, TOWER, Desk, by_shape, open_desk, spawns
from tests.actors.world import ADA

BOB = "bob@example.org"
NOW = 1_763_704_800.0  # 2025-11-21T06:00:00Z
APPROVAL = Approval(approval_id="approval_1", title="Run npm test?", options=(Option(id="1", label="Yes"),))


class Desks(Actor[EnsureDesk]):
    """The roster's part: everybody's desk by name."""

    def __init__(self, desks: Mapping[str, Desk]) -> None:
        self.desks = desks

    def receive(self, message: EnsureDesk) -> None:
        desk = self.desks[message.user_id]
        message.reply_to.tell(DeskRefs(message.user_id, desk.assistant, desk.desktops_ref))


class Server:
    """The routes over two users' desks."""

    def __init__(self, ada: Desk, bob: Desk, client: QuartClient) -> None:
        self.ada = ada
        self.bob = bob
        self.client = client

    async def call(
        self, method: str, path: str, body: object = None, *, user: str | None = ADA
    ) -> tuple[int, dict[str, Any]]:
        headers = {}
        if user is not None:
            headers["Authorization"] = f"Bearer {self.ada.world.tokens.mint(user, expires_s=None)}"
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        answer = await self.client.open(
            path, method=method, headers=headers, data=None if method == "GET" else data
        )
        self.retry_after = answer.headers.get("Retry-After")
        said: dict[str, Any] = msgspec.json.decode(await answer.get_data(as_text=False))
        return answer.status_code, said

    async def post(self, path: str, body: object = None, **fields: Any) -> tuple[int, dict[str, Any]]:
        return await self.call("POST", path, {} if body is None else body, **fields)

    async def get(self, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        return await self.call("GET", path, **fields)

    async def ask(self, query: str = "What is React?", **fields: Any) -> str:
        status, said = await self.post("/api/master-agent/query", {"query": query}, **fields)
        assert 200 == status, said
        task_id: str = said["taskId"]
        return task_id


@asynccontextmanager
async def open_server(*args: Any, **fields: Any) -> AsyncIterator[Server]:
    async with open_desk(*args, **fields) as ada:
        bob = Desk(ada.world, ada.model, BOB)
        await bob.open()
        desks = {ADA: ada, BOB: bob}
        roster = await ada.world.system.spawn(ChildSpec("desk roster", lambda: Desks(desks)))
        routes = assistant_routes(
            tokens=ada.world.tokens,
            desks=roster,
            store=ada.world.store,
            telemetry=ada.world.telemetry,
            wall=lambda: NOW,
        )
        application = create_application(ada.world.telemetry, dict, (routes,), wall=lambda: NOW)
        yield Server(ada, bob, cast(QuartClient, application.test_client()))


# -- a query and its task


async def test_a_query_answers_at_once_and_its_task_has_the_answer(autojump_clock: MockClock) -> None:
    async with open_server(delay_s=2.0) as server:
        status, said = await server.post(
            "/api/master-agent/query", {"userId": ADA, "query": "  What is React? "}
        )
        assert 200 == status
        task_id = said["taskId"]
        assert {
            "success": True,
            "taskId": task_id,
            "task_id": task_id,
            "status": "processing",
            "message": "The query is being answered.",
            "userId": ADA,
        } == said

        status, task = await server.get(f"/api/master-agent/task/{task_id}?userId={ADA}")
        assert (200, "processing", "deciding") == (status, task["status"], task["phase"])
        assert not {"result", "error", "completedAt", "processingTimeMs"} & set(task)

        await trio.sleep(3.0)
        _, task = await server.get(f"/api/master-agent/task/{task_id}")
        assert {
            "success": True,
            "taskId": task_id,
            "task_id": task_id,
            "userId": ADA,
            "query": "What is React?",
            "status": "completed",
            "agentSpawned": False,
            "processingTimeMs": 2000,
        }.items() <= task.items()
        result = task["result"]
        assert ("direct_response", "For the lens.", "For the page.") == (
            result["type"],
            result["glassesDisplay"],
            result["webviewContent"],
        )
        assert ("claude-haiku-4-5", 1, 1000, 100) == tuple(task["usage"][0].values())[:4]
        assert 0.0015 == task["costUsd"]


async def test_a_failed_task_has_an_error_and_no_result(autojump_clock: MockClock) -> None:
    async with open_server(by_shape(spawns)) as server:
        server.ada.desktops.refusal = "No computer is online."
        task_id = await server.ask("Fix it in a.py")
        await server.ada.settle()

        _, task = await server.get(f"/api/master-agent/task/{task_id}")
        assert ("failed", "No computer is online.") == (task["status"], task["error"])
        assert "result" not in task


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "MISSING_QUERY"),
        ({"query": ""}, 400, "MISSING_QUERY"),
        ({"query": None}, 400, "MISSING_QUERY"),
        ({"query": "  \n "}, 400, "INVALID_QUERY"),
        ({"query": 7}, 400, "INVALID_QUERY"),
        ({"query": ["a"]}, 400, "INVALID_QUERY"),
        ({"query": " " * 4000 + "x"}, 400, "QUERY_TOO_LONG"),
        ({"query": "x", "userId": 7}, 400, "INVALID_USER_ID"),
        ({"query": "x", "userId": BOB}, 403, "ACCESS_DENIED"),
        ({"query": "x", "userId": " "}, 400, "INVALID_USER_ID"),
        ({"query": "x", "workingDirectory": ["/"]}, 400, "INVALID_REQUEST"),
        ({"query": "x", "workingDirectory": "/a\nb"}, 400, "INVALID_REQUEST"),
        ([], 400, "INVALID_REQUEST"),
        (b"{", 400, "INVALID_REQUEST"),
        (b"\xff", 400, "INVALID_REQUEST"),
        (b"[" * 100_000, 400, "INVALID_REQUEST"),
    ],
)
@pytest.mark.parametrize("route", ["query", "agent-status"])
async def test_a_query_that_is_none_is_refused_with_a_code(
    route: str, body: object, status: int, code: str, autojump_clock: MockClock
) -> None:
    async with open_server() as server:
        answered, said = await server.post(f"/api/master-agent/{route}", body)

        assert (status, code) == (answered, said["code"])
        assert said["error"]
        assert 0 == len(server.ada.model.requests)


@pytest.mark.parametrize("user_id", [ADA, "Ada@Example.ORG", f" {ADA} "])
async def test_the_users_own_address_may_be_named(user_id: str, autojump_clock: MockClock) -> None:
    async with open_server() as server:
        status, said = await server.post("/api/master-agent/query", {"userId": user_id, "query": "x" * 4000})

        assert (200, ADA) == (status, said["userId"])


ROUTES = [
    ("POST", "/api/master-agent/query"),
    ("POST", "/api/master-agent/agent-status"),
    ("GET", "/api/master-agent/task/task_1"),
    ("POST", "/api/master-agent/task/task_1/cancel"),
    ("GET", "/api/agents"),
    ("GET", "/api/agents/agent_1"),
    ("POST", "/api/agents/agent_1/kill"),
    ("POST", "/api/agents/agent_1/approval"),
    ("POST", "/api/agents/agent_1/input"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_is_answered_without_a_token(method: str, path: str, autojump_clock: MockClock) -> None:
    body = {"userId": ADA, "query": "x", "approvalId": "approval_1", "decision": "approve"}
    async with open_server() as server:
        status, said = await server.call(method, f"{path}?userId={ADA}", body, user=None)

        assert (401, "INVALID_TOKEN") == (status, said["code"])


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_another_user_in_the_query_is_refused(
    method: str, path: str, autojump_clock: MockClock
) -> None:
    body = {"query": "x", "approvalId": "approval_1", "decision": "approve"}
    async with open_server() as server:
        status, said = await server.call(method, f"{path}?userId={BOB}", body)

        assert (403, "ACCESS_DENIED") == (status, said["code"])


async def test_another_users_task_is_denied_and_an_unknown_one_not_found(autojump_clock: MockClock) -> None:
    async with open_server(delay_s=5.0) as server:
        task_id = await server.ask("Bob's question", user=BOB)

        for path in (f"/api/master-agent/task/{task_id}", f"/api/master-agent/task/{task_id}/cancel"):
            call = server.post if path.endswith("cancel") else server.get
            status, said = await call(path)
            assert (403, "ACCESS_DENIED") == (status, said["code"])
            assert "Bob" not in str(said)
        for path in ("/api/master-agent/task/task_0", "/api/master-agent/task/task_0/cancel"):
            call = server.post if path.endswith("cancel") else server.get
            status, said = await call(path)
            assert (404, "TASK_NOT_FOUND") == (status, said["code"])
        status, _ = await server.get(f"/api/master-agent/task/{task_id}", user=BOB)
        assert 200 == status


async def test_a_working_directory_goes_to_the_agent(autojump_clock: MockClock) -> None:
    async with open_server(by_shape(spawns)) as server:
        body = {"query": "Fix it in a.py", "workingDirectory": "/srv/my app"}
        await server.post("/api/master-agent/query", body)
        await server.ada.settle()

        assert ["/srv/my app"] == [spawn.working_directory for spawn in server.ada.desktops.spawns]


async def test_an_ended_agent_is_gone_on_with_by_what_its_user_says(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        server.ada.desktops.made("agent_0", "task_0", "run tests", "failed", can_resume=True)
        body = {"query": " And the docs? ", "resumes": "agent_0", "workingDirectory": "/srv"}

        status, said = await server.post("/api/master-agent/query", body)
        await server.ada.settle()

        (spawn,) = server.ada.desktops.spawns
        assert (200, "And the docs?", "agent_0") == (status, spawn.goal, spawn.resumes)
        _, task = await server.get(f"/api/master-agent/task/{said['taskId']}")
        assert ("running", "agent_0") == (task["phase"], task["resumes"])
        assert [] == server.ada.model.requests


@pytest.mark.parametrize(
    ("resumes", "status", "code"),
    [
        ("agent_bob", 404, "AGENT_NOT_FOUND"),
        ("agent_nobody", 404, "AGENT_NOT_FOUND"),
        ("x" * 200, 404, "AGENT_NOT_FOUND"),
        ("agent_runs", 409, "AGENT_RUNNING"),
        ("agent_bash", 409, "NOT_RESUMABLE"),
        ("agent_away", 409, "NO_DAEMON"),
        ("agent_removed", 409, "NO_DAEMON"),
        ("", 400, "INVALID_REQUEST"),
        ("x" * 201, 400, "INVALID_REQUEST"),
        (7, 400, "INVALID_REQUEST"),
        (["agent_runs"], 400, "INVALID_REQUEST"),
        ({}, 400, "INVALID_REQUEST"),
    ],
)
async def test_an_agent_that_cannot_be_gone_on_with_is_refused_with_a_code(
    resumes: object, status: int, code: str, autojump_clock: MockClock
) -> None:
    async with open_server() as server:
        made = server.ada.desktops.made
        server.ada.desktops.daemons = (LAPTOP, replace(TOWER, is_online=False))
        made("agent_runs", "task_1", "run tests", "running", can_resume=True)
        made("agent_bash", "task_2", "run tests", "completed")
        made("agent_away", "task_3", "run tests", "completed", can_resume=True, daemon_id="daemon_2")
        made("agent_removed", "task_4", "run tests", "completed", can_resume=True, daemon_id="daemon_3")
        server.bob.desktops.made("agent_bob", "task_5", "run tests", "completed", can_resume=True)

        answered, said = await server.post("/api/master-agent/query", {"query": "Go on", "resumes": resumes})
        await server.ada.settle()

        assert (status, code) == (answered, said["code"])
        assert said["error"]
        assert [] == server.ada.desktops.spawns == server.bob.desktops.spawns
        assert () == await server.ada.listed()


async def test_too_many_queries_are_told_when_to_come_back(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        for _ in range(120):
            await server.ask()
            await server.ada.settle()
        status, said = await server.post("/api/master-agent/query", {"query": "x"})
        assert (429, "RATE_LIMITED") == (status, said["code"])
        assert 50 < int(server.retry_after or 0) <= 60
        assert 200 == (await server.post("/api/master-agent/query", {"query": "x"}, user=BOB))[0]


async def test_a_store_that_is_out_is_a_503_with_a_time(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        task_id = await server.ask()
        server.ada.world.store.outage = "the disk is full"

        for status, said in (
            await server.post("/api/master-agent/query", {"query": "x"}),
            await server.get(f"/api/master-agent/task/{task_id}"),
        ):
            assert (503, "DB_NOT_CONNECTED", "1") == (status, said["code"], server.retry_after)


async def test_health_says_whether_the_store_answers_and_needs_no_token(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        said = await server.get("/api/master-agent/health", user=None)
        assert (
            200,
            {
                "status": "healthy",
                "service": "master-agent",
                "database": "connected",
                "timestamp": "2025-11-21T06:00:00.000Z",
            },
        ) == said
        server.ada.world.store.outage = "the disk is full"
        status, body = await server.get("/api/master-agent/health", user=None)
        assert (200, "degraded", "disconnected") == (status, body["status"], body["database"])


async def test_the_agents_status_is_a_task_with_a_summary(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        for number, state in enumerate(("running", "needs_approval", "completed", "failed", "cancelled")):
            server.ada.desktops.made(f"agent_{number}", "", "goal", state)  # type: ignore[arg-type]
        body = {"userId": ADA, "query": "What do they do?"}
        status, said = await server.post("/api/master-agent/agent-status", body)

        assert (200, True) == (status, said["task_id"].startswith("task_status_"))
        assert {
            "totalAgents": 5,
            "activeAgents": 2,
            "completedAgents": 1,
            "failedAgents": 1,
            "onlineDaemons": 1,
        } == said["statusSummary"]
        await server.ada.settle()
        _, task = await server.get(f"/api/master-agent/task/{said['taskId']}")
        assert "completed" == task["status"]


async def test_a_task_is_given_up_once(autojump_clock: MockClock) -> None:
    async with open_server(by_shape(spawns)) as server:
        task_id = await server.ask("Fix it in a.py")
        await server.ada.settle()
        path = f"/api/master-agent/task/{task_id}/cancel"

        status, said = await server.post(path)
        assert (202, "cancelled", task_id) == (status, said["status"], said["taskId"])
        assert ["agent_1"] == server.ada.desktops.kills
        assert 202 == (await server.post(path))[0]
        assert 1 == len(server.ada.desktops.kills)

        _, task = await server.get(f"/api/master-agent/task/{task_id}")
        assert ("failed", True) == (task["status"], task["isCancelled"])


async def test_a_task_that_has_ended_cannot_be_given_up(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        task_id = await server.ask()
        await server.ada.settle()

        status, said = await server.post(f"/api/master-agent/task/{task_id}/cancel")
        assert (409, "TASK_FINAL") == (status, said["code"])


# -- agents


async def test_agents_are_listed_and_found_by_their_own_user_only(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        server.ada.desktops.made("agent_1", "task_1", "count files", "running")
        server.ada.desktops.made("agent_2", "task_2", "run tests", "completed")

        status, said = await server.get("/api/agents")
        assert (200, ["agent_2", "agent_1"]) == (status, [agent["agentId"] for agent in said["agents"]])
        _, said = await server.get("/api/agents?status=running")
        assert ["agent_1"] == [agent["agentId"] for agent in said["agents"]]
        status, said = await server.get("/api/agents?status=flying")
        assert (400, "INVALID_STATUS") == (status, said["code"])
        status, agent = await server.get("/api/agents/agent_1")
        assert (200, "count files", "running", ADA) == (
            status,
            agent["goal"],
            agent["status"],
            agent["userId"],
        )
        assert "result" not in agent
        for user, path in ((ADA, "/api/agents/agent_9"), (BOB, "/api/agents/agent_1")):
            status, said = await server.get(path, user=user)
            assert (404, "AGENT_NOT_FOUND") == (status, said["code"])
        assert {"agents": []} == (await server.get("/api/agents", user=BOB))[1]


async def test_an_agent_is_killed_once_and_only_by_its_user(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        server.ada.desktops.made("agent_1", "task_1", "count files", "running")
        server.ada.desktops.made("agent_2", "task_2", "run tests", "completed")

        assert (202, {"status": "cancelled"}) == await server.post("/api/agents/agent_1/kill")
        status, said = await server.post("/api/agents/agent_2/kill")
        assert (409, "AGENT_FINAL") == (status, said["code"])
        status, said = await server.post("/api/agents/agent_1/kill", user=BOB)
        assert (404, "AGENT_NOT_FOUND") == (status, said["code"])


async def test_an_approval_is_answered_while_it_is_open(autojump_clock: MockClock) -> None:
    async with open_server() as server:
        agent = server.ada.desktops.made("agent_1", "task_1", "count files", "needs_approval")
        server.ada.desktops.agents["agent_1"] = msgspec.structs.replace(agent, approval=APPROVAL)
        path = "/api/agents/agent_1/approval"
        body = {"approvalId": "approval_1", "decision": "choose", "choice": "1", "message": "go on"}

        status, said = await server.post(path, body)
        assert (200, {"success": True, "agentId": "agent_1", "approvalId": "approval_1"}) == (status, said)
        (answer,) = server.ada.desktops.answers
        assert ("approval_1", "choose", "1", "go on") == (
            answer.approval_id,
            answer.decision,
            answer.choice,
            answer.message,
        )
        status, said = await server.post(path, {"approvalId": "approval_0", "decision": "deny"})
        assert (409, "APPROVAL_STALE") == (status, said["code"])
        status, said = await server.post(path, {"approvalId": "approval_1", "decision": "deny"}, user=BOB)
        assert (404, "AGENT_NOT_FOUND") == (status, said["code"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"approvalId": "a"},
        {"approvalId": "a", "decision": "maybe"},
        {"approvalId": 7, "decision": "deny"},
        {"approvalId": "a", "decision": "choose"},
        {"approvalId": "a", "decision": "choose", "choice": ""},
        {"approvalId": "a", "decision": "deny", "message": "x" * 2001},
    ],
)
async def test_an_answer_that_is_none_is_refused(body: object, autojump_clock: MockClock) -> None:
    async with open_server() as server:
        status, said = await server.post("/api/agents/agent_1/approval", body)

        assert (400, "INVALID_REQUEST") == (status, said["code"])
        assert [] == server.ada.desktops.answers


async def test_a_limit_of_tasks_at_once_is_a_429_too(autojump_clock: MockClock) -> None:
    async with open_server(delay_s=9.0, settings=AssistantSettings(tasks_at_once=1)) as server:
        await server.ask()

        assert 429 == (await server.post("/api/master-agent/query", {"query": "x"}))[0]
