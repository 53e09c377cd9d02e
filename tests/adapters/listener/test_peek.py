"""Waiting for a head on a real socket: nothing is taken, and a slow sender costs nothing."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from adapters.listener.head import BadHead, Head
from adapters.listener.peek import await_head

REQUEST = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and the accepted socket, connected over TCP on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted, _ = listening.accept()
    accepted.setblocking(False)
    with client, accepted:
        yield client, accepted


async def test_head_is_read_and_every_byte_left(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    client.send(REQUEST + b"body")

    head = await await_head(accepted)

    assert isinstance(head, Head)
    assert head.path == "/health"
    assert accepted.recv(1000) == REQUEST + b"body"


async def test_slow_sender_makes_no_busy_loop(
    pair: tuple[socket.socket, socket.socket], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, accepted = pair
    wakeups = 0
    wait_readable = trio.lowlevel.wait_readable

    async def counted(sock: socket.socket) -> None:
        nonlocal wakeups
        await wait_readable(sock)
        wakeups += 1

    monkeypatch.setattr(trio.lowlevel, "wait_readable", counted)
    heads: list[Head | BadHead | None] = []

    async def reader() -> None:
        heads.append(await await_head(accepted))
        done.set()

    done = trio.Event()
    nursery.start_soon(reader)
    for byte in REQUEST[:10]:
        client.send(bytes([byte]))
        await trio.testing.wait_all_tasks_blocked(0.01)
    used_s = time.process_time()
    with trio.fail_after(5):
        await trio.testing.wait_all_tasks_blocked(0.1)  # returns only if the reader rests for so long
    client.send(REQUEST[10:])
    await done.wait()

    assert isinstance(heads[0], Head)
    assert wakeups <= 11
    assert time.process_time() - used_s < 0.05
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    assert accepted.recv(1000) == REQUEST


async def test_bytes_that_wait_alone_are_still_noticed_after_a_cancelled_wait(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = pair
    client.send(b"GET ")

    with trio.move_on_after(0.05):
        await await_head(accepted)

    with trio.fail_after(1):
        await trio.lowlevel.wait_readable(accepted)
    assert accepted.recv(10) == b"GET "


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost"])
async def test_end_before_the_head_is_no_head(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    client, accepted = pair
    client.send(sent)
    heads: list[Head | BadHead | None] = []

    async def reader() -> None:
        heads.append(await await_head(accepted))

    with trio.fail_after(5):
        async with trio.open_nursery() as readers:
            readers.start_soon(reader)
            await trio.testing.wait_all_tasks_blocked(0.01)
            client.shutdown(socket.SHUT_WR)

    assert heads == [None]


async def test_half_closed_peer_is_still_read(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = pair
    client.send(REQUEST)
    client.shutdown(socket.SHUT_WR)

    assert isinstance(await await_head(accepted), Head)


async def test_reset_is_no_head(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

    assert await await_head(accepted) is None


async def test_socket_without_a_low_water_mark_is_paused_not_spun(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A unix socket wakes for what was seen already, as TCP may when the kernel is short of memory."""
    client, accepted = socket.socketpair()
    accepted.setblocking(False)
    peeks = 0

    class Counted(socket.socket):
        def recv(self, size: int, flags: int = 0) -> bytes:
            nonlocal peeks
            peeks += 1
            return super().recv(size, flags)

    with client, Counted(fileno=accepted.detach()) as counted:
        client.send(b"GET ")
        with trio.move_on_after(1):
            await await_head(counted)

    assert 2 < peeks < 30
