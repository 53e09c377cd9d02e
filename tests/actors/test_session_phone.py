"""A phone comes, goes and comes back; what it says reaches the apps, what they show reaches it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.link.messages import PhoneOpened
from actors.ports import Admitted, Refused
from actors.session.messages import Goodbye, start_app
from adapters.simulated.store import SimulatedDocuments
from adapters.tokens import CoreTokens
from tests.actors.world import ADA, CAPTIONS, SECRET, open_world


@pytest.mark.parametrize(
    ("headers", "query", "message"),
    [
        ({}, {}, "No core token provided"),
        ({"authorization": "Basic abc"}, {}, "No core token provided"),
        ({"authorization": "Bearer not.a.token"}, {}, "Invalid core token"),
        ({}, {"token": "not.a.token"}, "Invalid core token"),
    ],
)
async def test_a_phone_without_a_good_token_is_refused_with_401(
    autojump_clock: MockClock, headers: dict[str, str], query: dict[str, str], message: str
) -> None:
    async with open_world() as world:
        refused = await world.admit(headers, query)

        assert isinstance(refused, Refused)
        assert 401 == refused.status
        assert f'"message":"{message}"' in refused.body.decode()
        assert '"type":"connection_error"' in refused.body.decode()


async def test_a_token_in_the_query_is_acknowledged_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone("Ada@Example.org")

        ack = phone.heard()[0]
        assert "connection_ack" == ack["type"]
        assert ADA == ack["sessionId"]
        assert ADA == ack["userSession"]["userId"]
        assert [] == ack["userSession"]["activeAppSessions"]
        assert [] == ack["userSession"]["loadingApps"]


async def test_a_token_in_the_header_is_acknowledged_after_init_or_a_second(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        prompt = await world.phone(token_in_query=False)
        slow = await world.phone("bob@example.org", token_in_query=False)
        assert [] == prompt.heard("connection_ack")

        prompt.say({"type": "connection_init"})
        await world.settle()
        assert 1 == len(prompt.heard("connection_ack"))
        assert [] == slow.heard("connection_ack")
        await trio.sleep(1.01)

        assert 1 == len(slow.heard("connection_ack"))
        assert 1 == len(prompt.heard("connection_ack"))


async def test_a_later_init_is_answered_again_without_starting_anything(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.say({"type": "connection_init"})
        await world.settle()

        acks = phone.heard("connection_ack")
        assert 2 == len(acks)
        assert [CAPTIONS] == acks[1]["userSession"]["activeAppSessions"]
        assert ["session_request"] == server.kinds()


async def test_a_ping_is_answered_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        phone.say({"type": "ping"})
        await world.settle()

        assert "pong" == phone.heard()[-1]["type"]


async def test_malformed_text_is_counted_and_unanswered(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await trio.sleep(0.5)
        before = len(phone.sent)

        for payload in (b"{", b"[]", b'{"type": 7}', b'{"type": "no such type"}', b"\xff\xfe"):
            phone.say(payload)
        await world.settle()

        assert before == len(phone.sent)
        assert phone.is_open
        assert 5 == world.telemetry.counters()["phone_message_malformed"]


async def test_an_event_reaches_its_subscribers_as_it_came(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.say({"type": "button_press", "buttonId": "main", "pressType": "long", "unknown": {"kept": [1]}})
        phone.say({"type": "head_position", "position": "up"})
        await world.settle()

        events = server.connection.heard("data_stream")
        assert ["button_press"] == [event["streamType"] for event in events]
        assert {"kept": [1]} == events[0]["data"]["unknown"]
        assert f"{ADA}-{CAPTIONS}" == events[0]["sessionId"]


async def test_an_app_without_the_permission_keeps_the_rest_and_hears_why(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        server = await world.running_app(phone, permissions=())

        error = server.connection.heard("permission_error")[0]
        refused = {detail["stream"]: detail["requiredPermission"] for detail in error["details"]}
        assert {"transcription:en-US": "MICROPHONE", "audio_chunk": "MICROPHONE"} == refused
        assert server.connection.is_open
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await world.settle()
        assert 1 == len(server.connection.heard("data_stream"))


async def test_a_display_reaches_the_lens_after_the_boot_screen(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server(name="Live Captions")
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(0.1)
        boot = phone.heard("display_event")[0]

        server.show("first words")
        await trio.sleep(2)

        assert "// MentraOS - Starting App" == boot["layout"]["title"]
        assert "Live Captions" == boot["layout"]["text"]
        shown = phone.heard("display_event")[1]
        assert {"layoutType": "text_wall", "text": "first words"} == shown["layout"]
        assert "main" == shown["view"]
        assert CAPTIONS == shown["packageName"]


async def test_displays_faster_than_the_throttle_end_with_the_newest(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for number in range(100):
            server.show(f"word {number}")
            await trio.sleep(0.01)
        await trio.sleep(1)

        assert "word 99" == phone.texts()[-1]
        assert len(phone.texts()) <= 6


async def test_the_microphone_follows_the_subscriptions_in_both_forms(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        on = phone.heard("microphone_state_change")[-1]

        server.subscribe("button_press")
        await trio.sleep(6)

        assert on["isMicrophoneEnabled"] is True
        assert ["pcm"] == on["requiredData"]
        off = phone.heard("microphone_state_change")[-1]
        assert off["isMicrophoneEnabled"] is False
        assert [] == off["requiredData"]


async def test_a_phone_that_returns_finds_everything_as_it_was(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("the last caption")
        await trio.sleep(1)

        phone.hang_up()
        await trio.sleep(240)
        back = await world.phone()
        await trio.sleep(1)

        assert [CAPTIONS] == back.heard("connection_ack")[0]["userSession"]["activeAppSessions"]
        assert "the last caption" == back.texts()[0]
        assert back.heard("microphone_state_change")[-1]["isMicrophoneEnabled"] is True
        assert [CAPTIONS] == back.running()
        assert ["session_request"] == server.kinds(), "nobody was started again"
        assert server.connection.is_open


async def test_apps_hear_that_the_glasses_went_and_came_with_their_phone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=("glasses_connection_state",))
        phone.say(
            {"type": "glasses_connection_state", "modelName": "Even Realities G1", "status": "CONNECTED"}
        )
        await trio.sleep(1)
        told = len(server.connection.heard())

        phone.hang_up()
        await trio.sleep(1)
        gone = server.connection.heard()[told:]
        await world.phone()
        await trio.sleep(1)
        back = server.connection.heard()[told + len(gone) :]

        assert ["data_stream", "device_state_update"] == [message["type"] for message in gone]
        assert "DISCONNECTED" == gone[0]["data"]["status"]
        assert {"connected": False} == gone[1]["state"]
        assert ["data_stream", "device_state_update"] == [message["type"] for message in back]
        assert ("CONNECTED", "Even Realities G1") == (
            back[0]["data"]["status"],
            back[0]["data"]["modelName"],
        )
        assert back[1]["fullSnapshot"] is True
        assert {"connected": True, "modelName": "Even Realities G1"} == back[1]["state"]


async def test_an_app_that_dials_while_the_phone_is_away_hears_of_no_glasses(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        phone.say(
            {"type": "glasses_connection_state", "modelName": "Even Realities G1", "status": "CONNECTED"}
        )
        await trio.sleep(1)
        phone.hang_up()
        await trio.sleep(1)

        again = await server.dial(f"{ADA}-{CAPTIONS}")
        await trio.sleep(1)

        assert again.heard("device_state_update")[0]["state"]["connected"] is False


async def test_a_returning_phone_has_every_app_socket_probed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        phone.hang_up()
        await trio.sleep(3)
        pings = server.connection.pings

        await world.phone()
        await world.settle()

        assert pings + 1 == server.connection.pings


async def test_the_ack_is_the_first_thing_a_returning_phone_hears(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("early")
        await trio.sleep(1)
        phone.hang_up()

        back = await world.phone(token_in_query=False)
        server.show("while unacknowledged")
        await trio.sleep(0.5)
        assert [] == back.heard()
        await trio.sleep(2)

        assert "connection_ack" == back.kinds()[0]
        assert "while unacknowledged" == back.texts()[0]


async def test_the_end_of_the_grace_ends_the_apps_and_keeps_the_stored_list(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.hang_up()
        await trio.sleep(310)

        assert (1000, "User session ended") == server.connection.closed_with
        assert ["session_request"] == server.kinds(), "no stop webhook: nobody stopped it"
        assert (CAPTIONS,) == documents.users[ADA].running_apps
        assert world.system.find(f"/glasshouse/users/{ADA}") is None
        await world.phone()
        await trio.sleep(1)
        assert ["session_request"] * 2 == server.kinds()


async def test_a_phone_that_returns_in_the_last_moment_starts_a_session_anew(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        phone.hang_up()
        await trio.sleep(300)

        back = await world.phone()
        await trio.sleep(8)

        assert [CAPTIONS] == back.running()
        assert server.connection.is_open


async def test_a_phone_that_came_before_its_link_had_started_is_not_replaced_by_itself(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()

        # What a link that started late finds in its mail, after it took the phone up.
        world.find(f"users/{ADA}/link").tell(PhoneOpened(phone, token_in_query=True))
        await trio.sleep(1)

        assert phone.is_open
        server = await world.running_app(phone)
        server.show("seen")
        await trio.sleep(1)
        assert "seen" == phone.texts()[-1]


async def test_an_app_that_is_brought_back_while_its_session_ends_is_seen_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        monkeypatch.setattr(server.connection, "close", lambda code, reason="": None)  # a slow peer
        phone.hang_up()
        await trio.sleep(300.5)

        back = await world.phone()
        await trio.sleep(8)
        server.show("seen again")
        await trio.sleep(1)

        assert [CAPTIONS] == back.running()
        assert "seen again" in back.texts()


async def test_a_newer_phone_takes_over_and_the_old_ones_close_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        old = await world.phone()
        server = await world.running_app(old)

        new = await world.phone()
        await trio.sleep(1)
        server.show("for the newer")
        old.stream(b"\1\0" * 800)
        new.stream(b"\2\0" * 800)
        await trio.sleep(1)

        assert old.closed_with is not None
        assert ["for the newer"] == new.texts()[-1:]
        assert [CAPTIONS] == new.running()
        assert [b"\2\0" * 800] == server.connection.frames(), "frames of the replaced phone are ignored"


async def test_a_silent_phone_that_owes_an_answer_is_given_up_after_ten_seconds(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.say({"type": "ping"})
        await trio.sleep(9.9)
        assert phone.is_open

        await trio.sleep(1)

        assert phone.closed_with is not None


async def test_a_mail_address_with_a_slash_has_a_session_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone("a/b%2F@example.org")
        await world.app_server()

        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(1)

        assert [CAPTIONS] == phone.running()


async def test_two_dials_of_a_new_user_meet_one_session(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        outcomes: list[Admitted | Refused] = []
        token = CoreTokens((SECRET,), wall=world.system.clock.wall).mint(ADA, expires_s=None)

        async def dial() -> None:
            outcomes.append(await world.admit({}, {"token": token}))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(dial)

        assert 20 == sum(isinstance(outcome, Admitted) for outcome in outcomes)
        assert 1 == world.telemetry.counters()["session_opened"]


async def test_a_rest_start_answers_when_the_app_runs(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.app_server()

        outcome = await world.find(f"users/{ADA}/session").ask(start_app(CAPTIONS), timeout_s=20)
        await world.settle()

        assert outcome is True
        assert [CAPTIONS] == phone.running()


async def test_a_rest_start_of_an_unknown_app_answers_none(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.phone()

        outcome = await world.find(f"users/{ADA}/session").ask(start_app("org.example.none"))

        assert outcome is None


async def test_a_goodbye_ends_the_session_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        assert await world.find(f"users/{ADA}/session").ask(Goodbye)
        await trio.sleep(3)

        assert (1000, "Session ended") == phone.closed_with
        assert not server.connection.is_open
        assert world.system.find(f"/glasshouse/users/{ADA}") is None
        back = await world.phone()
        await trio.sleep(3)
        assert [CAPTIONS] == back.running(), "what ran is started again with the next session"


async def test_a_storm_of_takeovers_is_slowed_down_and_ends_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        dialled_at = []

        for _ in range(40):
            phone = await world.phone()
            dialled_at.append(world.system.clock.now())
        phone.stream(b"\1\0" * 1600)
        await world.settle()

        assert dialled_at[11] - dialled_at[0] < 0.1, "twelve in a minute are nobody's storm"
        assert dialled_at[-1] - dialled_at[-11] == pytest.approx(30.0, abs=0.1)
        assert phone.is_open
        assert server.connection.is_open
        assert ["session_request"] == server.kinds()
        assert b"\1\0" * 1600 == server.connection.frames()[-1]
