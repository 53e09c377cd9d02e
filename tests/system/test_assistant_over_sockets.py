"""The MasterAgent over real sockets: phones' REST, a language model's API, a computer's daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from clients.messages_loopback import Asked, Fault, MessagesLoopback, Reply, ToolUse, open_messages_loopback
from clients.network import open_stream
from clients.socket import DisconnectedError, Socket, hold
from tests.system.server import PATIENCE_S, Server, eventually, serving

ADA = "ada@example.org"
QUERY = "Fix the failing test in parser.py"


def think(asked: Asked) -> Reply:
    """Looks first, decides then; writes the goal; sums up."""
    if "output_config" in asked.body:
        return msgspec.json.encode(
            {"glasses_display": "Fixed, 12 tests pass.", "webview_content": "# Fixed"}
        ).decode()
    if not asked.tools:
        return "Make the test in parser.py pass and say what was wrong."
    if not asked.results:
        return ["I look.", ToolUse("get_daemon_status", {"userId": "bob@example.org"})]
    return [
        ToolUse(
            "decide",
            {
                "decision": "spawn_agent",
                "glasses_display": "",
                "webview_content": "",
                "goal": "fix it",
                "working_directory": "",
                "reasoning": asked.results[0].text,
            },
        )
    ]


class Computer:
    """A daemon that does what the test says."""

    def __init__(self, server: Server, token: str) -> None:
        self.server = server
        self.headers = {"Authorization": f"Bearer {token}"}
        self.frames: list[dict[str, Any]] = []
        self.socket: Socket | None = None

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    @asynccontextmanager
    async def online(self, *agents: dict[str, object]) -> AsyncIterator[None]:
        """Its socket, while the block runs or until the server is gone."""
        url = self.server.url.replace("http", "ws") + "/ws/daemon"
        async with trio.open_nursery() as nursery:
            socket: Socket = await nursery.start(
                partial(hold, url, connect=open_stream, headers=self.headers)
            )
            self.socket = socket
            await self.send(type="hello", name="laptop", adapters=["bash"], agents=list(agents))
            nursery.start_soon(self._hear, socket)
            yield
            nursery.cancel_scope.cancel()

    async def _hear(self, socket: Socket) -> None:
        try:
            while True:
                self.frames.append(msgspec.json.decode(await socket.receive()))
        except DisconnectedError:
            return

    async def send(self, **frame: object) -> None:
        assert self.socket is not None
        await self.socket.send(msgspec.json.encode(frame).decode())

    async def report(self, agent_id: str, what: str, **body: object) -> None:
        answer = await self.server.request(
            "POST",
            f"/daemon-api/subagent/{agent_id}/{what}",
            headers=self.headers,
            body=msgspec.json.encode(body),
        )
        assert 200 == answer.status, answer


class Caller:
    """A client of the MasterAgent."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.token = server.token(ADA)

    async def call(self, method: str, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        answer = await self.server.request(
            method,
            path,
            headers={"Authorization": f"Bearer {self.token}"},
            body=msgspec.json.encode(body) if method == "POST" else b"",
        )
        said: dict[str, Any] = msgspec.json.decode(answer.body)
        return answer.status, said

    async def ask(self, query: str) -> str:
        status, said = await self.call("POST", "/api/master-agent/query", userId=ADA, query=query)
        assert (200, "processing") == (status, said["status"]), said
        task_id: str = said["task_id"]
        return task_id

    async def until(self, task_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The task once it is so."""
        with trio.move_on_after(PATIENCE_S):
            while True:
                _, task = await self.call("GET", f"/api/master-agent/task/{task_id}?userId={ADA}")
                if holds(task):
                    return task
                await trio.sleep(0.05)
        raise AssertionError(f"the task stayed {task}\n{self.server.log_tail()}")

    async def computer(self) -> Computer:
        status, said = await self.call("POST", "/api/daemons", name="laptop")
        assert 201 == status, said
        return Computer(self.server, said["token"])


def has_ended(task: dict[str, Any]) -> bool:
    return bool(task["status"] != "processing")


async def test_a_query_becomes_an_agents_work_that_a_killed_server_goes_on_with(tmp_path: Path) -> None:
    messages = MessagesLoopback(think, keys=frozenset({"its key"}))
    messages.plan(Fault(status=529), Fault(status=429, retry_after_s=0.1))
    async with (
        open_messages_loopback(messages),
        serving(tmp_path, "anthropic_api_key=its key", f"anthropic_base_url={messages.url}") as server,
    ):
        caller = Caller(server)
        laptop = await caller.computer()
        async with laptop.online():
            await eventually(lambda: bool(laptop.told("welcome")))
            task_id = await caller.ask(QUERY)
            await eventually(lambda: bool(laptop.told("spawn_agent")))
            (order,) = laptop.told("spawn_agent")
            agent_id = order["agentId"]
            assert "Make the test in parser.py pass and say what was wrong." == order["goal"]
            await laptop.send(type="agent_ack", agentId=agent_id, status="started")
            approval = {"approvalId": "a1", "title": "Run pytest?", "options": [{"id": "1", "label": "Yes"}]}
            await laptop.report(agent_id, "status", status="needs_approval", approval=approval, seq=1)
            task = await caller.until(task_id, lambda task: task.get("phase") == "needs_approval")
            assert "Run pytest?" == task["approval"]["title"]
            status, _ = await caller.call(
                "POST", f"/api/agents/{agent_id}/approval", approvalId="a1", decision="approve"
            )
            assert 200 == status
            await eventually(lambda: bool(laptop.told("approve_agent")))
            await laptop.report(agent_id, "status", status="running", currentStep="pytest", seq=2)
            await caller.until(task_id, lambda task: task.get("phase") == "running")
            questions = len(messages.asked)
            killed = server.child
            os.kill(killed, signal.SIGKILL)

        await eventually(lambda: server.file.process != killed)
        laptop.frames.clear()
        async with laptop.online({"agentId": agent_id, "status": "running", "seq": 2}):
            await eventually(lambda: bool(laptop.told("welcome")))
            assert [agent_id] == laptop.told("welcome")[0]["resume"]
            await laptop.report(
                agent_id, "complete", status="completed", result="It was a comma.", executionTimeMs=9, seq=3
            )
            task = await caller.until(task_id, has_ended)
            assert [] == laptop.told("spawn_agent")

        result = task["result"]
        assert ("completed", "agent_result", "Fixed, 12 tests pass.", "# Fixed") == (
            task["status"],
            result["type"],
            result["glassesDisplay"],
            result["webviewContent"],
        )
        assert ("completed", "It was a comma.") == (
            result["agentResult"]["status"],
            result["agentResult"]["result"],
        )
        assert questions + 1 == len(messages.asked), "nothing but the synthesis was asked again"
        assert {"claude-haiku-4-5": 2, "claude-sonnet-4-6": 2} == {
            use["model"]: use["calls"] for use in task["usage"]
        }
        assert task["costUsd"] > 0
        for asked in messages.asked:
            assert asked.user.endswith(QUERY)
        assert "It was a comma." in messages.asked[-1].user
        assert "bob@example.org" not in str([asked.results for asked in messages.asked])
        assert "its key" not in server.log()


async def test_without_a_key_it_goes_by_rules_and_without_a_computer_it_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        caller = Caller(server)
        run = await caller.until(await caller.ask("run the tests"), has_ended)
        assert "failed" == run["status"]
        assert run["error"]
        assert len(run["error"]) <= 100

        what = await caller.until(await caller.ask("What did I ask lately?"), has_ended)
        assert "run the tests" in what["result"]["webviewContent"]

        status, health = await caller.call("GET", "/api/master-agent/health")
        assert (200, "healthy", "connected") == (status, health["status"], health["database"])
