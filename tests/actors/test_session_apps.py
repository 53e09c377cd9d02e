"""Apps of a session, from the start to the end, through the real tree with the outside simulated."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.display.arbitration import DisplaySettings
from actors.domain import DomainSettings
from actors.ports import HardwareRequirement, RemoveApp, SetRunningApps, UserDocument
from actors.session.messages import start_app, stop_app
from adapters.simulated.store import SimulatedDocuments, StoreFaults
from runtime import CrashReport
from tests.actors.world import ADA, CAPTIONS, KEY, open_world


async def test_a_start_posts_the_webhook_with_both_names_of_the_url(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        server = await world.running_app(phone)

        request = server.requests[0]
        assert "session_request" == request["type"]
        assert f"{ADA}-{CAPTIONS}" == request["sessionId"]
        assert ADA == request["userId"]
        assert "wss://glass.example.org/app-ws" == request["mentraOSWebsocketUrl"]
        assert request["mentraOSWebsocketUrl"] == request["augmentOSWebsocketUrl"]


async def test_start_stop_and_start_in_one_breath_is_one_start(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        crashes = world.system.events.subscribe(CrashReport)

        for message in ("start_app", "stop_app", "start_app", "stop_app", "start_app"):
            phone.say({"type": message, "packageName": CAPTIONS})
        await trio.sleep(2)

        assert [] == crashes.drain()
        assert (CAPTIONS,) == tuple(phone.running())
        assert ["session_request"] == [request["type"] for request in server.requests]


async def test_a_system_app_gets_the_internal_url(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        server = await world.running_app(phone, is_system=True)

        assert "ws://127.0.0.1:8002/app-ws" == server.requests[0]["mentraOSWebsocketUrl"]


async def test_the_ack_has_both_settings_names_and_the_glasses(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.say(
            {"type": "glasses_connection_state", "modelName": "Even Realities G1", "status": "CONNECTED"}
        )

        server = await world.running_app(phone)

        ack = server.connection.heard("tpa_connection_ack")[0]
        assert ack["mentraosSettings"] == ack["augmentosSettings"]
        assert [] == ack["settings"]
        assert "Even Realities G1" == ack["capabilities"]["modelName"]
        state = server.connection.heard("device_state_update")[0]
        assert {"connected": True, "modelName": "Even Realities G1"} == state["state"]


async def test_an_app_is_loading_then_running(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        await world.running_app(phone)

        seen = [
            (change["userSession"]["loadingApps"], change["userSession"]["activeAppSessions"])
            for change in phone.heard("app_state_change")
        ]
        assert seen.index(([CAPTIONS], [])) < seen.index(([], [CAPTIONS]))


async def test_the_running_list_is_stored_before_it_is_announced(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        await world.app_server()
        world.store.faults = StoreFaults(max_delay_s=4)

        phone.say({"type": "start_app", "packageName": CAPTIONS})
        while CAPTIONS not in phone.running():
            stored_before = documents.users[ADA].running_apps
            await trio.sleep(0.01)

        assert (CAPTIONS,) == documents.users[ADA].running_apps
        assert (CAPTIONS,) == stored_before


async def test_a_start_of_an_unknown_app_says_so_and_leaves_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        phone.say({"type": "start_app", "packageName": "org.example.none"})
        await world.settle()

        change = phone.heard("app_state_change")[-1]
        assert "org.example.none" in change["error"]
        assert [] == change["userSession"]["loadingApps"]


async def test_starting_what_runs_is_a_success_without_a_webhook(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        outcome = await world.find(f"users/{ADA}/session").ask(start_app(CAPTIONS))

        assert outcome is True
        assert ["session_request"] == server.kinds()


async def test_stopping_what_does_not_run_is_answered_with_the_list(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        before = len(phone.heard("app_state_change"))

        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await world.settle()

        assert before + 1 == len(phone.heard("app_state_change"))


async def test_a_stop_goes_webhook_list_app_stopped_close(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("on the lens")
        await trio.sleep(1)

        assert await world.find(f"users/{ADA}/session").ask(stop_app(CAPTIONS))
        await trio.sleep(3)

        assert ["session_request", "stop_request"] == server.kinds()
        assert "user_disabled" == server.requests[1]["reason"]
        assert "app_stopped" == server.connection.kinds()[-1]
        assert (1000, "App stopped") == server.connection.closed_with
        assert [] == phone.running()
        assert () == documents.users[ADA].running_apps
        assert "" == phone.texts()[-1], "a stopped app's text is not left on the lens"


async def test_a_second_standard_app_takes_the_place_of_the_first(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        first = await world.running_app(phone, "org.example.one", app_type="standard")

        await world.running_app(phone, "org.example.two", app_type="standard")
        await trio.sleep(3)

        assert ["org.example.two"] == phone.running()
        assert (1000, "App stopped") == first.connection.closed_with


async def test_an_app_server_that_answers_500_is_given_up_with_its_reason(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        server.status = 500

        outcome = await world.find(f"users/{ADA}/session").ask(start_app(CAPTIONS), timeout_s=60)

        assert outcome is False
        assert 2 == len(server.requests), "two attempts"
        assert "WEBHOOK" == world.telemetry.of("app_start_failed")[0]["stage"]
        await trio.sleep(3)
        assert [] == phone.running()
        assert [] == phone.heard("app_state_change")[-1]["userSession"]["loadingApps"]


async def test_a_webhook_answered_without_a_socket_fails_after_five_seconds(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        await world.phone()
        server = await world.app_server()
        server.dials = False
        began = trio.current_time()

        outcome = await world.find(f"users/{ADA}/session").ask(start_app(CAPTIONS), timeout_s=60)

        assert outcome is False
        assert 5 <= trio.current_time() - began < 13
        assert "TIMEOUT" == world.telemetry.of("app_start_failed")[0]["stage"]


@pytest.mark.parametrize(
    ("session", "key", "code", "error"),
    [
        ("{ada}-{package}", "wrong", 1008, "INVALID_API_KEY"),
        ("bob@example.org-{package}", KEY, 1008, "SESSION_NOT_FOUND"),
        ("no-suffix", KEY, 1008, "MALFORMED_MESSAGE"),
        ("{ada}-{package}", KEY, 1008, "APP_NOT_STARTED"),
    ],
)
async def test_a_dial_that_is_not_due_is_refused_with_a_reason(
    autojump_clock: MockClock, session: str, key: str, code: int, error: str
) -> None:
    async with open_world() as world:
        await world.phone()
        server = await world.app_server()

        connection = await server.dial(session.format(ada=ADA, package=CAPTIONS), key=key)

        assert error == connection.heard("tpa_connection_error")[0]["code"]
        assert connection.closed_with is not None
        assert code == connection.closed_with[0]


async def test_a_dial_for_a_session_that_may_return_is_told_to_try_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        server = await world.app_server()
        await world.store.commit([SetRunningApps(ADA, (CAPTIONS,))])

        connection = await server.dial(f"{ADA}-{CAPTIONS}")

        assert connection.closed_with is not None
        assert 1013 == connection.closed_with[0]


async def test_a_socket_without_an_init_is_closed_in_time(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        connection = world.connect()
        connection.open(await world.app_handler())

        await trio.sleep(6)

        assert connection.closed_with is not None


async def test_what_an_app_says_right_after_its_init_is_not_lost(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.app_server()
        server.dials = False
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await world.settle()
        connection = world.connect()
        connection.open(await world.app_handler())
        init = {"type": "tpa_connection_init", "sessionId": f"{ADA}-{CAPTIONS}", "packageName": CAPTIONS}

        connection.say({**init, "apiKey": KEY})
        connection.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await trio.sleep(1)
        phone.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await world.settle()

        assert ["button_press"] == [event["streamType"] for event in connection.heard("data_stream")]


async def test_malformed_input_is_answered_once_a_second_and_closes_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for _ in range(50):
            server.connection.say(b'{"type": "no such type"}')
            server.connection.say(b"not json")
        await world.settle()

        errors = server.connection.heard("tpa_connection_error")
        assert ["MALFORMED_MESSAGE"] == [error["code"] for error in errors]
        assert server.connection.is_open
        assert 100 == world.telemetry.counters()["app_message_malformed"]
        await trio.sleep(1.1)
        server.connection.say(b"[]")
        await world.settle()
        assert 2 == len(server.connection.heard("tpa_connection_error"))


async def test_a_stored_list_brings_its_apps_back_on_the_next_connect(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        await world.running_app(await world.phone())
    assert (CAPTIONS,) == documents.users[ADA].running_apps, "the end of the process is no stop"
    documents.owners.clear()

    async with open_world(documents) as world:
        server = await world.app_server()
        phone = await world.phone()
        await trio.sleep(1)

        assert ["session_request"] == server.kinds(), "one webhook an app"
        assert [CAPTIONS] == phone.running()


async def test_an_app_whose_server_is_down_at_the_restart_comes_with_it(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        await world.running_app(await world.phone())
    async with open_world(documents) as world:
        server = await world.app_server()
        server.down()
        phone = await world.phone()
        await trio.sleep(3600)
        assert [CAPTIONS] == phone.running()

        server.up()
        await trio.sleep(6)

        assert ["session_request"] == server.kinds()
        assert server.connection.is_open


async def test_a_session_goes_on_while_storage_is_out_and_stores_later(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        phone = await world.phone()
        server = await world.app_server()
        await trio.sleep(1)
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await world.settle()
        world.store.outage = "no space left"

        await trio.sleep(5)
        assert server.connection.is_open
        world.store.outage = None
        await trio.sleep(5)

        assert [CAPTIONS] == phone.running()
        assert (CAPTIONS,) == documents.users[ADA].running_apps


async def test_a_longer_boot_screen_is_a_setting(autojump_clock: MockClock) -> None:
    settings = DomainSettings(display=DisplaySettings(boot_screen_s=8.0))
    async with open_world(settings=settings) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("hello")

        await trio.sleep(3)
        assert [] == phone.texts()
        await trio.sleep(4)

        assert ["hello"] == phone.texts()


async def test_a_half_open_app_socket_is_noticed_within_25_seconds(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        first = server.connection
        first.health.has_shown_pongs = True  # it answered once, and then no more

        await trio.sleep(25)

        assert not first.is_open
        assert first.pings >= 2
        assert "app_silent" in world.telemetry.counters()
        assert [CAPTIONS] == phone.running(), "its grace runs"


async def test_a_stop_and_a_start_right_after_it_end_in_a_fresh_session(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(5)

        assert ["session_request", "stop_request", "session_request"] == server.kinds()
        assert [CAPTIONS] == phone.running()
        assert server.connection.is_open


async def test_a_stop_takes_back_a_start_that_waited_for_the_stop_before(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        for kind in ("stop_app", "start_app", "stop_app"):
            phone.say({"type": kind, "packageName": CAPTIONS})
        await trio.sleep(5)

        assert ["session_request", "stop_request"] == server.kinds()
        assert [] == phone.running()
        assert not server.connection.is_open


async def test_a_removed_app_can_be_stopped_but_not_started(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await world.store.commit([RemoveApp(CAPTIONS)])
        await trio.sleep(0.2)

        connection = await server.dial(f"{ADA}-{CAPTIONS}")
        assert connection.closed_with is not None
        assert 1008 == connection.closed_with[0]
        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(3)
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(1)

        assert [] == phone.running()
        assert ["session_request", "stop_request"] == server.kinds()


async def test_an_app_that_needs_missing_hardware_is_not_started(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.say(
            {"type": "glasses_connection_state", "modelName": "Even Realities G1", "status": "CONNECTED"}
        )
        server = await world.app_server(hardware=(HardwareRequirement("CAMERA", "REQUIRED"),))

        outcome = await world.find(f"users/{ADA}/session").ask(start_app(CAPTIONS))

        assert outcome is False
        assert [] == server.requests
        assert "CAMERA" in phone.heard("app_state_change")[-1]["error"]


async def test_an_app_the_store_cannot_look_up_is_not_started(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.app_server()
        await trio.sleep(1)
        world.store.outage = "disk gone"

        outcome = await world.find(f"users/{ADA}/session").ask(start_app(CAPTIONS))

        assert outcome is None
        assert "try again" in phone.heard("app_state_change")[-1]["error"]


async def test_a_request_that_is_not_offered_is_answered(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        say = server.connection.say

        say({"type": "managed_stream_request"})
        say({"type": "stream_status_check"})
        say({"type": "app_room_join", "roomId": "2"})
        say({"type": "ping"})
        await world.settle()

        answers = {message["type"]: message for message in server.connection.heard()}
        assert "error" == answers["managed_stream_status"]["status"]
        assert answers["stream_status_check_response"]["hasActiveStream"] is False
        assert "NOT_SUPPORTED" == answers["tpa_connection_error"]["code"]
        assert "pong" in answers
        assert server.connection.is_open


async def test_an_app_that_releases_its_ownership_is_not_brought_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.say({"type": "ownership_release", "reason": "clean_shutdown"})
        server.connection.hang_up(1005)
        await trio.sleep(60)

        assert ["session_request"] == server.kinds()


async def test_a_dial_quicker_than_the_stored_list_is_told_to_try_again(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_world(documents) as world:
        await world.running_app(await world.phone())
    async with open_world(documents) as world:
        server = await world.app_server()
        is_read, find_user = trio.Event(), world.store.find_user

        async def find_user_late(user_id: str) -> UserDocument | None:
            await is_read.wait()
            return await find_user(user_id)

        world.store.find_user = find_user_late  # type: ignore[method-assign]
        await world.phone()

        early = await server.dial(f"{ADA}-{CAPTIONS}")
        is_read.set()
        await trio.sleep(5)

        assert early.closed_with is not None
        assert 1013 == early.closed_with[0]
        assert server.connection.is_open
