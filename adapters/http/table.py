"""The table of all routes that phones, app servers and the administration have: one line each, as data.

Who serves a route that is not in it, or leaves one out, fails a test. The OpenAPI document (`openapi.py`) and
docs/rest.md are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.http import (
    admin_routes,
    app_routes,
    app_server_routes,
    application,
    audio_routes,
    document_routes,
    hardware_routes,
    home_routes,
    identity_routes,
    metrics_routes,
    phone_routes,
    settings_routes,
    storage_routes,
    tool_routes,
    transcript_routes,
    usage_routes,
)
from adapters.http.routes import Route

GROUPS: Final[Mapping[str, tuple[str, tuple[Route[Any], ...]]]] = {
    "home_routes": ("The home screen", home_routes.ROUTES),
    "app_routes": ("Starting and stopping apps", app_routes.ROUTES),
    "settings_routes": ("Settings", settings_routes.ROUTES),
    "phone_routes": ("What a phone reports", phone_routes.ROUTES),
    "audio_routes": ("The microphone", audio_routes.ROUTES),
    "hardware_routes": ("The camera", hardware_routes.ROUTES),
    "identity_routes": ("Identities", identity_routes.ROUTES),
    "storage_routes": ("Simple storage", storage_routes.ROUTES),
    "tool_routes": ("Tools", tool_routes.ROUTES),
    "transcript_routes": ("What was said", transcript_routes.ROUTES),
    "usage_routes": ("What was used", usage_routes.ROUTES),
    "app_server_routes": ("App servers", app_server_routes.ROUTES),
    "admin_routes": ("Administration", admin_routes.ROUTES),
    "metrics_routes": ("Figures", metrics_routes.ROUTES),
    "application": ("The server itself", (*application.ROUTES, *document_routes.ROUTES)),
}
"""By the module that serves them: what the group is called, and its routes."""

ROUTES: Final[tuple[Route[Any], ...]] = tuple(route for _, routes in GROUPS.values() for route in routes)

LARGE_BODIES: Final[Mapping[str, int]] = {
    path: route.body_bytes for route in ROUTES if route.body_bytes is not None for path in route.paths
}
