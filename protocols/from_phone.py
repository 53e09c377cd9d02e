"""Messages a phone sends on `/glasses-ws` (protocol.md 2.1).

Only what the server acts on is demanded. Everything that merely passes through is optional and loosely typed,
and what apps get is the phone's own object, forwarded whole: after `decode` has succeeded,
`msgspec.Raw(payload)` is that object.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.envelope import ABSENT, Codec, Message, Number, Scalar, Unknown, encode
from protocols.webrtc import (
    WebrtcAnswer,
    WebrtcAudioStart,
    WebrtcAudioStop,
    WebrtcCapability,
    WebrtcIceCandidate,
    WebrtcOffer,
)

__all__ = [
    "AudioPlayResponse",
    "ButtonPress",
    "CalendarEvent",
    "Config",
    "ConnectionInit",
    "CoreStatusUpdate",
    "DashboardState",
    "GlassesBatteryUpdate",
    "GlassesConnectionState",
    "HeadPosition",
    "KeepAliveAck",
    "LivekitInit",
    "LocalTranscription",
    "LocationUpdate",
    "NotificationDismissed",
    "OpenDashboard",
    "PhoneBatteryUpdate",
    "PhoneMessage",
    "PhoneNotification",
    "PhoneNotificationDismissed",
    "PhotoError",
    "PhotoResponse",
    "PhotoTaken",
    "Ping",
    "Pong",
    "RequestSettings",
    "RgbLedControlResponse",
    "RtmpStreamStatus",
    "SettingsUpdateRequest",
    "StartApp",
    "StopApp",
    "SwipeVolumeStatus",
    "SwitchStatus",
    "TouchEvent",
    "UdpRegister",
    "UdpUnregister",
    "Vad",
    "VideoStreamResponse",
    "VpsCoordinates",
    "WebrtcAnswer",
    "WebrtcAudioStart",
    "WebrtcAudioStop",
    "WebrtcCapability",
    "WebrtcIceCandidate",
    "WebrtcOffer",
    "Wifi",
    "decode",
    "decode_leniently",
    "encode",
]

# The connection


class ConnectionInit(Message, frozen=True, kw_only=True, tag="connection_init"):
    """Asks for the ack (again). Generation A sends it 1 s after opening, C and D never."""

    user_id: str | None = None
    core_token: str | None = None


class Ping(Message, frozen=True, tag="ping"):
    """Answered by `pong` at once: generation D reconnects without it."""


class Pong(Message, frozen=True, tag="pong"):
    """Generation C's answer to the cloud's `ping`."""


class UdpRegister(Message, frozen=True, kw_only=True, tag="udp_register"):
    user_id_hash: int


class UdpUnregister(Message, frozen=True, kw_only=True, tag="udp_unregister"):
    user_id_hash: int | None = None


class LivekitInit(Message, frozen=True, kw_only=True, tag="livekit_init"):
    mode: Scalar = None


class Config(Message, frozen=True, tag="config"):
    """Generation A's push of its configuration; ignored."""


# Apps


class StartApp(Message, frozen=True, kw_only=True, tag="start_app"):
    package_name: str


class StopApp(Message, frozen=True, kw_only=True, tag="stop_app"):
    package_name: str


# Speech


class Vad(Message, frozen=True, kw_only=True, tag="VAD"):
    """The phone's voice detector opened or closed."""

    status: bool | Literal["true", "false"]

    @property
    def is_speaking(self) -> bool:
        return self.status in (True, "true")


class LocalTranscription(Message, frozen=True, kw_only=True, tag="local_transcription"):
    """The phone's own recogniser heard this; relayed as a transcription."""

    text: str
    is_final: bool = False
    start_time: float | None = None
    end_time: float | None = None
    speaker_id: Scalar = None
    transcribe_language: str | None = None
    provider: str | None = None


# Glasses and their wearer


class HeadPosition(Message, frozen=True, kw_only=True, tag="head_position"):
    position: str  # up or down


class ButtonPress(Message, frozen=True, kw_only=True, tag="button_press"):
    button_id: str | None = None
    press_type: str | None = None  # short or long


class TouchEvent(Message, frozen=True, kw_only=True, tag="touch_event"):
    """The one message whose fields are spelled with underscores on the wire."""

    gesture_name: str = msgspec.field(name="gesture_name")
    device_model: str | None = msgspec.field(default=None, name="device_model")


