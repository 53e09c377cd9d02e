"""What an app hears and shows."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from clients.app_sdk import CloudError
from protocols import from_app, from_phone, to_app
from protocols.layouts import TextWall
from protocols.transcription import TranscriptionData, TranslationData
from tests.clients.captions_app import (
    PACKAGE,
    SESSION,
    USER,
    Captions,
    started,
    stream,
    subscriptions,
)
from tests.clients.scripted_cloud import ScriptedCloud


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
