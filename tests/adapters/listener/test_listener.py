"""The listener on a real loopback socket, with an engine, gates and an HTTP handler that write down what
they get."""

from __future__ import annotations

import errno
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from actors.ports import Admitted, CloseInfo, Connection, ConnectionHandler, Refused, Upgrade
from adapters.listener.listener import Listener, ListenerLimits
from adapters.simulated.telemetry import RecordingTelemetry
from protocols import rest

UPGRADE = b"GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


class SilentHandler:
    def opened(self, connection: Connection) -> None: ...
    def text(self, connection: Connection, payload: bytes) -> None: ...
    def binary(self, connection: Connection, payload: bytes) -> None: ...
    def closed(self, connection: Connection, info: CloseInfo) -> None: ...
    def failed(self, connection: Connection, error: Exception) -> None: ...


class AnsweringEngine:
    """Reads the head it was given and answers with one line, as the real engine would with more."""

    def __init__(self) -> None:
        self.adopted: list[ConnectionHandler] = []
        self.refused: list[Refused] = []
        self.error: Exception | None = None

    def adopt(self, sock: socket.socket, handler: ConnectionHandler) -> None:
        if self.error is not None:
            raise self.error
        self.adopted.append(handler)
        self._answer(sock, b"adopted ")

    def refuse(self, sock: socket.socket, refused: Refused) -> None:
        self.refused.append(refused)
        self._answer(sock, b"refused %d " % refused.status)

    def _answer(self, sock: socket.socket, what: bytes) -> None:
        assert sock.gettimeout() == 0
        with sock:
            sock.send(what + sock.recv(65536))


class OneGate:
    def __init__(self, admit: Callable[[Upgrade], Awaitable[Admitted | Refused]]) -> None:
        self._admit = admit
        self.seen: list[Upgrade] = []

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        self.seen.append(upgrade)
        return await self._admit(upgrade)


HANDLER = SilentHandler()


async def admit_all(upgrade: Upgrade) -> Admitted | Refused:
    return Admitted(HANDLER)


async def echo_head(stream: trio.SocketStream) -> None:
    await stream.send_all(b"http " + bytes(await stream.receive_some()))


class Front:
    """A running listener and what is behind it."""

    def __init__(self, gate: OneGate, listening: socket.socket) -> None:
        self.engine = AnsweringEngine()
        self.gate = gate
        self.address = listening.getsockname()
        self.listener: Listener

    async def dial(self, data: bytes) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(*self.address)
        await stream.send_all(data)
        return stream

    async def ask(self, data: bytes) -> bytes:
        async with await self.dial(data) as stream:
            return await read_all(stream)


async def read_all(stream: trio.SocketStream) -> bytes:
    answer = b""
    with trio.fail_after(5):
        async for chunk in stream:
            answer += chunk
    return answer


