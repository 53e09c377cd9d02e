"""The translator's twin: what a translation is can be read off it, and its trouble is planned by name.

A translation is the text with the target's code before it, so that whoever reads one sees that no translator
made it. `hang`, `fail` and `refuse` are for one that does not answer, answers with an error now and then, or
until `recover`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from actors.language_ports import (
    ErrorKind,
    LanguageModelError,
    ModelAnswer,
    ModelRequest,
    TranslationError,
    TranslationRequest,
)


class MarkingTranslator:
    """`actors.language_ports.Translator` without one.

    Args:
      delay_s: how long each translation takes.

    Attributes:
      requests: what it was asked, in order.
      running, most_at_once: requests that are being answered, now and at most.
    """

    def __init__(self, *, name: str = "test", delay_s: float = 0.0) -> None:
        self.name = name
        self.delay_s = delay_s
        self.requests: list[TranslationRequest] = []
        self.running = 0
        self.most_at_once = 0
        self._next: deque[TranslationError | float] = deque()
        self._always: TranslationError | None = None
        self._is_hanging = False

    def supports(self, source: str, target: str) -> bool:
        return True

    def fail(self, kind: ErrorKind = "network", *, times: int = 1, retry_after_s: float = 0.0) -> None:
        """The next requests fail."""
        self._next.extend([self._error(kind, retry_after_s)] * times)

    def take(self, *delays_s: float) -> None:
        """The next requests take so long each."""
        self._next.extend(delays_s)

    def refuse(self, kind: ErrorKind, *, retry_after_s: float = 0.0) -> None:
        """Every request fails."""
        self._always = self._error(kind, retry_after_s)

    def hang(self) -> None:
        """No request is answered, not even when its time is over."""
        self._is_hanging = True

    def recover(self) -> None:
        """All is well again."""
        self._always = None
        self._is_hanging = False
        self._next.clear()

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def translate(self, request: TranslationRequest, *, timeout_s: float) -> str:
        """The text, marked as a translation into the target. Raises TranslationError as planned."""
        self.requests.append(request)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            if self._is_hanging:
                await trio.sleep_forever()  # until the caller cancels it
            planned = self._next.popleft() if self._next else self.delay_s
            error = planned if isinstance(planned, TranslationError) else self._always
            delay_s = self.delay_s if isinstance(planned, TranslationError) else planned
            if delay_s > timeout_s:
                await trio.sleep(timeout_s)
                raise self._error("timeout", 0.0)
            await trio.sleep(delay_s)
            if error is not None:
                raise error
            return translation(request.text, request.target)
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        """It holds nothing."""

    def _error(self, kind: ErrorKind, retry_after_s: float) -> TranslationError:
        return TranslationError(self.name, kind, "as planned", retry_after_s=retry_after_s)


def translation(text: str, target: str) -> str:
    """What the twin makes of a text."""
    return f"[{target}] {text}"


class ScriptedModel:
    """`actors.language_ports.LanguageModel` that answers by a function.

    Attributes:
      requests: what it was asked, in order.
      error: while it is one, every request fails with it.
      is_complete: whether answers come to their end.
    """

    name = "scripted"

    def __init__(self, reply: Callable[[ModelRequest], str]) -> None:
        self.requests: list[ModelRequest] = []
        self.error: LanguageModelError | None = None
        self.is_complete = True
        self._reply = reply

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        self.requests.append(request)
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        text = self._reply(request)
        return ModelAnswer(
            text=text, is_complete=self.is_complete, input_tokens=1, output_tokens=len(text), model="scripted"
        )

    async def aclose(self) -> None:
        """It holds nothing."""
