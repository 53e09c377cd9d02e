"""The calls of a cloud beside the webhook."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing

from clients.app_sdk import AppServer
from protocols import webhooks
from tests.clients.captions_app import (
    PACKAGE,
    Call,
    Captions,
    request,
)
from tests.clients.scripted_cloud import ScriptedCloud


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("POST", "/webhook", b"", 400, {"status": "error"}),
        ("POST", "/webhook", b'{"type":"other"}', 400, {"status": "error"}),
        ("POST", "/webhook", request(other="x"), 400, {"status": "error", "message": "no WebSocket URL"}),
        ("POST", "/settings", b"{}", 400, {"status": "error"}),
        ("POST", "/tool", b"{}", 500, {"status": "error"}),
        ("GET", "/tool", b"", 200, {"status": "success"}),
        ("GET", "/health", b"", 200, {"status": "healthy", "app": PACKAGE, "activeSessions": 0}),
        ("GET", "/webhook", b"", 404, {"status": "error"}),
        ("GET", "/", b"", 404, {"status": "error"}),
    ],
)
async def test_a_call_gets_the_answer_the_protocol_names(
    cloud: ScriptedCloud,
    app: Captions,
    method: str,
    path: str,
    body: bytes,
    status: int,
    answer: dict[str, object],
) -> None:
    got = await app.handle(method, path, body)

    assert status == got[0]
    assert answer.items() <= msgspec.json.decode(got[1]).items()


@pytest.mark.parametrize(("reply", "expected"), [("done", "done"), (None, None)])
async def test_a_tool_call_is_answered(
    cloud: ScriptedCloud, app: Captions, reply: str | None, expected: str | None
) -> None:
    calls = []

    @app.handler
    async def on_tool_call(call: webhooks.ToolCall) -> str | None:
        calls.append(call)
        return reply

    body = b'{"toolId":"t","toolParameters":{"a":1},"userId":"ada@example.org","timestamp":"x"}'
    status, answer = await app.handle("POST", "/tool", body)

    assert (200, {"status": "success", "reply": expected}) == (status, msgspec.json.decode(answer))
    assert ["t"] == [call.tool_id for call in calls]


async def test_an_app_that_is_not_given_on_tool_call_replies_nothing(
    cloud: ScriptedCloud, app: Captions
) -> None:
    body = b'{"toolId":"t","toolParameters":{},"userId":"ada@example.org","timestamp":"x"}'

    assert (200, b'{"status":"success","reply":null}') == await app.handle("POST", "/tool", body)


async def test_a_plain_app_server_does_nothing_and_says_so(
    cloud: ScriptedCloud, nursery: trio.Nursery
) -> None:
    app = AppServer(PACKAGE, "key", port=None, connect=cloud.connect)
    await nursery.start(app.run)
    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.acknowledge_app()

    assert 200 == (await call.result())[0]
    await peer.close(1000)
    await trio.sleep(1)
    assert {} == app.sessions


def test_a_handler_of_an_unknown_name_is_refused() -> None:
    app = AppServer(PACKAGE, "key")

    async def on_sesion() -> None:
        raise AssertionError

    with pytest.raises(ValueError, match="on_sesion: choose on_session, on_stop or on_tool_call"):
        app.handler(on_sesion)
