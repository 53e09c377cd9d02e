"""The address of spoken text: `/api/tts` (protocol.md 1.2), which an app's play request carries to the phone.

An app writes `<server>/api/tts?text=...`, as the SDK's `speak` does. The phone that fetches it has no token
of its own there, so the server that passes the request on adds one: `ticket`, for this text and a moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

PATH: Final = "/api/tts"

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def speech_url(base: str, text: str, ticket: str = "") -> str:
    """Where `text` can be heard.

    Args:
      base: http(s) base of the server, without a slash at its end.
      ticket: what lets the phone in; an app leaves it to the server.
    """
    added = f"&ticket={_quoted(ticket)}" if ticket else ""
    return f"{base}{PATH}?text={_quoted(text)}{added}"


def text_of(url: str, bases: Iterable[str]) -> str | None:
    """The text that `url` has spoken by a server at one of `bases`; None for every other address.

    http and https are one: the SDK always writes https.
    """
    address, question, query = url.partition("?")
    ours = {_bare(f"{base}{PATH}") for base in bases}
    if not question or _bare(address) not in ours:
        return None
    for part in query.partition("#")[0].split("&"):
        name, _, value = part.partition("=")
        if name == "text":
            return _unquoted(value)
    return None


def _bare(address: str) -> str:
    return address.removeprefix("https://").removeprefix("http://")


def _quoted(text: str) -> str:
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode(errors="replace")
    )


def _unquoted(text: str) -> str:
    raw = text.replace("+", " ").encode(errors="replace")
    whole = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), raw)
    return whole.decode(errors="replace")
