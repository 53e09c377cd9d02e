"""Each limit on what an app, a phone or a wearer may send and hold: who hears of it, and who does not."""

from __future__ import annotations

import jwt
import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.allowance import TrafficLimits
from actors.apps.complaints import Complaints, due_at, heard, told
from actors.display.size import too_large
from actors.domain import DomainSettings
from actors.ports import Admitted, Refused
from protocols.error_codes import ErrorCode
from tests.actors.world import ADA, CAPTIONS, KEY, SECRET, FakeConnection, open_world

LIMITS = TrafficLimits(
    app_bytes=10_000,
    app_burst_bytes=10_000,
    phone_frames=10,
    phone_burst_frames=20,
    subscriptions=3,
    sockets_per_user=3,
    display_text=100,
    display_bitmap_bytes=500,
    display_elements=8,
)
SETTINGS = DomainSettings(limits=LIMITS)
NOTES = "org.example.notes"


def codes(connection: FakeConnection) -> list[str]:
    return [error["code"] for error in connection.heard("tpa_connection_error")]


async def test_an_app_that_sends_too_many_bytes_is_told_and_its_next_small_message_counts(
    autojump_clock: MockClock,
) -> None:
    async with open_world(settings=DomainSettings(limits=replace(LIMITS, display_text=10_000))) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(5)

        for number in range(2):
            server.show(f"{number}" * 6_000)
        await trio.sleep(2)
        server.show("small")
        await trio.sleep(1)

        (error,) = server.connection.heard("tpa_connection_error")
        assert ("RATE_LIMITED", "cloud") == (error["code"], error["hop"])
        assert error["message"].startswith("1 messages were dropped")
        assert "small" == phone.texts()[-1]
        assert server.connection.is_open


