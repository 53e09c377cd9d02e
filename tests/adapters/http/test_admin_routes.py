"""The administration's way to crash an actor: only when asked for, only with its token."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
import trio
from quart.testing import QuartClient
from trio.testing import MockClock

from adapters.http import create_application
from adapters.http.admin_routes import admin_routes
from tests.actors.world import World, open_world


async def post_kill(
    world: World, body: bytes, *, token: str = "secret", is_allowed: bool = True
) -> tuple[int, dict[str, Any]]:
    routes = admin_routes(
        admin_token="secret",
        tree=dict,
        counters=dict,
        directory=world.find("directory"),
        find=world.system.find if is_allowed else None,
    )
    application = create_application(world.telemetry, dict, (routes,), wall=lambda: 0.0)
    client = cast(QuartClient, application.test_client())
    headers = {"Authorization": f"Bearer {token}"}
    answer = await client.open("/api/admin/kill", method="POST", data=body, headers=headers)
    return answer.status_code, msgspec.json.decode(await answer.get_data(as_text=False))


async def test_the_administration_crashes_one_actor_and_its_supervisor_restarts_it(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        path = world.find("journal").path

        status, said = await post_kill(world, msgspec.json.encode({"path": path}))
        await trio.sleep(1)
        node = world.system.tree().find(path)

    assert (200, {"killed": path}) == (status, said)
    assert node is not None
    assert ("running", 1) == (node.status, node.restarts)
    assert "KilledByAdmin" in (node.last_error or "")


@pytest.mark.parametrize(
    ("body", "token", "is_allowed", "status"),
    [
        (b'{"path": "/glasshouse/journal"}', "secret", False, 404),
        (b'{"path": "/glasshouse/journal"}', "guessed", True, 401),
        (b'{"path": "/glasshouse/nobody"}', "secret", True, 404),
        (b'{"actor": "/glasshouse/journal"}', "secret", True, 400),
    ],
    ids=["not asked for", "wrong token", "no such actor", "no path"],
)
async def test_a_kill_that_is_not_meant_kills_nobody(
    autojump_clock: MockClock, body: bytes, token: str, is_allowed: bool, status: int
) -> None:
    async with open_world() as world:
        answered, _ = await post_kill(world, body, token=token, is_allowed=is_allowed)
        await trio.sleep(1)
        restarts = [node.path for node in world.system.tree().walk() if node.restarts]

    assert status == answered
    assert [] == restarts
