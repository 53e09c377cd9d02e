"""Our loopback server of Anthropic's Messages API beside the models of Anthropic's own SDK."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec
import pytest
import trio
from anthropic.types import Message, RawMessageStreamEvent, TextBlock, ToolUseBlock
from anthropic.types.shared.error_response import ErrorResponse
from pydantic import TypeAdapter

from clients.messages_loopback import (
    Asked,
    Fault,
    MessagesLoopback,
    Reply,
    ToolUse,
    events_of,
    open_messages_loopback,
)
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


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_the_sdk_reads_a_tool_that_is_used_and_its_result_is_understood(*, is_streamed: bool) -> None:
    """The loop of an agent: text and tool, the tool's result, text."""

    def reply(asked: Asked) -> Reply:
        if asked.results:
            return f"It says {asked.results[0].text}."
        return ["I look.", ToolUse("read", {"path": "a.txt", "lines": [1, 2]})]

    tool: Any = {"name": "read", "input_schema": {"type": "object"}}
    turns: list[Any] = [{"role": "user", "content": "What is in it?"}]
    answers: list[Message] = []
    loopback = MessagesLoopback(reply)
    async with open_messages_loopback(loopback), client(loopback) as sdk:
        for _ in range(2):
            asking: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": turns, "tools": [tool]}
            if is_streamed:
                async with sdk.messages.stream(**asking) as stream:
                    answers.append(await stream.get_final_message())
            else:
                answers.append(await sdk.messages.create(**asking))
            used = answers[-1].content[-1]
            if isinstance(used, ToolUseBlock):
                result = {"type": "tool_result", "tool_use_id": used.id, "content": "seven"}
                turns += [
                    {"role": "assistant", "content": [each.model_dump() for each in answers[-1].content]},
                    {"role": "user", "content": [result]},
                ]

    assert ["tool_use", "end_turn"] == [answer.stop_reason for answer in answers]
    text, used = answers[0].content
    assert isinstance(text, TextBlock)
    assert isinstance(used, ToolUseBlock)
    assert ("I look.", "read", {"path": "a.txt", "lines": [1, 2]}) == (text.text, used.name, used.input)
    assert isinstance(answers[1].content[0], TextBlock)
    assert "It says seven." == answers[1].content[0].text
    assert [("read",), ("read",)] == [asked.tools for asked in loopback.asked]
