"""The process that a model lives in: asked, cancelled, killed, hung, started again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.assistant.deciding import request_of
from actors.language_ports import ErrorKind, LanguageModelError, ModelMessage, ModelRequest, ToolCall
from adapters.language_model import AnthropicSettings, ModelProcess
from adapters.simulated.telemetry import RecordingTelemetry
from clients.messages_loopback import Asked, Fault, MessagesLoopback, Reply, ToolUse, open_messages_loopback

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
PATIENCE_S = 30.0


def question(text: str) -> ModelRequest:
    return ModelRequest(system="Answer.", messages=(ModelMessage("user", text),))


@asynccontextmanager
async def opened(*arguments: str) -> AsyncIterator[tuple[ModelProcess, RecordingTelemetry]]:
    telemetry = RecordingTelemetry()
    model = ModelProcess(key="a key", telemetry=telemetry, command=(*FAKE, *arguments))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(model.run)
        yield model, telemetry
        nursery.cancel_scope.cancel()


async def failure(model: ModelProcess, text: str, *, timeout_s: float = PATIENCE_S) -> LanguageModelError:
    with pytest.raises(LanguageModelError) as caught:
        await model.answer(question(text), timeout_s=timeout_s)
    return caught.value


async def until_told(telemetry: RecordingTelemetry, event: str) -> None:
    with trio.fail_after(PATIENCE_S):
        while not telemetry.of(event):  # noqa: ASYNC110 - seen from outside
            await trio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_questions_are_answered_side_by_side_and_what_it_tells_is_logged_here() -> None:
    async with opened() as (model, telemetry):
        answers: dict[str, str] = {}

        async def ask(text: str) -> None:
            answer = await model.answer(question(text), timeout_s=PATIENCE_S)
            answers[text] = answer.text
            assert "a key" == answer.model

        async with trio.open_nursery() as nursery:
            for text in ("one", "two", "three"):
                nursery.start_soon(ask, text)

        assert {"one": "one", "two": "two", "three": "three"} == answers
        assert 3 == telemetry.counters()["echoed"]
        assert "a key" not in str(telemetry.facts)


async def test_a_failure_keeps_its_kind_and_its_time() -> None:
    async with opened() as (model, _):
        error = await failure(model, "fail")

        assert ("rate", "too much", 7.5) == (error.kind, error.cause, error.retry_after_s)


async def test_a_question_that_is_given_up_is_cancelled_over_there() -> None:
    async with opened() as (model, telemetry):
        await model.prepare()
        with trio.move_on_after(0.2):
            await model.answer(question("hang"), timeout_s=3600)

        await until_told(telemetry, "echo_cancelled")


async def test_a_process_that_dies_fails_what_it_was_asked_and_the_next_one_answers() -> None:
    async with opened() as (model, telemetry):
        await model.prepare()
        async with trio.open_nursery() as nursery:
            kinds: list[ErrorKind] = []

            async def hang() -> None:
                kinds.append((await failure(model, "hang", timeout_s=3600)).kind)

            nursery.start_soon(hang)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert "network" == (await failure(model, "die")).kind

        assert ["network"] == kinds
        assert "again" == (await model.answer(question("again"), timeout_s=PATIENCE_S)).text
        assert "it ended with status 7" == telemetry.of("language_model_process_died")[0]["cause"]


async def test_a_process_that_is_killed_is_started_again() -> None:
    async with opened() as (model, _):
        await model.prepare()
        pid = model.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await trio.sleep(0.1)

        assert "again" == (await model.answer(question("again"), timeout_s=PATIENCE_S)).text
        assert pid != model.pid
        assert not is_alive(pid)


async def test_a_process_that_hangs_is_ended() -> None:
    async with opened() as (model, telemetry):
        await model.prepare()

        assert "timeout" == (await failure(model, "stall", timeout_s=0.1)).kind
        await until_told(telemetry, "language_model_process_died")
        assert "again" == (await model.answer(question("again"), timeout_s=PATIENCE_S)).text


async def test_a_process_that_writes_nonsense_is_ended() -> None:
    async with opened() as (model, telemetry):
        assert "network" == (await failure(model, "nonsense")).kind

        assert "nonsense" in str(telemetry.of("language_model_process_died")[0]["cause"])


async def test_what_fits_into_no_frame_is_a_failure_of_its_own() -> None:
    async with opened() as (model, _):
        assert "request" == (await failure(model, "x" * 2_000_000)).kind
        assert "request" == (await failure(model, "\ud800")).kind
        assert "protocol" == (await failure(model, "long")).kind
        assert "fine" == (await model.answer(question("fine"), timeout_s=PATIENCE_S)).text


async def test_a_process_that_is_not_ready_in_time_keeps_nobody_waiting() -> None:
    async with opened("mute") as (model, _):
        error = await failure(model, "hello", timeout_s=0.3)

        assert ("timeout", True) == (error.kind, "not ready" in error.cause)


async def test_a_process_that_cannot_be_started_is_said() -> None:
    telemetry = RecordingTelemetry()
    model = ModelProcess(key="k", telemetry=telemetry, command=("/no/such/program",))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(model.run)
        await until_told(telemetry, "language_model_process_died")
        assert "timeout" == (await failure(model, "hello", timeout_s=0.1)).kind
        nursery.cancel_scope.cancel()


async def test_the_process_ends_with_the_service() -> None:
    async with opened() as (model, _):
        await model.prepare()
        pid = model.pid
        assert pid is not None

    assert not is_alive(pid)


async def test_the_real_one_answers_with_tools_and_says_what_fails() -> None:
    def reply(asked: Asked) -> Reply:
        return [ToolUse("look", {"limit": 2})] if asked.tools else f"You said: {asked.user}"

    loopback = MessagesLoopback(reply, keys=frozenset({"its key"}))
    telemetry = RecordingTelemetry()
    async with open_messages_loopback(loopback), trio.open_nursery() as nursery:
        model = ModelProcess(
            key="its key",
            base_url=loopback.url,
            telemetry=telemetry,
            settings=AnthropicSettings(model="some-model"),
        )
        nursery.start_soon(model.run)
        await model.prepare()

        answer = await model.answer(question("How are you?"), timeout_s=PATIENCE_S)
        assert ("You said: How are you?", "some-model") == (answer.text, answer.model)
        assert 1 == telemetry.counters()["language_model_requests"]

        wanted = request_of("q", (), (), model="m", most_tokens=9, is_last=False, may_force=True)
        answer = await model.answer(wanted, timeout_s=PATIENCE_S)
        assert (ToolCall(answer.calls[0].id, "look", {"limit": 2}),) == answer.calls

        loopback.plan(Fault(status=529, retry_after_s=2))
        error = await failure(model, "Again?")
        assert ("overloaded", 2.0) == (error.kind, error.retry_after_s)
        nursery.cancel_scope.cancel()
