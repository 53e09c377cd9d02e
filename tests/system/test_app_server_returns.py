"""An app server in a process of its own is killed and comes back: over real sockets, with audio flowing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from clients.glasses import Glasses
from tests.system.peers import wearer
from tests.system.server import Server, environment, eventually

PACKAGE, KEY = "org.example.alone", "key of the lone app"
USERS = ("ada@example.org", "bob@example.org", "cyd@example.org")
SESSIONS = {f"{user}-{PACKAGE}" for user in USERS}
BACK_S = 1.0  # DESIGN section 6: within a second of the registration
SILENCE = bytes(32_000)


class LoneApp:
    """The process, and what it has told."""

    def __init__(self, port: int, folder: Path) -> None:
        self.output = folder / f"lone-app-{time.monotonic_ns()}.jsonl"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.system.lone_app", str(port), PACKAGE, KEY],
                env=environment(folder / "data"),
                stdout=output,
            )

    def told(self, event: str) -> list[dict[str, Any]]:
        lines = [line for line in self.output.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [told for told in map(json.loads, lines) if told["event"] == event]

    def kill(self) -> None:
        """At once, without a word to anybody."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.start(tmp_path, "display.boot_screen_s=0.1", "speech_provider=none") as server:
        yield server


@asynccontextmanager
async def talking(server: Server) -> AsyncIterator[list[Glasses]]:
    """Three wearers whose microphones never stop."""

    async def talk(phone: Glasses) -> None:
        while True:
            await phone.play(SILENCE)

    async with (
        wearer(server, USERS[0]) as ada,
        wearer(server, USERS[1]) as bob,
        wearer(server, USERS[2]) as cyd,
        trio.open_nursery() as nursery,
    ):
        phones = [ada, bob, cyd]
        for phone in phones:
            nursery.start_soon(talk, phone)
        yield phones
        nursery.cancel_scope.cancel()


async def call(server: Server, route: str, **fields: object) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"packageName": PACKAGE, "apiKey": KEY, **fields}).encode()
    answer = await server.request(
        "POST", f"/api/app-server/{route}", headers={"Content-Type": "application/json"}, body=body
    )
    return answer.status, json.loads(answer.body)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def test_killed_app_server_has_all_its_sessions_back_within_a_second_of_its_registration(
    server: Server, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    await server.add_app(PACKAGE, url, api_key=KEY)
    first = LoneApp(port, tmp_path)
    second: LoneApp | None = None
    try:
        await eventually(lambda: first.told("ready"))
        async with talking(server) as phones:
            for phone in phones:
                await phone.start_app(PACKAGE)
            await eventually(lambda: SESSIONS == {told["session"] for told in first.told("audio")})

            first.kill()
            await server.log_line("app_server_down", PACKAGE)
            second = LoneApp(port, tmp_path)
            await eventually(lambda: second is not None and second.told("ready"))
            called_at = time.monotonic()
            status, said = await call(server, "register", webhookUrl=f"{url}/webhook", serverUrls=[url])
            await eventually(lambda: SESSIONS == {told["session"] for told in second.told("audio")})
            worst_s = max(told["at"] for told in second.told("audio")) - called_at
            for phone in phones:
                await phone.stop_app(PACKAGE)
            await eventually(lambda: len(second.told("stop_request")) == len(USERS))

        assert 200 == status
        assert (True, 3) == (said["success"], said["sessions"])
        assert worst_s < BACK_S
        assert sorted(SESSIONS) == sorted(told["session"] for told in first.told("session_request"))
        assert sorted(SESSIONS) == sorted(told["session"] for told in second.told("session_request"))
        print(f"audio at the last of {len(USERS)} sessions {worst_s * 1000:.0f} ms after the registration")
    finally:
        first.kill()
        if second is not None:
            second.kill()


async def test_app_server_routes_answer_with_the_statuses_of_the_protocol(server: Server) -> None:
    await server.add_app(PACKAGE, "http://127.0.0.1:9", api_key=KEY)

    registered = await call(server, "register", webhookUrl="http://127.0.0.1:9/webhook", serverUrls=[])
    heard = await call(server, "heartbeat")
    restarted = await call(server, "restart")
    refused = await call(server, "register", apiKey="another", webhookUrl="http://127.0.0.1:9")
    lacking = await call(server, "register")

    assert [200, 200, 200, 401, 400] == [
        status for status, _ in (registered, heard, restarted, refused, lacking)
    ]
    assert registered[1]["registrationId"] == heard[1]["registrationId"]
    assert "Invalid API key" == refused[1]["message"]
    assert "missing: webhookUrl" == lacking[1]["message"].removeprefix("malformed message: ")
    headers = {"Authorization": f"Bearer {server.file.admin_token}"}
    answer = await server.request("GET", "/api/admin/app-servers", headers=headers)
    (known,) = json.loads(answer.body)["appServers"]
    assert (PACKAGE, True, "closed") == (known["packageName"], known["isUp"], known["breaker"])
    unknown = await server.request("GET", "/api/admin/app-servers")
    assert 401 == unknown.status
