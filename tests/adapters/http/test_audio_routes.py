"""`POST /api/client/audio/configure`: its statuses, and that the format arrives (protocol.md 1.2)."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from quart.testing import QuartClient
from trio.testing import MockClock

from adapters.http import create_application
from adapters.http.audio_routes import audio_routes
from adapters.simulated.lc3 import encode, pcm_of
from tests.actors.world import ADA, World, open_world

NOW = 1_763_704_800.0  # 2025-11-21T06:00:00Z
LC3 = {"sampleRate": 16000, "frameDurationMs": 10, "frameSizeBytes": 40}


async def post(world: World, body: object, *, token: str | None = None) -> tuple[int, dict[str, Any]]:
    assert world.hall is not None
    routes = audio_routes(
        tokens=world.tokens, roster=world.hall.roster, telemetry=world.telemetry, wall=lambda: NOW
    )
    application = create_application(world.telemetry, dict, (routes,), wall=lambda: NOW)
    bearer = world.tokens.mint(ADA, expires_s=None) if token is None else token
    answer = await cast(QuartClient, application.test_client()).open(
        "/api/client/audio/configure",
        method="POST",
        headers={"Authorization": f"Bearer {bearer}"},
        data=body if isinstance(body, bytes) else msgspec.json.encode(body),
    )
    said: dict[str, Any] = msgspec.json.decode(await answer.get_data(as_text=False))
    return answer.status_code, said


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"format": "lc3", "lc3Config": LC3}, {"format": "lc3", "lc3Config": LC3}),
        ({"format": "lc3"}, {"format": "lc3", "lc3Config": {**LC3, "frameSizeBytes": 20}}),
        ({"format": "pcm"}, {"format": "pcm"}),
    ],
)
async def test_the_answer_echoes_what_was_taken(
    autojump_clock: MockClock, asked: object, answered: dict[str, object]
) -> None:
    async with open_world() as world:
        await world.phone()

        answer = await post(world, asked)

        assert (200, {"success": True, **answered, "timestamp": "2025-11-21T06:00:00.000Z"}) == answer
        assert answered == world.telemetry.of("audio_configured")[0]["format"]


async def test_a_format_said_over_rest_is_how_the_microphone_is_heard(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        await post(world, {"format": "lc3", "lc3Config": LC3})
        await world.settle()
        phone.stream(encode(500, 40))

        assert [pcm_of(500)] == server.connection.frames()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"format":"opus"}', b"\xff"])
async def test_a_format_that_nobody_decodes_is_a_400_and_changes_nothing(
    autojump_clock: MockClock, body: bytes
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        status, said = await post(world, body)
        phone.stream(bytes(3200))

        assert (400, False, "INVALID_REQUEST") == (status, said["success"], said["code"])
        assert said["message"].startswith("Invalid audio format: ")
        assert [bytes(3200)] == server.connection.frames()


async def test_a_microphone_is_configured_only_with_a_good_token(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.phone()

        status, said = await post(world, {"format": "pcm"}, token="nonsense")

        assert (401, "Invalid token") == (status, said["error"])


@pytest.mark.parametrize("has_session", [False, True])
async def test_without_a_session_or_its_phone_the_answer_means_reconnect(
    autojump_clock: MockClock, has_session: bool
) -> None:
    async with open_world() as world:
        if has_session:
            (await world.phone()).hang_up()
            await world.settle()

        status, said = await post(world, {"format": "pcm"})

        assert (503, "no_active_session") == (status, said["error"])
