"""Messages the cloud sends to an app on `/app-ws` (protocol.md 2.4).

An app of `@mentra/sdk` 2.x takes anything that is not in this table for an error, a JSON `ping` above all
(10.15). Fields without a default are always on the wire. `decode` is for the clients and lets unknown types
pass.
"""

from __future__ import annotations

import msgspec

from protocols import error_codes
from protocols.envelope import ABSENT, Codec, Message, Number, Scalar, Timestamp, Unknown, encode
from protocols.error_codes import ErrorCode

__all__ = [
    "AppDirectMessageResponse",
    "AppMessageReceived",
    "AppRoomUpdated",
    "AppStopped",
    "AppUserJoined",
    "AppUserLeft",
    "AudioPlayResponse",
    "AugmentosSettingsUpdate",
    "CapabilitiesUpdate",
    "ConnectionError",
    "CustomMessage",
    "DashboardAlwaysOnChanged",
    "DashboardModeChanged",
    "DataStream",
    "DeviceStateUpdate",
    "ManagedStreamStatus",
    "MessageToApp",
    "PermissionError",
    "PermissionProblem",
    "PhotoResponse",
    "Pong",
    "RgbLedControlResponse",
    "RtmpStreamStatus",
    "SettingsUpdate",
    "StreamStatusCheckResponse",
    "TpaConnectionAck",
    "TpaConnectionError",
    "WebsocketError",
    "connection_ack",
    "data_stream",
    "decode",
    "encode",
    "error",
    "permission_error",
]

# The connection


class TpaConnectionAck(Message, frozen=True, kw_only=True, tag="tpa_connection_ack"):
    """The app is connected. `connection_ack` builds it with both names of the system settings."""

    session_id: str
    settings: msgspec.Raw  # an array, protocol.md 9.3
    mentraos_settings: msgspec.Raw  # an object, 9.1
    augmentos_settings: msgspec.Raw  # the same, for SDKs of generation A and B
    capabilities: msgspec.Raw  # an object, 9.10, or null
    config: msgspec.Raw = ABSENT


class _Explained(Message, frozen=True, kw_only=True, tag=""):
    """What says no: its `code` and what follows from it (`error_codes`). `retry_after` is in seconds."""

    code: str | None = None
    hop: str | None = None
    remedy: str | None = None
    retry_after: float | None = msgspec.field(default=None, name="retry_after")


class TpaConnectionError(_Explained, frozen=True, kw_only=True, tag="tpa_connection_error"):
    """The SDK raises its error event and nothing more: to end a connect, close as well (3.5)."""

    message: str


class ConnectionError(_Explained, frozen=True, kw_only=True, tag="connection_error"):
    """The other name of `tpa_connection_error`."""

    message: str


class Pong(Message, frozen=True, tag="pong"):
    """The answer to the `ping` of SDK 3.x."""


class WebsocketError(Message, frozen=True, kw_only=True, tag="websocket_error"):
    message: str


class AppStopped(Message, frozen=True, kw_only=True, tag="app_stopped"):
    """`reason`: user_disabled, system_stop or error. The close that follows is what counts."""

    reason: str | None = None


# Data and state


class DataStream(Message, frozen=True, kw_only=True, tag="data_stream"):
    """An event. The SDK delivers it only if `stream_type` is the app's own subscription string."""

    session_id: str
    stream_type: str
    data: msgspec.Raw


class SettingsUpdate(Message, frozen=True, kw_only=True, tag="settings_update"):
    """The app's own settings, an array."""

    package_name: str
    session_id: str
    settings: msgspec.Raw


class AugmentosSettingsUpdate(Message, frozen=True, kw_only=True, tag="augmentos_settings_update"):
    """The wearer's system settings, an object. Sent to every app, subscribed or not (10.11)."""

    session_id: str
    settings: msgspec.Raw


class CapabilitiesUpdate(Message, frozen=True, kw_only=True, tag="capabilities_update"):
    capabilities: msgspec.Raw  # an object or null
    model_name: str | None


class DeviceStateUpdate(Message, frozen=True, kw_only=True, tag="device_state_update"):
    """Part of the glasses' state (9.2); all of it when `full_snapshot` is set."""

    state: msgspec.Raw
    full_snapshot: bool | None = None


class PermissionProblem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    stream: str
    required_permission: str
    message: str
    code: str | None = None


class PermissionError(_Explained, frozen=True, kw_only=True, tag="permission_error"):
    message: str
    details: tuple[PermissionProblem, ...]


class DashboardModeChanged(Message, frozen=True, kw_only=True, tag="dashboard_mode_changed"):
    mode: str


class DashboardAlwaysOnChanged(Message, frozen=True, kw_only=True, tag="dashboard_always_on_changed"):
    enabled: bool


class CustomMessage(Message, frozen=True, kw_only=True, tag="custom_message"):
    action: str
    payload: msgspec.Raw


# Answers to what the app asked for


class AudioPlayResponse(_Explained, frozen=True, kw_only=True, tag="audio_play_response"):
    request_id: str
    success: bool
    error: msgspec.Raw = ABSENT
    duration: Number | None = None


class PhotoResponse(Message, frozen=True, kw_only=True, tag="photo_response"):
    """For apps of generation A; newer SDKs take photos over HTTP (9.6)."""

    request_id: str
    success: bool | None = None
    photo_url: str | None = None
    saved_to_gallery: bool | None = None
    error: msgspec.Raw = ABSENT


