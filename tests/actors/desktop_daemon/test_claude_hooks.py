"""What Claude Code's hooks say, in the words of the real ones, and what they are answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.desktop_daemon.claude_hooks import (
    HOOK_NAMES,
    PermissionRequest,
    PostToolUse,
    PreToolUse,
    Stop,
    StopFailure,
    UserPromptSubmit,
    allow,
    answer_questions,
    deny,
    describe_tool,
    hook_answer,
    questions_of,
    read_hook,
    tool_output,
)

COMMON = {
    "session_id": "3f0c9d6e-58a1-4f0b-9c53-0f5f3a8f1c22",
    "transcript_path": "/data/config/projects/-data-project/3f0c9d6e.jsonl",
    "cwd": "/data/project",
    "prompt_id": "f8564eb5-b118-4ee1-afb4-e4345805462a",
    "permission_mode": "default",
    "effort": {"level": "medium"},
}


def hook(name: str, **fields: object) -> bytes:
    return msgspec.json.encode({**COMMON, "hook_event_name": name, **fields})


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def test_hooks_of_the_real_program_are_read() -> None:
    assert UserPromptSubmit("write a note") == read_hook(hook("UserPromptSubmit", prompt="write a note"))
    stop = hook(
        "Stop",
        stop_hook_active=False,
        last_assistant_message="All done",
        background_tasks=[{"id": "b9", "type": "shell", "status": "running", "description": "Touch"}],
        session_crons=[],
    )
    read = read_hook(stop)
    assert isinstance(read, Stop)
    assert ("All done", "Touch") == (read.last_assistant_message, read.background_tasks[0].description)
    failure = hook("StopFailure", error="unknown", last_assistant_message="API Error: 400 planned")
    assert StopFailure("unknown", "API Error: 400 planned") == read_hook(failure)
    used = read_hook(
        hook("PreToolUse", tool_name="Bash", tool_input={"command": "ls"}, tool_use_id="toolu_1")
    )
    assert isinstance(used, PreToolUse)
    assert ("Run ls", "ls") == describe_tool(used.tool_name, used.tool_input)
    response = {"stdout": "one\n", "stderr": "two\n", "interrupted": False, "isImage": False}
    done = read_hook(hook("PostToolUse", tool_name="Bash", tool_response=response))
    assert isinstance(done, PostToolUse)
    assert "one\ntwo" == tool_output(done.tool_response)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", hook("Notification"), b'{"hook_event_name":"PreToolUse"}']
)
def test_what_nobody_asked_for_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_hook(body)


def test_every_hook_that_is_understood_is_asked_for() -> None:
    assert {"UserPromptSubmit", "PermissionRequest", "Stop", "StopFailure"} <= set(HOOK_NAMES)


@pytest.mark.parametrize(
    ("tool", "given", "title", "detail"),
    [
        ("Bash", {"command": "make\ntest", "description": "Test"}, "Run make test", "Test\n\nmake\ntest"),
        ("Write", {"file_path": "a.txt", "content": "x"}, "Write a.txt", "x"),
        ("Edit", {"file_path": "a", "old_string": "1\n2", "new_string": "3"}, "Edit a", "a\n- 1\n- 2\n+ 3"),
        ("WebFetch", {"url": "http://x"}, "Fetch http://x", '{\n  "url": "http://x"\n}'),
        ("Read", {"file_path": "a"}, "Read a", "a"),
        ("ExitPlanMode", {"plan": "1. Do"}, "Carry out this plan", "1. Do"),
        ("mcp__x__y", {"a": 1}, "Use mcp__x__y", '{\n  "a": 1\n}'),
        ("Bash", {"command": 7}, "Use Bash", '{\n  "command": 7\n}'),
        ("Bash", [1], "Use Bash", "[\n  1\n]"),
    ],
)
def test_a_tool_is_described_for_people(tool: str, given: object, title: str, detail: str) -> None:
    assert (title, detail) == describe_tool(tool, raw(given))


def test_a_long_command_shows_its_beginning_and_its_end() -> None:
    title, detail = describe_tool("Bash", raw({"command": "echo " + "x" * 100_000 + "; rm -rf ."}))

    assert len(title) == 200
    assert detail.startswith("echo")
    assert detail.endswith("; rm -rf .")
    assert len(detail) < 9_000


def request_of(given: object, tool: str = "AskUserQuestion") -> PermissionRequest:
    return PermissionRequest(tool, raw(given))


def test_questions_are_told_from_other_tools() -> None:
    question = {"question": "Which?", "options": [{"label": "A"}]}

    assert "Which?" == questions_of(request_of({"questions": [question]}))[0].question
    assert () == questions_of(request_of({"questions": [question]}, tool="Bash"))
    assert () == questions_of(request_of({"questions": 7}))
    assert () == questions_of(request_of({"questions": [question, question]}))


def decision(body: bytes) -> dict[str, Any]:
    output: dict[str, Any] = json.loads(body)["hookSpecificOutput"]
    assert "PermissionRequest" == output["hookEventName"]
    found: dict[str, Any] = output["decision"]
    return found


def test_answers_are_the_programs_own_words() -> None:
    asked = {"questions": [{"question": "Which?", "options": [{"label": "A"}]}], "extra": 1}

    assert {"behavior": "allow"} == decision(hook_answer(allow()))
    assert {"behavior": "deny", "message": "No."} == decision(hook_answer(deny("No.")))
    answered = decision(hook_answer(answer_questions(request_of(asked), {"Which?": "A"})))
    assert {"behavior": "allow", "updatedInput": {**asked, "answers": {"Which?": "A"}}} == answered
