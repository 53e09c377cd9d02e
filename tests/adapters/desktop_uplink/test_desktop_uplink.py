"""The daemon's connection and its reports over real sockets, against a server by other hands."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio_websocket

from actors.desktop_daemon.ports import DialError, Link, LinkClosed, ReportAnswer, ReportError
from adapters.desktop_uplink import (
    NoAnswerError,
    ServerAddress,
    ServerAddressError,
    ServerDialler,
    ServerHttp,
    ServerReports,
)

TOKEN = "secret-token"
CERTIFICATE = Path(__file__).parents[1] / "webhooks" / "loopback.pem"
Serve = Callable[[trio_websocket.WebSocketRequest], Awaitable[None]]


@asynccontextmanager
async def _websocket_server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[ServerAddress]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, serve, "127.0.0.1", 0, ssl_context=tls)
        )
        yield ServerAddress.of(f"http://127.0.0.1:{server.port}")
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _raw_server(answer: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[ServerAddress]:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        yield ServerAddress.of(f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        nursery.cancel_scope.cancel()


class _Ear:
    """What a dial tells."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.opened = trio.Event()
        self.frames: list[bytes] = []

    def open(self, link: Link) -> None:
        self.link = link
        self.opened.set()

    def hear(self, frame: bytes) -> None:
        self.frames.append(frame)


async def test_frames_go_both_ways_and_the_token_goes_in_a_header() -> None:
    seen: list[object] = []

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        seen.append((request.path, dict(request.headers)[b"authorization"]))
        connection = await request.accept()
        seen.append(await connection.get_message())
        await connection.send_message('{"type":"ping"}')
        await connection.send_message(b"bytes")
        await connection.aclose(4003, "revoked")

    ear = _Ear()
    async with _websocket_server(serve) as address:
        dialler = ServerDialler(address, lambda: TOKEN)

        def open_and_greet(link: Link) -> None:
            ear.open(link)
            assert link.send(b'{"type":"hello"}')

        info = await dialler.dial(open_and_greet, ear.hear)

    assert [("/ws/daemon", f"Bearer {TOKEN}".encode()), '{"type":"hello"}'] == seen
    assert [b'{"type":"ping"}', b"bytes"] == ear.frames
    assert LinkClosed(4003, "revoked") == info
    assert ear.link is not None
    assert not ear.link.send(b"{}")


async def test_refused_upgrade_says_its_status_and_the_wait() -> None:
    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(503, extra_headers=[(b"Retry-After", b"7")], body=b"later")

    ear = _Ear()
    async with _websocket_server(serve) as address:
        with pytest.raises(DialError) as caught:
            await ServerDialler(address, lambda: TOKEN).dial(ear.open, ear.hear)

    assert (503, 7.0) == (caught.value.status, caught.value.retry_after_s)
    assert TOKEN not in str(caught.value)
    assert ear.link is None


async def test_server_that_hangs_up_instead_of_answering_is_noticed_at_once() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()

    async with _raw_server(hang_up) as address:
        with trio.fail_after(5), pytest.raises(DialError, match="hung up"):
            await ServerDialler(address, lambda: TOKEN).dial(_Ear().open, _Ear().hear)


