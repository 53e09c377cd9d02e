"""The head of a request: tables for what RFC 9112 names, properties for everything else."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.listener.head import MAX_HEAD_BYTES, MAX_QUERY_FIELDS, BadHead, Head, make_upgrade, read_head

UPGRADE = (
    b"GET /glasses-ws?token=abc HTTP/1.1\r\n"
    b"Host: cloud.example:8002\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)


def request(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


def upgrade(target: bytes = b"/app-ws", *fields: bytes) -> bytes:
    return request(
        b"GET %s HTTP/1.1" % target, b"Host: a", b"Upgrade: websocket", b"Connection: upgrade", *fields
    )


def accepted(data: bytes) -> Head:
    head = read_head(data)
    assert isinstance(head, Head)
    return head


def refused(data: bytes) -> int:
    head = read_head(data)
    assert isinstance(head, BadHead)
    return head.status


def test_upgrade_is_parsed() -> None:
    head = accepted(UPGRADE)

    assert (head.method, head.path, head.query_text) == ("GET", "/glasses-ws", "token=abc")
    assert (head.owner, head.is_upgrade) == (None, True)
    assert head.headers["host"] == "cloud.example:8002"


def test_upgrade_for_the_gates_has_path_query_headers_peer_and_owner() -> None:
    head = accepted(upgrade(b"/o/node-1/app-ws?token=a%2Bb+c&empty=&token=second", b"X-User-Id: Ada"))

    seen = make_upgrade(head, "10.0.0.1:5000")

    assert (seen.path, seen.owner, seen.peer) == ("/app-ws", "node-1", "10.0.0.1:5000")
    assert {"token": "a+b c", "empty": ""} == seen.query
    assert seen.headers["x-user-id"] == "Ada"


@pytest.mark.parametrize(
    ("target", "path", "owner"),
    [
        (b"/health", "/health", None),
        (b"/", "/", None),
        (b"/o/a/health", "/health", "a"),
        (b"/o/a", "/o/a", None),
        (b"/o//app-ws", "/o//app-ws", None),
        (b"//app-ws", "//app-ws", None),
        (b"http://cloud.example/app-ws", "/app-ws", None),
        (b"HTTPS://cloud.example", "/", None),
        (b"http://cloud.example/o/a/app-ws", "/app-ws", "a"),
    ],
)
def test_target_gives_path_and_owner(target: bytes, path: str, owner: str | None) -> None:
    head = accepted(request(b"GET %s HTTP/1.1" % target, b"Host: a"))

    assert (path, owner) == (head.path, head.owner)


@pytest.mark.parametrize(
    "data",
    [
        request(b"OPTIONS * HTTP/1.1", b"Host: a"),
        request(b"CONNECT cloud.example:443 HTTP/1.1", b"Host: a"),
        request(b"GET /health HTTP/1.0"),
        request(b"POST /webhook HTTP/1.1", b"Host: a", b"Content-Length: 5") + b"hello",
        request(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked"),
        request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 5", b"Content-Length: 5"),
        request(b"GET / HTTP/1.1", b"Host: [::1]:8002"),
        request(b"GET / HTTP/1.1", b"Host:"),
    ],
)
def test_what_is_no_upgrade_is_left_to_http(data: bytes) -> None:
    assert not accepted(data).is_upgrade


@pytest.mark.parametrize(
    ("fields", "is_upgrade"),
    [
        ((b"Upgrade: websocket", b"Connection: Upgrade"), True),
        ((b"Upgrade: WebSocket", b"Connection: keep-alive, Upgrade"), True),
        ((b"Upgrade: websocket", b"Connection: keep-alive", b"Connection: upgrade"), True),
        ((b"Upgrade: h2c, websocket", b"Connection: upgrade"), True),
        ((b"Upgrade: websocket", b"Connection: upgrade", b"Content-Length: 0"), True),
        ((b"Upgrade: websocket",), False),
        ((b"Upgrade: h2c", b"Connection: upgrade"), False),
        ((b"Upgrade: websockets", b"Connection: upgrade"), False),
        ((b"Connection: upgrade",), False),
    ],
)
def test_upgrade_needs_both_fields(fields: tuple[bytes, ...], is_upgrade: bool) -> None:
    assert is_upgrade is accepted(request(b"GET / HTTP/1.1", b"Host: a", *fields)).is_upgrade


@pytest.mark.parametrize("first", [b"POST / HTTP/1.1", b"GET / HTTP/1.0"])
def test_only_a_get_of_http_1_1_upgrades(first: bytes) -> None:
    head = accepted(request(first, b"Host: a", b"Upgrade: websocket", b"Connection: upgrade"))

    assert not head.is_upgrade


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",  # a TLS greeting: no line end will ever come
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        request(b"GET /", b"Host: a"),
        request(b"GET / / HTTP/1.1", b"Host: a"),
        request(b"GET / HTTP/1.1"),  # no Host (RFC 9112 section 3.2)
        request(b"GET / HTTP/1.1", b"Host: a", b"Host: a"),
        request(b"GET / HTTP/1.1", b"Host: a/b"),
        request(b"GET / HTTP/1.1", b"Host: user@a"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Name : value"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Name"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Name: folded", b" value"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Name: a\x00b"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Name: a\x01b"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Name: a\rb"),
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nName: b\r\n\r\n",
        request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 5", b"Content-Length: 6"),
        request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: +5"),
        request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        request(b"POST / HTTP/1.0", b"Host: a", b"Transfer-Encoding: chunked"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Authorization: Bearer a", b"Authorization: Bearer b"),
        upgrade(b"/app-ws", b"Content-Length: 5"),
        upgrade(b"/app-ws", b"Transfer-Encoding: chunked"),
        upgrade(b"/app-ws", b"Sec-WebSocket-Key: a", b"Sec-WebSocket-Key: b"),
        upgrade(b"/app-ws?" + b"&" * MAX_QUERY_FIELDS),
        request(b"GET /a#b HTTP/1.1", b"Host: a"),
        request(b"GET app-ws HTTP/1.1", b"Host: a"),
        request(b"GET * HTTP/1.1", b"Host: a"),
        request(b"OPTIONS a HTTP/1.1", b"Host: a"),
        request(b"GET http:///app-ws HTTP/1.1", b"Host: a"),
        request(b"GET http://a?b HTTP/1.1", b"Host: a"),
        request(b"GET /\xc3\xa4 HTTP/1.1", b"Host: a"),
    ],
)
def test_ambiguous_and_malformed_heads_are_bad_requests(data: bytes) -> None:
    assert refused(data) == 400


def test_other_refusals_have_their_own_status() -> None:
    assert refused(request(b"PRI * HTTP/2.0")) == 505
    assert refused(request(b"GET / HTTP/1.1", b"Host: a", b"Transfer-Encoding: gzip")) == 501
    assert refused(b"GET /" + b"a" * MAX_HEAD_BYTES) == 431


def test_head_of_exactly_the_limit_is_read() -> None:
    frame = request(b"GET / HTTP/1.1", b"Host: a", b"X-Long: ")
    long = frame.replace(b"X-Long: ", b"X-Long: " + b"a" * (MAX_HEAD_BYTES - len(frame)))

    assert isinstance(read_head(long), Head)
    assert refused(long.replace(b"aaa", b"aaaa", 1)) == 431


def test_reason_never_repeats_the_peer() -> None:
    verdict = read_head(request(b"GET /\x1b[31m HTTP/1.1", b"Host: a"))

    assert isinstance(verdict, BadHead)
    assert "\x1b" not in verdict.reason


def test_every_prefix_is_incomplete_and_every_continuation_the_same() -> None:
    for cut in range(len(UPGRADE)):
        assert read_head(UPGRADE[:cut]) is None
    assert accepted(UPGRADE) == accepted(UPGRADE + b"\x81\x00 first frame, sent early")


token = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=12)
field_value = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
names_with_rules = {"host", "connection", "upgrade", "authorization", "content-length", "transfer-encoding"}
fields = st.lists(
    st.tuples(token.filter(lambda name: name.lower() not in names_with_rules), field_value), max_size=8
)


@given(token, st.text("abc/%20?&=.~-", max_size=40), fields, st.binary(max_size=50))
def test_every_valid_head_is_read_as_h11_reads_it(
    method: str, target: str, fields: list[tuple[str, str]], rest: bytes
) -> None:
    if method in ("CONNECT", "OPTIONS"):
        method = "GET"
    lines = [f"{name}: {value}".encode("latin-1") for name, value in fields]
    singles = [name for name, _ in fields if name.lower().startswith("sec-websocket-")]
    data = request(f"{method} /{target} HTTP/1.1".encode(), b"Host: a", *lines)
    reference = h11.Connection(h11.SERVER)
    reference.receive_data(data)
    try:
        expected = reference.next_event()
    except h11.RemoteProtocolError:  # the space of NBSP and its kin, which h11 takes for white space
        expected = None

    head = read_head(data + rest)

    if not isinstance(expected, h11.Request):
        assert isinstance(head, BadHead)
    elif not singles:
        assert isinstance(head, Head)
        assert head.target == f"/{target}"
        assert {name.decode() for name, _ in expected.headers} == set(head.headers)


@given(st.binary(max_size=400))
def test_any_bytes_get_one_verdict_for_every_prefix(data: bytes) -> None:
    verdicts = [read_head(data[:end]) for end in range(len(data) + 1)]

    decided = next((end for end, verdict in enumerate(verdicts) if verdict is not None), len(verdicts))
    assert all(verdict == verdicts[decided] for verdict in verdicts[decided:])


@given(
    st.lists(st.sampled_from([b"GET ", b"/app-ws", b" HTTP/1.1", b"\r\n", b"\n", b"Host: a", b": ", b"\x00"]))
)
def test_scrambled_requests_never_raise(pieces: list[bytes]) -> None:
    verdict = read_head(b"".join(pieces))

    if isinstance(verdict, Head) and verdict.is_upgrade:
        make_upgrade(verdict, "peer")
