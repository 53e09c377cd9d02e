"""Anthropic's Messages API through its own SDK: one request, one answer or one error with a kind.

The SDK runs under trio (its transport is httpx2 on anyio). Two of its defaults would hurt here: it waits for
ten minutes and tries again twice by itself. Whoever asks has a deadline and knows whether the answer is still
worth waiting for, so it neither waits nor tries again here.

Importing it takes 1.4 to 2.6 s of Python. It is imported in a thread, by `prepare` or the first request; on a
server that is the process's of `process.py`.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import trio

from actors.language_ports import (
    ErrorKind,
    LanguageModelError,
    ModelAnswer,
    ModelMessage,
    ModelRequest,
    ToolCall,
)
from actors.ports import Telemetry
from adapters.language_model.settings import AnthropicSettings

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropic
    from anthropic.types import Message, MessageParam

_NAME: Final = "anthropic"
_LONGEST_CAUSE: Final = 300
_LONGEST_WAIT_S: Final = 600.0
_SWITCH_S: Final = 0.0005

_KINDS: Final[Mapping[int, ErrorKind]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    408: "timeout",
    429: "rate",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
"""By status (platform.claude.com/docs/en/api/errors). Other 4xx are the request's fault, other 5xx theirs."""

_NO_CREDITS: Final = "credit balance is too low"
"""In the message of the 400 that an account without credits gets; the newer 402 has a status of its own."""


class AnthropicModel:
    """`LanguageModel` over `anthropic.AsyncAnthropic`.

    Args:
      base_url: where it is, without `/v1`; empty means Anthropic's own.
    """

    def __init__(
        self, *, key: str, base_url: str = "", telemetry: Telemetry, settings: AnthropicSettings | None = None
    ) -> None:
        self._key = key
        self._base_url = base_url or "https://api.anthropic.com"
        self._telemetry = telemetry
        self._settings = settings or AnthropicSettings()
        self._making = trio.Lock()
        self._client: AsyncAnthropic | None = None
        self._places = trio.CapacityLimiter(self._settings.connections)
        self._retiring: set[str] = set()

    @property
    def name(self) -> str:
        return _NAME

    async def prepare(self) -> None:
        """Import the SDK, unless it is."""
        await self._open()

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """Ask once.

        Args:
          timeout_s: seconds for everything, the import of the SDK included.

        Raises:
          LanguageModelError
        """
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            raise LanguageModelError(
                _NAME, "overloaded", f"{self._settings.connections} requests run already"
            ) from None
        try:
            with trio.move_on_after(timeout_s):
                return await self._answer(request, timeout_s)
        finally:
            self._places.release()
        raise LanguageModelError(_NAME, "timeout", f"no answer within {timeout_s:g} s")

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _answer(self, request: ModelRequest, timeout_s: float) -> ModelAnswer:
        client = await self._open()
        import anthropic

        model = request.model or self._settings.model
        patience = anthropic.Timeout(timeout_s, connect=min(timeout_s, self._settings.connect_s))
        self._warn_of_its_end(model)
        try:
            message = await client.messages.create(
                model=model,
                max_tokens=request.most_tokens,
                system=request.system,
                messages=cast("list[MessageParam]", [_turn(message) for message in request.messages]),
                timeout=patience,
                **_tools_of(request),
            )
        except anthropic.APITimeoutError as error:
            raise LanguageModelError(_NAME, "timeout", _short(repr(error.__cause__))) from error
        except anthropic.APIConnectionError as error:
            raise LanguageModelError(_NAME, "network", _short(repr(error.__cause__))) from error
        except anthropic.APIStatusError as error:
            raise _of_status(error, model) from error
        except (anthropic.AnthropicError, ValueError) as error:
            raise LanguageModelError(_NAME, "protocol", _short(str(error))) from error
        return self._read(message)

    def _read(self, message: Message) -> ModelAnswer:
        # The SDK checks nothing of what came: a missing field is None, and JSON of another kind is that.
        try:
            answer = ModelAnswer(
                text="".join(block.text for block in message.content if block.type == "text"),
                is_complete=message.stop_reason in ("end_turn", "tool_use"),
                input_tokens=message.usage.input_tokens,
                output_tokens=message.usage.output_tokens,
                model=message.model,
                calls=tuple(
                    ToolCall(block.id, block.name, _arguments(block.input))
                    for block in message.content
                    if block.type == "tool_use"
                ),
            )
        except (AttributeError, TypeError) as error:
            raise LanguageModelError(_NAME, "protocol", "what came is no message") from error
        self._telemetry.count("language_model_requests")
        self._telemetry.count("language_model_input_tokens", answer.input_tokens)
        self._telemetry.count("language_model_output_tokens", answer.output_tokens)
        return answer

    def _warn_of_its_end(self, model: str) -> None:
        """Say once of each model when it retires, where the SDK knows it."""
        from anthropic.resources.messages import DEPRECATED_MODELS

        if model in DEPRECATED_MODELS and model not in self._retiring:
            self._retiring.add(model)
            self._telemetry.warning("language_model_retires", model=model, on=DEPRECATED_MODELS[model])

    async def _open(self) -> AsyncAnthropic:
        if self._client is None:
            async with self._making:
                if self._client is None:
                    self._client = await trio.to_thread.run_sync(_beside_the_loop, self._make)
        return self._client

    def _make(self) -> AsyncAnthropic:
        """In a thread: the trusted certificates are loaded here."""
        import anthropic

        # Python's own warning of a retiring model goes to standard error, once a place in the code.
        warnings.filterwarnings("ignore", "The model '.*' is deprecated", DeprecationWarning)
        return anthropic.AsyncAnthropic(api_key=self._key, base_url=self._base_url, max_retries=0)


