"""What the cloud sends to apps: every row of protocol.md 2.4, field by field."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest

from protocols import MalformedMessage, Unknown, to_app

RAW = msgspec.Raw(b'{"k":1}')
NULL = msgspec.Raw(b"null")

# (message, what is on the wire)
ROWS: list[tuple[to_app.MessageToApp, dict[str, object]]] = [
    (
        to_app.connection_ack(
            session_id="s", settings=msgspec.Raw(b"[]"), system_settings=RAW, capabilities=NULL, timestamp="t"
        ),
        {
            "type": "tpa_connection_ack",
            "sessionId": "s",
            "settings": [],
            "mentraosSettings": {"k": 1},
            "augmentosSettings": {"k": 1},
            "capabilities": None,
            "timestamp": "t",
        },
    ),
    (
        to_app.TpaConnectionError(code="INVALID_API_KEY", message="m", timestamp="t"),
        {"type": "tpa_connection_error", "code": "INVALID_API_KEY", "message": "m", "timestamp": "t"},
    ),
    (to_app.ConnectionError(message="m"), {"type": "connection_error", "message": "m"}),
    (to_app.Pong(timestamp=5), {"type": "pong", "timestamp": 5}),
    (to_app.WebsocketError(message="m"), {"type": "websocket_error", "message": "m"}),
    (to_app.AppStopped(reason="user_disabled"), {"type": "app_stopped", "reason": "user_disabled"}),
    (
        to_app.DataStream(session_id="s", stream_type="button_press", data=RAW, timestamp=5),
        {
            "type": "data_stream",
            "sessionId": "s",
            "streamType": "button_press",
            "data": {"k": 1},
            "timestamp": 5,
        },
    ),
    (
        to_app.SettingsUpdate(package_name="p", session_id="s", settings=msgspec.Raw(b"[]")),
        {"type": "settings_update", "packageName": "p", "sessionId": "s", "settings": []},
    ),
    (
        to_app.AugmentosSettingsUpdate(session_id="s", settings=RAW),
        {"type": "augmentos_settings_update", "sessionId": "s", "settings": {"k": 1}},
    ),
    (
        to_app.CapabilitiesUpdate(capabilities=NULL, model_name=None),
        {"type": "capabilities_update", "capabilities": None, "modelName": None},
    ),
    (
        to_app.DeviceStateUpdate(state=RAW, full_snapshot=True),
        {"type": "device_state_update", "state": {"k": 1}, "fullSnapshot": True},
    ),
    (
        to_app.PermissionError(
            message="m",
            details=(to_app.PermissionProblem(stream="VAD", required_permission="MICROPHONE", message="d"),),
        ),
        {
            "type": "permission_error",
            "message": "m",
            "details": [{"stream": "VAD", "requiredPermission": "MICROPHONE", "message": "d"}],
        },
    ),
    (
        to_app.DashboardModeChanged(mode="expanded", session_id="s"),
        {"type": "dashboard_mode_changed", "mode": "expanded", "sessionId": "s"},
    ),
    (
        to_app.DashboardAlwaysOnChanged(enabled=False),
        {"type": "dashboard_always_on_changed", "enabled": False},
    ),
    (
        to_app.CustomMessage(action="update_datetime", payload=RAW),
        {"type": "custom_message", "action": "update_datetime", "payload": {"k": 1}},
    ),
    (
        to_app.AudioPlayResponse(
            request_id="r", success=False, error=msgspec.Raw(b'"no phone"'), duration=1.5
        ),
        {
            "type": "audio_play_response",
            "requestId": "r",
            "success": False,
            "error": "no phone",
            "duration": 1.5,
        },
    ),
    (
        to_app.PhotoResponse(request_id="r", success=True, photo_url="u", saved_to_gallery=False, error=RAW),
        {
            "type": "photo_response",
            "requestId": "r",
            "success": True,
            "photoUrl": "u",
            "savedToGallery": False,
            "error": {"k": 1},
        },
    ),
    (
        to_app.RgbLedControlResponse(request_id="r", success=False, error=RAW),
        {"type": "rgb_led_control_response", "requestId": "r", "success": False, "error": {"k": 1}},
    ),
    (
        to_app.RtmpStreamStatus(status="active", stream_id="s", error_details=RAW, app_id="p", stats=RAW),
        {
            "type": "rtmp_stream_status",
            "status": "active",
            "streamId": "s",
            "errorDetails": {"k": 1},
            "appId": "p",
            "stats": {"k": 1},
        },
    ),
    (
        to_app.ManagedStreamStatus(
            status="active",
            hls_url="h",
            dash_url="d",
            webrtc_url="w",
            preview_url="p",
            thumbnail_url="t",
            message="m",
            stream_id="s",
            outputs=msgspec.Raw(b"[]"),
        ),
        {
            "type": "managed_stream_status",
            "status": "active",
            "hlsUrl": "h",
            "dashUrl": "d",
            "webrtcUrl": "w",
            "previewUrl": "p",
            "thumbnailUrl": "t",
            "message": "m",
            "streamId": "s",
            "outputs": [],
        },
    ),
    (
        to_app.StreamStatusCheckResponse(has_active_stream=False, stream_info=RAW),
        {"type": "stream_status_check_response", "hasActiveStream": False, "streamInfo": {"k": 1}},
    ),
    (
        to_app.AppMessageReceived(
            payload=RAW, message_id="m", sender_user_id="u", sender_session_id="s", room_id="r"
        ),
        {
            "type": "app_message_received",
            "payload": {"k": 1},
            "messageId": "m",
            "senderUserId": "u",
            "senderSessionId": "s",
            "roomId": "r",
        },
    ),
    (
        to_app.AppUserJoined(user_id="u", session_id="s", joined_at="t", user_profile=RAW),
        {
            "type": "app_user_joined",
            "userId": "u",
            "sessionId": "s",
            "joinedAt": "t",
            "userProfile": {"k": 1},
        },
    ),
    (
        to_app.AppUserLeft(user_id="u", session_id="s", left_at="t"),
        {"type": "app_user_left", "userId": "u", "sessionId": "s", "leftAt": "t"},
    ),
    (
        to_app.AppRoomUpdated(room_id="r", update_type="room_closed", room_data=RAW),
        {"type": "app_room_updated", "roomId": "r", "updateType": "room_closed", "roomData": {"k": 1}},
    ),
    (
        to_app.AppDirectMessageResponse(message_id="m", success=False, error="e", target_user_id="u"),
        {
            "type": "app_direct_message_response",
            "messageId": "m",
            "success": False,
            "error": "e",
            "targetUserId": "u",
        },
    ),
]


@pytest.mark.parametrize(("message", "wire"), ROWS, ids=[str(row[1]["type"]) for row in ROWS])
def test_every_row_of_the_table_has_the_wire_s_names(
    message: to_app.MessageToApp, wire: dict[str, object]
) -> None:
    encoded = to_app.encode(message)

    assert wire == json.loads(encoded)
    assert message == to_app.decode(encoded)


def test_the_table_has_a_row_for_every_message() -> None:
    assert set(get_args(to_app.MessageToApp)) == {type(message) for message, _ in ROWS}


def test_an_event_reaches_the_subscriber_byte_for_byte_under_its_own_string() -> None:
    event = b'{"type":"button_press","buttonId":"main","fromNextYear":[1, 2.50]}'

    frame = to_app.data_stream("s", "transcription:en-US?hints=fr", msgspec.Raw(event), 1732000000123)

    assert event in frame
    assert {
        "type": "data_stream",
        "sessionId": "s",
        "streamType": "transcription:en-US?hints=fr",
        "data": json.loads(event),
        "timestamp": 1732000000123,
    } == json.loads(frame)


def test_an_old_sdk_lets_an_unknown_type_pass() -> None:
    message = to_app.decode(b'{"type":"from_next_year"}')

    assert isinstance(message, Unknown)


def test_a_client_is_told_of_a_malformed_message() -> None:
    with pytest.raises(MalformedMessage):
        to_app.decode(b'{"type":"tpa_connection_ack"}')