@asynccontextmanager
async def listener_running(
    telemetry: RecordingTelemetry,
    *,
    gate: Callable[[Upgrade], Awaitable[Admitted | Refused]] = admit_all,
    http: Callable[[trio.SocketStream], Awaitable[None]] = echo_head,
    node_name: str | None = None,
    limits: ListenerLimits | None = None,
    listening: socket.socket | None = None,
    is_paused: bool = False,
) -> AsyncIterator[Front]:
    listening = listening or socket.create_server(("127.0.0.1", 0), backlog=4096)
    front = Front(OneGate(gate), listening)
    front.listener = Listener(
        listening,
        gates={"/app-ws": front.gate},
        engine=front.engine,
        http=http,
        telemetry=telemetry,
        node_name=node_name,
        limits=limits,
        is_paused=is_paused,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(front.listener.run)
        yield front
        nursery.cancel_scope.cancel()


async def test_upgrade_is_admitted_and_its_socket_handed_over_unread(telemetry: RecordingTelemetry) -> None:
    async with listener_running(telemetry) as front:
        answer = await front.ask(UPGRADE % b"/app-ws?token=t" + b"early frame")

    assert b"adopted " + UPGRADE % b"/app-ws?token=t" + b"early frame" == answer
    assert [HANDLER] == front.engine.adopted
    assert [("/app-ws", {"token": "t"})] == [(seen.path, seen.query) for seen in front.gate.seen]
    assert front.gate.seen[0].peer.startswith("127.0.0.1:")


async def test_refusal_of_the_gate_reaches_the_engine(telemetry: RecordingTelemetry) -> None:
    refused = Refused(401, b"{}")

    async def refuse(upgrade: Upgrade) -> Admitted | Refused:
        return refused

    async with listener_running(telemetry, gate=refuse) as front:
        answer = await front.ask(UPGRADE % b"/app-ws")

    assert answer.startswith(b"refused 401")
    assert [refused] == front.engine.refused


async def test_everything_else_goes_to_http_untouched(telemetry: RecordingTelemetry) -> None:
    post = b"POST /apps/x/start HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"

    async with listener_running(telemetry) as front:
        assert b"http " + GET == await front.ask(GET)
        assert b"http " + post == await front.ask(post)


async def test_upgrade_to_an_unknown_path_is_404(telemetry: RecordingTelemetry) -> None:
    async with listener_running(telemetry) as front:
        answer = await front.ask(UPGRADE % b"/nobody")

    assert answer.startswith(b"refused 404")
    assert rest.refusal(404, "Not found") == front.engine.refused[0].body
    assert [] == front.gate.seen


@pytest.mark.parametrize(
    ("node_name", "path", "is_admitted"),
    [
        (None, b"/app-ws", True),
        (None, b"/o/any/app-ws", True),
        ("n1", b"/app-ws", True),
        ("n1", b"/o/n1/app-ws", True),
        ("n1", b"/o/n2/app-ws", False),
    ],
)
async def test_owner_prefix_is_ours_or_404(
    telemetry: RecordingTelemetry, node_name: str | None, path: bytes, is_admitted: bool
) -> None:
    async with listener_running(telemetry, node_name=node_name) as front:
        answer = await front.ask(UPGRADE % path)

    assert answer.startswith(b"adopted" if is_admitted else b"refused 404")


async def test_gate_that_fails_is_a_500_and_ends_nobody_else(telemetry: RecordingTelemetry) -> None:
    async def fail(upgrade: Upgrade) -> Admitted | Refused:
        raise KeyError("store")

    async with listener_running(telemetry, gate=fail) as front:
        answer = await front.ask(UPGRADE % b"/app-ws")
        after = await front.ask(GET)

    assert answer.startswith(b"refused 500")
    assert after.startswith(b"http ")
    assert "KeyError('store')" == telemetry.of("listener.gate_failed")[0]["cause"]


async def test_gate_that_takes_too_long_is_a_503(telemetry: RecordingTelemetry) -> None:
    async def never(upgrade: Upgrade) -> Admitted | Refused:
        await trio.sleep_forever()
        raise AssertionError

    async with listener_running(telemetry, gate=never, limits=ListenerLimits(admit_s=0.05)) as front:
        answer = await front.ask(UPGRADE % b"/app-ws")

    assert answer.startswith(b"refused 503")
    assert "1" == front.engine.refused[0].headers["Retry-After"]


async def test_engine_that_fails_closes_that_socket_only(telemetry: RecordingTelemetry) -> None:
    async with listener_running(telemetry) as front:
        front.engine.error = RuntimeError("full")
        async with await front.dial(UPGRADE % b"/app-ws") as stream:
            with pytest.raises(trio.BrokenResourceError):  # closed with the head unread: a reset
                await read_all(stream)
        front.engine.error = None
        assert (await front.ask(UPGRADE % b"/app-ws")).startswith(b"adopted")

    assert "RuntimeError('full')" == telemetry.of("listener.connection_failed")[0]["cause"]


async def test_http_handler_that_fails_closes_that_socket_only(telemetry: RecordingTelemetry) -> None:
    async def fail_once(stream: trio.SocketStream) -> None:
        data = await stream.receive_some()
        if b"fail" in data:
            raise ValueError
        await stream.send_all(b"fine")

    async with listener_running(telemetry, http=fail_once) as front:
        assert b"" == await front.ask(GET.replace(b"health", b"fail"))
        assert b"fine" == await front.ask(GET)

    assert 1 == telemetry.counters()["listener.connection_failed"]


async def test_bad_head_is_answered_and_closed(telemetry: RecordingTelemetry) -> None:
    async with listener_running(telemetry) as front:
        answer = await front.ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + b"x" * 100_000)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(rest.refusal(400, "malformed request head"))
    assert 400 == telemetry.of("listener.bad_head")[0]["status"]