def _turn(message: ModelMessage) -> dict[str, object]:
    if not message.calls and not message.results:
        return {"role": message.role, "content": message.text}
    results = [
        {"type": "tool_result", "tool_use_id": one.id, "content": one.content, "is_error": one.is_error}
        for one in message.results
    ]
    text = [{"type": "text", "text": message.text}] if message.text else []
    calls = [
        {"type": "tool_use", "id": one.id, "name": one.name, "input": one.arguments} for one in message.calls
    ]
    return {"role": message.role, "content": [*results, *text, *calls]}


def _tools_of(request: ModelRequest) -> dict[str, Any]:
    """What a request says of tools and of the answer's form; nothing where it says nothing."""
    said: dict[str, Any] = {}
    if request.tools:
        said["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.schema,
                **({"strict": True} if tool.is_strict else {}),
            }
            for tool in request.tools
        ]
        said["tool_choice"] = {"type": request.choice}
    if request.forced:
        said["tool_choice"] = {"type": "tool", "name": request.forced, "disable_parallel_tool_use": True}
    if request.output is not None:
        said["output_config"] = {"format": {"type": "json_schema", "schema": request.output}}
    return said


def _arguments(said: object) -> Mapping[str, object]:
    return said if isinstance(said, dict) else {}


def _beside_the_loop(make: Callable[[], AsyncAnthropic]) -> AsyncAnthropic:
    """Import the SDK in this thread, and give the interpreter back to the loop ten times as often meanwhile.

    By default the loop gets it back after 5 ms, at each of its socket calls: on a busy machine the server
    took that for an overload and shed audio. With 0.5 ms its p99 lag was 5 ms instead of 11.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        importlib.import_module("anthropic")
        return make()
    finally:
        sys.setswitchinterval(usual_s)


def _of_status(error: APIStatusError, model: str) -> LanguageModelError:
    status = error.status_code
    kind: ErrorKind = _KINDS.get(status, "overloaded" if status >= 500 else "request")
    cause = f"{status}: {error.api_message or error.message}"
    if _NO_CREDITS in cause:
        kind = "quota"
    elif status == 404 and "model" in cause:
        kind, cause = "model", f"there is no model {model!r}; a setting names it ({cause})"
    return LanguageModelError(
        _NAME, kind, _short(cause), retry_after_s=_seconds(error.response.headers.get("retry-after"))
    )


def _seconds(header: Any) -> float:
    """What `retry-after` says; Anthropic sends seconds."""
    try:
        wait_s = float(header)
    except (TypeError, ValueError):
        return 0.0
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S) if wait_s == wait_s else 0.0


def _short(cause: str) -> str:
    return cause if len(cause) <= _LONGEST_CAUSE else f"{cause[:_LONGEST_CAUSE]}..."
