"""Messages the cloud sends to a phone on `/glasses-ws` (protocol.md 2.2).

Fields without a default are always on the wire, because some generation of phone needs them. `decode` is for
the clients: phones of every generation let unknown types pass, and so does it.
"""

from __future__ import annotations

import msgspec

from protocols.envelope import ABSENT, Codec, Message, Number, Scalar, Unknown, encode
from protocols.user_session import UserSession
from protocols.webrtc import (
    IceServer,
    WebrtcAnswer,
    WebrtcError,
    WebrtcIceCandidate,
    WebrtcOffer,
    WebrtcReady,
)

__all__ = [
    "AppStarted",
    "AppStateChange",
    "AppStopped",
    "AudioPlayRequest",
    "AudioStopRequest",
    "AuthError",
    "ConnectionAck",
    "ConnectionError",
    "DashboardAlwaysOnChange",
    "DashboardModeChange",
    "DisplayEvent",
    "IceServer",
    "KeepRtmpStreamAlive",
    "Livekit",
    "LivekitInfo",
    "MessageToPhone",
    "MicrophoneStateChange",
    "PhotoRequest",
    "Ping",
    "Pong",
    "RequestSingleLocation",
    "RgbLedControl",
    "SaveBufferVideo",
    "SetLocationTier",
    "SettingsUpdate",
    "ShowWifiSetup",
    "StartBufferRecording",
    "StartRtmpStream",
    "StartVideoRecording",
    "StopBufferRecording",
    "StopRtmpStream",
    "StopVideoRecording",
    "UdpEncryption",
    "UdpPingAck",
    "UserSession",
    "WebrtcAnswer",
    "WebrtcError",
    "WebrtcIceCandidate",
    "WebrtcOffer",
    "WebrtcReady",
    "WebsocketError",
    "decode",
    "encode",
]

# The connection


class Livekit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    url: str
    room_name: str
    token: str


class UdpEncryption(msgspec.Struct, frozen=True, kw_only=True):
    key: str  # base64
    algorithm: str = "xsalsa20-poly1305"


class ConnectionAck(Message, frozen=True, kw_only=True, tag="connection_ack"):
    """The phone may send audio. `user_session` goes to every generation (13.2)."""

    session_id: str
    user_session: UserSession
    env: str | None = None
    udp_host: str | None = None
    udp_port: int | None = None
    udp_encryption: UdpEncryption | None = None
    livekit: Livekit | None = None


class ConnectionError(Message, frozen=True, kw_only=True, tag="connection_error"):
    """A refusal, before close 1008 or as the body of a 401."""

    message: str
    code: str | None = None


class AuthError(Message, frozen=True, kw_only=True, tag="auth_error"):
    message: str


class Ping(Message, frozen=True, tag="ping"):
    """For generation C only, which closes after 4 s of silence."""


class Pong(Message, frozen=True, tag="pong"):
    """The answer to a phone's `ping`."""


class WebsocketError(Message, frozen=True, kw_only=True, tag="websocket_error"):
    message: str


class UdpPingAck(Message, frozen=True, tag="udp_ping_ack"):
    """The answer to a UDP probe."""


class LivekitInfo(Message, frozen=True, kw_only=True, tag="livekit_info"):
    url: str
    room_name: str
    token: str


# The glasses


class DisplayEvent(Message, frozen=True, kw_only=True, tag="display_event"):
    """An app's display, as it came. Generation C needs `view`."""

    view: str
    package_name: str
    layout: msgspec.Raw
    duration_ms: Number | None = None


class MicrophoneStateChange(Message, frozen=True, kw_only=True, tag="microphone_state_change"):
    """Generations B and C obey only `required_data`, A only `is_microphone_enabled`: both are always sent."""

    session_id: str
    is_microphone_enabled: bool
    required_data: tuple[str, ...]
    bypass_vad: bool
    user_session: UserSession | None = None


class DashboardModeChange(Message, frozen=True, kw_only=True, tag="dashboard_mode_change"):
    mode: str


class DashboardAlwaysOnChange(Message, frozen=True, kw_only=True, tag="dashboard_always_on_change"):
    enabled: bool


class ShowWifiSetup(Message, frozen=True, kw_only=True, tag="show_wifi_setup"):
    reason: str | None = None
    app_package_name: str | None = None


