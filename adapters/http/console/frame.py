"""What every page of the console shares: its templates, its style and script, and its headers.

Script and style come from this server's own files and from nowhere else, and none stands in a page: the
Content-Security-Policy says so, so text that slips through everything else still does not run. A page cannot
be framed, is kept in no cache, and tells other sites nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final
from urllib.parse import urlencode

import jinja2
import msgspec
from quart import Blueprint, Response, request

from actors.console.sessions import ConsoleSession
from adapters.http.console.agent_view import lasted
from adapters.http.console.guard import Guard, Refused
from adapters.http.console.terminal_text import plain

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers say `Origin: null` of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HERE: Final = files("adapters.http.console")


class Frame:
    """Renders pages and pieces of pages. Everything that is put into a template is escaped.

    Attributes:
      guard: who asks.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("adapters.http.console", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["plain"] = plain
        self._environment.filters["iso"] = _iso
        self._environment.filters["lasted"] = lasted

    def render(self, template: str, **values: object) -> str:
        """The text of a template."""
        return self._environment.get_template(template).render(values)

    def page(
        self, template: str, session: ConsoleSession | None, *, status: int = 200, **values: object
    ) -> Response:
        """A page that extends `frame.html`."""
        mark = "" if session is None else self.guard.keys.form_mark(session.session_id)
        viewer = None if session is None else self.guard.viewer(session)
        text = self.render(
            template, user_id=None if viewer is None else viewer.user_id, viewer=viewer, mark=mark, **values
        )
        return Response(text, status=status, content_type="text/html; charset=utf-8")


def said(message: str, *, status: int = 200, **more: object) -> Response:
    """What the script says aloud, and shows."""
    body = msgspec.json.encode({"message": message, **more})
    return Response(body, status=status, content_type="application/json")


def to_page(path: str) -> Response:
    """Go there; what was sent is not sent again."""
    return Response(b"", status=303, headers={"Location": path})


def console_blueprint(name: str) -> Blueprint:
    """A blueprint whose answers have the headers, and whose refusals are answered."""
    blueprint = Blueprint(name, __name__)

    async def add_headers(answer: Response) -> Response:
        for header, value in HEADERS.items():
            answer.headers.setdefault(header, value)
        return answer

    async def refuse(error: Refused) -> Response:
        is_page = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
        if error.status == 401 and is_page:
            return to_page(f"/console/login?{urlencode({'next': request.full_path.rstrip('?')})}")
        if is_page:
            return Response(error.message, status=error.status, content_type="text/plain; charset=utf-8")
        return said(error.message, status=error.status)

    blueprint.after_request(add_headers)
    blueprint.register_error_handler(Refused, refuse)
    return blueprint


def static_routes() -> Blueprint:
    """`GET /console/static/<name>`: the style and the script."""
    blueprint = console_blueprint("console static")
    served = {}
    for file in _HERE.joinpath("static").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            content = file.read_bytes()
            served[file.name] = (content, _TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')

    async def read(name: str) -> Response:
        if name not in served:
            return said("There is no such file", status=404)
        content, kind, tag = served[name]
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return Response(b"", status=304, headers=headers)
        return Response(content, content_type=f"{kind}; charset=utf-8", headers=headers)

    blueprint.add_url_rule("/console/static/<name>", "read", read, methods=["GET"])
    return blueprint


def _iso(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