async def test_binary_frames_of_an_app_are_counted_as_its_messages_are(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for _ in range(5_000):
            server.connection.stream(b"noise")
        await trio.sleep(3)

        assert world.telemetry.counters()["app_message_malformed"] <= 400
        assert "RATE_LIMITED" in codes(server.connection)


async def test_a_phone_that_floods_with_audio_keeps_its_presses(autojump_clock: MockClock) -> None:
    async with open_world(settings=SETTINGS) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(5)

        for _ in range(500):
            phone.stream(bytes(320))
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await world.settle()

        assert 20 == len(server.connection.frames())
        assert 1 == len(server.connection.heard("data_stream"))
        assert ["frames"] == [event["what"] for event in world.telemetry.of("phone_rate_limited")]


async def test_a_stranger_that_floods_is_told_and_does_not_fill_the_doormans_mailbox(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        stranger = world.connect()
        stranger.open(await world.app_handler())

        for _ in range(50_000):
            stranger.say(b"{")
        await world.settle()

        assert ["MALFORMED_MESSAGE", "RATE_LIMITED"] == codes(stranger)
        assert world.telemetry.counters()["app_message_malformed"] < 500
        assert "dead_letter_overflow" not in world.telemetry.counters()
        assert (await server.dial(f"{ADA}-{CAPTIONS}")).is_open


async def test_what_comes_before_the_ack_beyond_the_limit_is_said(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        connection = world.connect()
        connection.open(await world.app_handler())
        init = {"type": "tpa_connection_init", "sessionId": f"{ADA}-{CAPTIONS}", "packageName": CAPTIONS}
        connection.say({**init, "apiKey": KEY})
        for _ in range(17):
            connection.say({"type": "ping"})
        await world.settle()

        assert ["1 messages before the ack were dropped"] == [
            error["message"] for error in connection.heard("tpa_connection_error")
        ]
        assert 16 == len(connection.heard("pong"))
        assert server.connection is not connection


@pytest.mark.parametrize(
    ("layout", "cause"),
    [
        (
            {"layoutType": "text_wall", "text": "x" * 101},
            "the texts of a display may have 100 characters, these have 110",
        ),
        (
            {"layoutType": "bitmap_view", "data": "0" * 501},
            "bitmaps of a display may have 500 bytes, these have 501",
        ),
        (
            {"layoutType": "bitmap_animation", "frames": ["0"] * 7, "interval": 100},
            "a display may have 8 elements, this one has more",
        ),
        (
            {"layoutType": "from_next_year", "lines": [[["x"]] * 3, {"a": 1, "b": 2}]},
            "a display may have 8 elements, this one has more",
        ),
    ],
)
async def test_a_display_that_is_too_large_is_not_shown_and_the_app_hears_why(
    autojump_clock: MockClock, layout: dict[str, object], cause: str
) -> None:
    async with open_world(settings=SETTINGS) as world:
        phone = await world.phone()
        server = await world.running_app(phone, name="x")
        shown = len(phone.heard("display_event"))

        server.connection.say({"type": "display_event", "packageName": CAPTIONS, "layout": layout})
        await trio.sleep(1)

        assert [("DISPLAY_TOO_LARGE", cause)] == [
            (error["code"], error["message"]) for error in server.connection.heard("tpa_connection_error")
        ]
        assert shown == len(phone.heard("display_event"))
        assert server.connection.is_open


@pytest.mark.parametrize(
    "layout",
    [
        b'{"layoutType":"text_wall","text":"%s"}' % (b"x" * 91),
        b'{"layoutType":"bitmap_view","data":"%s"}' % (b"0" * 500),
        b'{"layoutType":"bitmap_animation","frames":["00","11","22"],"interval":100}',
        b'{"layoutType":"from_next_year","text":"\\ud800"}',
        b'"text"',
    ],
)
def test_a_display_within_the_limits_is_left_to_the_phone(layout: bytes) -> None:
    assert too_large(msgspec.Raw(layout), LIMITS) is None


def test_a_layout_that_nobody_can_read_is_measured_by_its_length() -> None:
    layout = msgspec.Raw(b'{"text":"\\ud800' + b" " * 200 + b'"}')

    assert "the texts of a display may have 100 characters, these have 217" == too_large(layout, LIMITS)


async def test_a_line_for_the_dashboard_has_the_same_limit(autojump_clock: MockClock) -> None:
    async with open_world(settings=SETTINGS) as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        update = {"type": "dashboard_content_update", "packageName": CAPTIONS}
        server.connection.say({**update, "content": "x" * 101})
        server.connection.say({**update, "content": "x", "modes": ["main"] * 9})
        await trio.sleep(2)

        assert ["DISPLAY_TOO_LARGE", "DISPLAY_TOO_LARGE"] == codes(server.connection)


async def test_mistakes_in_quick_succession_are_counted_and_none_is_lost(autojump_clock: MockClock) -> None:
    async with open_world(settings=SETTINGS) as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for _ in range(5):
            server.connection.say(b"{")
        server.show("x" * 200)
        await trio.sleep(3)

        messages = [error["message"] for error in server.connection.heard("tpa_connection_error")]
        assert 3 == len(messages)
        assert messages[0].startswith("malformed message")
        assert messages[1].startswith("the texts of a display")
        assert messages[2].endswith("(and 3 more before it)")


def test_a_complaint_that_is_held_is_told_once_when_it_is_due() -> None:
    state = Complaints()
    said = []
    for now in (0.0, 0.1, 0.2):
        state, message = heard(state, ErrorCode.MALFORMED_MESSAGE, f"at {now}", now, 1.0)
        said.append(message)

    assert ["at 0.0", None, None] == said
    assert 1.0 == due_at(state, 1.0)
    state, none = told(state, 0.9, 1.0)
    state, due = told(state, 1.0, 1.0)
    assert ((), ((ErrorCode.MALFORMED_MESSAGE, "at 0.2 (and 1 more before it)"),)) == (none, due)
    assert due_at(state, 1.0) is None


async def test_subscriptions_beyond_the_limit_are_ignored_and_the_first_count(
    autojump_clock: MockClock,
) -> None:
    async with open_world(settings=SETTINGS) as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.subscribe("button_press", "head_position", "VAD", "touch_event", "audio_chunk")
        await trio.sleep(1)
        phone.stream(bytes(320))
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await world.settle()

        (error,) = server.connection.heard("tpa_connection_error")
        assert "TOO_MANY_SUBSCRIPTIONS" == error["code"]
        assert "an app may have 3 subscriptions, 2 beyond them were ignored" == error["message"]
        assert [] == server.connection.frames()
        assert 1 == len(server.connection.heard("data_stream"))


async def test_a_wearer_with_too_many_sockets_gets_no_more_and_nobody_else_notices(
    autojump_clock: MockClock,
) -> None:
    async with open_world(settings=SETTINGS) as world:
        phone = await world.phone()
        servers = [await world.running_app(phone, name) for name in (CAPTIONS, NOTES)]
        third = await world.app_server("org.example.third")
        phone.say({"type": "start_app", "packageName": "org.example.third"})
        await trio.sleep(2)

        refused = third.connections[0]
        assert (1013, "Too many sockets of this user") == refused.closed_with
        assert ["TOO_MANY_SOCKETS"] == codes(refused)
        assert all(server.connection.is_open for server in servers)
        other = await world.phone("bob@example.org")
        other.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(2)
        assert [CAPTIONS] == other.running()

        servers[1].connection.hang_up(1000)
        assert (await third.dial(f"{ADA}-org.example.third")).is_open


async def test_phones_of_one_wearer_that_wait_to_be_let_in_are_limited(autojump_clock: MockClock) -> None:
    async with open_world(settings=SETTINGS, outage="no space left") as world:
        token = world.tokens.mint(ADA, expires_s=None)
        answers: list[Admitted | Refused] = []

        async def dial() -> None:
            answers.append(await world.admit({}, {"token": token}))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(dial)

        refused = [answer for answer in answers if isinstance(answer, Refused)]
        assert 2 == len(refused)
        body = msgspec.json.decode(refused[0].body)
        assert (503, "TOO_MANY_SOCKETS", "5") == (
            refused[0].status,
            body["code"],
            refused[0].headers["Retry-After"],
        )


async def test_an_app_that_reads_too_slowly_for_audio_hears_how_much_it_missed(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.health.audio_dropped = 7
        await trio.sleep(1.1)
        assert 1 == len(server.connection.heard("tpa_connection_error")), "within a second"
        for _ in range(40):
            await trio.sleep(1)
            server.connection.say({"type": "ping"})
            server.connection.health.missed_pongs = 0

        (error,) = server.connection.heard("tpa_connection_error")
        assert ("AUDIO_DROPPED", "app server") == (error["code"], error["hop"])
        assert error["message"].startswith("7 microphone frames were dropped")
        assert ["app_too_slow_for_audio"] == [
            name for name in world.telemetry.counters() if "too_slow" in name
        ]


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\udfff"])
async def test_a_user_id_with_half_a_surrogate_pair_passes_neither_door(
    autojump_clock: MockClock, escape: bytes
) -> None:
    async with open_world() as world:
        good = world.tokens.mint(ADA, expires_s=None)
        signed = jwt.PyJWS().encode(  # a token that only another issuer would make
            b'{"email":"' + escape + b'@example.org"}', SECRET, algorithm="HS256"
        )
        bad = await world.admit({}, {"token": signed})
        await world.app_server()
        init = {"type": "tpa_connection_init", "packageName": CAPTIONS, "apiKey": KEY}
        payload = (
            msgspec.json.encode(init)[:-1] + b',"sessionId":"' + escape + b"@x-" + CAPTIONS.encode() + b'"}'
        )
        connection = world.connect()
        connection.open(await world.app_handler())
        connection.say(payload)
        await world.settle()

        assert isinstance(bad, Refused)
        assert 401 == bad.status
        assert ["SESSION_NOT_FOUND"] == codes(connection)
        assert isinstance(await world.admit({}, {"token": good}), Admitted)
