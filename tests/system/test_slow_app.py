"""An app that has stopped reading its socket: its own problem, named in the log, and soon over."""

from __future__ import annotations

import functools
import socket
from pathlib import Path

import trio

from protocols import from_phone
from protocols.envelope import encode
from protocols.from_app import SubscriptionUpdate, TpaConnectionInit
from tests.adapters.websocket.peers import TEXT, RawPeer, frame
from tests.system.peers import app, press_until_shown, wearer
from tests.system.server import PATIENCE_S, Server, eventually

PACKAGE = "org.example.sleepy"
ADA = "ada@example.org"

UPGRADE = (
    b"GET /app-ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def sleepy(server: Server, wanted: str = "calendar_event") -> RawPeer:
    """A socket of the app's that asks for calendar events, or something else, and takes next to none."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(("127.0.0.1", server.port))
    peer = RawPeer(trio.SocketStream(sock))
    await peer.upgrade(UPGRADE)
    init = TpaConnectionInit(session_id=f"{ADA}-{PACKAGE}", package_name=PACKAGE, api_key="key")
    wish = SubscriptionUpdate(subscriptions=(wanted,), package_name=PACKAGE)
    await peer.send(frame(TEXT, encode(init)) + frame(TEXT, encode(wish)))
    return peer


async def test_an_app_that_never_reads_is_closed_and_logged_with_the_reason(tmp_path: Path) -> None:
    with Server.start(
        tmp_path,
        "display.boot_screen_s=0.1",
        "engine.control_limit_bytes=131072",
        "engine.close_timeout_s=0.5",
        "lifecycle.grace_s=1",
    ) as server:
        async with app(server, PACKAGE) as running, wearer(server, ADA) as phone:
            await phone.start_app(PACKAGE)
            await press_until_shown(phone, "one")
            peer = await sleepy(server)
            for number in range(30):
                event = from_phone.CalendarEvent(event_id=str(number), title="x" * 40_000)
                await phone.send(event)
                await trio.sleep(0.01)

            await server.log_line("websocket.peer_too_slow", "control messages pile up")
            await server.log_line(
                "app_socket_lost", f"user={ADA}", f"package={PACKAGE}", "control messages pile up"
            )
            await press_until_shown(phone, "two")  # the wearer goes on with the app's next socket
            await eventually(lambda: len(running.started) >= 2, PATIENCE_S)
            await peer.stream.aclose()

    assert 1 == len(server.logged("websocket.peer_too_slow"))


async def test_an_app_too_slow_for_audio_loses_its_oldest_and_is_told_and_others_get_all(
    tmp_path: Path,
) -> None:
    with Server.start(tmp_path, "display.boot_screen_s=0.1") as server:
        async with (
            app(server, PACKAGE) as running,
            app(server, "org.example.awake") as awake,
            wearer(server, ADA) as phone,
        ):
            await phone.start_app(PACKAGE)
            await phone.start_app("org.example.awake")
            await eventually(lambda: bool(running.started) and bool(awake.started), PATIENCE_S)
            peer = await sleepy(server, "audio_chunk")
            await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)
            before = awake.audio_frames

            async with trio.open_nursery() as nursery:
                nursery.start_soon(functools.partial(phone.play, bytes(32_000 * 8), chunk_ms=100))
                await server.log_line("app_too_slow_for_audio", f"user={ADA}", f"package={PACKAGE}")
                frames_when_told = awake.audio_frames - before
            await eventually(lambda: awake.audio_frames - before >= 80, PATIENCE_S)

            assert 80 == awake.audio_frames - before, "who reads gets every frame"
            assert frames_when_told < 70, "it is told while it happens, not with its next ping"
            kept = bytearray()
            told = b""
            with trio.fail_after(PATIENCE_S):
                while b"AUDIO_DROPPED" not in told:
                    opcode, payload = await peer.receive()
                    if opcode == TEXT:
                        told += payload
                    else:
                        kept += payload
            assert len(kept) < 32_000 * 7
            await peer.stream.aclose()
