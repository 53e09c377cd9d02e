"""What every translator does. A subclass says how one is opened."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import pytest
import trio

from actors.language_ports import ErrorKind, TranslationError, TranslationRequest, Translator

HELLO = TranslationRequest("bonjour", "fr-FR", "en-US")


class Trouble(Protocol):
    """What the suite can have go wrong with the next request."""

    def fail(self, kind: ErrorKind, retry_after_s: float) -> None: ...
    def hang(self) -> None: ...


@dataclass
class Opened:
    translator: Translator
    trouble: Trouble


class TranslatorConformance(abc.ABC):
    """The suite."""

    @abc.abstractmethod
    def open(self) -> AbstractAsyncContextManager[Opened]: ...

    @pytest.fixture
    async def opened(self) -> AsyncIterator[Opened]:
        async with self.open() as opened:
            await opened.translator.prepare()
            yield opened

    async def test_a_translation_is_text(self, opened: Opened) -> None:
        assert opened.translator.supports("fr-FR", "en-US")
        assert "[en-US] bonjour" == await opened.translator.translate(HELLO, timeout_s=5)

    async def test_an_unknown_source_is_translated(self, opened: Opened) -> None:
        request = TranslationRequest("bonjour", "auto", "en-US")

        assert opened.translator.supports("auto", "en-US")
        assert "[en-US] bonjour" == await opened.translator.translate(request, timeout_s=5)

    @pytest.mark.parametrize("kind", ["auth", "quota", "rate", "overloaded", "request"])
    async def test_a_failing_translation_has_a_kind_and_is_the_only_one(
        self, opened: Opened, kind: ErrorKind
    ) -> None:
        opened.trouble.fail(kind, 3.0 if kind == "rate" else 0.0)

        with pytest.raises(TranslationError) as caught:
            await opened.translator.translate(HELLO, timeout_s=5)

        assert (kind, 3.0 if kind == "rate" else 0.0) == (caught.value.kind, caught.value.retry_after_s)
        assert opened.translator.name == caught.value.provider
        assert "[en-US] bonjour" == await opened.translator.translate(HELLO, timeout_s=5)

    async def test_a_translation_that_is_given_up_leaves_nothing_behind(self, opened: Opened) -> None:
        opened.trouble.hang()

        with trio.move_on_after(0.1) as waiting:
            await opened.translator.translate(HELLO, timeout_s=60)

        assert waiting.cancelled_caught
