"""Where Claude Code's hooks call: HTTP on loopback, for one agent, with a secret of its own.

A permission request is held until it is replied to. A program that breaks the connection off meanwhile does
not wait for the reply any more.
"""

from __future__ import annotations

import hmac
import itertools
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import h11
import msgspec
import trio

from actors.desktop_daemon.claude_hooks import NO_DECISION, PermissionRequest, read_hook
from actors.desktop_daemon.terminal_facts import HookHeard, HookLost

MOST_BODY_BYTES: Final = 16 * 1024 * 1024
"""A hook holds what a tool was given and what it said."""

READ_S: Final = 30.0


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class HookListener:
    """Listens from `start` on, until the nursery is cancelled.

    Args:
      tell: what is heard goes here, in order.

    Attributes:
      url: where to call; known after `start`.
      secret: what has to be in `Authorization: Bearer`.
    """

    def __init__(self, tell: Callable[[HookHeard | HookLost], None]) -> None:
        self.url = ""
        self.secret = secrets.token_hex(32)
        self._tell = tell
        self._numbers = itertools.count(1)
        self._held: dict[int, tuple[trio.Event, list[bytes]]] = {}

    async def start(self, nursery: trio.Nursery) -> None:
        """Listen on a free port of loopback."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hook"
        nursery.start_soon(trio.serve_listeners, self._serve, listeners)

    def reply(self, number: int, body: bytes) -> None:
        """Answer a request that is held; nothing happens where it is not held any more."""
        held = self._held.pop(number, None)
        if held is not None:
            held[1].append(body)
            held[0].set()

    async def _serve(self, stream: trio.SocketStream) -> None:
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=65_536)
        try:
            while await self._serve_one(protocol, stream):
                protocol.start_next_cycle()
        except (h11.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # who calls went away, or speaks no HTTP
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve_one(self, protocol: h11.Connection, stream: trio.SocketStream) -> bool:
        try:
            body = await self._read(protocol, stream)
        except _RefusedError as refused:
            await _send(protocol, stream, refused.status, NO_DECISION)
            return False
        if body is None:
            return False
        await _send(protocol, stream, 200, await self._take(body, stream))
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE

    async def _read(self, protocol: h11.Connection, stream: trio.SocketStream) -> bytes | None:
        """The body of the next request; None when there is none."""
        body = bytearray()
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                with trio.fail_after(READ_S if body else float("inf")):
                    protocol.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                if not self._is_ours(event):
                    raise _RefusedError(401)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MOST_BODY_BYTES:
                    raise _RefusedError(413)
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                return None

    def _is_ours(self, request: h11.Request) -> bool:
        given = dict(request.headers).get(b"authorization", b"")
        return hmac.compare_digest(given, f"Bearer {self.secret}".encode())

    async def _take(self, body: bytes, stream: trio.SocketStream) -> bytes:
        """What a call is answered with."""
        try:
            event = read_hook(body)
        except msgspec.DecodeError:
            return NO_DECISION  # one of another version
        number = next(self._numbers)
        if isinstance(event, PermissionRequest):
            return await self._hold(number, event, stream)
        self._tell(HookHeard(number, event))
        return NO_DECISION

    async def _hold(self, number: int, event: PermissionRequest, stream: trio.SocketStream) -> bytes:
        is_decided, said = self._held[number] = (trio.Event(), [])
        self._tell(HookHeard(number, event))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_gone, stream, nursery.cancel_scope)
            await is_decided.wait()
            nursery.cancel_scope.cancel()
        if said:
            return said[0]
        del self._held[number]
        self._tell(HookLost(number))
        raise trio.BrokenResourceError

    async def _until_gone(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()  # it has said all that it has to say, so this is its end
        scope.cancel()


async def _send(protocol: h11.Connection, stream: trio.SocketStream, status: int, body: bytes) -> None:
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    parts = (
        protocol.send(h11.Response(status_code=status, headers=headers)),
        protocol.send(h11.Data(body)),
        protocol.send(h11.EndOfMessage()),
    )
    await stream.send_all(b"".join(part for part in parts if part))
