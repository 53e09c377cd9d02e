"""A desktop daemon as a process, against a real server.

with Desk(folder, server) as desk:
    await desk.register()
    desk.start()
    agent = await desk.spawn("bash: make")
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import trio

from clients.network import open_stream, request
from tests.system.server import PATIENCE_S, Server, command, descendants, eventually, is_alive

ADA: Final = "ada@example.org"

SETTINGS: Final = """
root = "{root}"
name = "study"

[[directories]]
path = "{root}/trusted"
allow = ["bash"]

[reconnect]
first_s = 0.2
longest_s = 0.5
silence_s = {silence_s}
token_s = 0.2

[reports]
first_s = 0.1
longest_s = 0.5

[terminal]
claude = "{claude}"
claude_config = "{config}"
"""


class Desk:
    """A desktop: a folder, a token, and a daemon that comes and goes.

    Args:
      server_url: where its daemon dials; the server's own address unless given.
      claude: the Claude Code CLI.
      variables: more of the daemon's environment.
    """

    def __init__(
        self,
        folder: Path,
        server: Server,
        *,
        server_url: str = "",
        silence_s: float = 75.0,
        claude: str = "there is none",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder / "daemon"
        self.root = folder / "code"
        self.server = server
        self.server_url = server_url or server.url
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""
        self._log = folder / "daemon.log"
        (self.root / "trusted").mkdir(parents=True)
        self.folder.mkdir()
        self._variables = dict(variables or {})
        settings = SETTINGS.format(
            root=self.root, silence_s=silence_s, claude=claude, config=folder / "claude"
        )
        (self.folder / "daemon.toml").write_text(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    # -- the process

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GLASSHOUSE_DAEMON": str(self.folder),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            **self._variables,
        }

    def start(self) -> None:
        """Start the daemon."""
        with self._log.open("a") as log:
            words = command("daemon", "start")
            self.process = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """kill -9 for the daemon alone; what it started has to end by itself."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def below(self) -> list[int]:
        """The processes of its agents."""
        assert self.process is not None
        return descendants(self.process.pid)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """`glasshouse daemon WORDS`, whose output is read as it comes."""
        return subprocess.Popen(
            command("daemon", *words), env=self.environment, stdout=subprocess.PIPE, text=True
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`glasshouse daemon WORDS`, to its end."""
        return subprocess.run(
            command("daemon", *words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def log(self) -> str:
        """What the daemon wrote."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    async def logged(self, event: str, times: int = 1) -> None:
        """Once the log has so many lines about `event`."""
        pattern = re.compile(rf"^\S+ \S+ +{event}\b", re.MULTILINE)
        try:
            await eventually(lambda: len(pattern.findall(self.log())) >= times)
        except AssertionError as error:
            raise AssertionError(f"{event} is not in\n{self.log()}") from error

    # -- the server

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, status: int = 200
    ) -> Any:
        """One request as Ada, or with another token; the answer's JSON."""
        bearer = self.server.token(ADA) if token is None else token
        encoded = b"" if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        with trio.fail_after(PATIENCE_S):
            answer = await request(
                method, self.server.url + path, connect=open_stream, headers=headers, body=encoded
            )
        assert status == answer.status, (path, answer)
        return msgspec.json.decode(answer.body)

    async def register(self) -> None:
        """Make the desktop's token without a login, and keep it where a login does."""
        made = await self.ask("POST", "/api/daemons", {"name": "study"}, status=201)
        self.token = made["token"]
        self.adopt(self.token)

    def adopt(self, token: str) -> None:
        """Go by this token."""
        self.token = token
        credentials = {"server": self.server_url, "token": token}
        (self.folder / "token.json").write_bytes(msgspec.json.encode(credentials))

    async def online(self) -> None:
        """Once the server has its hello."""
        with trio.fail_after(PATIENCE_S):
            while True:
                daemons = (await self.ask("GET", "/api/daemons"))["daemons"]
                if any(one["isOnline"] and one["adapters"] for one in daemons):
                    return
                await trio.sleep(0.05)

    async def spawn(self, goal: str, directory: str = "trusted") -> str:
        """Start an agent; its id."""
        body = {"goal": goal, "workingDirectory": directory}
        spawned = await self.ask("POST", "/daemon-api/test/spawn", body, token=self.token)
        return str(spawned["agentId"])

    async def task(self, task_id: str, phase: str | None) -> dict[str, Any]:
        """The task, once it is in this phase; None for one that has ended."""
        view: dict[str, Any] = {}
        with trio.move_on_after(PATIENCE_S):
            while True:
                view = await self.ask("GET", f"/api/master-agent/task/{task_id}")
                if view.get("phase") == phase:
                    return view
                await trio.sleep(0.05)
        raise AssertionError(f"{view} is not {phase}; the daemon logged\n{self.log()}")

    async def answer(self, agent_id: str, view: dict[str, Any], decision: str) -> None:
        """Answer the approval that the agent's view has, as its user."""
        body = {"approvalId": view["approval"]["approvalId"], "decision": decision}
        await self.ask("POST", f"/api/agents/{agent_id}/approval", body)

    async def agent(
        self, agent_id: str, *statuses: str, after: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The agent's view, once it has one of these statuses, and another approval than `after` has."""
        old = None if after is None else after["approval"]["approvalId"]
        view: dict[str, Any] = {}
        with trio.move_on_after(PATIENCE_S):
            while True:
                shown = await self.ask("GET", f"/daemon-api/test/agent/{agent_id}", token=self.token)
                view = shown["database"]
                approval = view["approval"] or {}
                if view["status"] in statuses and (old is None or approval.get("approvalId") != old):
                    return view
                await trio.sleep(0.05)
        raise AssertionError(f"{view} is not {statuses}; the daemon logged\n{self.log()}")


async def all_gone(processes: list[int]) -> None:
    """Once none of them is alive."""
    await eventually(lambda: not any(map(is_alive, processes)))
