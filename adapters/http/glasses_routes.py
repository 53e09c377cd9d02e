"""`/glasses`: a pair of glasses in a browser, for who has an app and no hardware. Static files, no login.

The page asks for a core token and is a phone like any other from there on. It may run its own scripts and
dial its own server, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from quart import Blueprint, Response
from werkzeug.exceptions import NotFound

_TYPES: Final[Mapping[str, str]] = {
    "index.html": "text/html; charset=utf-8",
    "glasses.css": "text/css; charset=utf-8",
    "glasses.svg": "image/svg+xml",
    "glasses.js": "text/javascript; charset=utf-8",
    "lens.js": "text/javascript; charset=utf-8",
    "microphone.js": "text/javascript; charset=utf-8",
    "pcm_worklet.js": "text/javascript; charset=utf-8",
}

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def glasses_routes(folder: Path) -> Blueprint:
    """`GET /glasses` and the page's files below it: 200, or 404 for what is none of them.

    Args:
      folder: where the files are; they are read here, once.
    """
    files = {name: (folder / name).read_bytes() for name in _TYPES}
    blueprint = Blueprint("glasses", __name__)

    def answer(name: str) -> Response:
        return Response(files[name], content_type=_TYPES[name], headers=dict(_HEADERS))

    @blueprint.get("/glasses")
    async def show_page() -> Response:
        return answer("index.html")

    @blueprint.get("/glasses/<name>")
    async def show_file(name: str) -> Response:
        if name not in files:
            raise NotFound
        return answer(name)

    return blueprint