class RgbLedControlResponse(Message, frozen=True, kw_only=True, tag="rgb_led_control_response"):
    request_id: str
    success: bool
    error: msgspec.Raw = ABSENT


class RtmpStreamStatus(_Explained, frozen=True, kw_only=True, tag="rtmp_stream_status"):
    status: str
    stream_id: str | None = None
    error_details: msgspec.Raw = ABSENT
    app_id: str | None = None
    stats: msgspec.Raw = ABSENT


class ManagedStreamStatus(_Explained, frozen=True, kw_only=True, tag="managed_stream_status"):
    status: str
    hls_url: str | None = None
    dash_url: str | None = None
    webrtc_url: str | None = None
    preview_url: str | None = None
    thumbnail_url: str | None = None
    message: str | None = None
    stream_id: str | None = None
    outputs: msgspec.Raw = ABSENT


class StreamStatusCheckResponse(Message, frozen=True, kw_only=True, tag="stream_status_check_response"):
    has_active_stream: bool
    stream_info: msgspec.Raw = ABSENT


# Apps of one package among each other


class _BetweenApps(Message, frozen=True, kw_only=True, tag=""):
    payload: msgspec.Raw = ABSENT
    message_id: str | None = None
    sender_user_id: str | None = None
    user_id: str | None = None
    room_id: str | None = None


class AppMessageReceived(_BetweenApps, frozen=True, kw_only=True, tag="app_message_received"):
    sender_session_id: str | None = None


class AppUserJoined(_BetweenApps, frozen=True, kw_only=True, tag="app_user_joined"):
    joined_at: Timestamp = None
    user_profile: msgspec.Raw = ABSENT


class AppUserLeft(_BetweenApps, frozen=True, kw_only=True, tag="app_user_left"):
    left_at: Timestamp = None


class AppRoomUpdated(_BetweenApps, frozen=True, kw_only=True, tag="app_room_updated"):
    room_data: msgspec.Raw = ABSENT
    update_type: Scalar = None


class AppDirectMessageResponse(_BetweenApps, frozen=True, kw_only=True, tag="app_direct_message_response"):
    success: bool
    error: str | None = None
    target_user_id: str | None = None


MessageToApp = (
    TpaConnectionAck
    | TpaConnectionError
    | ConnectionError
    | Pong
    | WebsocketError
    | AppStopped
    | DataStream
    | SettingsUpdate
    | AugmentosSettingsUpdate
    | CapabilitiesUpdate
    | DeviceStateUpdate
    | PermissionError
    | DashboardModeChanged
    | DashboardAlwaysOnChanged
    | CustomMessage
    | AudioPlayResponse
    | PhotoResponse
    | RgbLedControlResponse
    | RtmpStreamStatus
    | ManagedStreamStatus
    | StreamStatusCheckResponse
    | AppMessageReceived
    | AppUserJoined
    | AppUserLeft
    | AppRoomUpdated
    | AppDirectMessageResponse
)

_codec: Codec[MessageToApp] = Codec(MessageToApp)


def error(
    code: ErrorCode, message: str, timestamp: Timestamp, *, retry_after_s: float | None = None
) -> TpaConnectionError:
    """An error that the app can read: `message` is what happened this time, the rest is the table's.

    Args:
      retry_after_s: when the same is worth trying again, where that is known better than in the table.
    """
    details = error_codes.details(code, retry_after_s=retry_after_s)
    return TpaConnectionError(message=message, timestamp=timestamp, **details)


def permission_error(problems: tuple[PermissionProblem, ...], timestamp: Timestamp) -> PermissionError:
    """Entries of a subscription list that were not accepted, one or more; the table's row is the first's."""
    details = error_codes.details(ErrorCode(problems[0].code or ErrorCode.INVALID_STREAM))
    message = f"{len(problems)} of the requested streams were refused"
    return PermissionError(message=message, details=problems, timestamp=timestamp, **details)


def connection_ack(
    *,
    session_id: str,
    settings: msgspec.Raw,
    system_settings: msgspec.Raw,
    capabilities: msgspec.Raw,
    timestamp: Timestamp,
) -> TpaConnectionAck:
    """The ack with the system settings under both of their names (0.3)."""
    return TpaConnectionAck(
        session_id=session_id,
        settings=settings,
        mentraos_settings=system_settings,
        augmentos_settings=system_settings,
        capabilities=capabilities,
        timestamp=timestamp,
    )


def data_stream(session_id: str, stream_text: str, data: msgspec.Raw, timestamp: Timestamp) -> bytes:
    """One event for one subscriber, encoded: the hot path of transcription and phone events.

    Args:
      stream_text: the subscriber's own subscription string, or the wildcard it holds (5.4).
      data: the event as JSON. It is copied in as it is, unknown fields and all.
      timestamp: ISO text or epoch milliseconds.
    """
    return encode(DataStream(session_id=session_id, stream_type=stream_text, data=data, timestamp=timestamp))


def decode(payload: bytes) -> MessageToApp | Unknown:
    """The message in a cloud's text frame, for clients; `Unknown` for a type this table does not have.

    Raises:
      MalformedMessage: no message at all.
    """
    return _codec.decode_leniently(payload)
