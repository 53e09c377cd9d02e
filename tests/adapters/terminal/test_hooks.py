"""The listener of Claude Code's hooks, called as the program calls it, and as others might."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import msgspec
import pytest
import trio

from actors.desktop_daemon.claude_hooks import NO_DECISION, PermissionRequest, Stop, allow, hook_answer
from actors.desktop_daemon.terminal_facts import HookHeard, HookLost
from adapters.terminal import hooks
from adapters.terminal.hooks import HookListener
from clients.network import HttpAnswer, open_stream
from clients.network import request as http_request

STOP = msgspec.json.encode({"hook_event_name": "Stop", "last_assistant_message": "Done."})
ASKS = msgspec.json.encode({"hook_event_name": "PermissionRequest", "tool_name": "Bash", "tool_input": {}})


class Heard:
    """What a listener has told."""

    def __init__(self) -> None:
        self.facts: list[HookHeard | HookLost] = []
        self._news = trio.Event()

    def tell(self, fact: HookHeard | HookLost) -> None:
        self.facts.append(fact)
        self._news.set()

    async def until(self, count: int) -> None:
        with trio.fail_after(10):
            while len(self.facts) < count:
                self._news = trio.Event()
                await self._news.wait()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[HookListener, Heard]]:
    heard = Heard()
    listener = HookListener(heard.tell)
    async with trio.open_nursery() as nursery:
        await listener.start(nursery)
        yield listener, heard
        nursery.cancel_scope.cancel()


async def call(listener: HookListener, body: bytes, *, secret: str | None = None) -> HttpAnswer:
    headers = {"authorization": f"Bearer {listener.secret if secret is None else secret}"}
    return await http_request("POST", listener.url, connect=open_stream, body=body, headers=headers)


async def test_a_hook_is_told_and_answered_at_once() -> None:
    async with listening() as (listener, heard):
        answer = await call(listener, STOP)

    assert (200, NO_DECISION) == (answer.status, answer.body)
    assert [HookHeard(1, Stop("Done."))] == heard.facts


async def test_a_permission_waits_for_its_reply() -> None:
    answers: list[HttpAnswer] = []
    async with listening() as (listener, heard), trio.open_nursery() as nursery:

        async def ask() -> None:
            answers.append(await call(listener, ASKS))

        nursery.start_soon(ask)
        await heard.until(1)
        asked = heard.facts[0]
        assert isinstance(asked, HookHeard)
        assert isinstance(asked.event, PermissionRequest)
        assert [] == answers
        listener.reply(asked.number, hook_answer(allow()))
        listener.reply(asked.number, b"late")

    assert (200, hook_answer(allow())) == (answers[0].status, answers[0].body)


async def test_who_does_not_wait_any_more_is_told() -> None:
    async with listening() as (listener, heard):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, listener, ASKS)
                await heard.until(1)
                scope.cancel()
        await heard.until(2)
        listener.reply(1, hook_answer(allow()))

    assert [HookHeard, HookLost] == [type(fact) for fact in heard.facts]
    assert 1 == heard.facts[1].number


@pytest.mark.parametrize("secret", ["wrong", "x" * 64])
async def test_who_has_not_the_secret_is_not_heard(secret: str) -> None:
    async with listening() as (listener, heard):
        answer = await call(listener, STOP, secret=secret)

    assert 401 == answer.status
    assert [] == heard.facts


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b'{"hook_event_name":"Later"}', b"\xff"])
async def test_a_hook_of_another_version_is_answered_and_not_told(body: bytes) -> None:
    async with listening() as (listener, heard):
        answer = await call(listener, body)

    assert (200, NO_DECISION) == (answer.status, answer.body)
    assert [] == heard.facts


async def test_a_body_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MOST_BODY_BYTES", 1000)
    async with listening() as (listener, heard):
        answer = await call(listener, b"x" * 2000)

    assert 413 == answer.status
    assert [] == heard.facts


async def test_what_speaks_no_http_ends_its_own_connection_alone() -> None:
    async with listening() as (listener, heard):
        port = int(listener.url.rpartition(":")[2].partition("/")[0])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"\x16\x03\x01 no http\r\n\r\n")
            while await stream.receive_some():
                pass
        answer = await call(listener, STOP)

    assert 200 == answer.status
    assert 1 == len(heard.facts)


async def test_one_connection_brings_many_hooks() -> None:
    protocol = h11.Connection(h11.CLIENT)
    async with listening() as (listener, heard):
        port = int(listener.url.rpartition(":")[2].partition("/")[0])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            for _ in range(3):
                headers = [("host", "x"), ("authorization", f"Bearer {listener.secret}")]
                headers.append(("content-length", str(len(STOP))))
                head = protocol.send(h11.Request(method="POST", target="/hook", headers=headers)) or b""
                await stream.send_all(head + (protocol.send(h11.Data(STOP)) or b""))
                protocol.send(h11.EndOfMessage())
                while not isinstance(event := protocol.next_event(), h11.EndOfMessage):
                    if event is h11.NEED_DATA:
                        protocol.receive_data(bytes(await stream.receive_some()))
                protocol.start_next_cycle()

    assert 3 == len(heard.facts)