async def test_tls_greeting_is_turned_away_at_once_and_named(telemetry: RecordingTelemetry) -> None:
    greeting = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), greeting, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()

    async with listener_running(telemetry) as front:
        answer = await front.ask(greeting.read())

    assert b"a TLS hello on a plain HTTP port" in answer
    assert ["a TLS hello on a plain HTTP port"] == [
        fact["cause"] for fact in telemetry.of("listener.bad_head")
    ]


async def test_peer_that_resets_before_its_refusal_is_nobodys_problem(
    telemetry: RecordingTelemetry,
) -> None:
    async with listener_running(telemetry) as front:
        stream = await front.dial(b"\x16\x03")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        await stream.aclose()
        while not telemetry.of("listener.bad_head"):
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert (await front.ask(GET)).startswith(b"http ")

    assert [] == telemetry.of("listener.connection_failed")


async def test_head_that_does_not_come_is_a_408(telemetry: RecordingTelemetry) -> None:
    async with listener_running(telemetry, limits=ListenerLimits(head_s=0.05)) as front:
        answer = await front.ask(b"GET / HTTP/1.1\r\n")

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert 0 == front.listener.waiting_heads


async def test_longest_waiting_head_makes_room(telemetry: RecordingTelemetry) -> None:
    async with listener_running(telemetry, limits=ListenerLimits(waiting_heads=3)) as front:
        slow = []
        for _ in range(4):
            slow.append(await front.dial(b"GET "))
            await trio.testing.wait_all_tasks_blocked(0.02)
        with pytest.raises(trio.BrokenResourceError):  # its bytes were never read: a reset
            await read_all(slow[0])
        answer = await front.ask(GET)
        await slow[-1].send_all(b"/ HTTP/1.1\r\nHost: a\r\n\r\n")
        late = await read_all(slow[-1])
        for stream in slow:
            await stream.aclose()

    assert answer.startswith(b"http ")
    assert late.startswith(b"http ")
    assert telemetry.counters()["listener.head_dropped"] >= 1


async def test_three_hundred_dials_at_once_are_answered_quickly(telemetry: RecordingTelemetry) -> None:
    answers: list[bytes] = []

    async def one(front: Front) -> None:
        answers.append(await front.ask(UPGRADE % b"/app-ws"))

    async with listener_running(telemetry) as front:
        began = time.monotonic()
        async with trio.open_nursery() as dials:
            for _ in range(300):
                dials.start_soon(one, front)
        took_s = time.monotonic() - began

    assert 300 == len(answers) == len(front.engine.adopted)
    assert took_s < 2.0  # measured 0.16 s, the clients' own work included


