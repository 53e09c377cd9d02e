"""A desktop daemon that does what the test says, over real sockets: the wire, without a program behind it."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import trio

from clients.network import open_stream
from clients.socket import DisconnectedError, Socket, hold
from tests.system.server import PATIENCE_S, Server, eventually


class ScriptedDaemon:
    """One daemon, logged in.

    Attributes:
      heard: every frame of every socket, in order.
      ends: the close codes of its sockets.
    """

    def __init__(self, server: Server, token: str, daemon_id: str = "") -> None:
        self.server = server
        self.token = token
        self.id = daemon_id
        self.heard: list[dict[str, Any]] = []
        self.ends: list[int] = []
        self.socket: Socket | None = None

    async def dial(self, nursery: trio.Nursery, *agents: str) -> None:
        """Dial and say hello with these running agents; raises RefusedError."""
        url = self.server.url.replace("http", "ws") + "/ws/daemon"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.socket = await nursery.start(functools.partial(hold, url, connect=open_stream, headers=headers))
        nursery.start_soon(self._listen, self.socket)
        before = len(self.told("welcome"))
        held = [{"agentId": agent, "status": "running", "seq": 0} for agent in agents]
        await self.say({"type": "hello", "protocol": 1, "adapters": ["claude"], "agents": held})
        await eventually(lambda: len(self.told("welcome")) > before)

    async def say(self, frame: dict[str, Any] | str) -> None:
        assert self.socket is not None
        await self.socket.send(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())

    async def _listen(self, socket: Socket) -> None:
        try:
            while True:
                frame = msgspec.json.decode(await socket.receive())
                self.heard.append(frame)
                if frame["type"] == "ping":
                    await socket.send('{"type":"pong"}')
        except DisconnectedError as end:
            self.ends.append(end.code)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.heard if frame["type"] == kind]

    async def hears(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The first frame of this kind with these fields; waits for it."""

        def find() -> dict[str, Any]:
            return next((one for one in self.told(kind) if fields.items() <= one.items()), {})

        return await eventually(find)

    async def report(self, path: str, body: object) -> tuple[int, Any]:
        return await call(self.server, "POST", f"/daemon-api/{path}", body, token=self.token)

    async def spawn(self, goal: str = "fix the test") -> str:
        """Have the server order an agent of it; its id once it is running."""
        status, said = await self.report("test/spawn", {"goal": goal})
        assert 200 == status, said
        agent_id: str = said["agentId"]
        await self.hears("spawn_agent", agentId=agent_id, goal=goal)
        await self.say({"type": "agent_ack", "agentId": agent_id, "status": "started"})
        assert (200, {"ok": True}) == await self.report(
            f"subagent/{agent_id}/status", {"status": "running", "seq": 1, "currentStep": "reading"}
        )
        return agent_id

    async def agent(self, agent_id: str) -> dict[str, Any]:
        """The agent as it is kept."""
        status, said = await call(self.server, "GET", f"/daemon-api/test/agent/{agent_id}", token=self.token)
        assert 200 == status, said
        kept: dict[str, Any] = said["database"]
        return kept


async def call(
    server: Server, method: str, path: str, body: object = None, *, token: str = ""
) -> tuple[int, Any]:
    """One request; its status and JSON."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = b"" if body is None else msgspec.json.encode(body)
    with trio.fail_after(PATIENCE_S):
        answer = await server.request(method, path, headers=headers, body=data)
    return answer.status, msgspec.json.decode(answer.body)


async def registered(server: Server, user: str, name: str) -> ScriptedDaemon:
    """A daemon that its user has registered."""
    status, made = await call(server, "POST", "/api/daemons", {"name": name}, token=server.token(user))
    assert 201 == status, made
    return ScriptedDaemon(server, made["token"], made["daemonId"])
