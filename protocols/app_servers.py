"""What an app server POSTs to `/api/app-server/register`, `/heartbeat` and `/restart` (protocol.md 4.7).

Only the body of `register` is known, from the seed. `heartbeat` and `restart` take the same, and need no more
of it than what says who calls.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.errors import MalformedMessage

Url = Annotated[str, Meta(max_length=2048)]


class AppServerCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of all three; what is missing is empty."""

    package_name: Annotated[str, Meta(max_length=256)] = ""
    api_key: Annotated[str, Meta(max_length=1024)] = ""
    webhook_url: Url = ""
    server_urls: Annotated[tuple[Url, ...], Meta(max_length=32)] = ()


def decode(body: bytes, *, required: tuple[str, ...]) -> AppServerCall:
    """The call in a request's body.

    Args:
      required: wire names of the fields that must be there and not empty.

    Raises:
      MalformedMessage: it is no such object; the cause names what is missing or wrong.
    """
    try:
        call = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(
            f"expected a JSON object with packageName, apiKey, webhookUrl: {error}"
        ) from error
    fields = msgspec.to_builtins(call)
    missing = [name for name in required if not fields[name]]
    if missing:
        raise MalformedMessage(f"missing: {', '.join(missing)}")
    return call


_decoder = msgspec.json.Decoder(AppServerCall)
