"""A refused upgrade as an HTTP response."""

from __future__ import annotations

from http import HTTPStatus

from actors.ports import Refused


def response_of(refused: Refused) -> bytes:
    """The response that says so: status, JSON body, `Connection: close`."""
    headers = {
        "Content-Type": "application/json",
        **refused.headers,
        "Content-Length": str(len(refused.body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + refused.body
