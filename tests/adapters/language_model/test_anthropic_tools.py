"""Tools and schemas through Anthropic's SDK: they go out as asked for, and calls come back as said."""

from __future__ import annotations

from anthropic.resources.messages import DEPRECATED_MODELS

from actors.assistant.settings import AssistantSettings
from actors.language_ports import ModelAnswer, ModelMessage, ModelRequest, Tool, ToolCall, ToolResult
from adapters.language_model import AnthropicModel, AnthropicSettings
from adapters.simulated.telemetry import RecordingTelemetry
from clients.messages_loopback import Asked, MessagesLoopback, Reply, ToolUse, open_messages_loopback

SCHEMA = {"type": "object", "properties": {"limit": {"type": "integer"}}, "additionalProperties": False}
LOOK = Tool(name="look", description="Looks.", schema=SCHEMA)
DECIDE = Tool(name="decide", description="Decides.", schema=SCHEMA, is_strict=True)
QUESTION = ModelMessage("user", "What runs?")


async def asked_through(
    loopback: MessagesLoopback, *requests: ModelRequest
) -> tuple[list[Asked], list[ModelAnswer]]:
    """What the server saw of these, and what was answered."""
    async with open_messages_loopback(loopback):
        model = AnthropicModel(key="a key", base_url=loopback.url, telemetry=RecordingTelemetry())
        answers = [await model.answer(request, timeout_s=5) for request in requests]
        await model.aclose()
    return loopback.asked, answers


async def test_a_call_and_its_result_go_to_and_fro() -> None:
    def reply(asked: Asked) -> Reply:
        if asked.results:
            return f"{asked.results[0].text} runs"
        return ["I look.", ToolUse("look", {"limit": 2}), ToolUse("look", {})]

    loopback = MessagesLoopback(reply)
    async with open_messages_loopback(loopback):
        model = AnthropicModel(key="a key", base_url=loopback.url, telemetry=RecordingTelemetry())
        request = ModelRequest(system="s", messages=(QUESTION,), tools=(LOOK, DECIDE), choice="any")
        answer = await model.answer(request, timeout_s=5)
        assert ("I look.", True) == (answer.text, answer.is_complete)
        assert [("look", {"limit": 2}), ("look", {})] == [(one.name, one.arguments) for one in answer.calls]

        results = (
            ToolResult(answer.calls[0].id, "make"),
            ToolResult(answer.calls[1].id, "no", is_error=True),
        )
        again = ModelRequest(
            system="s",
            messages=(
                QUESTION,
                ModelMessage("assistant", answer.text, calls=answer.calls),
                ModelMessage("user", "What runs?", results=results),
            ),
            tools=(LOOK, DECIDE),
        )
        assert "make runs" == (await model.answer(again, timeout_s=5)).text
        await model.aclose()

    first, second = (asked.body for asked in loopback.asked)
    assert {"type": "any"} == first["tool_choice"]
    assert {"type": "auto"} == second["tool_choice"]
    assert [
        {"name": "look", "description": "Looks.", "input_schema": SCHEMA},
        {"name": "decide", "description": "Decides.", "input_schema": SCHEMA, "strict": True},
    ] == first["tools"]
    ids = [call.id for call in answer.calls]
    assert [
        {"role": "user", "content": "What runs?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": ids[0], "name": "look", "input": {"limit": 2}},
                {"type": "tool_use", "id": ids[1], "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": ids[0], "content": "make", "is_error": False},
                {"type": "tool_result", "tool_use_id": ids[1], "content": "no", "is_error": True},
                {"type": "text", "text": "What runs?"},
            ],
        },
    ] == second["messages"]


async def test_a_tool_that_is_forced_is_called_once() -> None:
    request = ModelRequest(
        system="s", messages=(QUESTION,), tools=(LOOK, DECIDE), choice="any", forced="decide"
    )
    loopback = MessagesLoopback(lambda _: [ToolUse("decide", {"limit": 1})])

    (asked,), (answer,) = await asked_through(loopback, request)

    expected = {"type": "tool", "name": "decide", "disable_parallel_tool_use": True}
    assert expected == asked.body["tool_choice"]
    assert answer.calls == (ToolCall(answer.calls[0].id, "decide", {"limit": 1}),)


async def test_an_answer_in_a_schema_is_asked_for_and_plain_questions_say_nothing_of_it() -> None:
    plain = ModelRequest(system="s", messages=(QUESTION,))
    structured = ModelRequest(system="s", messages=(QUESTION,), output=SCHEMA)

    (first, second), _ = await asked_through(MessagesLoopback(), plain, structured)

    assert {"model", "max_tokens", "system", "messages"} == set(first.body)
    assert {"format": {"type": "json_schema", "schema": SCHEMA}} == second.body["output_config"]


async def test_a_model_that_retires_is_said_once_and_no_default_does() -> None:
    retiring = "claude-sonnet-4-5-20250929"
    loopback = MessagesLoopback()
    telemetry = RecordingTelemetry()
    async with open_messages_loopback(loopback):
        model = AnthropicModel(key="a key", base_url=loopback.url, telemetry=telemetry)
        for _ in range(2):
            await model.answer(ModelRequest(system="", messages=(QUESTION,), model=retiring), timeout_s=5)
        await model.aclose()

    assert 1 == telemetry.counters()["language_model_retires"]
    assert "November 30th, 2026" == DEPRECATED_MODELS[retiring]
    defaults = AssistantSettings()
    for name in (defaults.fast_model, defaults.smart_model, AnthropicSettings().model):
        assert name not in DEPRECATED_MODELS
