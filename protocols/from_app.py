"""Messages an app sends on `/app-ws` (protocol.md 2.3).

`session_id` and `package_name` are what the app claims: the SDK sends an empty session id with displays and a
doubled one with dashboard content (10.9), so nothing but the init is keyed on them. Pass-through objects are
slices of the frame they came in: `copy()` a `msgspec.Raw` that is kept for long.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.envelope import ABSENT, Codec, Message, Number, Scalar, Unknown, encode

__all__ = [
    "AppBroadcastMessage",
    "AppDirectMessage",
    "AppMessage",
    "AppRoomJoin",
    "AppRoomLeave",
    "AppUserDiscovery",
    "AudioPlayRequest",
    "AudioStopRequest",
    "AudioStreamEnd",
    "AudioStreamStart",
    "DashboardContentUpdate",
    "DashboardModeChange",
    "DashboardSystemUpdate",
    "DisplayEvent",
    "FromApp",
    "LocationPollRequest",
    "ManagedStreamRequest",
    "ManagedStreamStop",
    "OwnershipRelease",
    "PhotoRequest",
    "Ping",
    "RequestWifiSetup",
    "RgbLedControl",
    "RtmpStreamRequest",
    "RtmpStreamStop",
    "StreamStatusCheck",
    "SubscriptionUpdate",
    "TelemetryResponse",
    "TpaConnectionInit",
    "decode",
    "decode_leniently",
    "encode",
]


class FromApp(Message, frozen=True, kw_only=True, tag=""):
    """The base of an app's messages."""

    package_name: str | None = None


# The connection


class TpaConnectionInit(Message, frozen=True, kw_only=True, tag="tpa_connection_init"):
    session_id: str
    package_name: str
    api_key: str


class OwnershipRelease(FromApp, frozen=True, kw_only=True, tag="ownership_release"):
    """Do not bring the app back when this socket closes.

    `reason`: switching_clouds, clean_shutdown or user_logout.
    """

    reason: str | None = None


class Ping(FromApp, frozen=True, tag="ping"):
    """SDK 3.x only; answered by `pong`. An app of 2.x neither sends nor knows it."""


class TelemetryResponse(FromApp, frozen=True, tag="telemetry_response"):
    """SDK 3.x only; ignored."""


# Streams and displays


class SubscriptionUpdate(FromApp, frozen=True, kw_only=True, tag="subscription_update"):
    """The complete list, each time. Entries are for `streams.parse`: a bad one must not spoil the rest."""

    subscriptions: tuple[Any, ...]


class DisplayEvent(FromApp, frozen=True, kw_only=True, tag="display_event"):
    layout: msgspec.Raw
    # A factory's value is always encoded, a plain default would be left out, and phones need the view.
    view: str = msgspec.field(default_factory=lambda: "main")
    duration_ms: Number | None = None
    force_display: bool | None = None


class DashboardContentUpdate(FromApp, frozen=True, kw_only=True, tag="dashboard_content_update"):
    content: str
    modes: tuple[str, ...] = msgspec.field(default_factory=lambda: ("main",))  # main or expanded


class DashboardModeChange(FromApp, frozen=True, kw_only=True, tag="dashboard_mode_change"):
    mode: str


class DashboardSystemUpdate(FromApp, frozen=True, kw_only=True, tag="dashboard_system_update"):
    """Honoured from the dashboard app only. `section`: topLeft, topRight, bottomLeft or bottomRight."""

    section: str
    content: str


# What an app asks the phone for


class LocationPollRequest(FromApp, frozen=True, kw_only=True, tag="location_poll_request"):
    correlation_id: str
    accuracy: str | None = None


class AudioPlayRequest(FromApp, frozen=True, kw_only=True, tag="audio_play_request"):
    request_id: str
    audio_url: str
    volume: Number | None = None
    stop_other_audio: bool | None = None
    track_id: Scalar = None


class AudioStopRequest(FromApp, frozen=True, kw_only=True, tag="audio_stop_request"):
    track_id: Scalar = None


class AudioStreamStart(FromApp, frozen=True, tag="audio_stream_start"):
    """SDK 3.x only; ignored."""


