"""What Claude Code says and hears without a terminal: one JSON object a line, each way.

`claude -p --input-format stream-json --output-format stream-json --permission-prompt-tool stdio`, measured
with 2.1.329 (docs/terminal-agents.md). What is not known here is passed over: another version says more.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .claude_hooks import PermissionRequest, Ruling

MOST_LINE_BYTES: Final = 16 * 1024 * 1024
"""A line holds what a tool was given, or a picture that it has read."""

_HEAD_BYTES: Final = 64


class Overlong(msgspec.Struct, frozen=True):
    """A line of which only the first characters and the length were kept."""

    head: bytes
    size: int


class LineReader:
    """Cuts what a program writes into lines, and keeps no more than one of them.

    Args:
      most_bytes: of a line; what is longer comes out as `Overlong`.
    """

    def __init__(self, most_bytes: int = MOST_LINE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes | Overlong]:
        """The lines that `data` completes, without their ends; empty ones are left out."""
        lines: list[bytes | Overlong] = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            if self._size:
                lines.append(self._take())
        self._add(rest)
        return lines

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._most_bytes:
            self._parts.append(piece)
        else:
            self._parts = [(b"".join(self._parts) + piece)[:_HEAD_BYTES]]

    def _take(self) -> bytes | Overlong:
        line, size = b"".join(self._parts), self._size
        self._parts, self._size = [], 0
        return line if size <= self._most_bytes else Overlong(line[:_HEAD_BYTES], size)


# ---------------------------------------------------------------------------------------------------------
# What it says


class TurnBegan(msgspec.Struct, frozen=True):
    """It works on a prompt, or on what has ended in the background."""


class RunningTask(msgspec.Struct, frozen=True):
    """Something that runs in the background."""

    description: str = ""


class TasksChanged(msgspec.Struct, frozen=True):
    """All that runs in the background now."""

    tasks: tuple[RunningTask, ...] = ()


class ApiRetried(msgspec.Struct, frozen=True):
    """The model's API has failed, and is asked again."""

    error: str = "unknown"


class TextSaid(msgspec.Struct, frozen=True):
    """The model says something."""

    text: str


class ToolUsed(msgspec.Struct, frozen=True):
    """The model wants to use a tool; nobody has allowed that yet."""

    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")


class ToolEnded(msgspec.Struct, frozen=True):
    """A tool has run, or was refused.

    Attributes:
      content: what the model is told of it.
      response: all that is known of it.
    """

    content: str
    response: msgspec.Raw
    is_error: bool


class PermissionAsked(msgspec.Struct, frozen=True):
    """It waits for a permission, or for the answer to a question of the model's."""

    request_id: str
    request: PermissionRequest


class OtherAsked(msgspec.Struct, frozen=True):
    """It waits for something that is not known here."""

    request_id: str
    subtype: str


class PermissionDropped(msgspec.Struct, frozen=True):
    """It does not wait for this one any more."""

    request_id: str


class Replied(msgspec.Struct, frozen=True):
    """It has answered a request of ours. `error` is empty where it did what was asked."""

    request_id: str
    error: str = ""


class TurnEnded(msgspec.Struct, frozen=True):
    """A turn is over.

    Attributes:
      subtype: `success` is not enough: an API that fails is a success with `is_error`.
      terminal_reason: `completed`, `aborted_tools`, `api_error`; empty where it does not say.
    """

    subtype: str
    is_error: bool = False
    result: str = ""
    errors: tuple[str, ...] = ()
    terminal_reason: str | None = None

    @property
    def is_interrupted(self) -> bool:
        return (self.terminal_reason or "").startswith("aborted")

    @property
    def error(self) -> str:
        """Why it failed, in its own words."""
        return self.result or "\n".join(each for each in self.errors if not each.startswith("[ede_"))


class NotJson(msgspec.Struct, frozen=True):
    """A line of something else: a warning of a library, for instance."""

    text: str


StreamEvent = (
    TurnBegan
    | TasksChanged
    | ApiRetried
    | TextSaid
    | ToolUsed
    | ToolEnded
    | PermissionAsked
    | OtherAsked
    | PermissionDropped
    | Replied
    | TurnEnded
    | NotJson
)


class _Kind(msgspec.Struct, frozen=True):
    type: str
    subtype: str | None = None


class _Message(msgspec.Struct, frozen=True):
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Turn(msgspec.Struct, frozen=True):
    message: _Message
    tool_use_result: msgspec.Raw = msgspec.Raw(b"null")
    parent_tool_use_id: str | None = None


