from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from clients.app_sdk import AppServer, AppSession, CloudError
from protocols import from_app, from_phone, to_app, webhooks
from protocols.layouts import TextWall
from protocols.transcription import TranscriptionData, TranslationData
from tests.clients.scripted_cloud import Peer, ScriptedCloud

PACKAGE = "org.example.captions"
USER = "ada-b@example.org"
SESSION = f"{USER}-{PACKAGE}"
URL = "ws://cloud:8002/app-ws"
NOW = 1_795_240_800.0
STAMP = "2026-11-21T06:00:00.000Z"


class Captions(AppServer):
    """An app that notes what happens to it."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        super().__init__(PACKAGE, "key", port=None, connect=cloud.connect, wall=lambda: NOW)
        self.begun: list[AppSession] = []
        self.stops: list[tuple[str, str, str]] = []
        self.may_begin = trio.Event()
        self.may_begin.set()

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        assert (SESSION, USER) == (session_id, user_id)
        self.begun.append(session)
        session.layouts.show_text_wall("hello")
        await self.may_begin.wait()

    async def on_stop(self, session_id: str, user_id: str, reason: str) -> None:
        self.stops.append((session_id, user_id, reason))


@pytest.fixture
async def app(cloud: ScriptedCloud) -> AsyncIterator[Captions]:
    async with trio.open_nursery() as nursery:
        app = Captions(cloud)
        await nursery.start(app.run)
        yield app
        nursery.cancel_scope.cancel()


class Call:
    """A POST /webhook that runs beside the test."""

    def __init__(self, app: AppServer, nursery: trio.Nursery, body: bytes | None = None) -> None:
        self.answer: tuple[int, Any] | None = None
        self.took_s = 0.0
        self.is_over = trio.Event()
        nursery.start_soon(self._run, app, body or request())

    async def _run(self, app: AppServer, body: bytes) -> None:
        began = trio.current_time()
        status, answer = await app.handle("POST", "/webhook", body)
        self.answer = status, msgspec.json.decode(answer)
        self.took_s = trio.current_time() - began
        self.is_over.set()

    async def result(self) -> tuple[int, Any]:
        await self.is_over.wait()
        assert self.answer is not None
        return self.answer


def request(**fields: str) -> bytes:
    body = {"type": "session_request", "sessionId": SESSION, "userId": USER, "timestamp": STAMP}
    return msgspec.json.encode(body | (fields or {"mentraOSWebsocketUrl": URL}))


def stop_request() -> bytes:
    return webhooks.stop_request(session_id=SESSION, user_id=USER, reason="user_disabled", timestamp=STAMP)


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


async def started(cloud: ScriptedCloud, app: AppServer, nursery: trio.Nursery, **ack: object) -> Peer:
    """An app session in full swing; what it sent at its start is read."""
    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.acknowledge_app(**ack)
    assert (200, {"status": "success"}) == await call.result()
    await peer.receive_type("subscription_update")
    await peer.receive_type("display_event")
    return peer


async def subscriptions(peer: Peer) -> list[str]:
    update: Mapping[str, Any] = await peer.receive_type("subscription_update")
    return list(update["subscriptions"])


async def stream(peer: Peer, name: str, data: Mapping[str, object]) -> None:
    await peer.send({"type": "data_stream", "sessionId": SESSION, "streamType": name, "data": data})


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
    await peers[0].close(1000)
    await peers[1].close(1000)


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


# Events


async def test_every_handler_added_or_removed_sends_the_whole_list(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    events = app.begun[0].events

    english = events.on_transcription(print)
    events.on_transcription(print, language="fr-FR")
    also_english = events.on_transcription(repr)  # type: ignore[arg-type]
    events.on_audio_chunk(print)
    events.on_touch_event(print, "single_tap")
    events.on_translation(print, "all", "de-DE")
    english()
    also_english()
    also_english()

    lists = [await subscriptions(peer) for _ in range(9)]
    rest = ["transcription:fr-FR", "audio_chunk", "touch_event:single_tap", "translation:all-to-de-DE"]
    assert [
        ["transcription:en-US"],
        ["transcription:en-US", "transcription:fr-FR"],
        ["transcription:en-US", "transcription:fr-FR"],
        ["transcription:en-US", "transcription:fr-FR", "audio_chunk"],
        ["transcription:en-US", "transcription:fr-FR", "audio_chunk", "touch_event:single_tap"],
        ["transcription:en-US", *rest],
        ["transcription:en-US", *rest],
        rest,
        rest,
    ] == lists


async def test_an_event_reaches_the_handlers_of_exactly_its_stream(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    events = app.begun[0].events
    heard: list[object] = []
    heard_async: list[object] = []
    done = trio.Event()

    async def asynchronous(data: TranscriptionData) -> None:
        await trio.sleep(1)
        heard_async.append(data)

    events.on_transcription(heard.append)
    events.on_transcription(asynchronous)
    events.on_translation(heard.append, "en-US", "de-DE")
    events.on_button_press(heard.append)
    events.on_head_position(heard.append)
    events.on_vad(heard.append)
    events.on("my_stream", heard.append)
    events.on_audio_chunk(heard.append)
    events.on_audio_chunk(lambda pcm: done.set())
    said = {"type": "transcription", "text": "hi", "isFinal": True, "startTime": 0, "endTime": 5}
    translated = {
        "type": "translation",
        "text": "hallo",
        "isFinal": True,
        "startTime": 0,
        "endTime": 5,
        "transcribeLanguage": "en-US",
        "translateLanguage": "de-DE",
        "didTranslate": True,
    }

    await stream(peer, "transcription", said)  # the bare name is nobody's
    await stream(peer, "transcription:en-US", said | {"unknown": 1})
    await stream(peer, "translation:en-US-to-de-DE", translated)
    await stream(peer, "button_press", {"type": "button_press", "buttonId": "main", "pressType": "short"})
    await stream(peer, "head_position", {"type": "head_position", "position": "up"})
    await stream(peer, "VAD", {"type": "VAD", "status": "true"})
    await stream(peer, "my_stream", {"a": [1]})
    await peer.send(b"\x01\x02" * 1600)
    await done.wait()

    transcribed = TranscriptionData(text="hi", is_final=True, start_time=0, end_time=5)
    assert [
        transcribed,
        TranslationData(
            text="hallo",
            is_final=True,
            start_time=0,
            end_time=5,
            transcribe_language="en-US",
            translate_language="de-DE",
            did_translate=True,
        ),
        from_phone.ButtonPress(button_id="main", press_type="short"),
        from_phone.HeadPosition(position="up"),
        from_phone.Vad(status="true"),
        {"a": [1]},
        b"\x01\x02" * 1600,
    ] == heard
    assert [transcribed] == heard_async


@pytest.mark.parametrize(
    ("method", "name", "data"),
    [
        ("on_touch_event", "touch_event", {"type": "touch_event", "gesture_name": "single_tap"}),
        (
            "on_glasses_connection_state",
            "glasses_connection_state",
            {"type": "glasses_connection_state", "status": "CONNECTED"},
        ),
        (
            "on_glasses_battery_update",
            "glasses_battery_update",
            {"type": "glasses_battery_update", "level": 5},
        ),
        ("on_phone_battery_update", "phone_battery_update", {"type": "phone_battery_update", "level": 5}),
        ("on_location_update", "location_update", {"type": "location_update", "lat": 1.5, "lng": 2.5}),
        (
            "on_calendar_event",
            "calendar_event",
            {
                "type": "calendar_event",
                "eventId": "1",
                "title": "t",
                "dtStart": "a",
                "dtEnd": "b",
                "timezone": "c",
                "timeStamp": "d",
            },
        ),
        (
            "on_phone_notification",
            "phone_notification",
            {
                "type": "phone_notification",
                "notificationId": "1",
                "app": "a",
                "title": "t",
                "content": "c",
                "priority": "low",
            },
        ),
        (
            "on_phone_notification_dismissed",
            "phone_notification_dismissed",
            {
                "type": "phone_notification_dismissed",
                "notificationId": "1",
                "app": "a",
                "title": "t",
                "content": "c",
                "notificationKey": "k",
            },
        ),
    ],
)
async def test_each_stream_of_the_phone_has_its_method(
    cloud: ScriptedCloud,
    app: Captions,
    nursery: trio.Nursery,
    method: str,
    name: str,
    data: dict[str, object],
) -> None:
    peer = await started(cloud, app, nursery)
    got: list[Any] = []
    done = trio.Event()
    getattr(app.begun[0].events, method)(got.append)
    getattr(app.begun[0].events, method)(lambda event: done.set())

    await stream(peer, name, data)
    await done.wait()

    assert [name] == await subscriptions(peer)
    assert data == {key: value for key, value in msgspec.to_builtins(got[0]).items() if value is not None}


async def test_what_cannot_be_understood_is_an_error_event(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    events = app.begun[0].events
    errors: list[Exception] = []
    events.on_error(errors.append)
    events.on_button_press(lambda press: None)
    events.on_vad(lambda vad: 1 / 0)  # type: ignore[arg-type, return-value]

    await peer.send("not json")
    await peer.send({"type": "ping"})
    await peer.send({"type": "tpa_connection_error", "code": "MALFORMED_MESSAGE", "message": "what?"})
    await peer.send({"type": "websocket_error", "message": "no"})
    await peer.send(b"")
    await stream(peer, "button_press", {"type": "no such thing"})
    await stream(peer, "VAD", {"type": "VAD", "status": True})
    await trio.sleep(1)

    assert ["a message of unknown type 'ping'", "MALFORMED_MESSAGE: what?", "no", "an empty audio frame"] == [
        str(error) for error in errors if isinstance(error, CloudError)
    ]
    assert "MALFORMED_MESSAGE" == errors[2].code  # type: ignore[attr-defined]
    assert isinstance(errors[-1], ZeroDivisionError)
    assert app.begun[0].is_connected


async def test_an_error_nobody_listens_for_is_logged_and_so_is_one_in_an_error_handler(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    peer = await started(cloud, app, nursery)
    reached = trio.Event()

    def broken(error: Exception) -> None:
        reached.set()
        raise LookupError("in the handler")

    await peer.send({"type": "something_new"})
    await trio.sleep(1)
    app.begun[0].events.on_error(broken)
    await peer.send({"type": "something_new"})
    await reached.wait()
    await trio.sleep(1)

    assert "something_new" in caplog.text
    assert "a handler of errors raised" in caplog.text
    assert app.begun[0].is_connected


async def test_settings_and_capabilities_follow_what_the_cloud_says(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    session = app.begun[0]
    changes: list[object] = []
    permissions: list[to_app.PermissionError] = []
    session.events.on_settings_change(changes.append)
    session.events.on_message(to_app.PermissionError, permissions.append)

    await peer.send(
        {"type": "settings_update", "packageName": PACKAGE, "sessionId": SESSION, "settings": [{"key": "a"}]}
    )
    await peer.send(
        {"type": "augmentos_settings_update", "sessionId": SESSION, "settings": {"brightness": 1}}
    )
    await peer.send(
        {"type": "capabilities_update", "capabilities": {"hasCamera": True}, "modelName": "Mentra Live"}
    )
    await peer.send({"type": "permission_error", "message": "m", "details": []})
    await trio.sleep(1)
    change = msgspec.json.encode({"userIdForSettings": USER, "settings": [{"key": "b"}]})
    answer = await app.handle("POST", "/settings", change)
    await trio.testing.wait_all_tasks_blocked()

    assert [[{"key": "a"}], [{"key": "b"}]] == changes
    assert ([{"key": "b"}], {"brightness": 1}, {"hasCamera": True}) == (
        session.settings,
        session.system_settings,
        session.capabilities,
    )
    assert 200 == answer[0]
    assert 1 == msgspec.json.decode(answer[1])["sessionsUpdated"]


async def test_events_beyond_a_thousand_waiting_are_dropped_and_counted(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    session = app.begun[0]
    busy = trio.Event()

    async def slow(pcm: bytes) -> None:
        busy.set()
        await trio.sleep_forever()

    session.events.on_audio_chunk(slow)
    await peer.send(b"\0\0")
    await busy.wait()
    for _ in range(1005):
        await peer.send(b"\0\0")
    await trio.testing.wait_all_tasks_blocked()

    assert 5 == session.dropped_events
    await peer.close(1000)
    await trio.sleep(1)
    assert 1 == len(app.stops)


async def test_what_is_sent_beyond_a_thousand_waiting_is_refused(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    await started(cloud, app, nursery)
    layouts = app.begun[0].layouts

    taken = [layouts.show_text_wall(str(number)) for number in range(1010)]

    assert all(taken[:1000])
    assert not any(taken[1001:])  # one more may be with the writer already


async def test_every_layout_has_its_method(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    layouts = app.begun[0].layouts

    layouts.show_text_wall("a", duration_ms=500, view="dashboard")
    layouts.show_double_text_wall("a", "b")
    layouts.show_reference_card("a", "b", 10)
    layouts.show_dashboard_card("a", "b")
    layouts.show_bitmap_view("00")
    layouts.clear_view()
    layouts.show(TextWall(text="now"), force=True)

    events = [await peer.receive_type("display_event") for _ in range(7)]
    assert [
        ({"layoutType": "text_wall", "text": "a"}, "dashboard", 500, None),
        ({"layoutType": "double_text_wall", "topText": "a", "bottomText": "b"}, "main", None, None),
        ({"layoutType": "reference_card", "title": "a", "text": "b"}, "main", 10, None),
        ({"layoutType": "dashboard_card", "leftText": "a", "rightText": "b"}, "dashboard", None, None),
        ({"layoutType": "bitmap_view", "data": "00"}, "main", None, None),
        ({"layoutType": "clear_view"}, "main", None, None),
        ({"layoutType": "text_wall", "text": "now"}, "main", None, True),
    ] == [
        (event["layout"], event["view"], event.get("durationMs"), event.get("forceDisplay"))
        for event in events
    ]


async def test_any_message_can_be_sent(cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery) -> None:
    peer = await started(cloud, app, nursery)

    app.begun[0].send(from_app.DashboardContentUpdate(package_name=PACKAGE, content="c", timestamp=5))

    message = await peer.receive()
    assert ("dashboard_content_update", "c", 5) == (message["type"], message["content"], message["timestamp"])


async def test_a_task_of_the_session_ends_with_it(
    cloud: ScriptedCloud, app: Captions, nursery: trio.Nursery
) -> None:
    peer = await started(cloud, app, nursery)
    ended = trio.Event()

    async def background() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    app.begun[0].start_soon(background)
    await peer.close(1000)

    with trio.fail_after(5):
        await ended.wait()


# The other routes


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("POST", "/webhook", b"", 400, {"status": "error"}),
        ("POST", "/webhook", b'{"type":"other"}', 400, {"status": "error"}),
        ("POST", "/webhook", request(other="x"), 400, {"status": "error", "message": "no WebSocket URL"}),
        ("POST", "/settings", b"{}", 400, {"status": "error"}),
        ("POST", "/tool", b"{}", 500, {"status": "error"}),
        ("GET", "/tool", b"", 200, {"status": "success"}),
        ("GET", "/health", b"", 200, {"status": "healthy", "app": PACKAGE, "activeSessions": 0}),
        ("GET", "/webhook", b"", 404, {"status": "error"}),
        ("GET", "/", b"", 404, {"status": "error"}),
    ],
)
async def test_a_call_gets_the_answer_the_protocol_names(
    cloud: ScriptedCloud,
    app: Captions,
    method: str,
    path: str,
    body: bytes,
    status: int,
    answer: dict[str, object],
) -> None:
    got = await app.handle(method, path, body)

    assert status == got[0]
    assert answer.items() <= msgspec.json.decode(got[1]).items()


@pytest.mark.parametrize(("reply", "expected"), [("done", "done"), (None, None)])
async def test_a_tool_call_is_answered(
    cloud: ScriptedCloud, app: Captions, reply: str | None, expected: str | None
) -> None:
    calls = []

    @app.handler
    async def on_tool_call(call: webhooks.ToolCall) -> str | None:
        calls.append(call)
        return reply

    body = b'{"toolId":"t","toolParameters":{"a":1},"userId":"ada@example.org","timestamp":"x"}'
    status, answer = await app.handle("POST", "/tool", body)

    assert (200, {"status": "success", "reply": expected}) == (status, msgspec.json.decode(answer))
    assert ["t"] == [call.tool_id for call in calls]


async def test_an_app_that_is_not_given_on_tool_call_replies_nothing(
    cloud: ScriptedCloud, app: Captions
) -> None:
    body = b'{"toolId":"t","toolParameters":{},"userId":"ada@example.org","timestamp":"x"}'

    assert (200, b'{"status":"success","reply":null}') == await app.handle("POST", "/tool", body)


async def test_a_plain_app_server_does_nothing_and_says_so(
    cloud: ScriptedCloud, nursery: trio.Nursery
) -> None:
    app = AppServer(PACKAGE, "key", port=None, connect=cloud.connect)
    await nursery.start(app.run)
    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.acknowledge_app()

    assert 200 == (await call.result())[0]
    await peer.close(1000)
    await trio.sleep(1)
    assert {} == app.sessions


def test_a_handler_of_an_unknown_name_is_refused() -> None:
    app = AppServer(PACKAGE, "key")

    async def on_sesion() -> None:
        raise AssertionError

    with pytest.raises(ValueError, match="on_sesion: choose on_session, on_stop or on_tool_call"):
        app.handler(on_sesion)
