"""REST as a phone's home screen uses it: starting and stopping apps with every status of protocol.md 1.2."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import trio

from clients.glasses import Glasses
from config.data_directory import SECRET_NAME
from protocols.error_codes import ErrorCode, details
from tests.system.peers import app, press_until_shown, wearer
from tests.system.server import PATIENCE_S, Server, eventually

ADA = "ada@example.org"
PACKAGE = "org.example.captions"
BROKEN = "org.example.broken"  # a server that fails is spared for a while, in other tests too
OTHER_SECRET = "another secret of thirty-two bytes or more"
PHONES = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(
        tmp_path_factory.mktemp("rest"),
        "display.boot_screen_s=0.1",
        "lifecycle.webhook_retry_s=0.1",
        "session.phone_grace_s=0.1",
    ) as server:
        yield server


async def post(server: Server, path: str, authorization: str | None) -> tuple[int, Any]:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await server.request("POST", path, headers=headers)
    return answer.status, json.loads(answer.body)


def status_of(action: str, *, is_running: bool) -> dict[str, Any]:
    return {"success": True, "data": {"status": action, "isRunning": is_running}}


@pytest.mark.parametrize("prefix", ["", "/api", "/o/anybody/api"])
async def test_app_is_started_and_stopped_over_rest(server: Server, prefix: str) -> None:
    async with app(server, PACKAGE) as running, wearer(server, "Ada@Example.org") as phone:
        bearer = f"Bearer {server.token('ADA@example.org')}"

        started = await post(server, f"{prefix}/apps/{PACKAGE}/start", bearer)
        again = await post(server, f"{prefix}/apps/{PACKAGE}/start", bearer)
        await press_until_shown(phone, "one")
        stopped = await post(server, f"{prefix}/apps/{PACKAGE}/stop", bearer)
        idle = await post(server, f"{prefix}/apps/{PACKAGE}/stop", bearer)

        assert (200, status_of("started", is_running=True)) == started == again
        assert (200, status_of("stopped", is_running=False)) == stopped == idle
        await phone.wait_for(lambda glasses: glasses.running_apps == (), timeout_s=PATIENCE_S)
        await eventually(lambda: running.stopped)
        assert ["session_request", "stop_request"] == running.webhooks


async def test_goodbye_ends_the_session(server: Server) -> None:
    async with app(server, PACKAGE) as running, wearer(server, ADA) as phone:
        bearer = f"Bearer {server.token(ADA)}"
        await post(server, f"/apps/{PACKAGE}/start", bearer)
        await press_until_shown(phone, "one")

        status, body = await post(server, "/api/client/goodbye", bearer)
        again, _ = await post(server, "/api/client/goodbye", "Bearer nonsense")

        assert (200, True) == (status, body["success"])
        assert 401 == again
        await eventually(lambda: running.stopped)


async def test_start_that_fails_is_a_200_that_says_not_running(server: Server) -> None:
    async with app(server, BROKEN) as broken, wearer(server, ADA):
        broken.webhook_status = 500

        answer = await post(server, f"/apps/{BROKEN}/start", f"Bearer {server.token(ADA)}")

    assert (200, status_of("started", is_running=False)) == answer


async def test_unknown_app_is_a_404(server: Server) -> None:
    async with wearer(server, ADA):
        status, body = await post(server, "/apps/org.unknown.app/start", f"Bearer {server.token(ADA)}")

    assert (404, False, "App not found") == (status, body["success"], body["message"])


@pytest.mark.parametrize("action", ["start", "stop"])
async def test_whoever_shows_no_good_token_gets_401_with_the_reason(server: Server, action: str) -> None:
    secret = (server.data / SECRET_NAME).read_text().strip()
    now = time.time()
    claims = {
        "forged": jwt.encode({"email": ADA}, OTHER_SECRET, algorithm="HS256"),
        "expired": jwt.encode({"email": ADA, "exp": now - 3600}, secret, algorithm="HS256"),
        "nobody": jwt.encode({"organizations": []}, secret, algorithm="HS256"),
    }
    path = f"/apps/{PACKAGE}/{action}"

    async with wearer(server, ADA):
        missing = [await post(server, path, said) for said in (None, "", "Basic YTpi", "Bearer")]
        wrong = {name: await post(server, path, f"Bearer {token}") for name, token in claims.items()}

    explained = details(ErrorCode.INVALID_TOKEN)
    assert [(401, {"error": "Authorization header missing or invalid", **explained})] * 4 == missing
    assert {401} == {status for status, _ in wrong.values()}
    assert (401, {"error": "Invalid token", **explained}) == wrong["forged"]


@pytest.mark.parametrize("action", ["start", "stop"])
async def test_user_without_a_session_gets_401_and_never_the_503_that_means_reconnect(
    server: Server, action: str
) -> None:
    bearer = f"Bearer {server.token('nobody@example.org')}"

    answer = await post(server, f"/apps/{PACKAGE}/{action}", bearer)

    explained = details(ErrorCode.SESSION_NOT_FOUND)
    assert (401, {"error": "No active session found", **explained}) == answer


async def test_wrong_method_and_path_are_told_in_json(server: Server) -> None:
    method = await server.request("GET", f"/apps/{PACKAGE}/start")
    path = await server.request("POST", f"/apps/{PACKAGE}/begin")

    assert (405, "Method Not Allowed") == (method.status, json.loads(method.body)["message"])
    assert (404, "Not Found") == (path.status, json.loads(path.body)["message"])


async def test_health_answers_while_phones_dial_and_speak(server: Server) -> None:
    """Twenty phones dial at once and each sends two seconds of audio as fast as it can."""
    async with app(server, PACKAGE):
        is_over = trio.Event()
        answers: list[tuple[int, str]] = []

        async def live(number: int) -> None:
            async with wearer(server, f"phone-{number}@example.org") as phone:
                await phone.start_app(PACKAGE)
                await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)
                assert 20 == await speak(phone)

        async def ask() -> None:
            while not is_over.is_set():
                answer = await server.request("GET", "/health")
                answers.append((answer.status, json.loads(answer.body)["status"]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            async with trio.open_nursery() as phones:
                for number in range(PHONES):
                    phones.start_soon(live, number)
            is_over.set()

    assert len(answers) > 2
    assert {(200, "ok")} == set(answers)


async def speak(phone: Glasses) -> int:
    return await phone.play(bytes(64_000), realtime=False)