class _Block(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    content: msgspec.Raw = msgspec.Raw(b"null")
    is_error: bool = False


class _Wanted(msgspec.Struct, frozen=True):
    subtype: str
    tool_name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Request(msgspec.Struct, frozen=True):
    request_id: str
    request: _Wanted


class _Response(msgspec.Struct, frozen=True):
    subtype: str
    request_id: str
    error: str = ""


class _Responded(msgspec.Struct, frozen=True):
    response: _Response


_kinds: Final = msgspec.json.Decoder(_Kind)
_turns: Final = msgspec.json.Decoder(_Turn)


def read_line(line: bytes) -> tuple[StreamEvent, ...]:
    """What a line says; nothing where it says nothing of interest. Never raises, whatever the line is."""
    try:
        kind = _kinds.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return (NotJson(line.decode(errors="replace")),)
    try:
        return _read(kind, line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()  # one of another version


def _read(kind: _Kind, line: bytes) -> tuple[StreamEvent, ...]:
    match kind.type, kind.subtype:
        case "system", "init":
            return (TurnBegan(),)
        case "system", "background_tasks_changed":
            return (msgspec.json.decode(line, type=TasksChanged),)
        case "system", "api_retry":
            return (msgspec.json.decode(line, type=ApiRetried),)
        case "assistant", _:
            return _said(_turns.decode(line))
        case "user", _:
            return _told(_turns.decode(line))
        case "control_request", _:
            return (_asked(msgspec.json.decode(line, type=_Request)),)
        case "control_cancel_request", _:
            return (msgspec.json.decode(line, type=PermissionDropped),)
        case "control_response", _:
            response = msgspec.json.decode(line, type=_Responded).response
            failed = "" if response.subtype == "success" else response.error or response.subtype
            return (Replied(response.request_id, failed),)
        case "result", _:
            return (msgspec.json.decode(line, type=TurnEnded),)
        case _:
            return ()


def _blocks(content: msgspec.Raw) -> list[_Block]:
    """The pieces of a message; a message of text alone is one piece."""
    found = msgspec.json.decode(content, type=str | list[msgspec.Raw] | None)
    if isinstance(found, str):
        return [_Block("text", text=found)]
    blocks = []
    for each in found or ():
        try:
            blocks.append(msgspec.json.decode(each, type=_Block))
        except msgspec.ValidationError:
            continue  # a piece of a kind that is not read here
    return blocks


def _said(turn: _Turn) -> tuple[StreamEvent, ...]:
    events: list[StreamEvent] = []
    for block in _blocks(turn.message.content):
        # What an agent of its own says is between the two of them.
        if block.type == "text" and block.text.strip() and turn.parent_tool_use_id is None:
            events.append(TextSaid(block.text))
        elif block.type == "tool_use":
            events.append(ToolUsed(block.name, block.input))
    return tuple(events)


def _told(turn: _Turn) -> tuple[StreamEvent, ...]:
    return tuple(
        ToolEnded(
            "".join(piece.text for piece in _blocks(block.content)),
            turn.tool_use_result,
            block.is_error,
        )
        for block in _blocks(turn.message.content)
        if block.type == "tool_result"
    )


def _asked(asked: _Request) -> StreamEvent:
    wanted = asked.request
    if wanted.subtype == "can_use_tool" and wanted.tool_name:
        return PermissionAsked(asked.request_id, PermissionRequest(wanted.tool_name, wanted.input))
    return OtherAsked(asked.request_id, wanted.subtype)


# ---------------------------------------------------------------------------------------------------------
# What it hears


def prompt(text: str) -> bytes:
    """Something to do, as its user says it."""
    return _line({"type": "user", "message": {"role": "user", "content": text}})


def initialize(request_id: str) -> bytes:
    """The first line; it replies when it can be given a prompt."""
    return _request(request_id, "initialize")


def interrupt(request_id: str) -> bytes:
    """End the turn. What it waits to be allowed is dropped, and the turn ends as aborted."""
    return _request(request_id, "interrupt")


def are_you_there(request_id: str) -> bytes:
    """Its loop replies while a tool runs, while it asks and while it waits for the model."""
    return _request(request_id, "mcp_status")


def answer_permission(request_id: str, request: PermissionRequest, ruling: Ruling) -> bytes:
    """Decide about a permission. A tool that is allowed runs with the input that was asked about."""
    if ruling.behavior == "deny":
        return _respond(request_id, {"behavior": "deny", "message": ruling.message})
    given: object = request.tool_input if ruling.updated_input is None else ruling.updated_input
    return _respond(request_id, {"behavior": "allow", "updatedInput": given})


def refuse(request_id: str, why: str) -> bytes:
    """Say that a request of its is not understood, or it would wait for ever."""
    response = {"subtype": "error", "request_id": request_id, "error": why}
    return _line({"type": "control_response", "response": response})


def _request(request_id: str, subtype: str) -> bytes:
    return _line({"type": "control_request", "request_id": request_id, "request": {"subtype": subtype}})


def _respond(request_id: str, response: dict[str, object]) -> bytes:
    said = {"subtype": "success", "request_id": request_id, "response": response}
    return _line({"type": "control_response", "response": said})


def _line(said: dict[str, Any]) -> bytes:
    """One line for every reader: to JavaScript's U+2028 and U+2029, which JSON leaves be, may be its end."""
    line = msgspec.json.encode(said)
    return line.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029") + b"\n"
