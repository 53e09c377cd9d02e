"""How an app's session begins, is taken over, is lost, comes back and ends."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from clients.app_sdk import AppSession
from tests.clients.captions_app import (
    PACKAGE,
    SESSION,
    STAMP,
    URL,
    USER,
    Call,
    Captions,
    request,
    started,
    stop_request,
    subscriptions,
)
from tests.clients.scripted_cloud import ScriptedCloud

# The webhook and the handshake


async def test_the_webhook_is_answered_after_ack_and_on_session(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    app.may_begin = trio.Event()
    call = Call(app, nursery)
    peer = await cloud.accept()
    init = await peer.receive_type("tpa_connection_init")
    before_ack = (call.answer, list(app.begun))
    await peer.send(
        {
            "type": "tpa_connection_ack",
            "sessionId": SESSION,
            "settings": [{"key": "k", "value": 1}],
            "mentraosSettings": {"brightness": 50},
            "augmentosSettings": {},
            "capabilities": {"hasCamera": False},
        }
    )
    first = await peer.receive()
    second = await peer.receive()
    await trio.sleep(30)
    in_on_session = call.answer
    app.may_begin.set()

    assert (200, {"status": "success"}) == await call.result()
    assert (None, []) == before_ack
    assert in_on_session is None
    assert [URL] == cloud.urls
    assert {"type": "tpa_connection_init", "sessionId": SESSION, "packageName": PACKAGE, "apiKey": "key"} == {
        key: value for key, value in init.items() if key != "timestamp"
    }
    assert STAMP == init["timestamp"]
    assert {
        "type": "subscription_update",
        "packageName": PACKAGE,
        "sessionId": SESSION,
        "subscriptions": [],
        "timestamp": STAMP,
    } == first
    assert {
        "type": "display_event",
        "packageName": PACKAGE,
        "sessionId": "",
        "view": "main",
        "layout": {"layoutType": "text_wall", "text": "hello"},
        "timestamp": STAMP,
    } == second
    (session,) = app.begun
    assert ([{"key": "k", "value": 1}], {"brightness": 50}, {"hasCamera": False}) == (
        session.settings,
        session.system_settings,
        session.capabilities,
    )
    assert {SESSION: session} == app.sessions


async def test_the_older_name_of_the_url_is_read_too(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    Call(app, nursery, request(augmentOSWebsocketUrl="ws://cloud/o/n1/app-ws"))
    await cloud.accept()

    assert ["ws://cloud/o/n1/app-ws"] == cloud.urls


async def test_without_an_ack_the_webhook_answers_500_after_five_seconds(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    call = Call(app, nursery)
    peer = await cloud.accept()

    assert (500, {"status": "error", "message": "Failed to connect"}) == await call.result()
    assert 5 == pytest.approx(call.took_s)
    assert [] == app.begun
    assert (1005, None) == await peer.ended()


@pytest.mark.parametrize("code", [1000, 1008])
async def test_a_final_refusal_is_answered_after_the_full_five_seconds_and_not_tried_again(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, code: int
) -> None:
    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.receive_type("tpa_connection_init")
    await peer.send({"type": "tpa_connection_error", "code": "INVALID_API_KEY", "message": "Invalid API key"})
    await peer.close(code, "Invalid API key")

    assert 500 == (await call.result())[0]
    assert 5 == pytest.approx(call.took_s)
    await trio.sleep(30)
    assert 1 == len(cloud.dials)
    assert ([], []) == (app.begun, app.stops)


async def test_a_refusal_that_may_be_tried_again_makes_a_late_joiner_without_on_session(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    call = Call(app, nursery)
    for _ in range(3):
        peer = await cloud.accept()
        await peer.receive_type("tpa_connection_init")
        await peer.close(1013, "Session not ready, try again")
    late = await cloud.accept()
    await late.acknowledge_app()

    assert 500 == (await call.result())[0]
    assert [0, 1, 3, 7] == pytest.approx([dial - cloud.dials[0] for dial in cloud.dials])
    assert [] == await subscriptions(late)
    assert ([], {}) == (app.begun, app.sessions)


async def test_a_retry_within_the_five_seconds_begins_the_session(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    call = Call(app, nursery)
    await (await cloud.accept()).close(1013)
    await (await cloud.accept()).acknowledge_app()

    assert 200 == (await call.result())[0]
    assert 1 == len(app.begun)


@pytest.mark.parametrize("answer", ["refuse", "reject", "hang_up"])
async def test_a_dial_that_fails_is_answered_at_once_and_tried_three_times(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, answer: str
) -> None:
    cloud.answer = answer
    call = Call(app, nursery)

    assert 500 == (await call.result())[0]
    assert 0 == pytest.approx(call.took_s)
    await trio.sleep(30)
    assert [0, 1, 3, 7] == pytest.approx([dial - cloud.dials[0] for dial in cloud.dials])
    assert [] == app.stops


async def test_on_session_that_raises_is_a_500_and_the_session_stays(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    @app.handler
    async def on_session(session: AppSession, session_id: str, user_id: str) -> None:
        session.events.on_button_press(lambda press: None)
        raise LookupError

    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.acknowledge_app()

    assert (500, {"status": "error", "message": "on_session: LookupError"}) == await call.result()
    assert "on_session raised" in caplog.text
    assert [] == await subscriptions(peer)
    assert ["button_press"] == await subscriptions(peer)
    assert SESSION in app.sessions


async def test_a_session_that_ends_while_it_begins_is_a_500(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    app.may_begin = trio.Event()
    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.acknowledge_app()
    await peer.receive_type("subscription_update")
    await peer.receive_type("display_event")
    await peer.close(1000, "App stopped")

    assert 500 == (await call.result())[0]
    assert {} == app.sessions
    assert 1 == len(app.stops)


# Taking over


async def test_a_second_webhook_takes_the_session_over(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    old = await started(cloud, app, nursery)
    call = Call(app, nursery)
    release = await old.receive_type("ownership_release")
    released_at = trio.current_time()
    new = await cloud.accept()
    await new.acknowledge_app()

    assert {"packageName": PACKAGE, "sessionId": SESSION, "reason": "switching_clouds"} == {
        key: value for key, value in release.items() if key not in ("type", "timestamp")
    }
    assert 0.1 == pytest.approx(cloud.dials[1] - released_at)
    assert (1005, None) == await old.ended()
    assert 200 == (await call.result())[0]
    assert (2, []) == (len(app.begun), app.stops)
    assert app.begun[1] is app.sessions[SESSION]


async def test_a_takeover_while_on_session_runs_ends_the_first(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    app.may_begin = trio.Event()
    first = Call(app, nursery)
    old = await cloud.accept()
    await old.acknowledge_app()
    await old.receive_type("subscription_update")
    await old.receive_type("display_event")
    second = Call(app, nursery)
    new = await cloud.accept()
    await new.acknowledge_app()
    app.may_begin.set()

    assert 500 == (await first.result())[0]
    assert 200 == (await second.result())[0]
    assert app.begun[1] is app.sessions[SESSION]


async def test_a_takeover_of_a_session_that_is_away_needs_no_release(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    old = await started(cloud, app, nursery)
    await old.vanish()
    await trio.sleep(0.5)
    call = Call(app, nursery)
    await (await cloud.accept()).acknowledge_app()

    assert 200 == (await call.result())[0]
    await trio.sleep(30)
    assert 2 == len(cloud.dials)


async def test_two_webhooks_at_the_same_instant_make_two_sockets(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    calls = [Call(app, nursery), Call(app, nursery)]
    peers = [await cloud.accept(), await cloud.accept()]
    for peer in peers:
        await peer.acknowledge_app()

    assert [200, 200] == [(await call.result())[0] for call in calls]
    assert 2 == len(app.begun)
    newest = app.sessions[SESSION]
    for peer in peers:
        await peer.close(1000)
        await trio.sleep(1)
        assert ({} if newest.ending else {SESSION: newest}) == app.sessions
    assert 1 == len(app.stops)


# Losing the connection


@pytest.mark.parametrize("code", [1005, 1006, 1011, 1012, 1013, 4000])
async def test_after_a_close_that_is_not_final_it_comes_back_with_its_subscriptions(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, code: int
) -> None:
    peer = await started(cloud, app, nursery)
    (session,) = app.begun
    ends: list[str] = []
    returns: list[None] = []
    session.events.on_disconnected(ends.append)
    session.events.on_reconnected(returns.append)
    session.events.on_transcription(lambda heard: None)
    assert ["transcription:en-US"] == await subscriptions(peer)
    lost_at = trio.current_time()
    if code == 1006:
        await peer.vanish()
    elif code == 1005:
        await peer.close()
    else:
        await peer.close(code, "fault")
    again = await cloud.accept()
    sent_while_away = session.layouts.show_text_wall("lost")
    init = await again.acknowledge_app()

    assert ["transcription:en-US"] == await subscriptions(again)
    assert 1 == pytest.approx(cloud.dials[1] - lost_at)
    assert SESSION == init["sessionId"]
    assert not sent_while_away
    assert (1, []) == (len(app.begun), app.stops)
    await trio.testing.wait_all_tasks_blocked()
    assert [None] == returns
    assert 1 == len(ends)
    assert f"{code}" in ends[0]


async def test_three_failed_retries_end_the_session(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    cloud.answer = "refuse"
    lost_at = trio.current_time()
    await peer.vanish()
    await trio.sleep(30)

    assert [1, 3, 7] == pytest.approx([dial - lost_at for dial in cloud.dials[1:]])
    assert [(SESSION, USER, "the connection was lost and three retries failed")] == app.stops
    assert {} == app.sessions


async def test_a_retry_that_works_makes_the_next_loss_start_from_one_second(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    cloud.answer = "refuse"
    await peer.vanish()
    await trio.sleep(2)
    cloud.answer = "accept"
    again = await cloud.accept()
    await again.acknowledge_app()
    await subscriptions(again)
    lost_at = trio.current_time()
    await again.vanish()
    await cloud.accept()

    assert 1 == pytest.approx(cloud.dials[-1] - lost_at)


async def test_a_cloud_that_is_not_ready_for_retries_is_noted_once_and_quietly(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    not_found = {"type": "tpa_connection_error", "code": "SESSION_NOT_FOUND", "message": "not yet"}
    peer = await started(cloud, app, nursery)
    await peer.vanish()

    for _ in range(2):
        retry = await cloud.accept()
        await retry.receive_type("tpa_connection_init")
        await retry.send(not_found)
        await retry.close(4001, "not yet")
    back = await cloud.accept()
    await back.acknowledge_app()
    await subscriptions(back)
    await back.send(not_found)
    await trio.sleep(0.1)

    assert [("INFO", None), ("WARNING", None)] == [
        (record.levelname, record.exc_info) for record in caplog.records if "not yet" in record.getMessage()
    ]


@pytest.mark.parametrize(
    ("code", "reason", "stops"),
    [
        (1000, "App stopped", 1),
        (1000, "User session ended", 1),
        (1001, "going away", 1),
        (1008, "Replaced by a newer connection", 0),
        (1011, "App stopped", 0),
    ],
)
async def test_a_final_close_ends_the_session(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, code: int, reason: str, stops: int
) -> None:
    peer = await started(cloud, app, nursery)
    await peer.send({"type": "app_stopped", "reason": "user_disabled"})
    await peer.close(code, reason)
    await trio.sleep(30)

    assert 1 == len(cloud.dials)
    assert stops == len(app.stops)
    assert {} == app.sessions


async def test_a_stop_webhook_and_the_close_after_it_are_one_stop(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    call = Call(app, nursery, stop_request())

    assert (200, {"status": "success"}) == await call.result()
    await peer.close(1011, "lost on the way")
    await trio.sleep(30)
    assert [(SESSION, USER, "user_disabled")] == app.stops
    assert 1 == len(cloud.dials)


async def test_a_stop_webhook_while_the_socket_is_away_is_not_followed_by_a_dial(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    await peer.vanish()
    await trio.sleep(0.5)

    assert (200, {"status": "success"}) == await Call(app, nursery, stop_request()).result()
    await trio.sleep(30)
    assert [(SESSION, USER, "user_disabled")] == app.stops
    assert 1 == len(cloud.dials)


async def test_a_stop_webhook_for_an_unknown_session_is_a_success(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    assert (200, {"status": "success"}) == await Call(app, nursery, stop_request()).result()
    assert [] == app.stops


async def test_on_stop_that_raises_harms_nobody(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    @app.handler
    async def on_stop(session_id: str, user_id: str, reason: str) -> None:
        raise LookupError

    peer = await started(cloud, app, nursery)
    await peer.close(1000, "App stopped")
    await trio.sleep(1)
    await started(cloud, app, nursery)

    assert "on_stop raised" in caplog.text


async def test_cancelled_it_closes_its_sockets_without_a_release(cloud: ScriptedCloud) -> None:
    async with trio.open_nursery() as nursery:
        app = Captions(cloud)
        await nursery.start(app.run)
        peer = await started(cloud, app, nursery)
        nursery.cancel_scope.cancel()

    assert (1005, None) == await peer.ended()
    assert [] == app.stops
