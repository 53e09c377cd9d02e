"""A run of Claude Code without a terminal, line by line, on its recorded streams."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon.claude_headless import (
    AFTERWARDS_S,
    BACKGROUND_S,
    HANG_S,
    QUIET_S,
    START_S,
    ClaudeHeadless,
    step,
    takes,
    wake_at,
)
from actors.desktop_daemon.claude_permission import Asking
from actors.desktop_daemon.claude_prompt import RESTARTS
from actors.desktop_daemon.claude_stream import Overlong
from actors.desktop_daemon.ports import (
    AgentEvent,
    Done,
    Failed,
    NeedsApproval,
    Output,
    Ready,
    Withdrawn,
    Working,
)
from actors.desktop_daemon.terminal_facts import (
    Again,
    Answered,
    End,
    Ended,
    InputGiven,
    InterruptAsked,
    LineHeard,
    ProgramEffect,
    ProgramFact,
    Send,
    Started,
    Tell,
    TimePassed,
)
from tests.actors.desktop_daemon.recorded import STREAMS, recorded_stream

READY = b'{"type":"control_response","response":{"subtype":"success","request_id":"glasshouse-1"}}'
BEGAN = b'{"type":"system","subtype":"init"}'
KILLED = Ended("signal SIGKILL", None, "")


def result(text: str = "Done.", **fields: object) -> bytes:
    return msgspec.json.encode({"type": "result", "subtype": "success", "result": text, **fields})


def asks(request_id: str = "r1", command: str = "make") -> bytes:
    wanted = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": command}}
    return msgspec.json.encode({"type": "control_request", "request_id": request_id, "request": wanted})


def runs(*descriptions: str) -> bytes:
    tasks = [{"task_id": "t", "description": each} for each in descriptions]
    return msgspec.json.encode({"type": "system", "subtype": "background_tasks_changed", "tasks": tasks})


class Stream:
    """Applies facts one after the other and keeps what came of them."""

    def __init__(self) -> None:
        self.state = ClaudeHeadless(asking=Asking(ids="a"), prompts=("the goal",), going_on="go on")
        self.effects: list[ProgramEffect] = []
        self.now = 100.0
        self.hear(Started())

    def hear(self, *facts: ProgramFact | bytes) -> Stream:
        for fact in facts:
            heard = LineHeard(fact) if isinstance(fact, bytes) else fact
            self.state, effects = step(self.state, heard, self.now)
            self.effects += effects
        return self

    def wait(self, seconds: float) -> Stream:
        """Time passes, and the run is woken when it wants to be."""
        end = self.now + seconds
        while (wakes := wake_at(self.state)) is not None and wakes <= end:
            assert wakes > self.now
            self.now = wakes
            self.hear(TimePassed())
        self.now = end
        return self

    def work(self) -> Stream:
        """It has been given its goal and has taken it."""
        return self.hear(READY, BEGAN)

    def replay(self, name: str, *decisions: ProgramFact) -> Stream:
        """A recorded run, with a decision for each of its questions."""
        waiting = list(decisions)
        for line in recorded_stream(name):
            asked = len(self.asked)
            self.hear(line)
            if len(self.asked) > asked or (self.state.resting is not None and waiting):
                self.decide(waiting.pop(0))
        assert not waiting
        return self

    def decide(self, fact: ProgramFact) -> Stream:
        """Decide, and if the answer has led to another question leave that open."""
        if isinstance(fact, Answered):
            fact = msgspec.structs.replace(fact, approval_id=self.asked[-1].approval.approval_id)
            assert takes(self.state, fact)
        return self.hear(fact)

    @property
    def events(self) -> list[AgentEvent]:
        return [effect.event for effect in self.effects if isinstance(effect, Tell)]

    @property
    def asked(self) -> list[NeedsApproval]:
        return [event for event in self.events if isinstance(event, NeedsApproval)]

    @property
    def sent(self) -> list[Any]:
        return [json.loads(effect.line) for effect in self.effects if isinstance(effect, Send)]

    @property
    def prompts(self) -> list[str]:
        return [line["message"]["content"] for line in self.sent if line["type"] == "user"]

    @property
    def answers(self) -> list[tuple[str, str]]:
        """What was answered to which request."""
        found = [line["response"] for line in self.sent if line["type"] == "control_response"]
        return [(each["request_id"], each.get("response", {}).get("behavior", "error")) for each in found]

    @property
    def log(self) -> str:
        return "".join(event.content for event in self.events if isinstance(event, Output))


APPROVE = Answered("", "approve")
DENY = Answered("", "deny", None, "Not that one.")


def choose(option: str) -> Answered:
    return Answered("", "choose", option)


# ---------------------------------------------------------------------------------------------------------
# Whole runs, as they were recorded


@pytest.mark.parametrize(
    ("name", "decisions", "outcome", "log"),
    [
        (
            "asks_twice",
            [APPROVE, DENY],
            Done("Made one."),
            "made.txt\nhello\nAnd now.\n● Run touch refused.txt\nNot that one.\nMade one.\n",
        ),
        ("two_at_once", [APPROVE, APPROVE], Done("Done."), "● Run touch a.txt\n"),
        ("in_the_background", [APPROVE], Done("It has ended."), "It runs.\n"),
        ("a_tool_fails", [APPROVE], Done("It failed."), "Exit code 2\nls: cannot access '/nowhere'"),
        (
            "refused_by_the_api",
            [],
            Failed("API Error: 400 It was planned."),
            "",
        ),
        ("interrupted_while_asking", [InterruptAsked(), InputGiven("Other.")], Done("Did the other."), ""),
    ],
)
def test_recorded_runs_end_as_they_did(
    name: str, decisions: list[ProgramFact], outcome: AgentEvent, log: str
) -> None:
    stream = Stream().replay(name, *decisions)

    assert outcome == stream.events[-1]
    assert End() == stream.effects[-1]
    assert log in stream.log
    assert Ready() == stream.events[0]
    assert "the goal" == stream.prompts[0]


def test_each_of_two_permissions_is_answered_with_its_own_id() -> None:
    stream = Stream().replay("asks_twice", APPROVE, DENY)

    lines = [json.loads(line) for line in recorded_stream("asks_twice")]
    first, second = (line["request_id"] for line in lines if line["type"] == "control_request")
    assert [(first, "allow"), (second, "deny")] == stream.answers
    assert ["Run echo hello | tee made.txt", "Run touch refused.txt"] == [
        asked.approval.title for asked in stream.asked
    ]


def test_questions_of_the_models_are_asked_one_by_one_and_answered_together() -> None:
    stream = Stream()
    for line in recorded_stream("questions"):
        stream.hear(line)
        if stream.asked and not stream.answers:
            stream.decide(choose("2")).hear(InputGiven("glass"))

    assert ["Which database?", "Which name?"] == [asked.approval.title for asked in stream.asked]
    (answered,) = (line for line in stream.sent if line["type"] == "control_response")
    given_back = answered["response"]["response"]["updatedInput"]
    assert {"Which database?": "PostgreSQL", "Which name?": "glass"} == given_back["answers"]
    assert Done("Thanks.") == stream.events[-1]


def test_an_overloaded_api_is_told_of_and_fails_in_its_own_words() -> None:
    stream = Stream().replay("overloaded_api")

    assert Working("Asks the model again: overloaded") in stream.events
    failed = stream.events[-1]
    assert isinstance(failed, Failed)
    assert "API Error: 529 Overloaded" in failed.error


def test_an_interrupt_ends_the_turn_and_what_it_waited_for() -> None:
    stream = Stream()
    for line in recorded_stream("interrupted_while_asking"):
        stream.hear(line)
        if len(stream.asked) == 1 and Withdrawn(stream.asked[0].approval.approval_id) not in stream.events:
            stream.hear(InterruptAsked())
        if stream.state.resting is not None:
            break

    assert "interrupt" in [
        line["request"]["subtype"] for line in stream.sent if line["type"] == "control_request"
    ]
    assert Withdrawn(stream.asked[0].approval.approval_id) in stream.events
    assert "It was interrupted. What should it do instead?" == stream.asked[1].approval.title
    assert [] == stream.answers


# ---------------------------------------------------------------------------------------------------------
# What a result means


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (result("All done."), Done("All done.")),
        (result(""), Failed("It stopped without a word.")),
        (result("API Error: 500", is_error=True), Failed("API Error: 500")),
        (
            result("", subtype="error_max_turns", is_error=True),
            Failed("Claude Code has given up: error_max_turns"),
        ),
        (
            result("", subtype="error_during_execution", is_error=True, errors=["[ede_x] y", "It broke."]),
            Failed("It broke."),
        ),
        (result("Half.", subtype="a_new_one"), Failed("Half.")),
    ],
)
def test_only_a_success_without_error_and_with_words_is_one(line: bytes, outcome: AgentEvent) -> None:
    stream = Stream().work().hear(line)

    assert outcome == stream.events[-1]
    assert wake_at(stream.state) is None


@pytest.mark.parametrize(("how", "code"), [("exit status 0", 0), ("exit status 1", 1)])
def test_a_program_that_ends_without_a_result_has_failed_whatever_its_status(how: str, code: int) -> None:
    stream = Stream().work().hear(Ended(how, code, "\x1b[31mno license\x1b[0m\n"))

    assert Failed(f"Claude Code has ended: {how}", "[31mno license[0m") == stream.events[-1]


def test_a_session_that_cannot_be_resumed_fails_with_its_reason() -> None:
    line = result("", subtype="error_during_execution", is_error=True, errors=["No conversation found"])

    assert Failed("No conversation found") == Stream().hear(line).events[-1]


# ---------------------------------------------------------------------------------------------------------
# Prompts and decisions


def test_what_is_said_in_the_middle_of_a_turn_waits_for_its_end() -> None:
    stream = Stream().work().hear(InputGiven("/compact now"))
    assert ["the goal"] == stream.prompts

    stream.hear(result("First."))
    assert ["the goal", "Please do this: /compact now"] == stream.prompts

    stream.hear(BEGAN, result("Second."))
    assert Done("Second.") == stream.events[-1]


def test_an_answer_counts_once_and_for_the_request_that_it_names() -> None:
    stream = Stream().work().hear(asks("r1"), asks("r2"), asks("r1"))
    first, second = (asked.approval.approval_id for asked in stream.asked)

    stream.hear(Answered(second, "deny"), Answered(second, "approve"), Answered("another", "approve"))
    stream.hear(Answered(first, "choose", "always"), Answered(first, "choose", "yes"))

    assert [("r2", "deny"), ("r1", "allow")] == stream.answers
    assert not takes(stream.state, Answered(first, "approve"))


def test_an_answer_to_what_was_dropped_goes_nowhere() -> None:
    dropped = b'{"type":"control_cancel_request","request_id":"r1"}'
    stream = Stream().work().hear(asks("r1"), dropped)
    (asked,) = stream.asked

    stream.hear(Answered(asked.approval.approval_id, "approve"))

    assert Withdrawn(asked.approval.approval_id) in stream.events
    assert [] == stream.answers


def test_a_request_that_is_not_known_is_refused_at_once() -> None:
    line = b'{"type":"control_request","request_id":"r9","request":{"subtype":"elicitation"}}'

    assert [("r9", "error")] == Stream().work().hear(line).answers


def test_an_interrupted_run_can_be_ended() -> None:
    aborted = result("", subtype="error_during_execution", is_error=True, terminal_reason="aborted_tools")
    stream = Stream().work().hear(InterruptAsked(), aborted)
    (asked,) = stream.asked
    assert not takes(stream.state, Answered(asked.approval.approval_id, "approve"))

    stream.hear(Answered(asked.approval.approval_id, "deny"))

    assert Failed("It was interrupted.") == stream.events[-1]


def test_there_is_nothing_to_interrupt_before_the_goal_or_after_the_turn() -> None:
    stream = Stream().hear(InterruptAsked()).work().hear(runs("Waits"), result("x"), InterruptAsked())

    assert ["initialize"] == [line["request"]["subtype"] for line in stream.sent if "request" in line]


# ---------------------------------------------------------------------------------------------------------
# Time


def test_a_program_that_never_says_that_it_is_ready_is_given_up() -> None:
    assert Failed("Claude Code did not start.") == Stream().wait(START_S).events[-1]


def test_a_program_that_is_quiet_is_asked_whether_it_is_there_and_given_up_when_it_is_not() -> None:
    there = b'{"type":"control_response","response":{"subtype":"success","request_id":"glasshouse-2"}}'
    stream = Stream().work().wait(QUIET_S)
    assert "mcp_status" == stream.sent[-1]["request"]["subtype"]

    stream.hear(there).wait(HANG_S - 1)
    assert "over" != stream.state.phase

    stream.wait(1)
    assert Failed("Claude Code hangs: it does not answer.") == stream.events[-1]


def test_a_turn_waits_for_what_it_has_left_running_and_not_for_ever() -> None:
    stream = Stream().work().hear(runs("Tests"), result("They run."))
    assert [Working("Waits for Tests")] == stream.events[-1:]

    stream.wait(BACKGROUND_S)
    assert Done("They run.\n\n[What it had left running was ended.]") == stream.events[-1]


def test_a_turn_after_which_the_background_ends_in_silence_is_done() -> None:
    stream = Stream().work().hear(runs("Tests"), result("They run.")).wait(1).hear(runs())

    assert Done("They run.") == stream.wait(AFTERWARDS_S).events[-1]


# ---------------------------------------------------------------------------------------------------------
# Crashes, floods and nonsense


def test_a_program_that_was_killed_is_resumed_and_asks_anew() -> None:
    stream = Stream().work().hear(asks("r1"))
    (asked,) = stream.asked

    stream.hear(KILLED)
    assert [Again()] == [effect for effect in stream.effects if isinstance(effect, Again)]
    assert Withdrawn(asked.approval.approval_id) in stream.events
    assert not takes(stream.state, Answered(asked.approval.approval_id, "approve"))

    stream.hear(Started(), READY.replace(b"glasshouse-1", b"glasshouse-2"), BEGAN, asks("r1"))
    assert ["the goal", "go on"] == stream.prompts
    assert asked.approval.approval_id != stream.asked[1].approval.approval_id


def test_a_program_that_is_killed_again_and_again_has_failed() -> None:
    stream = Stream().work()
    for number in range(RESTARTS):
        ready = READY.replace(b"glasshouse-1", b"glasshouse-%d" % (number + 2))
        stream.hear(KILLED, Started(), ready, BEGAN)
    stream.hear(KILLED)

    assert RESTARTS == stream.effects.count(Again())
    assert Failed("Claude Code has ended: signal SIGKILL") == stream.events[-1]


def test_a_line_that_is_not_read_is_left_out_where_nothing_waits_for_it() -> None:
    stream = Stream().work().hear(LineHeard(Overlong(b'{"type":"user","message"', 20_000_000)))
    assert "[... a line of 20000000 bytes left out ...]\n" in stream.log

    stream.hear(LineHeard(Overlong(b'{"type":"control_request"', 20_000_000)))
    failed = stream.events[-1]
    assert isinstance(failed, Failed)
    assert "20000000 bytes" in failed.error


def test_a_warning_between_the_lines_is_logged_without_its_colours() -> None:
    assert "[31m(node) old[0m\n" == Stream().work().hear(b"\x1b[31m(node) old\x1b[0m").log


_LINES = [line for name in STREAMS for line in recorded_stream(name)]
_FACTS = st.one_of(
    st.sampled_from(_LINES).map(LineHeard),
    st.binary(max_size=60).map(LineHeard),
    st.builds(lambda line, end: LineHeard(line[:end]), st.sampled_from(_LINES), st.integers(1, 400)),
    st.sampled_from([READY, BEGAN, asks("r1"), asks("r2"), result(), runs("x"), runs()]).map(LineHeard),
    st.sampled_from([Overlong(b"x", 9), Overlong(b'{"type":"user"', 9)]).map(LineHeard),
    st.sampled_from([Started(), TimePassed(), InterruptAsked(), InputGiven("more"), KILLED]),
    st.builds(
        Answered,
        st.integers(1, 6).map(lambda number: f"a-{number}"),
        st.sampled_from(["approve", "deny", "choose"]),
        st.sampled_from([None, "yes", "no", "1", "2"]),
        st.sampled_from([None, "words"]),
    ),
)


@given(st.lists(st.tuples(_FACTS, st.floats(0, 100)), max_size=40))
def test_whatever_comes_only_what_was_approved_is_allowed_and_an_end_is_final(
    facts: list[tuple[ProgramFact, float]],
) -> None:
    stream = Stream()
    for fact, after_s in facts:
        stream.now += after_s
        before = stream.state
        allowed = len([each for each in stream.answers if each[1] == "allow"])
        stream.hear(fact)
        now_allowed = [each for each in stream.answers if each[1] == "allow"]
        if len(now_allowed) > allowed:
            assert isinstance(fact, Answered | InputGiven)
            assert now_allowed[-1][0] in {held.number for held in before.asking.held}
        wakes = wake_at(stream.state)
        assert wakes is None or wakes > stream.now

    ends = [event for event in stream.events if isinstance(event, Done | Failed)]
    assert len(ends) <= 1
    assert (ends != []) == (stream.state.phase == "over") == (End() in stream.effects)
    ids = [asked.approval.approval_id for asked in stream.asked]
    assert len(set(ids)) == len(ids)
    assert ends == stream.events[len(stream.events) - len(ends) :]
