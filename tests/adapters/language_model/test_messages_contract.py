"""Our loopback server of Anthropic's Messages API beside the models of Anthropic's own SDK."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec
import pytest
import trio
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared.error_response import ErrorResponse
from pydantic import TypeAdapter

from clients.messages_loopback import Fault, MessagesLoopback, events_of, open_messages_loopback
from clients.network import HttpAnswer, open_stream
from clients.network import request as http_request

ASKED: dict[str, Any] = {
    "model": "some-model",
    "max_tokens": 100,
    "system": "Answer.",
    "messages": [{"role": "user", "content": "one two three"}],
}


async def post(loopback: MessagesLoopback, body: dict[str, Any], **headers: str) -> HttpAnswer:
    sent = {"x-api-key": "a key", "anthropic-version": "2023-06-01", **headers}
    url = f"{loopback.url}/v1/messages"
    return await http_request("POST", url, connect=open_stream, body=msgspec.json.encode(body), headers=sent)


def client(loopback: MessagesLoopback) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="a key", base_url=loopback.url, max_retries=0, timeout=5.0)


async def test_an_answer_is_a_message_of_the_sdk() -> None:
    async with open_messages_loopback(MessagesLoopback()) as loopback:
        answer = await post(loopback, ASKED)

        message = Message.model_validate_json(answer.body, strict=True)
        assert (200, "assistant", "end_turn") == (answer.status, message.role, message.stop_reason)
        assert {"text": "one two three", "type": "text"} == message.content[0].model_dump(exclude_none=True)
        known = set(Message.model_fields)
        assert set(msgspec.json.decode(answer.body)) <= known


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 500, 504, 529])
async def test_an_error_is_an_error_of_the_sdk(status: int) -> None:
    loopback = MessagesLoopback()
    loopback.plan(Fault(status=status, message="It was planned."))
    async with open_messages_loopback(loopback):
        answer = await post(loopback, ASKED)

        assert status == answer.status
        error = TypeAdapter(ErrorResponse).validate_json(answer.body)
        assert "It was planned." == error.error.message


async def test_a_streamed_answer_is_the_sdks_events() -> None:
    loopback = MessagesLoopback(lambda _: "one two three")
    async with open_messages_loopback(loopback):
        whole = msgspec.json.decode((await post(loopback, ASKED)).body)

    event: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    kinds = []
    for sent in events_of(whole):
        if sent["type"] != "ping":
            assert sent["type"] == event.validate_json(msgspec.json.encode(sent)).type
        kinds.append(sent["type"])
    assert ["message_start", "content_block_start", "ping"] == kinds[:3]
    assert ["content_block_stop", "message_delta", "message_stop"] == kinds[-3:]


async def test_the_sdk_reads_a_streamed_answer() -> None:
    loopback = MessagesLoopback(lambda _: "one two three")
    async with open_messages_loopback(loopback), client(loopback) as sdk:
        pieces = []
        async with sdk.messages.stream(
            model="some-model", max_tokens=9, messages=[{"role": "user", "content": "count"}]
        ) as stream:
            async for text in stream.text_stream:
                pieces.append(text)
            message = await stream.get_final_message()

        assert ["one", " two", " three"] == pieces
        assert ("end_turn", True) == (message.stop_reason, loopback.asked[0].is_streamed)
        assert message.usage.output_tokens > 1


async def test_a_stream_that_breaks_is_an_error_of_the_sdk() -> None:
    loopback = MessagesLoopback(lambda _: "one two three")
    loopback.plan(Fault(breaks_stream=True))

    def read() -> (
        None
    ):  # not the asynchronous client: of a stream that breaks it leaves its generators behind
        with (
            anthropic.Anthropic(api_key="a key", base_url=loopback.url, max_retries=0, timeout=5.0) as sdk,
            sdk.messages.stream(
                model="some-model", max_tokens=9, messages=[{"role": "user", "content": "count"}]
            ) as stream,
        ):
            list(stream)

    async with open_messages_loopback(loopback):
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            await trio.to_thread.run_sync(read)


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({}, {"x-api-key": ""}, 401),
        ({"max_tokens": 0}, {}, 400),
        ({"messages": []}, {}, 400),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, {}, 400),
        ({"messages": [{"role": "robot", "content": "hello"}]}, {}, 400),
        ({"model": None}, {}, 400),
    ],
)
async def test_what_anthropic_would_not_take_is_refused(
    change: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    async with open_messages_loopback(MessagesLoopback()) as loopback:
        answer = await post(loopback, {**ASKED, **change}, **headers)

        assert status == answer.status
        assert [] == loopback.asked
