"""A language model's twin for the assistant: each question is answered by a function of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import trio

from actors.language_ports import ErrorKind, LanguageModelError, ModelAnswer, ModelRequest, ToolCall

Reply = ModelAnswer | LanguageModelError | None
"""What comes of a question: an answer, an error, or nothing within its time."""

INPUT_TOKENS = 1_000
OUTPUT_TOKENS = 100


class PlannedModel:
    """`actors.language_ports.LanguageModel` that answers by `reply`, which may be replaced.

    Attributes:
      requests: what it was asked, in order.
      running: questions that are being answered.
      delay_s: how long each answer takes.
    """

    name = "planned"

    def __init__(self, reply: Callable[[ModelRequest], Reply], *, delay_s: float = 0.0) -> None:
        self.reply = reply
        self.delay_s = delay_s
        self.requests: list[ModelRequest] = []
        self.running = 0

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """As `reply` says; a time-out where it says nothing."""
        self.requests.append(request)
        self.running += 1
        try:
            reply = self.reply(request)
            await trio.sleep(min(timeout_s if reply is None else self.delay_s, timeout_s))
        finally:
            self.running -= 1
        if reply is None or self.delay_s > timeout_s:
            raise LanguageModelError(self.name, "timeout", f"no answer within {timeout_s:g} s")
        if isinstance(reply, LanguageModelError):
            raise reply
        return reply

    async def aclose(self) -> None:
        """It holds nothing."""


def says(text: str, *, model: str = "claude-haiku-4-5", is_complete: bool = True) -> ModelAnswer:
    """An answer in words."""
    return ModelAnswer(
        text=text,
        is_complete=is_complete,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        model=model,
    )


def calls(*wanted: tuple[str, Mapping[str, object]], model: str = "claude-haiku-4-5") -> ModelAnswer:
    """An answer that calls tools, by name and arguments."""
    made = tuple(ToolCall(f"toolu_{number}", *call) for number, call in enumerate(wanted, 1))
    return msgspec.structs.replace(says("", model=model), calls=made)


def decides(
    decision: str, glasses: str = "For the lens.", page: str = "For the page.", **fields: object
) -> ModelAnswer:
    """An answer that decides."""
    arguments = {"decision": decision, "glasses_display": glasses, "webview_content": page, **fields}
    return calls(("decide", arguments))


def sums_up(glasses: str, page: str, *, model: str = "claude-sonnet-4-6") -> ModelAnswer:
    """An answer with both texts."""
    text = msgspec.json.encode({"glasses_display": glasses, "webview_content": page}).decode()
    return says(text, model=model)


def fails(kind: ErrorKind, cause: str = "as planned", *, retry_after_s: float = 0.0) -> LanguageModelError:
    """A failure."""
    return LanguageModelError("planned", kind, cause, retry_after_s=retry_after_s)
