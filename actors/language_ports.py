"""What the domain needs of language models and translators, as Protocols.

The conventions are those of `actors.ports`: a method with `async` is called from a supervised task, never
from a handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

ErrorKind = Literal[
    "auth", "quota", "rate", "overloaded", "network", "timeout", "protocol", "request", "model"
]
"""Why a model or a translator did not answer.

auth: the key is not good. quota: the account has no credits left.
rate: too many requests, or tokens, of ours.
overloaded: it is the provider who has too much to do, or is broken.
network: no connection, or it was lost. timeout: no answer within the time.
protocol: what came is no answer. request: it understood and will not do it; the same again is refused again.
model: it has no model of that name; a setting is wrong.
"""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may call.

    Attributes:
      schema: JSON schema of the arguments, an object's.
      is_strict: the provider is to hold the model to the schema, where it can. What comes is checked all the
        same.
    """

    name: str
    description: str
    schema: Mapping[str, object]
    is_strict: bool = False


class ToolCall(msgspec.Struct, frozen=True):
    """A model calls a tool. `arguments` are as it made them up, and `id` is for the result."""

    id: str
    name: str
    arguments: Mapping[str, object]


class ToolResult(msgspec.Struct, frozen=True):
    """What came of the call `id`."""

    id: str
    content: str
    is_error: bool = False


class ModelMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation.

    Attributes:
      calls: an assistant's, behind its text.
      results: a user's, before its text: one for each call of the turn before.
    """

    role: Literal["user", "assistant"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model is asked.

    Attributes:
      system: the task. What people say is never in it.
      most_tokens: the longest answer.
      model: its provider's name of it; empty means the one the provider was set up with.
      choice: whether it has to call a tool: `auto` leaves it to the model, `any` has it call one.
      forced: the tool that it has to call, and once only; empty leaves it to `choice`.
      output: JSON schema of the answer's text, an object's; None for plain text.
    """

    system: str
    messages: tuple[ModelMessage, ...]
    most_tokens: int = 1024
    model: str = ""
    tools: tuple[Tool, ...] = ()
    choice: Literal["auto", "any"] = "auto"
    forced: str = ""
    output: Mapping[str, object] | None = None


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What it said.

    Attributes:
      is_complete: it came to its end, or to its calls; False where it was cut off at `most_tokens`, or
        declined.
      input_tokens, output_tokens: what is paid for.
      calls: the tools it wants called.
    """

    text: str
    is_complete: bool
    input_tokens: int
    output_tokens: int
    model: str
    calls: tuple[ToolCall, ...] = ()


class NoAnswerError(Exception):
    """A provider has not answered. `retry_after_s` is what it said of it; 0 where it said nothing."""

    def __init__(self, provider: str, kind: ErrorKind, cause: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{provider}: {kind}: {cause}")
        self.provider = provider
        self.kind = kind
        self.cause = cause
        self.retry_after_s = retry_after_s


class LanguageModelError(NoAnswerError):
    """Nothing was said."""


class LanguageModel(Protocol):
    """A language model behind a provider."""

    @property
    def name(self) -> str:
        """The provider's, as logs and apps see it."""

    async def prepare(self) -> None:
        """Do now what the first question would have to wait for. Never raises."""

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """Ask once; nothing is tried again. Raises LanguageModelError.

        Cancellation: the connection is closed; the question may be paid for.
        """

    async def aclose(self) -> None: ...


class TranslationRequest(msgspec.Struct, frozen=True):
    """A piece of speech, and from what into what.

    Attributes:
      source: a code, with a region or without; `auto` where nobody knows.
    """

    text: str
    source: str
    target: str


class TranslationError(NoAnswerError):
    """Nothing was translated."""


class Translator(Protocol):
    """Turns what was said in one language into another."""

    @property
    def name(self) -> str: ...
    def supports(self, source: str, target: str) -> bool:
        """Whether it translates this pair; `source` may be `auto`."""

    async def prepare(self) -> None:
        """Do now what the first translation would have to wait for. Never raises."""

    async def translate(self, request: TranslationRequest, *, timeout_s: float) -> str:
        """Translate once; nothing is tried again. Raises TranslationError.

        Cancellation: nothing more comes of it.
        """

    async def aclose(self) -> None: ...
