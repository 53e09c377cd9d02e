"""What Claude Code tells by its hooks, and what its permission hook is answered with.

A hook is a POST of JSON to a listener of ours (section 10.3 of the desktop's digest; measured with 2.1.329).
`PermissionRequest` is held open until somebody has decided; all others are answered at once.
"""

from __future__ import annotations

import textwrap
from typing import Any, Final, Literal

import msgspec

_DETAIL_CHARACTERS: Final = 8 * 1024
_TITLE_CHARACTERS: Final = 200
_LOG_CHARACTERS: Final = 2 * 1024


class _Hook(msgspec.Struct, frozen=True, tag_field="hook_event_name"):
    pass


class UserPromptSubmit(_Hook, frozen=True, tag="UserPromptSubmit"):
    """It has taken a prompt and works."""

    prompt: str = ""


class PreToolUse(_Hook, frozen=True, tag="PreToolUse"):
    """It wants to use a tool; nobody has allowed that yet."""

    tool_name: str
    tool_input: msgspec.Raw = msgspec.Raw(b"{}")


class PermissionRequest(_Hook, frozen=True, tag="PermissionRequest"):
    """Somebody has to allow a tool, or to answer a question of the model's."""

    tool_name: str
    tool_input: msgspec.Raw = msgspec.Raw(b"{}")


class PostToolUse(_Hook, frozen=True, tag="PostToolUse"):
    """A tool has run."""

    tool_name: str
    tool_response: msgspec.Raw = msgspec.Raw(b"null")


class PostToolUseFailure(_Hook, frozen=True, tag="PostToolUseFailure"):
    """A tool has run and failed."""

    tool_name: str
    error: str = ""


class BackgroundTask(msgspec.Struct, frozen=True):
    """Something that still runs when a turn has ended."""

    status: str = "running"
    description: str = ""


class Stop(_Hook, frozen=True, tag="Stop"):
    """A turn has ended."""

    last_assistant_message: str = ""
    background_tasks: tuple[BackgroundTask, ...] = ()


class StopFailure(_Hook, frozen=True, tag="StopFailure"):
    """A turn has ended because the API failed."""

    error: str = "unknown"
    last_assistant_message: str = ""


class SessionEnd(_Hook, frozen=True, tag="SessionEnd"):
    """The program is about to end."""

    reason: str = ""


HookEvent = (
    UserPromptSubmit
    | PreToolUse
    | PermissionRequest
    | PostToolUse
    | PostToolUseFailure
    | Stop
    | StopFailure
    | SessionEnd
)
HOOK_NAMES: Final = tuple(str(kind.__struct_config__.tag) for kind in HookEvent.__args__)

_decoder: Final[msgspec.json.Decoder[HookEvent]] = msgspec.json.Decoder(HookEvent)


def read_hook(body: bytes) -> HookEvent:
    """What a hook says. Raises msgspec.DecodeError for one that is not asked for."""
    return _decoder.decode(body)


# ---------------------------------------------------------------------------------------------------------
# Tools


class Choice(msgspec.Struct, frozen=True):
    label: str
    description: str = ""


class AskedQuestion(msgspec.Struct, frozen=True):
    """A question of the model's to its user."""

    question: str
    header: str = ""
    options: tuple[Choice, ...] = ()


class _Questions(msgspec.Struct, frozen=True):
    questions: tuple[AskedQuestion, ...]


def questions_of(request: PermissionRequest) -> tuple[AskedQuestion, ...]:
    """What the model asks its user; empty where it wants to use another tool, or asks in a way unknown."""
    if request.tool_name != "AskUserQuestion":
        return ()
    try:
        asked = msgspec.json.decode(request.tool_input, type=_Questions).questions
    except msgspec.MsgspecError:
        return ()
    # An answer goes by the question's text.
    return asked if len({each.question for each in asked}) == len(asked) else ()


def describe_tool(name: str, given: msgspec.Raw) -> tuple[str, str]:
    """A title of one line, and all of it, for people.

    The input is a model's text: nothing of it is more than shown.
    """
    fields = _fields(given)
    match name, fields:
        case "Bash", {"command": str(command)}:
            about = fields.get("description")
            detail = f"{about}\n\n{command}" if isinstance(about, str) and about else command
            return _title(f"Run {command}"), _cut(detail)
        case "Write", {"file_path": str(path), "content": str(content)}:
            return _title(f"Write {path}"), _cut(content)
        case "Edit", {"file_path": str(path), "old_string": str(old), "new_string": str(new)}:
            return _title(f"Edit {path}"), _cut(f"{path}\n{_prefixed('- ', old)}\n{_prefixed('+ ', new)}")
        case "WebFetch", {"url": str(url)}:
            return _title(f"Fetch {url}"), _cut(_pretty(given))
        case "Read", {"file_path": str(path)}:
            return _title(f"Read {path}"), path
        case "ExitPlanMode", {"plan": str(plan)}:
            return "Carry out this plan", _cut(plan)
        case _:
            return _title(f"Use {name}"), _cut(_pretty(given))


def tool_output(response: msgspec.Raw) -> str:
    """The first of what a tool has said, for the log."""
    fields = _fields(response)
    said = [fields[key] for key in ("stdout", "stderr") if isinstance(fields.get(key), str)]
    text = "\n".join(part.rstrip("\n") for part in said if part)
    return text if len(text) <= _LOG_CHARACTERS else text[:_LOG_CHARACTERS] + "\n[...]"


def _fields(given: msgspec.Raw) -> dict[str, Any]:
    try:
        return msgspec.json.decode(given, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _pretty(given: msgspec.Raw) -> str:
    try:
        return msgspec.json.format(bytes(given), indent=2).decode()
    except msgspec.MsgspecError:
        return ""


def _prefixed(prefix: str, text: str) -> str:
    return textwrap.indent(text, prefix, lambda line: True)


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1] + "…"


def _cut(text: str) -> str:
    """The beginning and the end: what a command does may stand at its end."""
    if len(text) <= _DETAIL_CHARACTERS:
        return text
    half = _DETAIL_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


# ---------------------------------------------------------------------------------------------------------
# Answers

NO_DECISION: Final = b"{}"
"""What every other hook is answered with: the program goes on as if there were none."""


class Ruling(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is decided of a permission, in the program's own words.

    Attributes:
      message: what the model reads of a denial.
      updated_input: what the tool is used with instead; None for what it was asked with.
    """

    behavior: Literal["allow", "deny"]
    message: str = ""
    updated_input: dict[str, Any] | None = None


class _Output(msgspec.Struct, frozen=True, rename="camel"):
    decision: Ruling
    hook_event_name: str = "PermissionRequest"


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    hook_specific_output: _Output


def allow() -> Ruling:
    """Let it use the tool, this once."""
    return Ruling("allow")


def deny(message: str) -> Ruling:
    """Do not; the model reads why, and goes on."""
    return Ruling("deny", message)


def answer_questions(request: PermissionRequest, answers: dict[str, str]) -> Ruling:
    """Answer what the model asked: its questions' texts, each with a label or with words of the user's."""
    return Ruling("allow", updated_input={**_fields(request.tool_input), "answers": answers})


def hook_answer(ruling: Ruling) -> bytes:
    """What a permission's hook is answered with."""
    return msgspec.json.encode(_Answer(_Output(ruling)))
