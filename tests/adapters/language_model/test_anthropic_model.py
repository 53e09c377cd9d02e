"""Anthropic's SDK over real sockets: one request, one answer or one error with a kind, always in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from actors.language_ports import LanguageModelError, ModelMessage, ModelRequest, TranslationRequest
from actors.speech.model_translator import ModelTranslator
from adapters.language_model import AnthropicModel, AnthropicSettings
from adapters.simulated.telemetry import RecordingTelemetry
from clients.messages_loopback import Asked, Fault, MessagesLoopback, open_messages_loopback

QUESTION = ModelRequest(system="Answer.", messages=(ModelMessage("user", "How are you?"),), most_tokens=50)


@asynccontextmanager
async def opened(
    loopback: MessagesLoopback, *, key: str = "a key", settings: AnthropicSettings | None = None
) -> AsyncIterator[AnthropicModel]:
    async with open_messages_loopback(loopback):
        model = AnthropicModel(
            key=key, base_url=loopback.url, telemetry=RecordingTelemetry(), settings=settings
        )
        try:
            await model.prepare()
            yield model
        finally:
            await model.aclose()


async def failure(model: AnthropicModel, *, timeout_s: float = 5.0) -> LanguageModelError:
    with pytest.raises(LanguageModelError) as caught:
        await model.answer(QUESTION, timeout_s=timeout_s)
    return caught.value


async def test_a_question_is_asked_as_it_stands_and_its_answer_is_counted() -> None:
    loopback = MessagesLoopback(lambda asked: f"You said: {asked.user}")
    async with opened(loopback, settings=AnthropicSettings(model="some-model")) as model:
        answer = await model.answer(QUESTION, timeout_s=5)

        assert ("You said: How are you?", True, "some-model") == (
            answer.text,
            answer.is_complete,
            answer.model,
        )
        (asked,) = loopback.asked
        assert ("a key", "some-model", "Answer.", "How are you?", 50, False) == (
            asked.key,
            asked.model,
            asked.system,
            asked.user,
            asked.max_tokens,
            asked.is_streamed,
        )
        counters = model._telemetry.counters()
        assert 1 == counters["language_model_requests"]
        assert answer.input_tokens == counters["language_model_input_tokens"] > 0
        assert answer.output_tokens == counters["language_model_output_tokens"] > 0


async def test_the_asker_may_name_another_model() -> None:
    loopback = MessagesLoopback()
    async with opened(loopback) as model:
        request = ModelRequest(system="", messages=QUESTION.messages, model="a-larger-one")

        assert "a-larger-one" == (await model.answer(request, timeout_s=5)).model


async def test_connections_are_used_again() -> None:
    loopback = MessagesLoopback()
    async with opened(loopback) as model:
        for _ in range(3):
            await model.answer(QUESTION, timeout_s=5)

        assert 1 == loopback.connections


@pytest.mark.parametrize("reason", ["max_tokens", "refusal"])
async def test_an_answer_that_breaks_off_says_so(reason: str) -> None:
    loopback = MessagesLoopback(lambda _: "Once upon a time")
    loopback.plan(Fault(stop_reason=reason))  # type: ignore[arg-type]
    async with opened(loopback) as model:
        answer = await model.answer(QUESTION, timeout_s=5)

        assert ("Once upo", False) == (answer.text, answer.is_complete)


@pytest.mark.parametrize(
    ("fault", "kind", "retry_after_s"),
    [
        (Fault(status=401, message="invalid x-api-key"), "auth", 0.0),
        (Fault(status=403), "auth", 0.0),
        (Fault(status=402), "quota", 0.0),
        (Fault(status=400, message="Your credit balance is too low to access it."), "quota", 0.0),
        (Fault(status=400, message="max_tokens: too large"), "request", 0.0),
        (Fault(status=404, message="model: no-such-model"), "model", 0.0),
        (Fault(status=404, message="there is nothing here"), "request", 0.0),
        (Fault(status=413), "request", 0.0),
        (Fault(status=429, retry_after_s=7.5), "rate", 7.5),
        (Fault(status=429), "rate", 0.0),
        (Fault(status=500), "overloaded", 0.0),
        (Fault(status=504), "timeout", 0.0),
        (Fault(status=529, retry_after_s=1), "overloaded", 1.0),
        (Fault(malformed="text"), "protocol", 0.0),
        (Fault(malformed="other"), "protocol", 0.0),
        (Fault(malformed="cut"), "network", 0.0),
    ],
)
async def test_a_failure_has_a_kind_and_is_not_tried_again(
    fault: Fault, kind: str, retry_after_s: float
) -> None:
    loopback = MessagesLoopback()
    loopback.plan(fault)
    async with opened(loopback) as model:
        error = await failure(model)

        assert ("anthropic", kind, retry_after_s) == (error.provider, error.kind, error.retry_after_s)
        assert fault.status is None or fault.message in error.cause
        assert 1 == len(loopback.asked)
        assert "How are you?" == (await model.answer(QUESTION, timeout_s=5)).text


async def test_a_server_that_hangs_is_left_in_time() -> None:
    loopback = MessagesLoopback()
    loopback.plan(Fault(hangs=True))
    async with opened(loopback) as model:
        began = trio.current_time()

        error = await failure(model, timeout_s=0.3)

        assert "timeout" == error.kind
        assert 0.25 < trio.current_time() - began < 2.0


async def test_a_key_that_is_not_good_is_refused() -> None:
    async with opened(MessagesLoopback(keys=frozenset({"another"}))) as model:
        assert "auth" == (await failure(model)).kind


async def test_nobody_at_the_address_is_a_failure_of_the_network() -> None:
    loopback = MessagesLoopback()
    async with open_messages_loopback(loopback):
        pass
    model = AnthropicModel(key="a key", base_url=loopback.url, telemetry=RecordingTelemetry())

    assert "network" == (await failure(model, timeout_s=20)).kind
    await model.aclose()


async def test_more_at_once_than_there_are_places_is_refused_at_once() -> None:
    loopback = MessagesLoopback()
    loopback.plan(Fault(hangs=True))
    async with (
        opened(loopback, settings=AnthropicSettings(connections=1)) as model,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_ask_in_vain, model)
        await trio.testing.wait_all_tasks_blocked(0.05)

        error = await failure(model)

        assert ("overloaded", "1 requests run already") == (error.kind, error.cause)
        nursery.cancel_scope.cancel()
    assert 0 == loopback.running


async def _ask_in_vain(model: AnthropicModel) -> None:
    await model.answer(QUESTION, timeout_s=60)


async def test_a_request_that_is_cancelled_gives_its_place_back() -> None:
    loopback = MessagesLoopback()
    loopback.plan(Fault(hangs=True))
    async with opened(loopback, settings=AnthropicSettings(connections=1)) as model:
        with trio.move_on_after(0.2):
            await model.answer(QUESTION, timeout_s=60)

        assert "How are you?" == (await model.answer(QUESTION, timeout_s=5)).text


async def test_speech_is_translated_through_the_sdk() -> None:
    def reply(asked: Asked) -> str:
        speech = asked.user.removeprefix("<speech>").removesuffix("</speech>")
        return {"bonjour": "hello"}.get(speech, f"not understood: {speech}")

    loopback = MessagesLoopback(reply)
    async with opened(loopback) as model:
        translator = ModelTranslator(model)

        assert "hello" == await translator.translate(
            TranslationRequest("bonjour", "fr-FR", "en-US"), timeout_s=5
        )


def test_the_sdk_is_not_imported_before_it_is_used() -> None:
    """It takes two seconds, which every start of the server would pay for."""
    code = (
        "import sys, json\n"
        "import adapters.language_model, config.server\n"
        "print(json.dumps([name in sys.modules for name in ('anthropic', 'httpx2')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=True
    )

    assert [False, False] == json.loads(done.stdout)