class AudioStreamEnd(FromApp, frozen=True, tag="audio_stream_end"):
    """SDK 3.x only; ignored."""


class PhotoRequest(FromApp, frozen=True, kw_only=True, tag="photo_request"):
    request_id: str | None = None  # generation A leaves it to the cloud
    save_to_gallery: bool | None = None
    custom_webhook_url: str | None = None
    auth_token: str | None = None
    size: Scalar = None
    compress: Scalar = None
    flash: Scalar = None
    sound: Scalar = None


class RgbLedControl(FromApp, frozen=True, kw_only=True, tag="rgb_led_control"):
    request_id: str
    action: Scalar = None
    color: Scalar = None
    ontime: Scalar = None
    offtime: Scalar = None
    count: Scalar = None


class RequestWifiSetup(FromApp, frozen=True, kw_only=True, tag="request_wifi_setup"):
    reason: str | None = None


class RtmpStreamRequest(FromApp, frozen=True, kw_only=True, tag="rtmp_stream_request"):
    rtmp_url: str
    video: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT
    stream: msgspec.Raw = ABSENT


class RtmpStreamStop(FromApp, frozen=True, kw_only=True, tag="rtmp_stream_stop"):
    stream_id: str | None = None


class ManagedStreamRequest(FromApp, frozen=True, kw_only=True, tag="managed_stream_request"):
    quality: Scalar = None
    enable_webrtc: bool | None = msgspec.field(default=None, name="enableWebRTC")
    video: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT
    stream: msgspec.Raw = ABSENT
    restream_destinations: msgspec.Raw = ABSENT


class ManagedStreamStop(FromApp, frozen=True, tag="managed_stream_stop"):
    pass


class StreamStatusCheck(FromApp, frozen=True, tag="stream_status_check"):
    """Answered by `stream_status_check_response` within 5 s."""


# Apps of one package among each other


class _BetweenApps(FromApp, frozen=True, kw_only=True, tag=""):
    payload: msgspec.Raw = ABSENT
    message_id: str | None = None
    sender_user_id: str | None = None
    target_user_id: str | None = None
    room_id: str | None = None
    room_config: msgspec.Raw = ABSENT
    include_user_profiles: bool | None = None


class AppBroadcastMessage(_BetweenApps, frozen=True, tag="app_broadcast_message"):
    pass


class AppDirectMessage(_BetweenApps, frozen=True, tag="app_direct_message"):
    """The one of these that waits for an answer, 15 s."""


class AppUserDiscovery(_BetweenApps, frozen=True, tag="app_user_discovery"):
    pass


class AppRoomJoin(_BetweenApps, frozen=True, tag="app_room_join"):
    pass


class AppRoomLeave(_BetweenApps, frozen=True, tag="app_room_leave"):
    pass


AppMessage = (
    TpaConnectionInit
    | OwnershipRelease
    | Ping
    | TelemetryResponse
    | SubscriptionUpdate
    | DisplayEvent
    | DashboardContentUpdate
    | DashboardModeChange
    | DashboardSystemUpdate
    | LocationPollRequest
    | AudioPlayRequest
    | AudioStopRequest
    | AudioStreamStart
    | AudioStreamEnd
    | PhotoRequest
    | RgbLedControl
    | RequestWifiSetup
    | RtmpStreamRequest
    | RtmpStreamStop
    | ManagedStreamRequest
    | ManagedStreamStop
    | StreamStatusCheck
    | AppBroadcastMessage
    | AppDirectMessage
    | AppUserDiscovery
    | AppRoomJoin
    | AppRoomLeave
)

_codec: Codec[AppMessage] = Codec(AppMessage)


def decode(payload: bytes) -> AppMessage:
    """The message in an app's text frame.

    Raises:
      UnknownType: a message of a type this table does not have.
      MalformedMessage: no message at all, or one without what the server needs of it.
    """
    return _codec.decode(payload)


def decode_leniently(payload: bytes) -> AppMessage | Unknown:
    """Like `decode`, but a message of an unknown type comes back as `Unknown`."""
    return _codec.decode_leniently(payload)
