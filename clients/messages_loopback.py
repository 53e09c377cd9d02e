"""A server that speaks Anthropic's Messages API on this machine, faults included.

It understands nothing: what it answers is a function of what it is asked, by default the last user's text.
The answer may use tools, as a scripted agent does.
What it checks of a request, and how its answers, streams and errors look, is Anthropic's:
`POST /v1/messages` with `anthropic-version` and a key, as `Authorization: Bearer` (its SDK since 2) or
`x-api-key` (before, and by hand), answered whole or as server-sent events. Each fault is one that its users
have met, and is planned for a request to come (`MessagesLoopback.plan`).

`python -m clients.messages_loopback --port 9200` runs it; `anthropic_base_url = "http://127.0.0.1:9200"` and
any `anthropic_api_key` make a Glasshouse use it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import click
import h11
import msgspec
import trio

PATH: Final = "/v1/messages"
_LARGEST_BODY: Final = 32 * 1024 * 1024  # Anthropic's own limit of a request

_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with one request.

    Attributes:
      status: it is answered with this error; `retry_after_s` goes along, `message` says why.
      hangs: it is read, and nothing comes.
      malformed: what comes with a 200 is no JSON, JSON of another kind, or ends in the middle.
      stop_reason: the answer is cut in half and ends for this reason.
      breaks_stream: of a streamed answer: an error event comes in its middle, as Anthropic's overload does.
      delay_s: the answer comes later by this.
    """

    status: int | None = None
    retry_after_s: float | None = None
    message: str = "It failed."
    hangs: bool = False
    malformed: Literal["", "text", "other", "cut"] = ""
    stop_reason: Literal["", "max_tokens", "refusal"] = ""
    breaks_stream: bool = False
    delay_s: float = 0.0


class ToolUse(msgspec.Struct, frozen=True):
    """A piece of an answer: run this tool."""

    name: str
    input: dict[str, Any]


class ToolResult(msgspec.Struct, frozen=True):
    """What became of a tool that an answer had used, as the next request says it."""

    text: str
    is_error: bool


Reply = str | Sequence[str | ToolUse] | Fault
"""An answer's text, or its pieces in order; or what goes wrong with just this request."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as the server saw it.

    Attributes:
      user: the text of the user's last turn.
      tools: the names of those that an answer may use.
      results: of the tools that the last answer used.
    """

    key: str
    version: str
    model: str
    system: str
    user: str
    max_tokens: int
    is_streamed: bool
    tools: tuple[str, ...]
    results: tuple[ToolResult, ...]
    body: dict[str, Any]


