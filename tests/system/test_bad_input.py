"""Nonsense, lies and dead app servers: each gets its answer, a line and a counter, and harms nobody else.

One server for all of it. A second wearer reads captions the whole time, and after every test it is checked
that nothing happened to that session and that nothing a peer sent could forge a line of the log.
"""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import trio

from clients.socket import DisconnectedError, Socket
from config.data_directory import SECRET_NAME
from protocols import from_app, from_phone, to_app, to_phone
from tests.adapters.websocket.peers import BINARY, CLOSE, TEXT, RawPeer, close_payload, frame
from tests.system.peers import app, dialled, press_until_shown, refusal, wearer
from tests.system.server import PATIENCE_S, Server
from tests.system.witness import Witness

MALLORY = "mallory@example.org"
PACKAGE = "org.example.victim"
SESSION_ID = f"{MALLORY}-{PACKAGE}"

FORGED = "\n2026-01-01T00:00:00.000Z error   forged cause=none"
HOSTILE = f"\x1b[31mred\x07\r{FORGED}\u2028\u202e"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) +(?!forged)\w")

PHONE_NONSENSE = {
    "cut short": '{"type": "start_app", "packa',
    "no object": "[1, 2]",
    "no type": "{}",
    "type is no text": '{"type": 7}',
    "unknown type": json.dumps({"type": HOSTILE}),
    "field of another kind": '{"type": "button_press", "buttonId": {}, "pressType": []}',
    "half a character": '{"type": "\\ud800"}',
    "too deep": "[" * 200_000,
    "empty": "",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(
        tmp_path_factory.mktemp("bad-input"),
        "display.boot_screen_s=0.1",
        "lifecycle.webhook_retry_s=0.1",
        "lifecycle.connect_s=3",
        "listener.head_s=1",
        "front_door.init_s=1",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def witness(server: Server) -> Iterator[Witness]:
    witness = Witness(server, "grace@example.org", "org.example.captions")
    with witness.running():
        yield witness
    assert witness.sent_frames == witness.app.audio_frames


@pytest.fixture(autouse=True)
def others_are_safe(server: Server, witness: Witness) -> Iterator[None]:
    """After each test: the witness reads on, and every line of the log is the server's own."""
    yield
    witness.goes_on()
    lines = server.log().splitlines()
    assert [] == [line for line in lines if not (LINE.match(line) and line.isprintable())]


def phone_upgrade(server: Server) -> bytes:
    return upgrade_request(f"/glasses-ws?token={server.token(MALLORY)}")


def upgrade_request(target: str) -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: cloud\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def raw_peer(server: Server) -> RawPeer:
    return RawPeer(await trio.open_tcp_stream("127.0.0.1", server.port))


async def read_on(socket: Socket) -> None:
    """Until it ends."""
    while True:
        await socket.receive()


async def close_code(peer: RawPeer) -> int:
    """The code of the close frame that comes."""
    while True:
        opcode, payload = await peer.receive()
        if opcode == CLOSE:
            return int(struct.unpack("!H", payload[:2])[0])


async def answered(server: Server, data: bytes) -> tuple[str, dict[str, Any]]:
    """What the server says to `data` before it hangs up: the status line and the JSON."""
    peer = await raw_peer(server)
    await peer.send(data)
    head, _, body = (await peer.receive_rest()).partition(b"\r\n\r\n")
    await peer.stream.aclose()
    return head.split(b"\r\n")[0].decode(), json.loads(body)


# ---------------------------------------------------------------------------------------------------------
# Messages


async def test_nonsense_of_a_phone_is_counted_and_not_answered(server: Server) -> None:
    before = await server.counter("phone_message_malformed")
    async with dialled(f"{server.url}/glasses-ws?token={server.token(MALLORY)}") as phone:
        while not isinstance(to_phone.decode(str(await phone.receive()).encode()), to_phone.AppStateChange):
            pass  # the greeting: ack and list
        for nonsense in PHONE_NONSENSE.values():
            await phone.send(nonsense)
        await phone.send(from_phone.encode(from_phone.Ping()).decode())
        answers = []
        while (answer := str(await phone.receive())) != '{"type":"pong"}':
            answers.append(json.loads(answer)["type"])

    assert {"microphone_state_change", "ping"} >= set(answers)
    assert len(PHONE_NONSENSE) == await server.counter("phone_message_malformed") - before
    await server.log_line("phone_message_malformed", f"user={MALLORY}", "[31mred", "forged")


async def test_nonsense_of_an_app_is_answered_once_a_second_and_closes_nothing(server: Server) -> None:
    async with app(server, PACKAGE) as running, wearer(server, MALLORY) as phone:
        await phone.start_app(PACKAGE)
        await press_until_shown(phone, "one")
        (session,) = running.sessions.values()
        errors: list[str] = []
        session.events.on_error(lambda error: errors.append(str(error)))
        before = await server.counter("app_message_malformed")
        for _ in range(20):
            session.send(from_app.TpaConnectionInit(session_id="", package_name="", api_key=""))
        session.send(from_app.AppBroadcastMessage())
        socket = session._socket
        assert socket is not None
        for nonsense in ("{", json.dumps({"type": HOSTILE}), "[" * 200_000):
            await socket.send(nonsense)
        await press_until_shown(phone, "two")
        count = await server.counter("app_message_malformed") - before

        assert 3 <= count
        assert 1 <= len(errors) <= 2
        assert errors[0].startswith("MALFORMED_MESSAGE: ")
        assert 1 == len(running.started)
        await phone.stop_app(PACKAGE)
        await phone.wait_for(lambda glasses: glasses.running_apps == (), timeout_s=PATIENCE_S)
    await server.log_line("app_message_malformed", f"package={PACKAGE}", "forged")


async def test_stranger_on_the_apps_path_is_told_and_closed_when_its_init_is_overdue(server: Server) -> None:
    async with dialled(f"{server.url}/app-ws") as stranger:
        for nonsense in ("{", json.dumps({"type": HOSTILE}), '{"type": "subscription_update"}'):
            await stranger.send(nonsense)
        first = to_app.decode(str(await stranger.receive()).encode())
        with pytest.raises(DisconnectedError) as ended:
            await read_on(stranger)

    assert isinstance(first, to_app.TpaConnectionError)
    assert "MALFORMED_MESSAGE" == first.code
    assert 1008 == ended.value.code
    await server.log_line("app_init_overdue")


@pytest.mark.parametrize("path", ["glasses", "app"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bytes([0x80 | BINARY, 0x80 | 127]) + struct.pack("!Q", 16 * 1024 * 1024 + 1) + bytes(4), 1009),
        (frame(TEXT, b'{"type": "ping", "x": "\xff\xfe"}'), 1007),
    ],
    ids=["over-16-mib", "not-utf8"],
)
async def test_message_that_is_none_is_closed_with_its_code(
    server: Server, path: str, data: bytes, code: int
) -> None:
    before = await server.counter("websocket.failed")
    peer = await raw_peer(server)
    await peer.upgrade(phone_upgrade(server) if path == "glasses" else upgrade_request("/app-ws"))

    await peer.send(data)

    assert code == await close_code(peer)
    await peer.stream.aclose()
    assert 1 == await server.counter("websocket.failed") - before
    await server.log_line("websocket.failed", f"code={code}", "cause=")


async def test_reason_of_a_close_is_logged_escaped(server: Server) -> None:
    peer = await raw_peer(server)
    await peer.upgrade(phone_upgrade(server))

    await peer.send(frame(CLOSE, close_payload(4000, HOSTILE)))

    assert 4000 == await close_code(peer)
    await peer.stream.aclose()
    await server.log_line("phone_lost", f"user={MALLORY}", "code=4000", "forged")


# ---------------------------------------------------------------------------------------------------------
# Who somebody is


async def test_wrong_token_is_refused_with_401_and_its_reason(server: Server) -> None:
    secret = (server.data / SECRET_NAME).read_text().strip()
    nobody = jwt.encode({"organizations": []}, secret, algorithm="HS256")
    forged = jwt.encode({"email": MALLORY}, "another secret of thirty-two bytes or more", algorithm="HS256")
    before = await server.counter("phone_refused")

    refusals = []
    for query in ("", f"?token={forged}", f"?token={quote(HOSTILE)}", f"?token={nobody}"):
        refused = await refusal(f"{server.url}/glasses-ws{query}")
        body = json.loads(refused.body)
        refusals.append((refused.status, body["type"], body["message"]))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", body["timestamp"])

    assert [
        (401, "connection_error", "No core token provided"),
        (401, "connection_error", "Invalid core token"),
        (401, "connection_error", "Invalid core token"),
        (401, "connection_error", "Invalid core token - no user ID"),
    ] == refusals
    assert 4 == await server.counter("phone_refused") - before
    assert all("cause=" in line for line in server.logged("phone_refused"))


async def present(server: Server, **init: str) -> tuple[to_app.TpaConnectionError, DisconnectedError]:
    """Dial as an app; what it is told, and how it is closed."""
    fields = {"session_id": SESSION_ID, "package_name": PACKAGE, "api_key": "key", **init}
    async with dialled(f"{server.url}/app-ws") as socket:
        await socket.send(from_app.encode(from_app.TpaConnectionInit(**fields)).decode())
        told = to_app.decode(str(await socket.receive()).encode())
        with pytest.raises(DisconnectedError) as ended:
            await socket.receive()
    assert isinstance(told, to_app.TpaConnectionError)
    return told, ended.value


@pytest.mark.parametrize(
    ("init", "error", "reason"),
    [
        ({"api_key": HOSTILE}, "INVALID_API_KEY", "Invalid API key"),
        ({"package_name": f"org.unknown.{HOSTILE}"}, "INVALID_API_KEY", "Invalid API key"),
        ({"session_id": HOSTILE}, "MALFORMED_MESSAGE", "Invalid session ID format"),
        ({"session_id": f"nobody@example.org-{PACKAGE}"}, "SESSION_NOT_FOUND", "Session not found"),
        ({}, "APP_NOT_STARTED", "App not started for this session"),
    ],
    ids=["wrong-key", "unknown-app", "session-id", "no-session", "not-started"],
)
async def test_app_that_has_no_business_here_is_refused_for_good(
    server: Server, init: dict[str, str], error: str, reason: str
) -> None:
    await server.add_app(PACKAGE, "http://127.0.0.1:1")
    counted = {"APP_NOT_STARTED": "app_refused", "SESSION_NOT_FOUND": "app_without_session"}
    counter = counted.get(error, "app_refused")
    before = await server.counter(counter)

    async with wearer(server, MALLORY):
        told, ended = await present(server, **init)

    assert error == told.code
    assert (1008, reason) == (ended.code, ended.reason)
    assert 1 == await server.counter(counter) - before
    await server.log_line(counter, f"package={PACKAGE}" if "package_name" not in init else "forged")


# ---------------------------------------------------------------------------------------------------------
# App servers


async def refused_start(server: Server, package: str) -> str | None:
    """Start an app that cannot start; the error of the announcement, once it is off the list again."""
    async with wearer(server, MALLORY) as phone:
        await phone.start_app(package)
        changes: list[to_phone.AppStateChange] = []

        def is_over(_: object) -> bool:
            heard = [one.message for one in phone.received]
            changes[:] = [one for one in heard if isinstance(one, to_phone.AppStateChange)]
            was_loading = any(one.user_session.loading_apps == (package,) for one in changes)
            return bool(changes[-1:]) and (
                changes[-1].error is not None or (was_loading and changes[-1].user_session.loading_apps == ())
            )

        await phone.wait_for(is_over, timeout_s=PATIENCE_S)
        assert () == phone.running_apps
        return changes[-1].error


async def test_start_of_an_unknown_app_is_announced_as_such(server: Server) -> None:
    before = await server.counter("app_start_failed")

    error = await refused_start(server, f"org.unknown.{HOSTILE}")

    assert error is not None
    assert "is not known" in error
    assert 1 == await server.counter("app_start_failed") - before
    await server.log_line("app_start_failed", "forged", 'cause="not in the catalogue"')


async def test_app_server_that_is_down_fails_the_start_with_its_cause(server: Server) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: a dial is refused
        await server.add_app(PACKAGE, f"http://127.0.0.1:{held.getsockname()[1]}")
        before = await server.counter("app_start_failed")

        await refused_start(server, PACKAGE)

    assert 1 == await server.counter("app_start_failed") - before
    await server.log_line("app_start_failed", f"package={PACKAGE}", "stage=CONNECTION", "refused")


async def test_webhook_that_answers_500_is_tried_twice_and_fails_the_start(server: Server) -> None:
    async with app(server, PACKAGE) as broken:
        broken.webhook_status = 500
        before = await server.counter("app_start_failed")

        await refused_start(server, PACKAGE)

        assert ["session_request"] * 2 == broken.webhooks[:2]
    assert 1 == await server.counter("app_start_failed") - before
    await server.log_line("app_start_failed", "stage=WEBHOOK", "answered with 500")


async def test_app_server_that_never_answers_fails_the_start_in_time(server: Server) -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _swallow, [listener])
        await server.add_app(PACKAGE, f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        before = await server.counter("app_start_failed")

        await refused_start(server, PACKAGE)
        nursery.cancel_scope.cancel()

    assert 1 == await server.counter("app_start_failed") - before
    await server.log_line("app_start_failed", "stage=TIMEOUT", "no socket 3 s after the webhook")


async def _swallow(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


# ---------------------------------------------------------------------------------------------------------
# The port


@pytest.mark.parametrize(
    ("data", "status", "cause"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "a TLS hello on a plain HTTP port"),
        (b"\xff\x00\x1b[31m" + FORGED.encode(), 400, "this is not an HTTP request"),
        (f"GET /{HOSTILE} HTTP/1.1\r\n\r\n".encode(), 400, "malformed request head"),
        (b"GET /health HTTP/1.1\r\nHost: cl", 408, "no complete request head in time"),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000, 431, "request head too large"),
    ],
    ids=["tls", "garbage", "hostile-path", "slow-head", "huge-head"],
)
async def test_bytes_that_are_no_request_are_answered_with_the_cause(
    server: Server, data: bytes, status: int, cause: str
) -> None:
    before = await server.counter("listener.bad_head")

    line, body = await answered(server, data)

    assert line.startswith(f"HTTP/1.1 {status} ")
    assert (False, cause, "cloud") == (body["success"], body["message"], body["hop"])
    assert 1 == await server.counter("listener.bad_head") - before
    await server.log_line("listener.bad_head", f"status={status}", f'cause="{cause}"')


async def test_unknown_paths_are_404_and_cannot_write_to_the_log(server: Server) -> None:
    hostile = quote(HOSTILE)

    answer = await server.request("GET", f"/nowhere/{hostile}")
    refused = await refusal(f"{server.url}/nowhere-ws/{hostile}")

    assert 404 == answer.status == refused.status
    assert "Not Found" == json.loads(answer.body)["message"]
    await server.log_line("listener.unknown_path", "path=")
