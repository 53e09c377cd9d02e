"""Hosting under hypercorn: its undocumented parts are pinned, and what it lacks is there.

Most tests use memory streams, which is also the simulated world's way in; what only a socket shows uses one.
"""

from __future__ import annotations

import inspect
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import hypercorn.protocol.h11
import hypercorn.protocol.http_stream
import hypercorn.trio.lifespan
import hypercorn.trio.task_group
import pytest
import trio
import trio.testing
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from quart import Blueprint, Response, request

from adapters.http import HttpHost, HttpLimits, create_application, open_http_host
from adapters.http import hosting as hosting_module
from adapters.http.ending import ending_of
from adapters.simulated.telemetry import RecordingTelemetry

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
GET_AND_CLOSE = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
WALL = 1_795_000_000.25  # 2026-11-18T11:06:40Z


class Hosted:
    def __init__(self, host: HttpHost, nursery: trio.Nursery) -> None:
        self.host = host
        self._nursery = nursery

    def connect(self) -> trio.abc.HalfCloseableStream:
        """The client's end of a connection in memory."""
        near, far = trio.testing.memory_stream_pair()

        async def serve() -> None:
            await self.host.serve(far, client=("10.0.0.1", 5000), server=("glasshouse", 80))

        self._nursery.start_soon(serve)
        return near

    async def ask(self, data: bytes) -> bytes:
        """All that is answered until the server closes."""
        stream = self.connect()
        await stream.send_all(data)
        answer = await read_all(stream)
        await stream.aclose()
        return answer


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    answer = b""
    with trio.fail_after(30):
        async for chunk in stream:
            answer += chunk
    return answer


async def read_answer(stream: trio.abc.ReceiveStream) -> bytes:
    """One answer with a Content-Length."""
    answer = b""
    with trio.fail_after(30):
        while b"\r\n\r\n" not in answer:
            answer += await stream.receive_some()
        length = re.search(rb"content-length: (\d+)", answer)
        assert length
        while len(answer.partition(b"\r\n\r\n")[2]) < int(length[1]):
            answer += await stream.receive_some()
    return answer


@asynccontextmanager
async def hosted(
    telemetry: RecordingTelemetry, *blueprints: Blueprint, limits: HttpLimits | None = None
) -> AsyncIterator[Hosted]:
    application = create_application(telemetry, dict, blueprints, wall=lambda: WALL)
    async with (
        trio.open_nursery() as nursery,
        open_http_host(application, telemetry=telemetry, wall=lambda: WALL, limits=limits) as host,
    ):
        yield Hosted(host, nursery)


def route(path: str, answer: Callable[[], Awaitable[Response | str]], method: str = "GET") -> Blueprint:
    blueprint = Blueprint("route", __name__)
    blueprint.add_url_rule(path, "answer", answer, methods=[method])
    return blueprint


# What is used of hypercorn's insides. A new version that changes any of it fails here first.


