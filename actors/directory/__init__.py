"""The directory: which apps exist, as the store says now, and how their servers are.

`actor.py` is the one actor; `breaker.py` decides when an app server gets no webhooks (pure), `servers.py` has
what is known of one, `messages.py` what is said.
"""

from __future__ import annotations

from .actor import Directory, DirectoryState
from .breaker import BreakerSettings
from .messages import (
    AskPermit,
    Call,
    CallTaken,
    DirectoryMessage,
    FindApp,
    HeldBack,
    ListApps,
    ListServers,
    Permit,
    PermitUnused,
    ProbeServer,
    ServerCalled,
    ServerRecovered,
    ServerStarted,
    WebhookFailed,
    WebhookWorked,
    app_sessions,
    ask_permit,
    call_server,
    find_app,
    probe_server,
)
from .servers import AppServer, Registration, ServerReport
from .settings import DirectorySettings

__all__ = [
    "AppServer",
    "AskPermit",
    "BreakerSettings",
    "Call",
    "CallTaken",
    "Directory",
    "DirectoryMessage",
    "DirectorySettings",
    "DirectoryState",
    "FindApp",
    "HeldBack",
    "ListApps",
    "ListServers",
    "Permit",
    "PermitUnused",
    "ProbeServer",
    "Registration",
    "ServerCalled",
    "ServerRecovered",
    "ServerReport",
    "ServerStarted",
    "WebhookFailed",
    "WebhookWorked",
    "app_sessions",
    "ask_permit",
    "call_server",
    "find_app",
    "probe_server",
]