class RgbLedControl(Message, frozen=True, kw_only=True, tag="rgb_led_control"):
    request_id: str
    package_name: str
    app_id: str
    action: Scalar
    color: Scalar = None
    ontime: Scalar = None
    offtime: Scalar = None
    count: Scalar = None


# Apps and settings


class AppStateChange(Message, frozen=True, kw_only=True, tag="app_state_change"):
    """What runs has changed. The phone fetches its app list again."""

    session_id: str
    user_session: UserSession
    error: str | None = None


class AppStarted(Message, frozen=True, kw_only=True, tag="app_started"):
    package_name: str


class AppStopped(Message, frozen=True, kw_only=True, tag="app_stopped"):
    package_name: str


class SettingsUpdate(Message, frozen=True, kw_only=True, tag="settings_update"):
    """The wearer's system settings, an object of 9.1's keys."""

    session_id: str
    settings: msgspec.Raw


# Location


class SetLocationTier(Message, frozen=True, kw_only=True, tag="set_location_tier"):
    tier: str


class RequestSingleLocation(Message, frozen=True, kw_only=True, tag="request_single_location"):
    accuracy: str
    correlation_id: str


# Loudspeaker and camera


class AudioPlayRequest(Message, frozen=True, kw_only=True, tag="audio_play_request"):
    """The phone reads `app_id`, then `package_name`: both are sent."""

    request_id: str
    package_name: str
    app_id: str
    audio_url: str
    volume: Scalar
    stop_other_audio: bool
    track_id: Scalar = None


class AudioStopRequest(Message, frozen=True, kw_only=True, tag="audio_stop_request"):
    package_name: str
    app_id: str
    track_id: Scalar = None


class PhotoRequest(Message, frozen=True, kw_only=True, tag="photo_request"):
    request_id: str
    app_id: str
    save_to_gallery: bool | None = None
    webhook_url: str | None = None
    auth_token: str | None = None
    size: Scalar = None
    compress: Scalar = None
    flash: Scalar = None
    sound: Scalar = None


class StartRtmpStream(Message, frozen=True, kw_only=True, tag="start_rtmp_stream"):
    rtmp_url: str
    app_id: str
    stream_id: str
    video: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT
    stream: msgspec.Raw = ABSENT


class StopRtmpStream(Message, frozen=True, kw_only=True, tag="stop_rtmp_stream"):
    app_id: str
    stream_id: str


class KeepRtmpStreamAlive(Message, frozen=True, kw_only=True, tag="keep_rtmp_stream_alive"):
    stream_id: str
    ack_id: str


class StartBufferRecording(Message, frozen=True, tag="start_buffer_recording"):
    pass


class StopBufferRecording(Message, frozen=True, tag="stop_buffer_recording"):
    pass


class SaveBufferVideo(Message, frozen=True, kw_only=True, tag="save_buffer_video"):
    request_id: str
    duration_seconds: float


class StartVideoRecording(Message, frozen=True, kw_only=True, tag="start_video_recording"):
    request_id: str
    save: bool
    flash: bool
    sound: bool


class StopVideoRecording(Message, frozen=True, kw_only=True, tag="stop_video_recording"):
    request_id: str


MessageToPhone = (
    ConnectionAck
    | ConnectionError
    | AuthError
    | Ping
    | Pong
    | WebsocketError
    | UdpPingAck
    | LivekitInfo
    | DisplayEvent
    | MicrophoneStateChange
    | DashboardModeChange
    | DashboardAlwaysOnChange
    | ShowWifiSetup
    | RgbLedControl
    | AppStateChange
    | AppStarted
    | AppStopped
    | SettingsUpdate
    | SetLocationTier
    | RequestSingleLocation
    | AudioPlayRequest
    | AudioStopRequest
    | PhotoRequest
    | StartRtmpStream
    | StopRtmpStream
    | KeepRtmpStreamAlive
    | StartBufferRecording
    | StopBufferRecording
    | SaveBufferVideo
    | StartVideoRecording
    | StopVideoRecording
    | WebrtcReady
    | WebrtcOffer
    | WebrtcAnswer
    | WebrtcIceCandidate
    | WebrtcError
)

_codec: Codec[MessageToPhone] = Codec(MessageToPhone)


def decode(payload: bytes) -> MessageToPhone | Unknown:
    """The message in a cloud's text frame, for clients; `Unknown` for a type this table does not have.

    Raises:
      MalformedMessage: no message at all.
    """
    return _codec.decode_leniently(payload)