class Wifi(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    connected: bool | None = None
    ssid: str | None = None


class GlassesConnectionState(Message, frozen=True, kw_only=True, tag="glasses_connection_state"):
    """The glasses came or went. `status` is CONNECTED, DISCONNECTED, RECONNECTED or a phase in between."""

    status: str
    model_name: str | None = None
    wifi: Wifi | None = None


class GlassesBatteryUpdate(Message, frozen=True, kw_only=True, tag="glasses_battery_update"):
    level: float | None = None
    charging: bool | None = None
    time_remaining: float | None = None


class PhoneBatteryUpdate(Message, frozen=True, kw_only=True, tag="phone_battery_update"):
    level: float | None = None
    charging: bool | None = None
    time_remaining: float | None = None


class VpsCoordinates(Message, frozen=True, kw_only=True, tag="vps_coordinates"):
    device_model: Scalar = None
    request_id: Scalar = None
    x: Scalar = None
    y: Scalar = None
    z: Scalar = None
    qx: Scalar = None
    qy: Scalar = None
    qz: Scalar = None
    qw: Scalar = None
    confidence: Scalar = None


class SwipeVolumeStatus(Message, frozen=True, tag="swipe_volume_status"):
    """Relayed or ignored."""


class SwitchStatus(Message, frozen=True, tag="switch_status"):
    """Relayed or ignored."""


# The phone's data


class LocationUpdate(Message, frozen=True, kw_only=True, tag="location_update"):
    """Where the phone is. With a `correlation_id` it answers a poll."""

    lat: float
    lng: float
    accuracy: float | None = None
    correlation_id: str | None = None


class CalendarEvent(Message, frozen=True, kw_only=True, tag="calendar_event"):
    event_id: str
    title: Scalar = None
    dt_start: str | int | float | None = None
    dt_end: str | int | float | None = None
    timezone: Scalar = None
    time_stamp: Scalar = None


class PhoneNotification(Message, frozen=True, kw_only=True, tag="phone_notification"):
    notification_id: Scalar = None
    app: Scalar = None
    title: Scalar = None
    content: Scalar = None
    priority: Scalar = None  # low, normal or high


class PhoneNotificationDismissed(Message, frozen=True, kw_only=True, tag="phone_notification_dismissed"):
    notification_id: Scalar = None
    app: Scalar = None
    title: Scalar = None
    content: Scalar = None
    notification_key: Scalar = None


class NotificationDismissed(PhoneNotificationDismissed, frozen=True, tag="notification_dismissed"):
    """Generation A's name for it. A subclass, so that whoever matches the newer one has this one too."""


class RequestSettings(Message, frozen=True, tag="request_settings"):
    """Answered by `settings_update`."""


class SettingsUpdateRequest(Message, frozen=True, tag="settings_update_request"):
    """Answered by `settings_update`. Generation A sends it right after the ack."""


class CoreStatusUpdate(Message, frozen=True, kw_only=True, tag="core_status_update"):
    """Generation A and B: everything their core knows. `status` is an object or a string that holds one."""

    status: msgspec.Raw = ABSENT
    details: msgspec.Raw = ABSENT


class OpenDashboard(Message, frozen=True, tag="open_dashboard"):
    """Relayed."""


class DashboardState(Message, frozen=True, kw_only=True, tag="dashboard_state"):
    is_open: bool | None = None


# Answers to what an app asked for


class AudioPlayResponse(Message, frozen=True, kw_only=True, tag="audio_play_response"):
    request_id: str
    success: bool | None = None
    error: msgspec.Raw = ABSENT
    duration: Number | None = None


class PhotoError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    code: Scalar = None
    message: Scalar = None
    details: msgspec.Raw = ABSENT


class PhotoResponse(Message, frozen=True, kw_only=True, tag="photo_response"):
    """The outcome of a photo request. Generation B may send only `photo_url`, which is a success."""

    request_id: str
    success: bool | None = None
    photo_url: str | None = None
    saved_to_gallery: bool | None = None
    error: PhotoError | str | None = None

    @property
    def has_succeeded(self) -> bool:
        return self.photo_url is not None if self.success is None else self.success


class PhotoTaken(Message, frozen=True, kw_only=True, tag="photo_taken"):
    photo_data: str | None = None
    mime_type: str | None = None


class RgbLedControlResponse(Message, frozen=True, kw_only=True, tag="rgb_led_control_response"):
    request_id: str
    success: bool | None = None
    error: msgspec.Raw = ABSENT


class RtmpStreamStatus(Message, frozen=True, kw_only=True, tag="rtmp_stream_status"):
    """The state of the camera's stream; protocol.md 9.7 lists the values of `status`."""

    status: str
    stream_id: str | None = None
    error_details: msgspec.Raw = ABSENT
    app_id: str | None = None
    stats: msgspec.Raw = ABSENT


class KeepAliveAck(Message, frozen=True, kw_only=True, tag="keep_alive_ack"):
    stream_id: str
    ack_id: str


class VideoStreamResponse(Message, frozen=True, tag="video_stream_response"):
    """Relayed or ignored."""


PhoneMessage = (
    ConnectionInit
    | Ping
    | Pong
    | UdpRegister
    | UdpUnregister
    | LivekitInit
    | Config
    | StartApp
    | StopApp
    | Vad
    | LocalTranscription
    | HeadPosition
    | ButtonPress
    | TouchEvent
    | GlassesConnectionState
    | GlassesBatteryUpdate
    | PhoneBatteryUpdate
    | VpsCoordinates
    | SwipeVolumeStatus
    | SwitchStatus
    | LocationUpdate
    | CalendarEvent
    | PhoneNotification
    | PhoneNotificationDismissed
    | NotificationDismissed
    | RequestSettings
    | SettingsUpdateRequest
    | CoreStatusUpdate
    | OpenDashboard
    | DashboardState
    | AudioPlayResponse
    | PhotoResponse
    | PhotoTaken
    | RgbLedControlResponse
    | RtmpStreamStatus
    | KeepAliveAck
    | VideoStreamResponse
    | WebrtcCapability
    | WebrtcOffer
    | WebrtcAnswer
    | WebrtcIceCandidate
    | WebrtcAudioStart
    | WebrtcAudioStop
)

_codec: Codec[PhoneMessage] = Codec(PhoneMessage)


def decode(payload: bytes) -> PhoneMessage:
    """The message in a phone's text frame.

    Raises:
      UnknownType: a message of a type this table does not have.
      MalformedMessage: no message at all, or one without what the server needs of it.
    """
    return _codec.decode(payload)


def decode_leniently(payload: bytes) -> PhoneMessage | Unknown:
    """Like `decode`, but a message of an unknown type comes back as `Unknown`."""
    return _codec.decode_leniently(payload)
