"""What phones send: every row of protocol.md 2.1, in the forms of the generations that send it."""

from __future__ import annotations

import json

import msgspec
import pytest

from protocols import MalformedMessage, Unknown, UnknownType, from_phone

# (source, frame, the class it must become)
ROWS: list[tuple[str, str, type]] = [
    ("A client 1 s after open", '{"type":"connection_init","coreToken":"t"}', from_phone.ConnectionInit),
    ("A, with a user", '{"type":"connection_init","userId":"a@b"}', from_phone.ConnectionInit),
    ("D every 5 s", '{"type":"ping"}', from_phone.Ping),
    ("C's answer", '{"type":"pong"}', from_phone.Pong),
    ("all", '{"type":"start_app","packageName":"p","timestamp":1732000000123}', from_phone.StartApp),
    ("A", '{"type":"stop_app","packageName":"p","sessionId":"s"}', from_phone.StopApp),
    ("C", '{"type":"VAD","status":true}', from_phone.Vad),
    ("A", '{"type":"VAD","status":"false","timestamp":"2025-06-27T10:00:00.000Z"}', from_phone.Vad),
    (
        "C",
        '{"type":"local_transcription","text":"hi","isFinal":true,"startTime":1.5,"endTime":2.5,"speakerId":0,'
        '"transcribeLanguage":"en-US","provider":"sherpa"}',
        from_phone.LocalTranscription,
    ),
    ("all", '{"type":"head_position","position":"up"}', from_phone.HeadPosition),
    ("all", '{"type":"button_press","buttonId":"camera","pressType":"long"}', from_phone.ButtonPress),
    (
        "C",
        '{"type":"touch_event","device_model":"Mentra Live","gesture_name":"double_tap",'
        '"timestamp":1732000000123}',
        from_phone.TouchEvent,
    ),
    (
        "C",
        '{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED",'
        '"wifi":{"connected":true,"ssid":"home"}}',
        from_phone.GlassesConnectionState,
    ),
    (
        "A",
        '{"type":"glasses_connection_state","modelName":"Even Realities G1","status":"DISCONNECTED"}',
        from_phone.GlassesConnectionState,
    ),
    (
        "all",
        '{"type":"glasses_battery_update","level":80.0,"charging":false,"timeRemaining":12.0}',
        from_phone.GlassesBatteryUpdate,
    ),
    ("all", '{"type":"phone_battery_update","level":-1.0,"charging":true}', from_phone.PhoneBatteryUpdate),
    ("all", '{"type":"location_update","lat":1.5,"lng":-2.5,"accuracy":3.0}', from_phone.LocationUpdate),
    (
        "C, answering a poll",
        '{"type":"location_update","lat":1.0,"lng":2.0,"correlationId":"c"}',
        from_phone.LocationUpdate,
    ),
    (
        "all",
        '{"type":"calendar_event","eventId":"1","title":"t","dtStart":"1732000000123","dtEnd":"1732000000124",'
        '"timezone":"UTC","timeStamp":"1732000000000"}',
        from_phone.CalendarEvent,
    ),
    (
        "all",
        '{"type":"phone_notification","notificationId":"1","app":"a","title":"t","content":"c","priority":"high"}',
        from_phone.PhoneNotification,
    ),
    (
        "C",
        '{"type":"phone_notification_dismissed","notificationId":"1","app":"a","title":"t","content":"c",'
        '"notificationKey":"k"}',
        from_phone.PhoneNotificationDismissed,
    ),
    (
        "A",
        '{"type":"notification_dismissed","notificationId":"1","notificationKey":"k"}',
        from_phone.PhoneNotificationDismissed,
    ),
    ("all", '{"type":"request_settings","sessionId":"s"}', from_phone.RequestSettings),
    ("A after the ack", '{"type":"settings_update_request"}', from_phone.SettingsUpdateRequest),
    (
        "A",
        '{"type":"core_status_update","status":{"status":{"core_info":{}}},"details":{"a":1}}',
        from_phone.CoreStatusUpdate,
    ),
    ("B", '{"type":"core_status_update","status":"{\\"status\\":{}}"}', from_phone.CoreStatusUpdate),
    ("A", '{"type":"open_dashboard"}', from_phone.OpenDashboard),
    ("A", '{"type":"dashboard_state","isOpen":true}', from_phone.DashboardState),
    (
        "C",
        '{"type":"audio_play_response","requestId":"r","success":true,"duration":1200}',
        from_phone.AudioPlayResponse,
    ),
    (
        "C, failed",
        '{"type":"audio_play_response","requestId":"r","success":false,"error":"no speaker"}',
        from_phone.AudioPlayResponse,
    ),
    (
        "C, failed",
        '{"type":"photo_response","requestId":"r","success":false,"error":{"code":"CAMERA_BUSY","message":"m",'
        '"details":{"stage":"CAMERA_INIT"}}}',
        from_phone.PhotoResponse,
    ),
    ("B", '{"type":"photo_response","requestId":"r","photoUrl":"https://x/y.jpg"}', from_phone.PhotoResponse),
    ("C", '{"type":"photo_taken","photoData":"AAAA","mimeType":"image/jpeg"}', from_phone.PhotoTaken),
    (
        "C",
        '{"type":"rgb_led_control_response","requestId":"r","success":false,"error":"busy"}',
        from_phone.RgbLedControlResponse,
    ),
    (
        "B",
        '{"type":"rtmp_stream_status","streamId":"s","status":"streaming","errorDetails":"none","appId":"p",'
        '"stats":{"fps":30}}',
        from_phone.RtmpStreamStatus,
    ),
    ("B", '{"type":"keep_alive_ack","streamId":"s","ackId":"a"}', from_phone.KeepAliveAck),
    (
        "C",
        '{"type":"vps_coordinates","deviceModel":"d","requestId":"r","x":1,"y":2,"z":3,"qx":0.1,"qy":0.2,"qz":0.3,'
        '"qw":0.4,"confidence":0.9}',
        from_phone.VpsCoordinates,
    ),
    ("C", '{"type":"udp_register","userIdHash":4294967295}', from_phone.UdpRegister),
    ("C", '{"type":"udp_unregister","userIdHash":1}', from_phone.UdpUnregister),
    ("B", '{"type":"livekit_init","mode":"publish"}', from_phone.LivekitInit),
    ("A", '{"type":"video_stream_response"}', from_phone.VideoStreamResponse),
    ("C", '{"type":"swipe_volume_status"}', from_phone.SwipeVolumeStatus),
    ("C", '{"type":"switch_status"}', from_phone.SwitchStatus),
    ("A", '{"type":"config"}', from_phone.Config),
    (
        "W",
        '{"type":"webrtc_capability","supported":true,"clientVersion":"1","preferredCodec":"opus"}',
        from_phone.WebrtcCapability,
    ),
    ("W", '{"type":"webrtc_offer","sdp":"v=0","sessionId":"s"}', from_phone.WebrtcOffer),
    ("W", '{"type":"webrtc_answer","sdp":"v=0","sessionId":"s"}', from_phone.WebrtcAnswer),
    (
        "W",
        '{"type":"webrtc_ice_candidate","candidate":"c","sdpMLineIndex":0,"sdpMid":null,"sessionId":"s"}',
        from_phone.WebrtcIceCandidate,
    ),
    ("W", '{"type":"webrtc_audio_start"}', from_phone.WebrtcAudioStart),
    ("W", '{"type":"webrtc_audio_stop"}', from_phone.WebrtcAudioStop),
]


