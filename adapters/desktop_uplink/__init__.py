"""The daemon's way to its server: a WebSocket for orders, HTTP for reports, a token of its own for both."""

from __future__ import annotations

from .dialler import ServerDialler
from .http import HttpAnswer, NoAnswerError, ServerHttp
from .reports import ServerReports
from .server import ServerAddress, ServerAddressError

__all__ = [
    "HttpAnswer",
    "NoAnswerError",
    "ServerAddress",
    "ServerAddressError",
    "ServerDialler",
    "ServerHttp",
    "ServerReports",
]