async def test_server_that_never_answers_is_given_up_in_time() -> None:
    async def wait(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with _raw_server(wait) as address:
        with trio.fail_after(5), pytest.raises(DialError, match=r"no connection within 0\.2 s"):
            await ServerDialler(address, lambda: TOKEN, connect_s=0.2).dial(_Ear().open, _Ear().hear)


async def test_nobody_there_is_a_failed_dial() -> None:
    async def nobody(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with _raw_server(nobody) as address:
        pass

    with pytest.raises(DialError, match="no connection"):
        await ServerDialler(address, lambda: TOKEN).dial(_Ear().open, _Ear().hear)


async def test_connection_that_breaks_ends_with_1006() -> None:
    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        await trio.aclose_forcefully(connection._stream)

    ear = _Ear()
    async with _websocket_server(serve) as address:
        assert 1006 == (await ServerDialler(address, lambda: TOKEN).dial(ear.open, ear.hear)).code


async def test_cancelled_dial_closes_with_1000() -> None:
    closed: list[tuple[int, str | None]] = []
    told = trio.Event()

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            await connection.get_message()
        except trio_websocket.ConnectionClosed as error:
            closed.append((error.reason.code, error.reason.reason) if error.reason else (1006, None))
            told.set()

    ear = _Ear()
    async with _websocket_server(serve) as address, trio.open_nursery() as nursery:
        nursery.start_soon(ServerDialler(address, lambda: TOKEN).dial, ear.open, ear.hear)
        await ear.opened.wait()
        nursery.cancel_scope.cancel()
        with trio.move_on_after(2, shield=True):
            await told.wait()

    assert [(1000, "Daemon shutting down")] == closed


async def test_link_that_is_closed_here_ends_its_dial() -> None:
    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        with pytest.raises(trio_websocket.ConnectionClosed):
            await connection.get_message()

    async with _websocket_server(serve) as address:
        dialler = ServerDialler(address, lambda: TOKEN)
        with trio.fail_after(5):
            info = await dialler.dial(lambda link: link.close(4010, "silent"), _Ear().hear)

    assert LinkClosed(4010, "silent") == info


async def test_dialler_knows_of_another_token() -> None:
    tokens = ["first"]

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(401)

    async with _websocket_server(serve) as address:
        dialler = ServerDialler(address, lambda: tokens[-1])
        with pytest.raises(DialError):
            await dialler.dial(_Ear().open, _Ear().hear)
        assert not dialler.has_other_token()
        tokens.append("second")
        assert dialler.has_other_token()


def _http(answer: bytes, requests: list[bytes]) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def serve(stream: trio.SocketStream) -> None:
        requests.append(bytes(await stream.receive_some()))
        await stream.send_all(answer)
        await stream.aclose()

    return serve


async def test_report_is_posted_with_the_token_and_its_answer_read() -> None:
    requests: list[bytes] = []
    answer = b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}"
    async with _raw_server(_http(answer, requests)) as address:
        http = ServerHttp(address)
        reports = ServerReports(http, lambda: TOKEN)
        assert ReportAnswer(429, 3.0) == await reports.post(
            "subagent/agent_1/status", b'{"status":"running"}'
        )
        await http.aclose()

    head = requests[0].decode().lower()
    assert head.startswith("post /daemon-api/subagent/agent_1/status http/1.1\r\n")
    assert f"authorization: bearer {TOKEN}\r\n" in head


async def test_redirect_is_an_answer_and_takes_the_token_nowhere() -> None:
    requests: list[bytes] = []
    answer = b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with _raw_server(_http(answer, requests)) as address:
        http = ServerHttp(address)
        assert 307 == (await ServerReports(http, lambda: TOKEN).post("x", b"{}")).status
        await http.aclose()

    assert 1 == len(requests)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_report_without_a_proper_answer_was_not_taken(answer: bytes) -> None:
    async with _raw_server(_http(answer, [])) as address:
        http = ServerHttp(address)
        with pytest.raises(ReportError) as caught:
            await ServerReports(http, lambda: TOKEN).post("x", b"{}")
        await http.aclose()

    assert TOKEN not in str(caught.value)


async def test_request_that_takes_too_long_is_given_up() -> None:
    async def wait(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with _raw_server(wait) as address:
        http = ServerHttp(address, timeout_s=0.2)
        with trio.fail_after(5), pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s"):
            await http.request("GET", "/")
        await http.aclose()


async def test_certificate_of_the_servers_name_is_asked_for_and_taken() -> None:
    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        await (await request.accept()).aclose(1000, "seen")

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    async with _websocket_server(serve, tls) as address:
        https = ServerAddress.of(f"https://localhost:{address.port}")
        trusting = ServerDialler(
            https, lambda: TOKEN, make_tls=lambda: ssl.create_default_context(cafile=CERTIFICATE)
        )
        assert LinkClosed(1000, "seen") == await trusting.dial(_Ear().open, _Ear().hear)
        with pytest.raises(DialError, match="CERTIFICATE_VERIFY_FAILED"):
            await ServerDialler(https, lambda: TOKEN).dial(_Ear().open, _Ear().hear)


async def test_certificate_that_nobody_vouches_for_is_refused() -> None:
    async def hello(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with _raw_server(hello) as address:
        https = ServerAddress.of(f"https://127.0.0.1:{address.port}")
        http = ServerHttp(https)
        with pytest.raises(NoAnswerError):
            await http.request("GET", "/")
        with pytest.raises(DialError):
            await ServerDialler(https, lambda: TOKEN).dial(_Ear().open, _Ear().hear)
        await http.aclose()
    context = ssl.create_default_context()
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)


@pytest.mark.parametrize(
    ("text", "url", "target"),
    [
        ("https://glasses.example.org", "https://glasses.example.org", "/ws/daemon"),
        (" https://glasses.example.org:8443/ ", "https://glasses.example.org:8443", "/ws/daemon"),
        ("https://example.org/o/node1/", "https://example.org/o/node1", "/o/node1/ws/daemon"),
        ("http://127.0.0.1:8002", "http://127.0.0.1:8002", "/ws/daemon"),
        ("http://[::1]:8002", "http://[::1]:8002", "/ws/daemon"),
        ("http://localhost", "http://localhost", "/ws/daemon"),
    ],
)
def test_server_is_named_by_its_url(text: str, url: str, target: str) -> None:
    address = ServerAddress.of(text)

    assert (url, target) == (address.url, address.daemon_target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "glasses.example.org",
        "ftp://example.org",
        "https://",
        "https://user:password@example.org",
        "https://example.org?x=1",
        "https://example.org:99999",
        "http://example.org",
        "http://192.168.1.4:8002",
        "http://127.0.0.1.example.org",
    ],
)
def test_url_that_is_none_or_would_show_the_token_is_refused(text: str) -> None:
    with pytest.raises(ServerAddressError):
        ServerAddress.of(text)


def test_plain_http_has_to_be_asked_for() -> None:
    assert 8002 == ServerAddress.of("http://192.168.1.4:8002", allow_plaintext=True).port