@pytest.mark.parametrize(
    ("source", "frame", "kind"), ROWS, ids=[f"{row[2].__name__} {row[0]}" for row in ROWS]
)
def test_every_row_of_the_table_survives_a_round_trip(source: str, frame: str, kind: type) -> None:
    message = from_phone.decode(frame.encode())

    assert isinstance(message, kind)
    assert json.loads(frame) == json.loads(from_phone.encode(message))


@pytest.mark.parametrize(
    ("source", "frame", "kind"), ROWS, ids=[f"{row[2].__name__} {row[0]}" for row in ROWS]
)
def test_unknown_fields_are_ignored_and_stay_in_what_is_relayed(source: str, frame: str, kind: type) -> None:
    payload = (frame[:-1] + ',"fromNextYear":{"a":[1]}}').encode()

    from_phone.decode(payload)

    assert {"a": [1]} == json.loads(bytes(msgspec.Raw(payload)))["fromNextYear"]


# What a client may write differently without meaning anything else.
TOLERATED = [
    '{"position":"up","type":"head_position"}',
    '{"type":"head_position","position":"down","timestamp":1732000000123.5}',
    '{"type":"head_position","position":"down","timestamp":null,"sessionId":null}',
    '{"type":"glasses_battery_update","level":null,"charging":null}',
    '{"type":"glasses_battery_update","level":80,"charging":false,"timeRemaining":-1}',
    '{"type":"glasses_battery_update"}',
    '{"type":"glasses_connection_state","modelName":null,"status":"RECONNECTED","wifi":null}',
    '{"type":"location_update","lat":1,"lng":2,"accuracy":null,"altitude":7}',
    '{"type":"phone_notification","notificationId":17,"title":null,"priority":2}',
    '{"type":"calendar_event","eventId":"1","dtStart":1732000000123,"timezone":null}',
    '{"type":"audio_play_response","requestId":"r","success":false,"error":{"code":1}}',
    '{"type":"photo_response","requestId":"r","success":false,"error":"no camera"}',
    '{"type":"local_transcription","text":"hi","speakerId":"1"}',
    '{"type":"core_status_update"}',
    ' \n{"type":"ping"}\r\n',
]


