"""What an app is told when something is refused: code, hop, remedy, when to retry, and if it is closed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from protocols.error_codes import ERRORS, ErrorCode
from tests.actors.world import ADA, CAPTIONS, World, open_world


def told(error: Mapping[str, object]) -> tuple[object, ...]:
    return (error["code"], error["hop"], error["remedy"], error.get("retry_after"))


def row(code: ErrorCode, retry_after_s: float | None = None) -> tuple[object, ...]:
    kind = ERRORS[code]
    return (code.value, kind.hop.value, kind.remedy, retry_after_s)


async def forget_the_catalogue(world: World) -> None:
    """The directory has to read again, as after a minute."""
    await world.system.replace_state(
        world.find("directory"), lambda known: replace(known, read_at=float("-inf"), apps={})
    )


async def test_an_app_whose_catalogue_cannot_be_read_is_told_to_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        world.store.outage = "no space left"
        await forget_the_catalogue(world)

        connection = await server.dial(f"{ADA}-{CAPTIONS}")
        await trio.sleep(1)

        assert (1013, "Not now, try again") == connection.closed_with
        assert row(ErrorCode.STORE_UNAVAILABLE, 1.0) == told(connection.heard("tpa_connection_error")[0])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", ErrorCode.MALFORMED_MESSAGE),
        (b'{"type":"app_room_join","roomId":"r"}', ErrorCode.NOT_SUPPORTED),
        (b'{"type":"from_next_year"}', ErrorCode.MALFORMED_MESSAGE),
        (
            b'{"type":"subscription_update","subscriptions":["transcription:tlh-KX"]}',
            ErrorCode.LANGUAGE_NOT_SUPPORTED,
        ),
    ],
)
async def test_what_is_refused_is_explained_and_the_socket_stays(
    autojump_clock: MockClock, message: bytes, code: ErrorCode
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.say(message)
        await trio.sleep(1)

        assert [row(code)] == [told(error) for error in server.connection.heard("tpa_connection_error")]
        assert server.connection.is_open


async def test_a_stream_without_its_permission_is_refused_with_a_remedy(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, permissions=("LOCATION",), subscriptions=["button_press"])

        server.subscribe("audio_chunk", "no such stream", "button_press")
        await trio.sleep(1)

        (error,) = server.connection.heard("permission_error")
        assert row(ErrorCode.PERMISSION_DENIED) == told(error)
        assert ["PERMISSION_DENIED", "INVALID_STREAM"] == [each["code"] for each in error["details"]]


async def test_a_request_that_is_not_offered_is_answered_in_its_own_form_with_the_code(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.say({"type": "managed_stream_request"})
        await trio.sleep(1)

        assert [row(ErrorCode.NOT_SUPPORTED)] == [
            told(each) for each in server.connection.heard("managed_stream_status")
        ]
