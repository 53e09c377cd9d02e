"""Bodies of REST answers (protocol.md 1.2, 1.3). Most are `{success, ..., timestamp}`; some routes differ.

Each function returns the JSON to send; which status goes with it is said where one is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from protocols import error_codes
from protocols.error_codes import ErrorCode
from protocols.transcription import Segment

AUTHORIZATION_MISSING = "Authorization header missing or invalid"
INVALID_TOKEN = "Invalid token"
INVALID_TOKEN_DATA = "Invalid token data"
INVALID_OR_EXPIRED_TOKEN = "Invalid or expired token"

NO_CORE_TOKEN = "No core token provided"
INVALID_CORE_TOKEN = "Invalid core token"
INVALID_CORE_TOKEN_NO_USER = "Invalid core token - no user ID"

NO_ACTIVE_SESSION = "no_active_session"
NO_ACTIVE_SESSION_FOUND = "No active session found"


class RunState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`status`: started or stopped, as was asked for."""

    status: str
    is_running: bool


class AppStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What POST `/apps/:package/start` and `/stop` answer."""

    data: RunState
    success: bool = True


class Transcripts(msgspec.Struct, frozen=True, kw_only=True):
    """What GET `/api/transcripts/:appSessionId` answers."""

    language: str
    segments: Sequence[Segment]


def success(*, timestamp: str | None = None, **fields: object) -> bytes:
    """`{success: true, ...}`; the fields in the order given, the timestamp last."""
    return _body({"success": True, **fields}, timestamp)


def failure(
    message: str, code: ErrorCode, *, timestamp: str | None = None, retry_after_s: float | None = None
) -> bytes:
    """`{success: false, message, code, hop, remedy[, retry_after]}`."""
    fields = error_codes.details(code, retry_after_s=retry_after_s)
    return _body({"success": False, "message": message, **fields}, timestamp)


def refusal(status: int, message: str, *, timestamp: str | None = None) -> bytes:
    """The body of a plain HTTP error, of which only the status says what it means."""
    if status in (404, 405):
        code = ErrorCode.NOT_FOUND
    elif status == 503:
        code = ErrorCode.TRY_AGAIN
    else:
        code = ErrorCode.INTERNAL_ERROR if status >= 500 else ErrorCode.INVALID_REQUEST
    return failure(message, code, timestamp=timestamp)


def unauthorized(error: str, code: ErrorCode, message: str | None = None) -> bytes:
    """The body of a REST 401: `{error[, message], code, hop, remedy}`."""
    said = {"error": error} if message is None else {"error": error, "message": message}
    return _body({**said, **error_codes.details(code)}, None)


def no_active_session(message: str) -> bytes:
    """The body of the 503 that makes a phone reopen its WebSocket; no other failure may look like it."""
    details = error_codes.details(ErrorCode.SESSION_NOT_FOUND)
    return _body({"error": NO_ACTIVE_SESSION, "message": message, **details}, None)


def transcripts(language: str, segments: Sequence[Segment]) -> bytes:
    """What GET `/api/transcripts/:appSessionId` answers."""
    return _encoder.encode({"language": language, "segments": segments})


def app_status(*, is_running: bool, started: bool) -> bytes:
    """What POST `/apps/:package/start` and `/stop` answer: 200 also when the start failed."""
    return _body(
        {"success": True, "data": {"status": "started" if started else "stopped", "isRunning": is_running}},
        None,
    )


def upgrade_refusal(
    type_name: str,
    message: str,
    code: ErrorCode,
    *,
    timestamp: str,
    retry_after_s: float | None = None,
) -> bytes:
    """The body of an answer that refuses an upgrade (1.1).

    Args:
      type_name: `connection_error` for phones, `tpa_connection_error` for apps.
    """
    fields = error_codes.details(code, retry_after_s=retry_after_s)
    return _body({"type": type_name, "message": message, **fields}, timestamp)


def _body(fields: Mapping[str, object], timestamp: str | None) -> bytes:
    return _encoder.encode(fields if timestamp is None else {**fields, "timestamp": timestamp})


_encoder = msgspec.json.Encoder()
