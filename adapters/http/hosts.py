"""By which names this server may be asked for: others are 421, where a setting lists them.

A page of another site whose name was pointed at this server (DNS rebinding) is of the same origin as what it
asks for; only the name that it asks by gives it away.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from quart import Blueprint, Response, request

from actors.ports import Telemetry
from adapters.http.callers import json_answer
from protocols import rest

ALWAYS: Final = frozenset({"/health", "/ready", "/metrics"})
"""Asked by an orchestrator, by an address of its own choice."""


def host_check(allowed: Collection[str], telemetry: Telemetry) -> Blueprint:
    """What looks at every request's `Host`.

    Args:
      allowed: names and addresses, without a port.
    """
    names = {name.lower().strip("[]") for name in allowed}
    blueprint = Blueprint("hosts", __name__)

    async def look() -> Response | None:
        if request.path in ALWAYS or host_of(request.host) in names:
            return None
        telemetry.warning("host_refused", host=request.host)
        body = rest.refusal(421, "Not a name of this server")
        return json_answer(421, body)

    blueprint.before_app_request(look)
    return blueprint


def host_of(text: str) -> str:
    """The host in a `Host` header, without its port; empty for what is none."""
    try:
        return (urlsplit(f"//{text}").hostname or "").lower()
    except ValueError:
        return ""
