"""An app on the official SDK under node, as a process that tells what it sees on standard output."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from tests.system.conftest import SDK_APP
from tests.system.server import Server, eventually

PACKAGE: Final = "org.example.sdk-probe"


class SdkApp:
    """The app as a process, and what it told."""

    def __init__(
        self, node: str, port: int, closed_port: int, manner: str = "", *, program: str = "app.mjs"
    ) -> None:
        # Its check for a newer version goes through the proxy, that is, nowhere.
        proxy = f"http://127.0.0.1:{closed_port}"
        self.port = port
        self.events: list[dict[str, Any]] = []
        self.output: list[str] = []
        self.command = [node, "--import", "./requests.mjs", program, str(port), PACKAGE, "key", manner]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    async def run(self, *, task_status: trio.TaskStatus[trio.Process]) -> None:
        """Run until it ends or the task is cancelled; started when it listens."""
        async with trio.open_nursery() as nursery:
            start = functools.partial(
                trio.run_process,
                self.command,
                cwd=SDK_APP,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                deliver_cancel=kill,
            )
            process: trio.Process = await nursery.start(start)
            nursery.start_soon(self._listen, process)
            await self.told("listening")
            task_status.started(process)

    async def told(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th event of a kind."""
        try:
            await eventually(lambda: len(self.all(event)) >= count)
        except AssertionError as error:
            raise AssertionError(f"{event} not told {count} times in\n{''.join(self.output)}") from error
        return self.all(event)[count - 1]

    def all(self, event: str) -> list[dict[str, Any]]:
        return [told for told in self.events if told["event"] == event]

    def finals(self) -> list[str]:
        return [told["text"] for told in self.all("final")]

    def webhooks(self) -> int:
        """How many came, for starts and stops."""
        return sum(told["url"] == "/webhook" for told in self.all("request"))

    async def _listen(self, process: trio.Process) -> None:
        assert process.stdout is not None
        rest = b""
        async for chunk in process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b'{"event":'):
                    self.events.append(json.loads(line))
                self.output.append(line.decode("utf-8", "replace") + "\n")


async def kill(process: trio.Process) -> None:
    process.kill()


@asynccontextmanager
async def sdk_app(
    node: str,
    closed_port: int,
    server: Server,
    manner: str = "",
    *,
    program: str = "app.mjs",
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[SdkApp, trio.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    await server.add_app(PACKAGE, f"http://127.0.0.1:{port}")
    app = SdkApp(node, port, closed_port, manner, program=program)
    app.environment.update(variables or {})
    async with trio.open_nursery() as nursery:
        yield app, await nursery.start(app.run)
        nursery.cancel_scope.cancel()
