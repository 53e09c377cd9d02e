"""What app servers POST to us (protocol.md 4.7): statuses, messages, and that a wrong key changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace
from quart.testing import QuartClient
from trio.testing import MockClock

from adapters.http import create_application
from adapters.http.admin_routes import admin_routes
from adapters.http.app_server_routes import app_server_routes
from tests.actors.world import CAPTIONS, KEY, World, open_world

URL = f"https://{CAPTIONS}.example.org"
WHO = {"packageName": CAPTIONS, "apiKey": KEY}
NOW = 1_763_704_800.0  # 2025-11-21T06:00:00Z


class Desk:
    """The application of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        directory = world.find("directory")
        self.application = create_application(
            world.telemetry,
            dict,
            (
                app_server_routes(
                    directory=directory, telemetry=world.telemetry, wall=lambda: NOW, admits=lambda *_: True
                ),
                admin_routes(admin_token="secret", tree=dict, counters=dict, directory=directory),
            ),
            wall=lambda: NOW,
        )

    async def post(self, route: str, body: object) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        client = cast(QuartClient, self.application.test_client())
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        answer = await client.open(f"/api/app-server/{route}", method="POST", data=data)
        said: dict[str, Any] = msgspec.json.decode(await answer.get_data(as_text=False))
        assert "2025-11-21T06:00:00.000Z" == said.pop("timestamp")
        return answer.status_code, said, {name.lower(): value for name, value in answer.headers.items()}

    async def known(self, token: str = "secret") -> tuple[int, Any]:
        client = cast(QuartClient, self.application.test_client())
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.get("/api/admin/app-servers", headers=headers)
        return answer.status_code, msgspec.json.decode(await answer.get_data(as_text=False))


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    async with open_world() as world:
        await world.running_app(await world.phone())
        yield Desk(world)


@pytest.mark.parametrize("route", ["register", "restart"])
async def test_registration_answers_with_its_id_and_how_many_sessions_are_told(
    autojump_clock: MockClock, route: str
) -> None:
    async with open_desk() as desk:
        body = {**WHO, "webhookUrl": f"{URL}/webhook", "serverUrls": [URL], "more": 1}

        status, said, _ = await desk.post(route, body)
        known_status, known = await desk.known()

    assert 200 == status
    assert {"success": True, "sessions": 1} == {name: said[name] for name in ("success", "sessions")}
    assert f"Registered; 1 session of {CAPTIONS} told" == said["message"]
    assert 200 == known_status
    (server,) = known["appServers"]
    assert (said["registrationId"], [URL]) == (server["registrationId"], server["serverUrls"])
    assert (True, 1, "closed") == (server["isUp"], server["sessions"], server["breaker"])


async def test_another_address_than_the_catalogues_is_said_to_be_without_effect(
    autojump_clock: MockClock,
) -> None:
    async with open_desk() as desk:
        body = {**WHO, "webhookUrl": "https://elsewhere.example.org/webhook"}
        _, said, _ = await desk.post("register", body)

    assert f"Webhooks go to {URL}/webhook" in said["message"]


async def test_heartbeat_needs_no_registration_and_tells_no_session(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        before = await desk.post("heartbeat", WHO)
        _, registered, _ = await desk.post("register", {**WHO, "webhookUrl": URL})
        after = await desk.post("heartbeat", WHO)

    assert (200, None, 0) == (before[0], before[1]["registrationId"], before[1]["sessions"])
    assert registered["registrationId"] == after[1]["registrationId"]


@pytest.mark.parametrize(
    ("route", "body", "message"),
    [
        ("register", WHO, "missing: webhookUrl"),
        ("register", {}, "missing: packageName, apiKey, webhookUrl"),
        ("heartbeat", {"packageName": CAPTIONS}, "missing: apiKey"),
        ("restart", {"apiKey": KEY, "packageName": ""}, "missing: packageName"),
        ("register", b"", "expected a JSON object"),
        ("register", b"[1]", "expected a JSON object"),
        ("register", b"\xff", "expected a JSON object"),
        ("register", b"[" * 100_000, "expected a JSON object"),
        ("register", {**WHO, "webhookUrl": 7}, "webhookUrl"),
        ("register", {**WHO, "webhookUrl": "h" * 3000}, "webhookUrl"),
        ("register", {**WHO, "webhookUrl": URL, "serverUrls": [URL] * 100}, "serverUrls"),
    ],
)
async def test_body_that_lacks_something_is_a_400_that_names_it(
    autojump_clock: MockClock, route: str, body: object, message: str
) -> None:
    async with open_desk() as desk:
        status, said, _ = await desk.post(route, body)

    assert (400, False) == (status, said["success"])
    assert message in said["message"]


@pytest.mark.parametrize("route", ["register", "heartbeat", "restart"])
@pytest.mark.parametrize(
    "who", [{"packageName": CAPTIONS, "apiKey": "another"}, {"packageName": "org.none", "apiKey": KEY}]
)
async def test_wrong_key_and_unknown_app_look_the_same_and_change_nothing(
    autojump_clock: MockClock, route: str, who: dict[str, str]
) -> None:
    async with open_desk() as desk:
        status, said, _ = await desk.post(route, {**who, "webhookUrl": URL})
        _, known = await desk.known()

    key_hint = "Use the package name and the key that `glasshouse app add` was given or has printed."
    assert 401 == status
    assert {
        "success": False,
        "message": "Invalid API key",
        "code": "INVALID_API_KEY",
        "hop": "cloud",
        "remedy": key_hint,
    } == said
    (server,) = known["appServers"]
    assert (None, None) == (server["registeredAt"], server["heartbeatAt"])


async def test_store_that_cannot_answer_is_a_503_with_a_time_to_retry(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        desk.world.store.outage = "no space left"
        directory = desk.world.find("directory")
        await desk.world.system.replace_state(directory, lambda known: replace(known, read_at=float("-inf")))
        status, said, headers = await desk.post("register", {**WHO, "webhookUrl": URL})

    assert (503, False, "1") == (status, said["success"], headers["retry-after"])
    assert ("STORE_UNAVAILABLE", "store", 1.0) == (said["code"], said["hop"], said["retry_after"])


async def test_admin_route_is_for_the_admin_only(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        assert 401 == (await desk.known("another"))[0]
