"""Both translators do what a translator does: the language model's over real sockets, and the twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio

from actors.language_ports import ErrorKind, TranslationError
from actors.speech.model_translator import ModelTranslator
from adapters.language_model import AnthropicModel
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.translation import MarkingTranslator
from clients.messages_loopback import Asked, Fault, MessagesLoopback, open_messages_loopback
from tests.adapters.language_model.conformance import HELLO, Opened, TranslatorConformance

STATUSES: dict[ErrorKind, int] = {"auth": 401, "quota": 402, "rate": 429, "overloaded": 529, "request": 400}


def reply(asked: Asked) -> str:
    return f"[en-US] {asked.user.removeprefix('<speech>').removesuffix('</speech>')}"


class OfTheServer:
    def __init__(self, loopback: MessagesLoopback) -> None:
        self._loopback = loopback

    def fail(self, kind: ErrorKind, retry_after_s: float) -> None:
        self._loopback.plan(Fault(status=STATUSES[kind], retry_after_s=retry_after_s or None))

    def hang(self) -> None:
        self._loopback.plan(Fault(hangs=True))


class OfTheTwin:
    def __init__(self, translator: MarkingTranslator) -> None:
        self._translator = translator

    def fail(self, kind: ErrorKind, retry_after_s: float) -> None:
        self._translator.fail(kind, retry_after_s=retry_after_s)

    def hang(self) -> None:
        self._translator.hang()


class TestModelTranslator(TranslatorConformance):
    def open(self) -> AbstractAsyncContextManager[Opened]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Opened]:
        loopback = MessagesLoopback(reply)
        async with open_messages_loopback(loopback):
            model = AnthropicModel(key="a key", base_url=loopback.url, telemetry=RecordingTelemetry())
            translator = ModelTranslator(model)
            yield Opened(translator, OfTheServer(loopback))
            await translator.aclose()


class TestMarkingTranslator(TranslatorConformance):
    def open(self) -> AbstractAsyncContextManager[Opened]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Opened]:
        translator = MarkingTranslator()
        yield Opened(translator, OfTheTwin(translator))
        await translator.aclose()


async def test_the_twin_that_is_slow_runs_into_the_askers_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    translator = MarkingTranslator()
    translator.take(10.0)

    with pytest.raises(TranslationError) as caught:
        await translator.translate(HELLO, timeout_s=5)

    assert ("timeout", 5.0) == (caught.value.kind, trio.current_time())
