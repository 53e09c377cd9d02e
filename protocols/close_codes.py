"""WebSocket close codes, and which of them an app survives (protocol.md 3.5, 10.17, 13.13).

How `@mentra/sdk` 2.1.29 reacts is what makes the choice matter:

    1000, 1001              no reconnect; `onStop` runs
    1008                    no reconnect, no `onStop`; the session is dead until the next webhook
    1005, 1006, 1011, rest  reconnects after 1, 2 and 4 s with the same session id

So a fault that the app should survive is never closed with 1000, 1001 or 1008.
"""

from __future__ import annotations

import msgspec


class Close(msgspec.Struct, frozen=True):
    """A close code with its reason, at most 123 bytes of UTF-8."""

    code: int
    reason: str = ""


NORMAL = 1000
GOING_AWAY = 1001
INVALID_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013

NO_RETRY_BY_SDK = frozenset({NORMAL, GOING_AWAY, POLICY})
"""Codes after which the SDK does not come back by itself."""

# Apps
APP_STOPPED = Close(NORMAL, "App stopped")
USER_SESSION_ENDED = Close(NORMAL, "User session ended")
INVALID_API_KEY = Close(POLICY, "Invalid API key")
WRONG_ADDRESS = Close(POLICY, "Not from this address")
SESSION_NOT_FOUND = Close(POLICY, "Session not found")
APP_NOT_STARTED = Close(POLICY, "App not started for this session")
INVALID_SESSION_ID = Close(POLICY, "Invalid session ID format")
PACKAGE_NOT_FOUND = Close(POLICY, "Package not found")
SUPERSEDED = Close(POLICY, "Replaced by a newer connection")
SESSION_NOT_READY = Close(TRY_AGAIN_LATER, "Session not ready, try again")
NOT_NOW = Close(TRY_AGAIN_LATER, "Not now, try again")
TOO_MANY_SOCKETS = Close(TRY_AGAIN_LATER, "Too many sockets of this user")
INTERNAL_SERVER_ERROR = Close(INTERNAL_ERROR, "Internal server error")
SESSION_ENDED = Close(NORMAL, "Session ended")
SERVER_RESTARTING = Close(SERVICE_RESTART, "Server restarting")
INIT_TIMEOUT = Close(POLICY, "No tpa_connection_init in time")
APP_UNRESPONSIVE = Close(INTERNAL_ERROR, "Ping timeout - no pong received")

# Phones: every code makes a phone dial again after its 5 s
PHONE_SILENT = Close(GOING_AWAY, "Ping timeout - no pong received")
PHONE_REPLACED = Close(NORMAL, "Replaced by a newer connection")
PHONE_SESSION_ERROR = Close(POLICY, "Session error")
PHONE_TOKEN_REVOKED = Close(POLICY, "Token revoked")

# Any connection
MESSAGE_TOO_BIG = Close(TOO_BIG, "Message too big")
NOT_UTF8 = Close(INVALID_TEXT, "Text is not UTF-8")
CONTROL_BACKLOG = Close(TRY_AGAIN_LATER, "Too slow: messages piled up")

LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
