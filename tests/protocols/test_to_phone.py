"""What the cloud sends to phones: every row of protocol.md 2.2, field by field."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest

from protocols import MalformedMessage, Unknown, to_phone

SESSION = to_phone.UserSession(
    session_id="a@b", user_id="a@b", active_app_sessions=("p",), loading_apps=(), start_time="2025"
)
SESSION_JSON = {
    "sessionId": "a@b",
    "userId": "a@b",
    "activeAppSessions": ["p"],
    "loadingApps": [],
    "startTime": "2025",
}
RAW = msgspec.Raw(b'{"k":1}')

# (message, what is on the wire)
ROWS: list[tuple[to_phone.MessageToPhone, dict[str, object]]] = [
    (
        to_phone.ConnectionAck(
            session_id="a@b", user_session=SESSION, timestamp="t", udp_host="h", udp_port=8000
        ),
        {
            "type": "connection_ack",
            "sessionId": "a@b",
            "userSession": SESSION_JSON,
            "timestamp": "t",
            "udpHost": "h",
            "udpPort": 8000,
        },
    ),
    (
        to_phone.ConnectionAck(
            session_id="s",
            user_session=SESSION,
            env="prod",
            udp_encryption=to_phone.UdpEncryption(key="k", algorithm="xsalsa20-poly1305"),
            livekit=to_phone.Livekit(url="u", room_name="r", token="t"),
        ),
        {
            "type": "connection_ack",
            "sessionId": "s",
            "userSession": SESSION_JSON,
            "env": "prod",
            "udpEncryption": {"key": "k", "algorithm": "xsalsa20-poly1305"},
            "livekit": {"url": "u", "roomName": "r", "token": "t"},
        },
    ),
    (
        to_phone.ConnectionError(code="INVALID_TOKEN", message="m", timestamp="t"),
        {"type": "connection_error", "code": "INVALID_TOKEN", "message": "m", "timestamp": "t"},
    ),
    (to_phone.AuthError(message="m"), {"type": "auth_error", "message": "m"}),
    (to_phone.Ping(), {"type": "ping"}),
    (to_phone.Pong(), {"type": "pong"}),
    (
        to_phone.DisplayEvent(view="main", package_name="p", layout=RAW, duration_ms=5000, timestamp="t"),
        {
            "type": "display_event",
            "view": "main",
            "packageName": "p",
            "layout": {"k": 1},
            "durationMs": 5000,
            "timestamp": "t",
        },
    ),
    (
        to_phone.AppStateChange(session_id="s", user_session=SESSION, error="e"),
        {"type": "app_state_change", "sessionId": "s", "userSession": SESSION_JSON, "error": "e"},
    ),
    (to_phone.AppStarted(package_name="p"), {"type": "app_started", "packageName": "p"}),
    (to_phone.AppStopped(package_name="p"), {"type": "app_stopped", "packageName": "p"}),
    (
        to_phone.MicrophoneStateChange(
            session_id="s", is_microphone_enabled=False, required_data=(), bypass_vad=False
        ),
        {
            "type": "microphone_state_change",
            "sessionId": "s",
            "isMicrophoneEnabled": False,
            "requiredData": [],
            "bypassVad": False,
        },
    ),
    (
        to_phone.MicrophoneStateChange(
            session_id="s",
            is_microphone_enabled=True,
            required_data=("pcm",),
            bypass_vad=True,
            user_session=SESSION,
        ),
        {
            "type": "microphone_state_change",
            "sessionId": "s",
            "isMicrophoneEnabled": True,
            "requiredData": ["pcm"],
            "bypassVad": True,
            "userSession": SESSION_JSON,
        },
    ),
    (
        to_phone.SettingsUpdate(session_id="s", settings=RAW),
        {"type": "settings_update", "sessionId": "s", "settings": {"k": 1}},
    ),
    (to_phone.SetLocationTier(tier="high"), {"type": "set_location_tier", "tier": "high"}),
    (
        to_phone.RequestSingleLocation(accuracy="high", correlation_id="c"),
        {"type": "request_single_location", "accuracy": "high", "correlationId": "c"},
    ),
    (
        to_phone.AudioPlayRequest(
            request_id="r",
            package_name="p",
            app_id="p",
            audio_url="u",
            volume=1,
            stop_other_audio=True,
            track_id=0,
            session_id="s",
        ),
        {
            "type": "audio_play_request",
            "requestId": "r",
            "packageName": "p",
            "appId": "p",
            "audioUrl": "u",
            "volume": 1,
            "stopOtherAudio": True,
            "trackId": 0,
            "sessionId": "s",
        },
    ),
    (
        to_phone.AudioStopRequest(package_name="p", app_id="p", track_id=2),
        {"type": "audio_stop_request", "packageName": "p", "appId": "p", "trackId": 2},
    ),
    (
        to_phone.PhotoRequest(
            request_id="r",
            app_id="p",
            save_to_gallery=True,
            webhook_url="w",
            auth_token="a",
            size="large",
            compress="none",
            flash=True,
            sound=False,
        ),
        {
            "type": "photo_request",
            "requestId": "r",
            "appId": "p",
            "saveToGallery": True,
            "webhookUrl": "w",
            "authToken": "a",
            "size": "large",
            "compress": "none",
            "flash": True,
            "sound": False,
        },
    ),
    (
        to_phone.RgbLedControl(
            request_id="r",
            package_name="p",
            app_id="p",
            action="on",
            color="red",
            ontime=1000,
            offtime=0,
            count=1,
        ),
        {
            "type": "rgb_led_control",
            "requestId": "r",
            "packageName": "p",
            "appId": "p",
            "action": "on",
            "color": "red",
            "ontime": 1000,
            "offtime": 0,
            "count": 1,
        },
    ),
    (
        to_phone.ShowWifiSetup(reason="r", app_package_name="p"),
        {"type": "show_wifi_setup", "reason": "r", "appPackageName": "p"},
    ),
    (
        to_phone.StartRtmpStream(rtmp_url="u", app_id="p", stream_id="s", video=RAW, audio=RAW, stream=RAW),
        {
            "type": "start_rtmp_stream",
            "rtmpUrl": "u",
            "appId": "p",
            "streamId": "s",
            "video": {"k": 1},
            "audio": {"k": 1},
            "stream": {"k": 1},
        },
    ),
    (
        to_phone.StopRtmpStream(app_id="p", stream_id="s"),
        {"type": "stop_rtmp_stream", "appId": "p", "streamId": "s"},
    ),
    (
        to_phone.KeepRtmpStreamAlive(stream_id="s", ack_id="a"),
        {"type": "keep_rtmp_stream_alive", "streamId": "s", "ackId": "a"},
    ),
    (to_phone.StartBufferRecording(), {"type": "start_buffer_recording"}),
    (to_phone.StopBufferRecording(), {"type": "stop_buffer_recording"}),
    (
        to_phone.SaveBufferVideo(request_id="r", duration_seconds=30),
        {"type": "save_buffer_video", "requestId": "r", "durationSeconds": 30},
    ),
    (
        to_phone.StartVideoRecording(request_id="r", save=True, flash=False, sound=True),
        {"type": "start_video_recording", "requestId": "r", "save": True, "flash": False, "sound": True},
    ),
    (to_phone.StopVideoRecording(request_id="r"), {"type": "stop_video_recording", "requestId": "r"}),
    (to_phone.DashboardModeChange(mode="main"), {"type": "dashboard_mode_change", "mode": "main"}),
    (
        to_phone.DashboardAlwaysOnChange(enabled=False),
        {"type": "dashboard_always_on_change", "enabled": False},
    ),
    (to_phone.UdpPingAck(timestamp=5), {"type": "udp_ping_ack", "timestamp": 5}),
    (
        to_phone.LivekitInfo(url="u", room_name="r", token="t"),
        {"type": "livekit_info", "url": "u", "roomName": "r", "token": "t"},
    ),
    (
        to_phone.WebrtcReady(
            session_id="s",
            ice_servers=(
                to_phone.IceServer(urls="stun:x"),
                to_phone.IceServer(urls=("turn:y",), username="u", credential="c"),
            ),
        ),
        {
            "type": "webrtc_ready",
            "sessionId": "s",
            "iceServers": [{"urls": "stun:x"}, {"urls": ["turn:y"], "username": "u", "credential": "c"}],
        },
    ),
    (to_phone.WebrtcOffer(sdp="o", session_id="s"), {"type": "webrtc_offer", "sdp": "o", "sessionId": "s"}),
    (to_phone.WebrtcAnswer(sdp="a"), {"type": "webrtc_answer", "sdp": "a"}),
    (
        to_phone.WebrtcIceCandidate(candidate="c", sdp_mline_index=None, sdp_mid="0"),
        {"type": "webrtc_ice_candidate", "candidate": "c", "sdpMLineIndex": None, "sdpMid": "0"},
    ),
    (
        to_phone.WebrtcError(message="m", code="INIT_FAILED"),
        {"type": "webrtc_error", "message": "m", "code": "INIT_FAILED"},
    ),
    (to_phone.WebsocketError(message="m"), {"type": "websocket_error", "message": "m"}),
]


@pytest.mark.parametrize(("message", "wire"), ROWS, ids=[str(row[1]["type"]) for row in ROWS])
def test_every_row_of_the_table_has_the_wire_s_names(
    message: to_phone.MessageToPhone, wire: dict[str, object]
) -> None:
    encoded = to_phone.encode(message)

    assert wire == json.loads(encoded)
    assert message == to_phone.decode(encoded)


def test_the_table_has_a_row_for_every_message() -> None:
    assert set(get_args(to_phone.MessageToPhone)) == {type(message) for message, _ in ROWS}


def test_a_phone_of_any_generation_lets_an_unknown_type_pass() -> None:
    message = to_phone.decode(b'{"type":"from_next_year"}')

    assert isinstance(message, Unknown)
    assert message.type == "from_next_year"


def test_a_client_is_told_of_a_malformed_message() -> None:
    with pytest.raises(MalformedMessage):
        to_phone.decode(b'{"type":"connection_ack"}')
