"""What the cloud POSTs to an app server (protocol.md 1.4, 4.4, 4.5)."""

from __future__ import annotations

import msgspec

from protocols.envelope import Codec, encode

SESSION_REQUEST = "session_request"
STOP_REQUEST = "stop_request"

USER_DISABLED = "user_disabled"
SYSTEM_STOP = "system_stop"
ERROR = "error"


class SessionRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=SESSION_REQUEST):
    """Asks the app server to connect. Both URLs are the same; SDKs differ in which one they read (0.3)."""

    session_id: str = msgspec.field(name="sessionId")
    user_id: str = msgspec.field(name="userId")
    timestamp: str
    mentraos_websocket_url: str | None = msgspec.field(default=None, name="mentraOSWebsocketUrl")
    augmentos_websocket_url: str | None = msgspec.field(default=None, name="augmentOSWebsocketUrl")


class StopRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=STOP_REQUEST):
    """Tells the app server that a session is over. `reason`: user_disabled, system_stop or error."""

    session_id: str = msgspec.field(name="sessionId")
    user_id: str = msgspec.field(name="userId")
    reason: str
    timestamp: str


class WebhookReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An app server's answer: `status` is success or error."""

    status: str
    message: str | None = None


class SettingsChange(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST `/settings` (9.3)."""

    user_id: str = msgspec.field(name="userIdForSettings")
    settings: msgspec.Raw


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of POST `/tool` (9.8)."""

    tool_id: str
    tool_parameters: msgspec.Raw
    user_id: str
    timestamp: str


class PhotoError(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of POST `/photo-upload` where no photo was taken (9.6)."""

    request_id: str
    error_code: str
    error_message: str
    type: str = "photo_error"
    success: bool = False


_codec: Codec[SessionRequest | StopRequest] = Codec(SessionRequest | StopRequest)


def session_request(*, session_id: str, user_id: str, timestamp: str, websocket_url: str) -> bytes:
    """The body that starts a session.

    Args:
      websocket_url: must end in `/app-ws`: the SDK cuts that off to find the REST routes (10.2).
    """
    return encode(
        SessionRequest(
            session_id=session_id,
            user_id=user_id,
            timestamp=timestamp,
            mentraos_websocket_url=websocket_url,
            augmentos_websocket_url=websocket_url,
        )
    )


def stop_request(*, session_id: str, user_id: str, reason: str, timestamp: str) -> bytes:
    """The body that ends a session."""
    return encode(StopRequest(session_id=session_id, user_id=user_id, reason=reason, timestamp=timestamp))


def photo_error(request_id: str, code: str, message: str) -> bytes:
    """The body that tells an app server of a photo that was not taken.

    Args:
      code: one of 9.6's.
    """
    return encode(PhotoError(request_id=request_id, error_code=code, error_message=message))


def settings_change(user_id: str, settings: msgspec.Raw) -> bytes:
    """The body that tells an app server of a wearer's changed settings."""
    return encode(SettingsChange(user_id=user_id, settings=settings))


def decode(body: bytes) -> SessionRequest | StopRequest:
    """The webhook in a request's body, for app servers.

    Raises:
      MalformedMessage: neither of the two.
    """
    return _codec.decode(body)


def url(public_url: str, path: str) -> str:
    """The address of a route of an app server, whose configured URL may end in a slash."""
    return public_url.rstrip("/") + path
