"""The few lines of HTTP that an app server needs, on h11: keep-alive, limits, deadlines."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Final

import h11
import trio

BODY_LIMIT_BYTES: Final = 1024 * 1024
HEAD_LIMIT_BYTES: Final = 16 * 1024
REQUEST_TIMEOUT_S: Final = 10.0  # for an unused connection as well

Answer = Callable[[str, str, bytes], Awaitable[tuple[int, bytes]]]
"""Takes method, path and body; gives status and JSON."""


async def serve(
    answer: Answer, host: str, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; `nursery.start` returns the port."""
    listeners = await trio.open_tcp_listeners(port, host=host)
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(functools.partial(serve_connection, answer), listeners)


async def serve_connection(answer: Answer, stream: trio.abc.Stream) -> None:
    """Answer the requests of one connection, one after the other, until it or its time ends."""
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)
    async with stream:
        try:
            while True:
                with trio.fail_after(REQUEST_TIMEOUT_S):
                    request = await _read_request(protocol, stream)
                if request is None:
                    return
                status, body = await answer(*request)
                await _send(protocol, stream, status, body)
                if protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE:
                    return
                protocol.start_next_cycle()
        except h11.RemoteProtocolError as error:
            if protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send(protocol, stream, error.error_status_hint, b'{"status":"error"}')
        except (trio.BrokenResourceError, trio.TooSlowError):
            return


async def _read_request(protocol: h11.Connection, stream: trio.abc.Stream) -> tuple[str, str, bytes] | None:
    method = path = ""
    body = bytearray()
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            if protocol.they_are_waiting_for_100_continue:
                go_on = protocol.send(h11.InformationalResponse(status_code=100, headers=[]))
                await stream.send_all(go_on or b"")
            protocol.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Request):
            method, path = event.method.decode(), event.target.decode().partition("?")[0]
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT_BYTES:
                raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            return method, path, bytes(body)
        else:
            return None  # the client has closed


async def _send(protocol: h11.Connection, stream: trio.abc.Stream, status: int, body: bytes) -> None:
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    head = protocol.send(h11.Response(status_code=status, headers=headers))
    data = protocol.send(h11.Data(body))
    end = protocol.send(h11.EndOfMessage())
    await stream.send_all(b"".join(part for part in (head, data, end) if part))