class MessagesLoopback:
    """The server's state, for who planned its faults.

    Args:
      reply: what answers a request.
      keys: those that are good; None takes any.
      delay_s: how long every answer takes.

    Attributes:
      url: what `anthropic_base_url` has to be.
      asked: every request that could be understood, in order.
      running: requests that are being answered.
      connections: how many there have been.
    """

    def __init__(
        self,
        reply: Callable[[Asked], Reply] | None = None,
        *,
        keys: frozenset[str] | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.running = 0
        self.connections = 0
        self.keys = keys
        self.delay_s = delay_s
        self._reply: Callable[[Asked], Reply] = reply or (lambda asked: asked.user)
        self._faults: deque[Fault] = deque()
        self._ids = itertools.count(1)

    def plan(self, *faults: Fault) -> None:
        """The next requests have these."""
        self._faults.extend(faults)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection, whatever becomes of it."""
        self.connections += 1
        protocol = h11.Connection(h11.SERVER)
        try:
            while await self._serve_one(protocol, stream):
                protocol.start_next_cycle()
        except (h11.RemoteProtocolError, trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # who dialled went away, or speaks no HTTP; or a fault has closed it
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve_one(self, protocol: h11.Connection, stream: trio.SocketStream) -> bool:
        """Answer one request; False when the connection is over."""
        request, body = await _read(protocol, stream)
        if request is None:
            return False
        self.running += 1
        try:
            await self._answer(request, body, protocol, stream)
        finally:
            self.running -= 1
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE

    async def _answer(
        self, request: h11.Request, body: bytes, protocol: h11.Connection, stream: trio.SocketStream
    ) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        problem = self._refuse(request, headers, body)
        if problem is not None:
            await stream.send_all(self._error(protocol, *problem))
            return
        asked = _asked(headers, body)
        self.asked.append(asked)
        fault = self._faults.popleft() if self._faults else Fault()
        reply = self._reply(asked)
        if isinstance(reply, Fault):
            fault, reply = reply, ""
        await trio.sleep(self.delay_s + fault.delay_s)
        if fault.hangs:
            await trio.sleep_forever()  # until the connection ends, or the server
        if fault.status is not None:
            await stream.send_all(self._error(protocol, fault.status, fault.message, fault.retry_after_s))
            return
        message = self._message(asked, reply, fault)
        if asked.is_streamed:
            await self._stream(message, fault, protocol, stream)
        elif fault.malformed:
            await self._send_malformed(message, fault, protocol, stream)
        else:
            await stream.send_all(_response(protocol, 200, msgspec.json.encode(message), self._headers()))

    def _refuse(self, request: h11.Request, headers: dict[str, str], body: bytes) -> tuple[int, str] | None:
        """What Anthropic would not take. It knows no more than what a client of ours may get wrong."""
        if request.method != b"POST" or request.target.partition(b"?")[0] != PATH.encode():
            return 404, f"There is nothing at {request.target.decode('latin-1')}."
        key = _key_of(headers)
        if not key or (self.keys is not None and key not in self.keys):
            return 401, "invalid x-api-key"
        if "anthropic-version" not in headers:
            return 400, "anthropic-version: header is required"
        try:
            said = msgspec.json.decode(body, type=_Request)
        except msgspec.MsgspecError as error:
            return 400, str(error)
        if said.max_tokens < 1 or not said.messages or said.messages[0].role != "user":
            return 400, "messages: first message must use the user role, max_tokens must be positive"
        return None

    def _message(self, asked: Asked, reply: str | Sequence[str | ToolUse], fault: Fault) -> dict[str, Any]:
        pieces = [reply] if isinstance(reply, str) else list(reply)
        if fault.stop_reason and isinstance(pieces[-1], str):
            pieces[-1] = pieces[-1][: len(pieces[-1]) // 2]
        content = [self._block(piece) for piece in pieces]
        ends = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
        return {
            "id": f"msg_{next(self._ids):024d}",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": content,
            "stop_reason": fault.stop_reason or ends,
            "stop_sequence": None,
            "usage": {
                "input_tokens": _tokens(asked.system + asked.user),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": _tokens(str(pieces)),
                "service_tier": "standard",
            },
        }

    def _block(self, piece: str | ToolUse) -> dict[str, Any]:
        if isinstance(piece, str):
            return {"type": "text", "text": piece}
        return {
            "type": "tool_use",
            "id": f"toolu_{next(self._ids):024d}",
            "name": piece.name,
            "input": piece.input,
        }

    def _error(
        self, protocol: h11.Connection, status: int, message: str, retry_after_s: float | None = None
    ) -> bytes:
        headers = self._headers()
        if retry_after_s is not None:
            headers.append(("retry-after", f"{retry_after_s:g}"))
        body = {
            "type": "error",
            "error": {"type": _ERROR_TYPES.get(status, "api_error"), "message": message},
            "request_id": headers[0][1],
        }
        return _response(protocol, status, msgspec.json.encode(body), headers)

    def _headers(self) -> list[tuple[str, str]]:
        return [("request-id", f"req_{next(self._ids):024d}")]

    async def _send_malformed(
        self, message: dict[str, Any], fault: Fault, protocol: h11.Connection, stream: trio.SocketStream
    ) -> None:
        if fault.malformed == "text":
            await stream.send_all(
                _response(protocol, 200, b"<html>a proxy of somebody's</html>", self._headers())
            )
        elif fault.malformed == "other":
            await stream.send_all(_response(protocol, 200, b'["not","a","message"]', self._headers()))
        else:
            whole = _response(protocol, 200, msgspec.json.encode(message), self._headers())
            await stream.send_all(whole[:-20])
            await trio.aclose_forcefully(stream)

    async def _stream(
        self, message: dict[str, Any], fault: Fault, protocol: h11.Connection, stream: trio.SocketStream
    ) -> None:
        head = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")]
        response = h11.Response(status_code=200, headers=[*head, *self._headers()])
        await stream.send_all(protocol.send(response) or b"")
        for number, event in enumerate(events_of(message)):
            if fault.malformed and number == 3:
                await trio.aclose_forcefully(stream)
                return
            if fault.breaks_stream and number == 3:
                event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            data = f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"
            await stream.send_all(protocol.send(h11.Data(data)) or b"")
            if event["type"] == "error":
                break
        await stream.send_all(protocol.send(h11.EndOfMessage()) or b"")


def events_of(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A message as it is streamed, word by word."""
    usage = {**message["usage"], "output_tokens": 1}
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": usage},
    }
    for index, block in enumerate(message["content"]):
        is_text = block["type"] == "text"
        begun = {**block, "text": ""} if is_text else {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        if index == 0:
            yield {"type": "ping"}
        for delta in _text_deltas(block["text"]) if is_text else _input_deltas(block["input"]):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": {"output_tokens": message["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _text_deltas(text: str) -> Iterator[dict[str, Any]]:
    for number, word in enumerate(text.split(" ")):
        yield {"type": "text_delta", "text": word if number == 0 else f" {word}"}


def _input_deltas(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """JSON in two parts: neither of them can be read alone."""
    whole = msgspec.json.encode(given).decode()
    for part in ("", whole[:1], whole[1:]):
        yield {"type": "input_json_delta", "partial_json": part}


class _Turn(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class _Request(msgspec.Struct):
    model: str
    max_tokens: int
    messages: list[_Turn]
    system: str | list[dict[str, Any]] = ""
    stream: bool = False
    tools: list[dict[str, Any]] = []


def _asked(headers: dict[str, str], body: bytes) -> Asked:
    said = msgspec.json.decode(body, type=_Request)
    last = next(turn for turn in reversed(said.messages) if turn.role == "user")
    return Asked(
        key=_key_of(headers),
        version=headers["anthropic-version"],
        model=said.model,
        system=_text(said.system),
        user=_text(last.content),
        max_tokens=said.max_tokens,
        is_streamed=said.stream,
        tools=tuple(tool.get("name", "") for tool in said.tools),
        results=_results(last.content),
        body=msgspec.json.decode(body),
    )


def _key_of(headers: dict[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content if block.get("type") == "text")


def _results(content: str | list[dict[str, Any]]) -> tuple[ToolResult, ...]:
    if isinstance(content, str):
        return ()
    return tuple(
        ToolResult(_text(block.get("content", "")), block.get("is_error", False))
        for block in content
        if block.get("type") == "tool_result"
    )


def _tokens(text: str) -> int:
    """About what it costs: four characters a token."""
    return max(1, len(text) // 4)


async def _read(protocol: h11.Connection, stream: trio.SocketStream) -> tuple[h11.Request | None, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _LARGEST_BODY:
                return None, b""
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""  # it has ended


def _response(protocol: h11.Connection, status: int, body: bytes, headers: list[tuple[str, str]]) -> bytes:
    head = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    parts = (
        protocol.send(h11.Response(status_code=status, headers=head)),
        protocol.send(h11.Data(body)),
        protocol.send(h11.EndOfMessage()),
    )
    return b"".join(part for part in parts if part)


@asynccontextmanager
async def open_messages_loopback(
    loopback: MessagesLoopback, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[MessagesLoopback]:
    """Serve inside the block; `loopback.url` is known there. Connections end with it."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(port, host=host)
        loopback.url = f"http://{host}:{listeners[0].socket.getsockname()[1]}"
        nursery.start_soon(trio.serve_listeners, loopback.serve, listeners)
        yield loopback
        nursery.cancel_scope.cancel()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9200, show_default=True)
@click.option("--answer", default="", help="What every request is answered with; its own text where empty.")
@click.option("--delay-s", default=0.3, show_default=True, help="How long an answer takes.")
def main(host: str, port: int, answer: str, delay_s: float) -> None:
    """Speak Anthropic's Messages API on this machine."""
    loopback = MessagesLoopback((lambda _: answer) if answer else None, delay_s=delay_s)

    async def run() -> None:
        async with open_messages_loopback(loopback, host=host, port=port):
            click.echo(f"listening on {loopback.url}")
            await trio.sleep_forever()

    trio.run(run)


if __name__ == "__main__":
    main()
