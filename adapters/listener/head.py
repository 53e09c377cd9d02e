"""What the first request on a connection wants, read from bytes that were only looked at.

The listener has to know who gets a connection before anybody takes a byte from it. This file answers that
from a prefix of the stream, without I/O: not yet clear, a bad request, or a `Head`.

Two decisions. h11 does the grammar, because hypercorn reads the same bytes with h11 afterwards and both
must see the same request; what h11 lets pass and RFC 9112 calls ambiguous is refused here (a bare line
feed, a folded line, a control character, a length beside a transfer coding, a field that may stand once
standing twice), since a proxy in front may have read it otherwise. And the answer depends on the first 16
KiB alone: a verdict, once given, is the verdict for every longer prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import h11
import msgspec

from actors.ports import Upgrade
from protocols import paths

MAX_HEAD_BYTES: Final = 16 * 1024
"""The longest request head. hypercorn's h11 has the same limit; a core token fits ten times over."""

MAX_QUERY_FIELDS: Final = 100

_TLS_HANDSHAKE: Final = 0x16  # RFC 8446 section 5.1: the content type of its first record

# Fields a recipient cannot merge (RFC 9110 section 5.3) and that decide who is let in or how long the body
# is.
_SINGLE_FIELDS: Final = frozenset(
    {
        "host",
        "authorization",
        "content-length",
        "transfer-encoding",
        "sec-websocket-key",
        "sec-websocket-version",
    }
)
_END: Final = re.compile(rb"\n\r?\n")
_AMBIGUOUS: Final = re.compile(
    rb"(?<!\r)\n"  # a bare line feed (RFC 9112 section 2.2 leaves it to the recipient)
    rb"|\r(?!\n)"
    rb"|\r\n[ \t]"  # obs-fold (section 5.2)
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_HOST: Final = re.compile(r"[^\s/?#@,\\]*")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The head of one request.

    Attributes:
      target: as it came; `path` is its path without owner prefix, not percent-decoded.
      owner: when the path began with `/o/<owner>/`.
      headers: names in lower case; a field that came several times is joined with ", ".
      is_upgrade: asks for a WebSocket (RFC 6455 section 4.1); the key and version are the engine's to check.
    """

    method: str
    target: str
    path: str
    query_text: str
    owner: str | None
    headers: Mapping[str, str]
    is_upgrade: bool


class BadHead(msgspec.Struct, frozen=True):
    """The bytes are no request we answer. `reason` is our own text, never the peer's."""

    status: int
    reason: str


def read_head(data: bytes) -> Head | BadHead | None:
    """The request at the beginning of `data`, or None while its head is incomplete.

    Looks at the first `MAX_HEAD_BYTES` only; what follows the head is ignored.
    """
    data = data[:MAX_HEAD_BYTES]
    if not data:
        return None
    if data[0] == _TLS_HANDSHAKE:  # the official SDK tries https:// now and then, whatever URL it was given
        return BadHead(400, "a TLS hello on a plain HTTP port")
    if not 0x21 <= data[0] <= 0x7E:
        return BadHead(400, "this is not an HTTP request")
    end = _END.search(data)
    if end is None:
        return BadHead(431, "request head too large") if len(data) == MAX_HEAD_BYTES else None
    head = data[: end.end()]
    if _AMBIGUOUS.search(head):
        return BadHead(400, "malformed request head")

    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    connection.receive_data(head)
    try:
        request = connection.next_event()
    except h11.RemoteProtocolError as error:
        return BadHead(error.error_status_hint, "malformed request head")
    assert isinstance(request, h11.Request)
    return _check(request)


def make_upgrade(head: Head, peer: str) -> Upgrade:
    """The upgrade as the gates see it. Of a query field that came several times the first one counts."""
    query: dict[str, str] = {}
    for name, value in parse_qsl(head.query_text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS):
        query.setdefault(name, value)
    return Upgrade(path=head.path, query=query, headers=head.headers, peer=peer, owner=head.owner)


def _check(request: h11.Request) -> Head | BadHead:
    if request.http_version not in (b"1.1", b"1.0"):
        return BadHead(505, "only HTTP/1.1 is spoken here")
    method, target = request.method.decode("ascii"), request.target.decode("ascii")
    path = _path_of(method, target)
    if path is None:
        return BadHead(400, "malformed request target")
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in request.headers:
        name, value = name_bytes.decode("ascii"), value_bytes.decode("latin-1")
        if name in headers:
            if name in _SINGLE_FIELDS:
                return BadHead(400, "a header field that may stand once stands twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    if not _HOST.fullmatch(headers.get("host", "")):
        return BadHead(400, "malformed Host")
    if "transfer-encoding" in headers and ("content-length" in headers or request.http_version == b"1.0"):
        return BadHead(400, "the length of the body is ambiguous")  # RFC 9112 section 6.1

    is_upgrade = (
        method == "GET"
        and request.http_version == b"1.1"  # RFC 9110 section 7.8: ignored in 1.0
        and "websocket" in _tokens(headers.get("upgrade", ""))
        and "upgrade" in _tokens(headers.get("connection", ""))
    )
    path, _, query_text = path.partition("?")
    if is_upgrade:
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            return BadHead(400, "an upgrade has no body")
        if query_text.count("&") >= MAX_QUERY_FIELDS:
            return BadHead(400, "too many query fields")
    owner, path = paths.split_owner(path)
    return Head(
        method=method,
        target=target,
        path=path,
        query_text=query_text,
        owner=owner,
        headers=headers,
        is_upgrade=is_upgrade,
    )


def _path_of(method: str, target: str) -> str | None:
    """Path and query of one of RFC 9112 section 3.2's four forms of a target; None when it is none of
    them."""
    if "#" in target:
        return None
    if target.startswith("/"):
        return target
    if target.lower().startswith(("http://", "https://")):
        authority, slash, rest = target.partition("//")[2].partition("/")
        if not authority or "?" in authority:
            return None
        return slash + rest or "/"
    is_other_form = target == "*" if method == "OPTIONS" else method == "CONNECT"
    return target if is_other_form else None


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]