def parameters(function: Callable[..., object]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_hypercorns_constructors_are_as_expected() -> None:
    assert ["app", "config", "context", "state", "stream"] == parameters(TCPServer.__init__)
    assert ["app", "config", "state"] == parameters(Lifespan.__init__)
    assert ["max_requests"] == parameters(WorkerContext.__init__)
    assert [
        "app",
        "config",
        "context",
        "task_group",
        "connection_state",
        "ssl",
        "client",
        "server",
        "send",
    ] == parameters(H11Protocol.__init__)
    assert [] == parameters(TaskGroup)


def test_hypercorns_overridden_methods_are_as_expected() -> None:
    """An override of a method that is gone would be silently unused."""
    assert ["event"] == parameters(TCPServer.protocol_send)
    assert [] == parameters(TCPServer.run) == parameters(TCPServer._read_data) == parameters(TCPServer._close)
    assert [] == parameters(TCPServer._idle_timeout)
    assert ["event"] == parameters(H11Protocol._check_protocol)
    assert ["request"] == parameters(H11Protocol._create_stream)
    assert ["event"] == parameters(H11Protocol._send_h11_event)
    assert ["protocol"] == parameters(Config.response_headers)
    assert isinstance(Config.log, property)


def test_hypercorns_run_does_what_ours_repeats() -> None:
    source = inspect.getsource(TCPServer.run)

    for line in (
        "self.idle_task.restart(self._task_group, self._idle_timeout)",
        "await self._read_data()",
        "await self._close()",
    ):
        assert line in source


def test_every_log_call_of_hypercorn_is_answered() -> None:
    used = set()
    for module in (
        hypercorn.protocol.h11,
        hypercorn.protocol.http_stream,
        hypercorn.trio.lifespan,
        hypercorn.trio.task_group,
    ):
        used |= set(re.findall(r"config\.log\.(\w+)", inspect.getsource(module)))

    assert {"access", "exception", "warning"} == used
    assert all(hasattr(hosting_module._TelemetryLog, name) for name in used)


# What it does


async def test_request_is_answered_and_the_connection_kept(telemetry: RecordingTelemetry) -> None:
    async with hosted(telemetry) as server:
        stream = server.connect()
        answers = []
        for _ in range(3):
            await stream.send_all(GET)
            answers.append(await read_answer(stream))
        await trio.testing.wait_all_tasks_blocked()

    assert all(answer.endswith(b'{"status":"ok"}') for answer in answers)
    assert b"date: Wed, 18 Nov 2026 11:06:40 GMT" in answers[0]
    assert b"server:" not in answers[0]
    assert 3 == telemetry.counters()["http.request"]


async def test_connection_close_really_closes(telemetry: RecordingTelemetry) -> None:
    """quart-trio cancels the scope in which hypercorn closes; without the shield this waits for ever."""
    async with hosted(telemetry) as server:
        assert (await server.ask(GET_AND_CLOSE)).endswith(b'{"status":"ok"}')
        await trio.testing.wait_all_tasks_blocked()
        assert 0 == server.host.connections


async def test_kept_connection_is_closed_after_its_time(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async with hosted(telemetry, limits=HttpLimits(keep_alive_s=15)) as server:
        stream = server.connect()
        for _ in range(3):
            await trio.sleep(10)
            await stream.send_all(GET)
            await read_answer(stream)
        answered_at = trio.current_time()
        rest = await read_all(stream)

    assert b"" == rest
    assert trio.current_time() - answered_at == pytest.approx(15)


async def test_connection_that_says_nothing_is_closed_after_its_time(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async with hosted(telemetry, limits=HttpLimits(keep_alive_s=15)) as server:
        stream = server.connect()
        await stream.send_all(GET[:10])

        assert b"" == await read_all(stream)

    assert trio.current_time() == pytest.approx(15, abs=1)


@pytest.mark.parametrize("is_idle", [False, True])
async def test_peer_that_leaves_is_forgotten_at_once(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock, is_idle: bool
) -> None:
    async with hosted(telemetry, limits=HttpLimits(keep_alive_s=15)) as server:
        stream = server.connect()
        await stream.send_all(GET)
        await read_answer(stream)
        if is_idle:
            await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()

        assert 0 == server.host.connections
        assert began == trio.current_time()


async def test_upgrade_on_a_kept_connection_gets_426_and_a_close(telemetry: RecordingTelemetry) -> None:
    upgrade = b"GET /app-ws HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n"

    async with hosted(telemetry) as server:
        stream = server.connect()
        await stream.send_all(GET)
        await read_answer(stream)
        await stream.send_all(upgrade)
        answer = await read_all(stream)
        await stream.aclose()

    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"upgrade: websocket\r\n" in answer
    assert b"connection: close\r\n" in answer


@pytest.mark.parametrize(
    "data",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_http_2_is_not_spoken(telemetry: RecordingTelemetry, data: bytes) -> None:
    async with hosted(telemetry) as server:
        answer = await server.ask(data)

    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 404"))
    assert b"HTTP/1.1 101" not in answer


async def test_garbage_is_a_400_and_a_close(telemetry: RecordingTelemetry) -> None:
    async with hosted(telemetry) as server:
        assert (await server.ask(b"\x00\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_refusal_of_a_large_body_arrives_over_a_real_socket(telemetry: RecordingTelemetry) -> None:
    """A close with unread bytes would be a reset, and the 413 lost with it."""

    async def body() -> Response:
        await request.get_data()
        raise AssertionError

    size = 20_000_000
    answer = b""
    async with hosted(telemetry, route("/body", body, "POST")) as server, trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, server.host, listeners)
        stream = await trio.open_tcp_stream(*listeners[0].socket.getsockname())

        await stream.send_all(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 1_000_000):
            await stream.send_all(bytes(1_000_000))
        answer = await read_all(stream)
        await stream.aclose()
        nursery.cancel_scope.cancel()

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_rest_of_a_refused_body_is_read_for_a_moment_only(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async def body() -> Response:
        await request.get_data()
        raise AssertionError

    async with hosted(telemetry, route("/body", body, "POST"), limits=HttpLimits(linger_s=2)) as server:
        stream = server.connect()
        await stream.send_all(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        assert (await read_all(stream)).startswith(b"HTTP/1.1 413 ")
        await trio.testing.wait_all_tasks_blocked()
        assert 1 == server.host.connections
        await trio.sleep(2)
        await trio.testing.wait_all_tasks_blocked()
        assert 0 == server.host.connections


async def test_application_that_leaves_its_body_unread_holds_nothing(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async def ignore() -> str:
        return "no thanks"

    head = b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n"
    async with hosted(telemetry, route("/ignore", ignore, "POST")) as server:
        stream = server.connect()
        await stream.send_all(head + bytes(1_500_000))

        assert (await read_all(stream)).endswith(b"no thanks")
        await trio.sleep(5)

        assert 0 == server.host.connections


async def test_peer_that_does_not_read_its_answer_is_cut_off(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    near, far = trio.testing.lockstep_stream_pair()  # a send waits until it is read

    async with hosted(telemetry, limits=HttpLimits(send_s=20)) as server, trio.open_nursery() as nursery:

        async def serve() -> None:
            await server.host.serve(far, client=("10.0.0.1", 1), server=("glasshouse", 80))

        nursery.start_soon(serve)
        await near.send_all(GET)

    assert trio.current_time() == pytest.approx(20, abs=1)
    assert 0 == server.host.connections


async def test_drain_ends_kept_connections_now_and_busy_ones_after_their_answer(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow() -> str:
        await trio.sleep(3)
        return "slow"

    async with hosted(telemetry, route("/slow", slow)) as server:
        kept, busy = server.connect(), server.connect()
        await kept.send_all(GET)
        await read_answer(kept)
        await busy.send_all(GET.replace(b"health", b"slow"))
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()

        cut_off = await server.host.drain(10)

        assert 0 == cut_off
        assert trio.current_time() - began == pytest.approx(3)
        assert (await read_all(busy)).endswith(b"slow")
        assert b"" == await read_all(kept)
        assert 0 == await server.host.drain(10)


async def test_an_answer_without_end_is_told_of_the_drain_and_goes_on_after_a_resume(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async def stream() -> Response:
        ending = ending_of(request.scope)

        async def words() -> AsyncIterator[bytes]:
            yield b"going on"
            await ending.wait()
            yield b", goodbye"

        answer = Response(words())
        answer.timeout = None
        return answer

    async with hosted(telemetry, route("/stream", stream)) as server:
        streaming = server.connect()
        await streaming.send_all(GET.replace(b"health", b"stream"))
        await trio.testing.wait_all_tasks_blocked()

        assert 0 == await server.host.drain(10)
        told = await read_all(streaming)
        assert b", goodbye" in told
        assert told.endswith(b"0\r\n\r\n")
        await server.host.resume()
        again = server.connect()
        await again.send_all(GET.replace(b"health", b"stream"))
        await trio.testing.wait_all_tasks_blocked()
        told = bytes(await again.receive_some())
        assert b"going on" in told
        assert b", goodbye" not in told
        assert 0 == await server.host.drain(10)
        assert b", goodbye" in await read_all(again)

    assert 0 == trio.current_time()


async def test_drain_cuts_off_what_outlasts_it(
    telemetry: RecordingTelemetry, autojump_clock: trio.testing.MockClock
) -> None:
    async def endless() -> str:
        await trio.sleep_forever()
        raise AssertionError

    async with hosted(telemetry, route("/endless", endless)) as server:
        stream = server.connect()
        await stream.send_all(GET.replace(b"health", b"endless"))
        await trio.testing.wait_all_tasks_blocked()

        assert 1 == await server.host.drain(2)
        assert b"" == await read_all(stream)
        await trio.testing.wait_all_tasks_blocked()
        assert 0 == server.host.connections

    assert trio.current_time() == pytest.approx(2)


async def test_leaving_the_host_cuts_off_what_is_left(telemetry: RecordingTelemetry) -> None:
    async def endless() -> str:
        await trio.sleep_forever()
        raise AssertionError

    async with hosted(telemetry, route("/endless", endless)) as server:
        stream = server.connect()
        await stream.send_all(GET.replace(b"health", b"endless"))
        await trio.testing.wait_all_tasks_blocked()

    assert b"" == await read_all(stream)


async def test_fault_of_one_connection_is_an_event_and_ends_only_that_one(
    telemetry: RecordingTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted(telemetry) as server:
        other = server.connect()
        with monkeypatch.context() as patch:
            patch.setattr(H11Protocol, "_create_stream", lambda *_: 1 / 0)
            assert b"" == await server.ask(GET)
        await other.send_all(GET)
        assert (await read_answer(other)).endswith(b'{"status":"ok"}')

    assert "division by zero" in str(telemetry.of("http.connection_failed")[0]["cause"])


async def test_fault_in_the_application_itself_is_a_500_and_an_event(telemetry: RecordingTelemetry) -> None:
    async def application(scope: object, receive: object, send: object) -> None:
        raise LookupError("no such thing")

    async with (
        open_http_host(application, telemetry=telemetry, wall=lambda: WALL) as host,
        trio.open_nursery() as nursery,
    ):
        server = Hosted(host, nursery)
        answer = await server.ask(GET)

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert "LookupError('no such thing')" == telemetry.of("http.hosting")[-1]["cause"]
    assert "http.hosting" in telemetry.counters()  # its lifespan failed too: a warning


async def test_socket_whose_peer_is_gone_already_is_closed(telemetry: RecordingTelemetry) -> None:
    async with hosted(telemetry) as server:
        unconnected = trio.SocketStream(trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM))

        await server.host(unconnected)

    assert -1 == unconnected.socket.fileno()


async def test_request_is_logged_without_its_query(telemetry: RecordingTelemetry) -> None:
    async with hosted(telemetry) as server:
        await server.ask(GET_AND_CLOSE.replace(b"/health", b"/health?token=secret"))

    (logged,) = telemetry.of("http.request")
    assert ("GET", "/health", 200) == (logged["method"], logged["path"], logged["status"])
    assert "secret" not in str(telemetry.facts)
