"""An app's REST calls and its storage, against a scripted cloud; the examples' tests use the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from clients.app_sdk import CloudError, Rest, Storage
from clients.app_sdk.http_server import Answer, serve_connection

SOCKET = "wss://cloud.example/o/berlin/app-ws"


@asynccontextmanager
async def rest_to(answer: Answer) -> AsyncIterator[Rest]:
    async with trio.open_nursery() as nursery:

        async def connect(url: str) -> trio.abc.Stream:
            assert url.startswith("https://cloud.example/o/berlin/api/")
            ours, theirs = memory_stream_pair()
            nursery.start_soon(serve_connection, answer, theirs)
            return ours

        yield Rest(SOCKET, "org.example.notes", "key", connect=connect)
        nursery.cancel_scope.cancel()


def always(status: int, body: bytes) -> Answer:
    async def answer(method: str, path: str, sent: bytes) -> tuple[int, bytes]:
        return status, body

    return answer


async def test_a_storage_call_goes_beside_the_socket_with_user_and_key_quoted() -> None:
    asked: list[tuple[str, str, bytes]] = []

    async def answer(method: str, path: str, sent: bytes) -> tuple[int, bytes]:
        asked.append((method, path, sent))
        return 200, b'{"success":true,"data":{"a":"1"}}'

    async with rest_to(answer) as rest:
        storage = Storage(rest, "ada@example.org")
        await storage.set("a/b c", "1")
        kept = await storage.all()
        await storage.delete("a/b c")
        await storage.clear()

    user = "/o/berlin/api/sdk/simple-storage/ada%40example.org"
    assert {"a": "1"} == kept
    assert [
        ("PUT", f"{user}/a%2Fb%20c", b'{"value":"1"}'),
        ("GET", user, b""),
        ("DELETE", f"{user}/a%2Fb%20c", b""),
        ("DELETE", user, b""),
    ] == asked


async def test_no_value_is_none_and_every_other_refusal_is_an_error_with_its_code() -> None:
    async with rest_to(always(404, b'{"message":"There is no value","code":"NOT_FOUND"}')) as rest:
        assert await Storage(rest, "ada").get("k") is None
    async with rest_to(always(403, b'{"error":"not yours","code":"PERMISSION_DENIED"}')) as rest:
        with pytest.raises(CloudError, match="PERMISSION_DENIED: not yours"):
            await Storage(rest, "ada").get("k")
    async with rest_to(always(502, b"<html>")) as rest:
        with pytest.raises(CloudError, match="status 502, and no JSON"):
            await rest.call("GET", "/api/sdk/version")


async def test_a_cloud_that_does_not_answer_is_given_up_after_ten_seconds(autojump_clock: MockClock) -> None:
    async def answer(method: str, path: str, sent: bytes) -> tuple[int, bytes]:
        await trio.sleep_forever()
        raise AssertionError

    async with rest_to(answer) as rest:
        began = trio.current_time()
        with pytest.raises(TimeoutError, match="no answer within 10 s"):
            await rest.call("GET", "/api/sdk/version")

    assert 10 == trio.current_time() - began