async def test_two_thousand_connections_from_one_address_are_let_in(telemetry: RecordingTelemetry) -> None:
    """protocol.md 13.8."""
    wanted = 2 * 2000 + 200  # both ends live in this process
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} file descriptors, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    opened = trio.Event()
    connections = 0

    async def hold(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        if connections == 2000:
            opened.set()
        await trio.sleep_forever()

    clients = []
    try:
        async with listener_running(telemetry, http=hold) as front:
            for _ in range(2000):
                client = socket.create_connection(front.address)
                client.send(GET)
                clients.append(client)
                if len(clients) % 100 == 0:
                    await trio.lowlevel.checkpoint()
            with trio.fail_after(10):
                await opened.wait()
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert 2000 == connections


class FaultySocket(socket.socket):
    """A listening socket whose next accepts fail as told."""

    faults: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.faults:
            raise OSError(self.faults.pop(0), "as told")
        return super().accept()


def faulty_listening(*faults: int) -> FaultySocket:
    listening = socket.create_server(("127.0.0.1", 0))
    faulty = FaultySocket(fileno=listening.detach())
    faulty.faults = list(faults)
    return faulty


async def test_running_out_of_descriptors_is_waited_out(telemetry: RecordingTelemetry) -> None:
    listening = faulty_listening(errno.EMFILE, errno.ENFILE)

    async with listener_running(telemetry, listening=listening) as front:
        began = time.monotonic()
        answer = await front.ask(GET)
        paused_s = time.monotonic() - began

    assert answer.startswith(b"http ")
    assert ["EMFILE", "ENFILE"] == [event["cause"] for event in telemetry.of("listener.out_of_resources")]
    assert paused_s >= 2 * ListenerLimits().out_of_resources_s


async def test_running_out_of_descriptors_drops_a_waiting_head(
    telemetry: RecordingTelemetry,
) -> None:
    listening = faulty_listening()

    async with listener_running(telemetry, listening=listening) as front:
        slow = await front.dial(b"GET ")
        while not front.listener.waiting_heads:
            await trio.testing.wait_all_tasks_blocked(0.01)
        listening.faults = [errno.EMFILE]
        answer = await front.ask(GET)
        with pytest.raises(trio.BrokenResourceError):
            await read_all(slow)
        await slow.aclose()

    assert answer.startswith(b"http ")


async def test_dial_that_was_aborted_is_counted_and_passed_over(telemetry: RecordingTelemetry) -> None:
    async with listener_running(
        telemetry, listening=faulty_listening(errno.ECONNABORTED, errno.EPROTO)
    ) as front:
        answer = await front.ask(GET)

    assert answer.startswith(b"http ")
    assert 2 == telemetry.counters()["listener.dial_aborted"]


async def test_error_of_the_listening_socket_itself_is_not_hidden(telemetry: RecordingTelemetry) -> None:
    listening = faulty_listening(errno.EBADF)
    listener = Listener(listening, gates={}, engine=AnsweringEngine(), http=echo_head, telemetry=telemetry)

    with socket.create_connection(listening.getsockname()), pytest.RaisesGroup(OSError):
        await listener.run()


async def test_stop_refuses_dials_at_once_and_lets_requests_finish(telemetry: RecordingTelemetry) -> None:
    may_answer = trio.Event()
    is_over = False

    async def slow_answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await may_answer.wait()
        await stream.send_all(b"done")

    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    listener = Listener(listening, gates={}, engine=AnsweringEngine(), http=slow_answer, telemetry=telemetry)

    async def run() -> None:
        nonlocal is_over
        await listener.run()
        is_over = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        busy = await trio.open_tcp_stream(*address)
        await busy.send_all(GET)
        undecided = await trio.open_tcp_stream(*address)
        await undecided.send_all(b"GET ")
        while telemetry.counters()["listener.accepted"] < 2:
            await trio.testing.wait_all_tasks_blocked(0.01)
        listener.stop_accepting()
        await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream(*address)
        with pytest.raises(trio.BrokenResourceError):
            await read_all(undecided)
        assert not is_over
        may_answer.set()
        assert b"done" == await read_all(busy)
        await busy.aclose()
        await undecided.aclose()

    assert is_over


async def test_peer_of_ipv6_is_named_in_brackets(telemetry: RecordingTelemetry) -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")

    async with listener_running(telemetry, listening=listening) as front:
        front.address = front.address[:2]
        await front.ask(UPGRADE % b"/app-ws")

    assert front.gate.seen[0].peer.startswith("[::1]:")


async def test_paused_listener_lets_dials_wait_and_serves_them_when_it_goes_on(
    telemetry: RecordingTelemetry,
) -> None:
    async with listener_running(telemetry) as front:
        early = await front.dial(GET[:10])
        await trio.testing.wait_all_tasks_blocked(0.01)
        front.listener.pause()
        late = await front.dial(GET)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert 1 == len(front.listener.held), "the other one waits in the backlog"
        assert GET[:10] == front.listener.held[0].recv(100, socket.MSG_PEEK)

        front.listener.resume()
        await early.send_all(GET[10:])

        assert b"http " + GET == await read_all(early)
        assert b"http " + GET == await read_all(late)
        await early.aclose()
        await late.aclose()


async def test_pause_interrupts_a_gate_and_the_next_listener_asks_its_own(
    telemetry: RecordingTelemetry,
) -> None:
    """As in a reload: nobody has taken a byte, so another process can begin from the first one."""
    asked: list[Upgrade] = []

    async def never(upgrade: Upgrade) -> Admitted | Refused:
        asked.append(upgrade)
        await trio.sleep_forever()
        raise AssertionError

    async with listener_running(telemetry, gate=never) as before:
        dial = await before.dial(UPGRADE % b"/app-ws")
        await trio.testing.wait_all_tasks_blocked(0.01)
        before.listener.pause()
        await trio.testing.wait_all_tasks_blocked(0.01)
        (held,) = before.listener.held
        async with listener_running(telemetry, is_paused=True) as after:
            after.listener.hold(held.dup())
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert [] == after.engine.adopted
            after.listener.resume()

            with trio.fail_after(5):
                answer = await dial.receive_some()
            assert b"adopted " + UPGRADE % b"/app-ws" == answer
        await dial.aclose()
    assert 1 == len(asked)
