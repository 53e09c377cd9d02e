"""The clients' sockets, HTTP and app server on real loopback sockets."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
import trio_websocket

from clients.app_sdk import AppServer, AppSession, http_server
from clients.glasses import Glasses, PhoneTimers
from clients.network import open_stream, request
from clients.socket import DisconnectedError, RefusedError, Socket, hold
from protocols import webhooks

CERTIFICATE = Path(__file__).parents[1] / "adapters" / "webhooks" / "loopback.pem"

Serve = Callable[[trio.abc.Stream], Awaitable[None]]


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


async def listen(nursery: trio.Nursery, serve: Serve, *, tls: ssl.SSLContext | None = None) -> str:
    """A loopback server; its host and port."""

    async def handle(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        with contextlib.suppress(trio.BrokenResourceError):
            async with stream:
                await serve(stream)

    start = functools.partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
    listeners: list[trio.SocketListener] = await nursery.start(start)
    return f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"


async def listen_websocket(
    nursery: trio.Nursery, serve: Callable[[trio_websocket.WebSocketConnection], Awaitable[None]]
) -> str:
    async def handle(upgrade: trio_websocket.WebSocketRequest) -> None:
        await serve(await upgrade.accept())

    start = functools.partial(
        trio_websocket.serve_websocket, handle, "127.0.0.1", 0, None, max_message_size=32 * 1024 * 1024
    )
    server: trio_websocket.WebSocketServer = await nursery.start(start)
    return f"ws://127.0.0.1:{server.port}/app-ws"


async def dial(nursery: trio.Nursery, url: str, handshake_s: float = 10.0) -> Socket:
    start = functools.partial(hold, url, connect=open_stream, handshake_s=handshake_s)
    socket: Socket = await nursery.start(start)
    return socket


async def answer_once(stream: trio.abc.Stream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def test_messages_go_both_ways_whole_up_to_sixteen_mebibytes(nursery: trio.Nursery) -> None:
    async def echo(connection: trio_websocket.WebSocketConnection) -> None:
        with contextlib.suppress(trio_websocket.ConnectionClosed):
            while True:
                await connection.send_message(await connection.get_message())

    socket = await dial(nursery, await listen_websocket(nursery, echo))
    large = b"\x01" * (16 * 1024 * 1024)

    await socket.send("grüße")
    await socket.send(large)

    assert "grüße" == await socket.receive()
    assert large == await socket.receive()
    await socket.send(large + b"\x01")
    with pytest.raises(DisconnectedError) as raised:
        await socket.receive()
    assert 1009 == raised.value.code
    with pytest.raises(DisconnectedError):
        await socket.send("too late")


async def test_a_peer_that_breaks_the_rules_is_a_disconnect(nursery: trio.Nursery) -> None:
    async def serve(connection: trio_websocket.WebSocketConnection) -> None:
        await connection._stream.send_all(b"\xff\xff\xff\xff")
        await trio.sleep_forever()

    socket = await dial(nursery, await listen_websocket(nursery, serve))

    with pytest.raises(DisconnectedError) as raised:
        await socket.receive()
    assert 1002 == raised.value.code


async def test_a_peer_that_breaks_the_rules_and_is_gone_is_a_disconnect(nursery: trio.Nursery) -> None:
    client, server = trio.testing.memory_stream_pair()

    async def connect(url: str) -> trio.abc.Stream:
        return client

    async def serve() -> None:
        async with trio.open_nursery() as inner:
            upgrade = await trio_websocket.wrap_server_stream(inner, server)
            await upgrade.accept()
            await server.send_all(b"\xff\xff\xff\xff")
            await trio.aclose_forcefully(server)

    nursery.start_soon(serve)
    socket: Socket = await nursery.start(functools.partial(hold, "ws://x/", connect=connect))

    with pytest.raises(DisconnectedError) as raised:
        await socket.receive()
    assert raised.value.code in (1002, 1006)


async def test_a_refusal_carries_status_and_body(nursery: trio.Nursery) -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 401 no\r\ncontent-length: 4\r\n\r\nnope")

    async def refuse_without_body(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 no\r\ncontent-length: 0\r\n\r\n")

    with pytest.raises(RefusedError) as raised:
        await dial(nursery, f"ws://{await listen(nursery, refuse)}/")
    with pytest.raises(RefusedError) as without_body:
        await dial(nursery, f"ws://{await listen(nursery, refuse_without_body)}/")

    assert (401, b"nope") == (raised.value.status, raised.value.body)
    assert (404, b"") == (without_body.value.status, without_body.value.body)


async def test_a_dial_to_nobody_to_silence_and_to_one_who_hangs_up_is_an_os_error(
    nursery: trio.Nursery,
) -> None:
    async def silence(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()

    with pytest.raises(TimeoutError, match=r"did not answer within 0\.1 s"):
        await dial(nursery, f"ws://{await listen(nursery, silence)}/", handshake_s=0.1)
    with pytest.raises(ConnectionResetError, match="hung up"):
        await dial(nursery, f"ws://{await listen(nursery, hang_up)}/")
    with pytest.raises(OSError, match="9"):
        await dial(nursery, "ws://127.0.0.1:9/")


@pytest.mark.parametrize("url", ["", "cloud:8002", "ftp://cloud/", "ws:///x"])
async def test_what_is_no_url_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="is no http"):
        await hold(url, connect=open_stream)
    with pytest.raises(ValueError, match="is no http"):
        await request("GET", url, connect=open_stream)


async def test_closing_waits_a_second_for_a_peer_that_does_not_answer(nursery: trio.Nursery) -> None:
    async def deaf(connection: trio_websocket.WebSocketConnection) -> None:
        connection._reader_running = False
        await trio.sleep_forever()

    socket = await dial(nursery, await listen_websocket(nursery, deaf))
    began = trio.current_time()
    await socket.close(timeout_s=0.1)
    await socket.close(timeout_s=60)

    assert trio.current_time() - began < 5
    with pytest.raises(DisconnectedError):
        await socket.receive()


async def test_tls_is_spoken_where_the_url_says_so(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    address = await listen(nursery, answer_once, tls=context)

    with pytest.raises(ConnectionError):
        await request("GET", f"https://{address}/", connect=open_stream)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    answer = await request("GET", f"https://{address}/", connect=open_stream)

    assert (200, b"ok") == (answer.status, answer.body)


async def test_an_endless_answer_is_refused(nursery: trio.Nursery) -> None:
    async def pour(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 1_000_000)

    with pytest.raises(ConnectionError, match="larger than"):
        await request("GET", f"http://{await listen(nursery, pour)}/", connect=open_stream)


# The app server's HTTP


@pytest.fixture
async def app(nursery: trio.Nursery) -> AppServer:
    app = AppServer("org.example.a", "key")
    assert app.port == 0
    await nursery.start(app.run)
    return app


async def exchange(app: AppServer, *sent: bytes) -> bytes:
    stream = await open_stream(app.url)
    async with stream:
        for part in sent:
            await stream.send_all(part)
        received = b""
        while data := await stream.receive_some():
            received += data
        return received


async def test_the_app_server_answers_over_http(app: AppServer) -> None:
    answer = await request("GET", f"{app.url}/health?x=1", connect=open_stream)

    assert (200, b'{"status":"healthy","app":"org.example.a","activeSessions":0}') == (
        answer.status,
        answer.body,
    )


async def test_one_connection_serves_several_requests(app: AppServer) -> None:
    one = b"GET /tool HTTP/1.1\r\nhost: a\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"

    received = await exchange(app, one, one + last)

    assert 3 == received.count(b"HTTP/1.1 200")


async def test_a_client_that_waits_for_100_is_told_to_go_on(app: AppServer) -> None:
    stream = await open_stream(app.url)
    async with stream:
        await stream.send_all(
            b"POST /tool HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        )
        told = await stream.receive_some()
        await stream.send_all(b"{}")
        answered = await stream.receive_some()

    assert told.startswith(b"HTTP/1.1 100")
    assert answered.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"this is not http\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 20_000, b"431"),
        (b"POST /tool HTTP/1.1\r\nhost: a\r\ncontent-length: 1100000\r\n\r\n" + b"x" * 1_100_000, b"413"),
    ],
    ids=["garbage", "huge head", "huge body"],
)
async def test_a_bad_request_gets_its_status(app: AppServer, sent: bytes, status: bytes) -> None:
    client, server = (
        trio.testing.memory_stream_pair()
    )  # TCP may lose an answer to what was not read to its end
    await client.send_all(sent)
    await http_server.serve_connection(app.handle, server)

    assert (await client.receive_some()).startswith(b"HTTP/1.1 " + status)


async def test_a_client_that_hangs_up_harms_nobody(app: AppServer) -> None:
    for part in (b"", b"POST /webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc"):
        stream = await open_stream(app.url)
        await stream.send_all(part)
        await stream.aclose()

    answer = await request("GET", f"{app.url}/health", connect=open_stream)
    assert 200 == answer.status


async def test_a_connection_that_sends_nothing_is_closed_after_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def never(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        raise AssertionError

    client, server = trio.testing.memory_stream_pair()
    began = trio.current_time()
    await http_server.serve_connection(never, server)

    assert 10 == pytest.approx(trio.current_time() - began)
    assert b"" == await client.receive_some()


# Both clients at once, through a cloud of four lines


async def test_glasses_and_app_reach_a_real_server(nursery: trio.Nursery) -> None:
    async def phone(connection: trio_websocket.WebSocketConnection) -> None:
        await connection.send_message(
            '{"type":"connection_ack","sessionId":"a","userSession":'
            '{"sessionId":"a","userId":"a","activeAppSessions":[],"loadingApps":[]}}'
        )
        with contextlib.suppress(trio_websocket.ConnectionClosed):
            while True:
                await connection.get_message()

    url = await listen_websocket(nursery, phone)
    glasses = Glasses(
        url.replace("ws://", "http://").removesuffix("/app-ws"), "t", timers=PhoneTimers(ping_s=60)
    )
    await nursery.start(glasses.run)

    assert await glasses.wait_for(lambda one: one.is_connected)


async def test_an_app_connects_to_the_url_of_its_webhook(nursery: trio.Nursery, app: AppServer) -> None:
    begun: list[AppSession] = []
    received: list[str | bytes] = []
    is_over = trio.Event()

    @app.handler
    async def on_session(session: AppSession, session_id: str, user_id: str) -> None:
        begun.append(session)

    async def cloud(connection: trio_websocket.WebSocketConnection) -> None:
        received.append(await connection.get_message())
        await connection.send_message(
            '{"type":"tpa_connection_ack","sessionId":"s","settings":[],"mentraosSettings":{},'
            '"augmentosSettings":{},"capabilities":null}'
        )
        received.append(await connection.get_message())
        is_over.set()
        await connection.aclose(1000, "App stopped")

    url = await listen_websocket(nursery, cloud)
    body = webhooks.session_request(session_id="s", user_id="u", timestamp="t", websocket_url=url)
    answer = await request("POST", f"{app.url}/webhook", connect=open_stream, body=body)
    await is_over.wait()

    assert (200, b'{"status":"success"}') == (answer.status, answer.body)
    assert ["s"] == [session.session_id for session in begun]
    assert 2 == len(received)
