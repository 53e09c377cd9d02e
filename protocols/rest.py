"""Bodies of REST answers (protocol.md 1.2, 1.3). Most are `{success, ..., timestamp}`; some routes differ.

Each function returns the JSON to send; which status goes with it is said where one is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

AUTHORIZATION_MISSING = "Authorization header missing or invalid"
INVALID_TOKEN = "Invalid token"
INVALID_TOKEN_DATA = "Invalid token data"
INVALID_OR_EXPIRED_TOKEN = "Invalid or expired token"

NO_CORE_TOKEN = "No core token provided"
INVALID_CORE_TOKEN = "Invalid core token"
INVALID_CORE_TOKEN_NO_USER = "Invalid core token - no user ID"

NO_ACTIVE_SESSION = "no_active_session"
NO_ACTIVE_SESSION_FOUND = "No active session found"


def success(*, timestamp: str | None = None, **fields: object) -> bytes:
    """`{success: true, ...}`; the fields in the order given, the timestamp last."""
    return _body({"success": True, **fields}, timestamp)


def failure(message: str, *, timestamp: str | None = None, **fields: object) -> bytes:
    """`{success: false, message, ...}`."""
    return _body({"success": False, "message": message, **fields}, timestamp)


def unauthorized(error: str, message: str | None = None) -> bytes:
    """The body of a REST 401: `{error[, message]}`."""
    return _body({"error": error} if message is None else {"error": error, "message": message}, None)


def no_active_session(message: str) -> bytes:
    """The body of the 503 that makes a phone reopen its WebSocket; no other failure may look like it."""
    return _body({"error": NO_ACTIVE_SESSION, "message": message}, None)


def app_status(*, is_running: bool, started: bool) -> bytes:
    """What POST `/apps/:package/start` and `/stop` answer: 200 also when the start failed."""
    return _body(
        {"success": True, "data": {"status": "started" if started else "stopped", "isRunning": is_running}},
        None,
    )


def upgrade_refusal(type_name: str, message: str, *, timestamp: str, code: str | None = None) -> bytes:
    """The body of a 401 to an upgrade (1.1).

    Args:
      type_name: `connection_error` for phones, `tpa_connection_error` for apps.
    """
    body: dict[str, object] = {"type": type_name, "message": message}
    if code is not None:
        body["code"] = code
    return _body(body, timestamp)


def _body(fields: Mapping[str, object], timestamp: str | None) -> bytes:
    return _encoder.encode(fields if timestamp is None else {**fields, "timestamp": timestamp})


_encoder = msgspec.json.Encoder()
