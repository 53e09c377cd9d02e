"""How a client reaches the network: a stream to a URL's host, and one HTTP request over such a stream."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

import h11
import msgspec
import trio

Connect = Callable[[str], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the host of an http, https, ws or wss URL. Raises OSError when nobody is there."""

ANSWER_LIMIT_BYTES: Final = 16 * 1024 * 1024
_TLS_SCHEMES: Final = ("https", "wss")
_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class HttpAnswer(msgspec.Struct, frozen=True):
    """The answer to one request."""

    status: int
    body: bytes


async def open_stream(url: str) -> trio.abc.Stream:
    """The `Connect` of the real network: TCP, and TLS for https and wss."""
    parts = urlsplit(url)
    stream = await trio.open_tcp_stream(host_of(parts), parts.port or _PORTS[parts.scheme])
    if parts.scheme not in _TLS_SCHEMES:
        return stream
    return trio.SSLStream(
        stream, ssl.create_default_context(), server_hostname=host_of(parts), https_compatible=True
    )


def host_of(parts: SplitResult) -> str:
    """The host in a URL."""
    if not parts.hostname or parts.scheme not in _PORTS:
        raise ValueError(f"{parts.geturl()!r} is no http(s) or ws(s) URL with a host")
    return parts.hostname


def authority_of(parts: SplitResult) -> str:
    """What the Host header says about a URL."""
    host_of(parts)
    return parts.netloc.rpartition("@")[2]


def target_of(parts: SplitResult) -> str:
    """Path and query of a URL, as a request line has them."""
    return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


async def request(
    method: str, url: str, *, connect: Connect, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> HttpAnswer:
    """Send one HTTP/1.1 request on a connection of its own; whoever calls sets the deadline.

    Raises:
      OSError: nobody is there, the connection broke, or the answer is not HTTP, is cut short or over 16 MiB
        (ConnectionError).
    """
    parts = urlsplit(url)
    sent = [("Host", authority_of(parts)), ("Connection", "close"), ("Content-Length", str(len(body)))]
    protocol = h11.Connection(h11.CLIENT)
    head = h11.Request(method=method, target=target_of(parts), headers=[*sent, *(headers or {}).items()])
    outgoing = [protocol.send(head), protocol.send(h11.Data(body)), protocol.send(h11.EndOfMessage())]
    stream = await connect(url)
    try:
        await stream.send_all(b"".join(part for part in outgoing if part))
        return await _read_answer(protocol, stream)
    except (trio.BrokenResourceError, h11.RemoteProtocolError) as error:
        raise ConnectionError(f"{method} {parts.path}: {error}") from error
    finally:
        await trio.aclose_forcefully(stream)


async def _read_answer(protocol: h11.Connection, stream: trio.abc.Stream) -> HttpAnswer:
    status = 0
    body = bytearray()
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > ANSWER_LIMIT_BYTES:
                raise h11.RemoteProtocolError(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return HttpAnswer(status, bytes(body))
