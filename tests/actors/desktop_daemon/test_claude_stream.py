"""Lines of Claude Code without a terminal: the real ones, and whatever else a pipe may bring."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.desktop_daemon import claude_stream
from actors.desktop_daemon.claude_hooks import PermissionRequest, Ruling, allow, deny
from actors.desktop_daemon.claude_stream import (
    ApiRetried,
    LineReader,
    NotJson,
    OtherAsked,
    Overlong,
    PermissionAsked,
    PermissionDropped,
    Replied,
    RunningTask,
    StreamEvent,
    TasksChanged,
    TextSaid,
    ToolEnded,
    ToolUsed,
    TurnBegan,
    TurnEnded,
    read_line,
)
from tests.actors.desktop_daemon.recorded import STREAMS, recorded_stream


def events_of(name: str) -> list[StreamEvent]:
    return [event for line in recorded_stream(name) for event in read_line(line)]


def test_a_recorded_run_is_read_from_its_first_reply_to_its_result() -> None:
    kinds = [type(event) for event in events_of("asks_twice")]

    asked_and_ended = [TextSaid, ToolUsed, PermissionAsked, ToolEnded]
    assert [Replied, TurnBegan, *asked_and_ended, *asked_and_ended, TextSaid, TurnEnded] == kinds


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("in_the_background", [TasksChanged((RunningTask("Waits"),)), TasksChanged(())]),
        ("overloaded_api", [ApiRetried("overloaded")]),
    ],
)
def test_what_goes_on_beside_the_turn_is_read(name: str, found: list[StreamEvent]) -> None:
    assert found == [event for event in events_of(name) if isinstance(event, TasksChanged | ApiRetried)]


def test_a_permission_has_its_id_its_tool_and_its_input_as_they_came() -> None:
    (asked, _) = (event for event in events_of("asks_twice") if isinstance(event, PermissionAsked))

    assert 36 == len(asked.request_id)
    assert "Bash" == asked.request.tool_name
    assert "echo hello | tee made.txt" == json.loads(bytes(asked.request.tool_input))["command"]


def test_a_permission_that_is_dropped_has_the_id_that_was_asked_with() -> None:
    events = events_of("interrupted_while_asking")

    (asked,) = (event for event in events if isinstance(event, PermissionAsked))
    assert PermissionDropped(asked.request_id) in events


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("asks_twice", [("success", False, False, "Made one.")]),
        ("refused_by_the_api", [("success", True, False, "API Error: 400 It was planned.")]),
        (
            "interrupted_while_asking",
            [("error_during_execution", True, True, ""), ("success", False, False, "Did the other.")],
        ),
        (
            "interrupted_in_a_tool",
            [("error_during_execution", True, True, ""), ("success", False, False, "Did the other.")],
        ),
    ],
)
def test_a_result_says_how_the_turn_went(name: str, ends: list[tuple[str, bool, bool, str]]) -> None:
    turns = [event for event in events_of(name) if isinstance(event, TurnEnded)]

    assert ends == [
        (turn.subtype, turn.is_error, turn.is_interrupted, turn.error if turn.is_error else turn.result)
        for turn in turns
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"(node:1) Warning: it is old", (NotJson("(node:1) Warning: it is old"),)),
        (b"\xff\xfe", (NotJson("\ufffd\ufffd"),)),
        (b'{"type":"result","subtype":"succ', (NotJson('{"type":"result","subtype":"succ'),)),
        (b'["result"]', (NotJson('["result"]'),)),
        (b"[" * 5000, (NotJson("[" * 5000),)),
        (b'{"type":"system","subtype":"a_new_one"}', ()),
        (b'{"type":"a_new_one"}', ()),
        (b'{"type":"result","subtype":"success","result":{"other":1}}', ()),
        (b'{"type":"control_request","request":{"subtype":"can_use_tool"}}', ()),
        (
            b'{"type":"control_request","request_id":"r","request":{"subtype":"elicitation"}}',
            (OtherAsked("r", "elicitation"),),
        ),
        (
            b'{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool"}}',
            (OtherAsked("r", "can_use_tool"),),
        ),
        (
            b'{"type":"control_response","response":{"subtype":"error","request_id":"r","error":"no"}}',
            (Replied("r", "no"),),
        ),
        (
            b'{"type":"assistant","message":{"content":[{"type":"text","text":7},{"type":"text","text":"a"}]}}',
            (TextSaid("a"),),
        ),
        (b'{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"x"}]}}', ()),
        (b'{"type":"assistant","message":{"content":"plain"}}', (TextSaid("plain"),)),
        (
            b'{"type":"assistant","parent_tool_use_id":"t","message":{"content":"between them"}}',
            (),
        ),
        (b'{"type":"user","message":{"content":"[Request interrupted by user]"}}', ()),
    ],
)
def test_lines_that_are_not_of_the_known_kind_harm_nobody(line: bytes, said: tuple[StreamEvent, ...]) -> None:
    assert said == read_line(line)


@given(st.binary(max_size=200))
def test_whatever_a_line_is_reading_it_does_not_fail(line: bytes) -> None:
    assert isinstance(read_line(line), tuple)


_LINES = [line for name in STREAMS for line in recorded_stream(name)]


@given(st.sampled_from(_LINES), st.data())
def test_a_recorded_line_that_was_cut_or_changed_is_never_a_permission_of_another_id(
    line: bytes, data: st.DataObject
) -> None:
    known = {event.request_id for event in read_line(line) if isinstance(event, PermissionAsked)}
    begin = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(begin, len(line)))

    cut = read_line(line[:begin] + line[end:])

    ids = {event.request_id for event in cut if isinstance(event, PermissionAsked)}
    assert all(any(other in found or found in other for other in known) for found in ids)


# ---------------------------------------------------------------------------------------------------------
# Cutting into lines


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 30), st.data())
def test_lines_are_the_same_however_they_arrive(pieces: list[bytes], most: int, data: st.DataObject) -> None:
    stream = b"\n".join(pieces) + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = LineReader(most)

    lines = [
        line
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for line in reader.feed(stream[begin:end])
    ]

    wanted = [line for line in stream.split(b"\n") if line]
    assert [line if len(line) <= most else Overlong(line[:64], len(line)) for line in wanted] == lines


def test_a_line_without_an_end_takes_no_more_room_than_a_line_may() -> None:
    reader = LineReader(1000)

    for _ in range(10_000):
        assert [] == reader.feed(b"x" * 999)

    assert 64 >= sum(map(len, reader._parts))
    assert [Overlong(b"x" * 64, 9_990_000), b"next"] == reader.feed(b"\nnext\n")


# ---------------------------------------------------------------------------------------------------------
# What it is told


def said(line: bytes) -> Any:
    """What a line says, to a reader that ends lines where JavaScript does."""
    first, *rest = re.split("[\n\r\u2028\u2029]", line.decode())
    assert [""] == rest
    return json.loads(first)


def test_an_answer_has_the_id_of_its_request_and_runs_what_was_asked_about() -> None:
    given_input = b'{"command": "make",  "n": 1.0, "big": 123456789012345678901234567890}'
    request = PermissionRequest("Bash", msgspec.Raw(given_input))

    allowed = claude_stream.answer_permission("r1", request, allow())

    assert given_input in allowed
    assert {
        "type": "control_response",
        "response": {
            "subtype": "success",
            "request_id": "r1",
            "response": {"behavior": "allow", "updatedInput": json.loads(given_input)},
        },
    } == said(allowed)
    denied = said(claude_stream.answer_permission("r1", request, deny("Not that one.")))
    assert {"behavior": "deny", "message": "Not that one."} == denied["response"]["response"]
    answered = said(
        claude_stream.answer_permission("r1", request, Ruling("allow", updated_input={"answers": {"a": "b"}}))
    )
    assert {"answers": {"a": "b"}} == answered["response"]["response"]["updatedInput"]


@example("a\u2028b\u2029c\r\nd")
@given(st.text())
def test_a_prompt_is_one_line_and_arrives_as_it_was_said(text: str) -> None:
    assert {"type": "user", "message": {"role": "user", "content": text}} == said(claude_stream.prompt(text))


def test_requests_of_ours_are_the_programs_own_words() -> None:
    assert {
        "type": "control_request",
        "request_id": "g-1",
        "request": {"subtype": "interrupt"},
    } == said(claude_stream.interrupt("g-1"))
    assert "error" == said(claude_stream.refuse("r", "why"))["response"]["subtype"]
