"""HTTP: the application (`application`) and how a connection is served by it under hypercorn (`hosting`).

The listener hands over what is no upgrade: `HttpHost` is its HTTP handler. The REST routes are blueprints
given to `create_application`.
"""

from adapters.http.application import ApplicationLimits, create_application, json_response
from adapters.http.hosting import HttpHost, HttpLimits, open_http_host

__all__ = [
    "ApplicationLimits",
    "HttpHost",
    "HttpLimits",
    "create_application",
    "json_response",
    "open_http_host",
]