@pytest.mark.parametrize("frame", TOLERATED)
def test_what_some_client_may_send_is_not_malformed(frame: str) -> None:
    from_phone.decode(frame.encode())


@pytest.mark.parametrize(
    ("frame", "is_speaking"),
    [
        (b'{"type":"VAD","status":true}', True),
        (b'{"type":"VAD","status":"true"}', True),
        (b'{"type":"VAD","status":false}', False),
        (b'{"type":"VAD","status":"false"}', False),
    ],
)
def test_voice_activity_comes_as_a_boolean_or_as_its_name(frame: bytes, is_speaking: bool) -> None:
    message = from_phone.decode(frame)

    assert isinstance(message, from_phone.Vad)
    assert is_speaking is message.is_speaking


@pytest.mark.parametrize(
    ("frame", "has_succeeded"),
    [
        (b'{"type":"photo_response","requestId":"r","photoUrl":"u"}', True),
        (b'{"type":"photo_response","requestId":"r"}', False),
        (b'{"type":"photo_response","requestId":"r","success":true}', True),
        (b'{"type":"photo_response","requestId":"r","success":false,"photoUrl":"u"}', False),
    ],
)
def test_a_photo_without_a_verdict_is_a_success_when_it_has_an_url(frame: bytes, has_succeeded: bool) -> None:
    message = from_phone.decode(frame)

    assert isinstance(message, from_phone.PhotoResponse)
    assert has_succeeded is message.has_succeeded


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"start_app"}',
        b'{"type":"start_app","packageName":7}',
        b'{"type":"VAD","status":"maybe"}',
        b'{"type":"VAD","status":2}',
        b'{"type":"location_update","lat":1}',
        b'{"type":"location_update","lat":"nan","lng":1}',
        b'{"type":"location_update","lat":1e999,"lng":1}',
        b'{"type":"location_update","lat":' + b"9" * 400 + b',"lng":1}',
        b'{"type":"head_position"}',
    ],
)
def test_a_message_without_what_the_server_needs_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        from_phone.decode(frame)

    assert not isinstance(caught.value, UnknownType)


def test_an_unknown_type_is_told_from_a_malformed_message() -> None:
    with pytest.raises(UnknownType) as caught:
        from_phone.decode(b'{"type":"vad","status":true}')  # the type is VAD

    assert caught.value.type_name == "vad"


def test_a_lenient_reader_gets_an_unknown_message_whole() -> None:
    frame = b'{"type":"from_next_year"}'

    message = from_phone.decode_leniently(frame)

    assert isinstance(message, Unknown)
    assert frame == bytes(message.raw)
