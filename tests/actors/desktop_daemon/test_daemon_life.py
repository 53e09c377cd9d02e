"""The life of a terminal agent: what it asks, tells, and how it ends."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon import life
from actors.desktop_daemon.ports import (
    AgentOrder,
    Done,
    Failed,
    NeedsApproval,
    Output,
    Ready,
    Withdrawn,
    Working,
)
from protocols.desktop.documents import Approval, Option
from protocols.desktop.reports import CompleteReport, StatusReport

ORDER = AgentOrder(
    agent_id="agent_1", adapter="claude", goal="mend it", cwd="/srv/ada", session_uuid="u", timeout_s=100.0
)
RULES = life.Rules(approval_s=10.0, result_bytes=4096, timestamp_ms=1_000)
SHELL = msgspec.structs.replace(ORDER, adapter="bash", goal="rm -rf build")


def _approval(number: int = 1, **more: object) -> Approval:
    fields: dict[str, object] = {
        "approval_id": f"a{number}",
        "title": f"Question {number}?",
        "options": (Option(id="yes", label="Yes"), Option(id="no", label="No")),
        "tool": "Bash",
    }
    return Approval(**{**fields, **more})  # type: ignore[arg-type]


def _live(
    order: AgentOrder, *moves: life.Event | tuple[float, life.Event]
) -> tuple[life.Life, list[life.Effect]]:
    """The life after these, and all that it did since the last of them."""
    lives, effects = life.step(life.Life(order=order, run=1), life.Begin(), 0.0, RULES)
    for move in moves:
        now, event = move if isinstance(move, tuple) else (1.0, move)
        lives, effects = life.step(lives, event, now, RULES)
    return lives, list(effects)


def _said(event: object) -> life.Happened:
    return life.Happened(event)  # type: ignore[arg-type]


def _reports(effects: list[life.Effect]) -> list[StatusReport]:
    return [effect.report for effect in effects if isinstance(effect, life.Report)]


def _outcome(effects: list[life.Effect]) -> CompleteReport:
    (outcome,) = [effect.report for effect in effects if isinstance(effect, life.Conclude)]
    return outcome


ASKED = _said(NeedsApproval(_approval()))


def test_agent_that_asks_itself_is_started_at_once() -> None:
    lives, effects = _live(ORDER)

    assert life.StartRun() in effects
    assert ["initializing"] == [report.status for report in _reports(effects)]
    assert "starting" == lives.phase


def test_command_is_not_started_before_somebody_allows_it() -> None:
    _, effects = _live(SHELL)

    assert life.StartRun() not in effects
    (report,) = _reports(effects)
    assert report.approval is not None
    assert ("needs_approval", "Run in bash: rm -rf build") == (report.status, report.approval.title)
    for answer in (
        life.Answered(approval_id="start-1", decision="approve"),
        life.Answered(approval_id="start-1", decision="choose", choice="allow"),
    ):
        _, effects = _live(SHELL, answer)
        assert life.StartRun() in effects


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (life.Answered(approval_id="start-1", decision="deny"), "You did not allow it."),
        (life.Answered(approval_id="start-1", decision="choose", choice="deny"), "You did not allow it."),
        ((11.0, life.Tick()), "Nobody allowed it in time."),
    ],
)
def test_command_that_nobody_allows_is_never_run(
    event: life.Event | tuple[float, life.Event], error: str
) -> None:
    _, effects = _live(SHELL, event)

    assert ("failed", error) == (_outcome(effects).status, _outcome(effects).error)
    assert life.StartRun() not in effects


def test_command_runs_unasked_only_where_its_adapter_is_allowed() -> None:
    allowed = msgspec.structs.replace(SHELL, allowed=("bash",))
    other = msgspec.structs.replace(SHELL, allowed=("Bash", "python"))

    assert life.StartRun() in _live(allowed)[1]
    assert life.StartRun() not in _live(other)[1]


def test_input_to_a_shell_is_a_command_too() -> None:
    yes = life.Answered(approval_id="start-1", decision="approve")

    _, refused = _live(SHELL, yes, life.InputCame("rm -rf /"))
    _, taken = _live(msgspec.structs.replace(SHELL, allowed=("bash",)), life.InputCame("ls\x1b[A\r\n"))
    _, asked = _live(ORDER, life.InputCame("go on"))

    assert [life.Log] == [type(effect) for effect in refused]
    assert [life.Input("ls[A\n")] == taken
    assert [life.Input("go on")] == asked


def test_approval_is_told_and_its_answer_handed_over_once() -> None:
    lives, effects = _live(ORDER, ASKED)
    (report,) = _reports(effects)
    assert report.approval is not None
    assert ("needs_approval", 11_000) == (report.status, report.approval.expires_at)
    assert [True] == [effect.is_urgent for effect in effects if isinstance(effect, life.Report)]

    answer = life.Answered(approval_id="a1", decision="deny", message="not\x1b now")
    lives, effects_of_first = life.step(lives, answer, 2.0, RULES)
    _, effects_of_second = life.step(lives, answer, 2.0, RULES)
    assert life.Answer("a1", "deny", None, "not now") == effects_of_first[0]
    assert ["running"] == [report.status for report in _reports(list(effects_of_first))]
    assert () == effects_of_second


@pytest.mark.parametrize(
    "answer",
    [
        life.Answered(approval_id="a2", decision="approve"),
        life.Answered(approval_id="", decision="approve"),
        life.Answered(approval_id="a1", decision="choose", choice="maybe"),
        life.Answered(approval_id="a1", decision="choose"),
    ],
)
def test_answer_that_fits_nothing_leaves_the_approval_open(answer: life.Answered) -> None:
    lives, effects = _live(ORDER, ASKED, answer)

    assert [] == effects
    assert lives.asked is not None


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (None, life.Answer("a1", "deny", None, life.NOBODY_ANSWERED)),
        ("no", life.Answer("a1", "choose", "no", life.NOBODY_ANSWERED)),
        ("unheard of", life.Answer("a1", "deny", None, life.NOBODY_ANSWERED)),
    ],
)
def test_approval_that_nobody_answers_is_denied_unless_it_has_a_default(
    default: str | None, expected: life.Answer
) -> None:
    asked = _said(NeedsApproval(_approval(default=default)))

    assert [] == _live(ORDER, asked, (10.9, life.Tick()))[1]
    assert expected == _live(ORDER, asked, (11.0, life.Tick()))[1][0]


def test_second_question_waits_and_has_its_own_time() -> None:
    second = _said(NeedsApproval(_approval(2)))
    lives, effects = _live(ORDER, ASKED, (5.0, second))
    assert [] == effects

    lives, told = life.step(lives, life.Answered(approval_id="a1", decision="approve"), 9.0, RULES)
    assert ["a2"] == [report.approval.approval_id for report in _reports(list(told)) if report.approval]
    assert 19.0 == lives.due_at


def test_question_seen_twice_is_asked_once() -> None:
    by_hook = _said(NeedsApproval(_approval(1), "Bash ls"))
    on_screen = _said(NeedsApproval(_approval(2), "Bash ls"))

    lives, effects = _live(ORDER, by_hook, on_screen)

    assert [] == effects
    assert () == lives.waiting


def test_too_many_questions_are_denied() -> None:
    questions = [_said(NeedsApproval(_approval(number))) for number in range(12)]

    lives, effects = _live(ORDER, *questions)

    assert [life.Answer("a11", "deny", None, "too many questions at once")] == effects
    assert life.MOST_WAITING == len(lives.waiting)


def test_question_answered_at_the_desk_is_not_asked_any_more() -> None:
    lives, effects = _live(ORDER, ASKED, _said(Withdrawn("a1")))

    assert lives.asked is None
    assert ["running"] == [report.status for report in _reports(effects)]


def test_tool_that_the_user_allowed_in_that_directory_is_not_asked_for() -> None:
    allowed = msgspec.structs.replace(ORDER, allowed=("Bash",))
    _, effects = _live(allowed, ASKED)
    assert life.Answer("a1", "approve") == effects[0]

    question = _said(NeedsApproval(_approval(kind="question")))
    lives, _ = _live(allowed, question)
    assert lives.asked is not None
    lives, _ = _live(msgspec.structs.replace(ORDER, allowed=("Bash(ls)", "Read")), ASKED)
    assert lives.asked is not None


@pytest.mark.parametrize(
    ("event", "status", "result", "error"),
    [
        (_said(Done("it works")), "completed", "it works", None),
        (_said(Failed("no key", "401")), "failed", "401", "no key"),
        (life.KillAsked(), "cancelled", None, "Stopped."),
        (life.RunEnded(), "failed", None, "The agent ended without a result."),
        (life.RunEnded("OSError: gone"), "failed", None, "The agent ended without a result: OSError: gone"),
        ((100.0, life.Tick()), "failed", None, "Not done within 100 seconds."),
    ],
)
@pytest.mark.parametrize("before", [(), (ASKED,), (_said(Ready()), _said(Working("reads")))])
def test_every_end_is_told_once_with_its_reason(
    before: tuple[life.Event, ...],
    event: life.Event | tuple[float, life.Event],
    status: str,
    result: str | None,
    error: str | None,
) -> None:
    lives, effects = _live(ORDER, *before, event)

    outcome = _outcome(effects)
    assert (status, result, error) == (outcome.status, outcome.result, outcome.error)
    assert outcome.seq == lives.seq
    assert () == life.step(lives, _said(Done("again")), 101.0, RULES)[1]


def test_result_is_cut_before_it_is_kept() -> None:
    _, effects = _live(ORDER, _said(Done("x" * 10_000)))

    assert len(_outcome(effects).result or "") <= RULES.result_bytes


def test_resumed_agent_says_so_and_counts_its_reports_on() -> None:
    resumed = msgspec.structs.replace(ORDER, is_resume=True)
    _, effects = life.step(life.Life(order=resumed, run=3), life.Begin(), 0.0, RULES)

    (report,) = _reports(list(effects))
    assert ("running", 3_000_000_001) == (report.status, report.seq)
    assert "restart" in (report.current_step or "")


def test_same_step_is_not_told_twice() -> None:
    _, effects = _live(ORDER, _said(Ready()), _said(Working("reads")), _said(Working("reads")))

    assert [] == effects


def test_what_a_terminal_printed_can_always_be_told() -> None:
    half = "half \udc80 of it"
    approval = _approval(title=half, detail=half, tool=half, options=(Option(id="yes", label=half),))
    for event in (Output("stdout", half), NeedsApproval(approval), Working(half), Done(half), Failed(half)):
        for effect in _live(ORDER, _said(event))[1]:
            assert b"half ? of it" in msgspec.json.encode(effect)


EVENTS = st.one_of(
    st.builds(life.Happened, st.just(Ready())),
    st.builds(life.Happened, st.builds(Working, st.sampled_from(["", "reads", "writes"]))),
    st.builds(
        life.Happened,
        st.builds(NeedsApproval, st.integers(1, 4).map(_approval), st.sampled_from(["", "k1", "k2"])),
    ),
    st.builds(life.Happened, st.builds(Withdrawn, st.integers(1, 4).map("a{}".format))),
    st.builds(life.Happened, st.builds(Output, st.just("stdout"), st.sampled_from(["", "x"]))),
    st.builds(life.Happened, st.sampled_from([Done("ok"), Failed("no")])),
    st.builds(
        life.Answered,
        approval_id=st.sampled_from(["a1", "a2", "a3", "a4", "start-1"]),
        decision=st.sampled_from(["approve", "deny", "choose"]),
        choice=st.sampled_from([None, "yes", "no", "allow"]),
    ),
    st.builds(life.InputCame, st.just("go")),
    st.just(life.KillAsked()),
    st.just(life.RunEnded()),
    st.just(life.Tick()),
)


@given(st.sampled_from([ORDER, SHELL]), st.lists(st.tuples(st.floats(0, 8), EVENTS), max_size=40))
def test_any_life_tells_upwards_ends_once_and_asks_before_it_runs(
    order: AgentOrder, moves: list[tuple[float, life.Event]]
) -> None:
    lives, effects = life.step(life.Life(order=order, run=1), life.Begin(), 0.0, RULES)
    now, seq, ends, said_yes = 0.0, 0, 0, False
    answered: list[str] = []
    for pause_s, event in [(0.0, None), *moves]:
        now += pause_s
        if event is not None:
            was_asked = lives.asked
            lives, effects = life.step(lives, event, now, RULES)
            if was_asked is not None and was_asked.is_gate and isinstance(event, life.Answered):
                is_allow = event.decision == "choose" and event.choice == "allow"
                said_yes |= event.approval_id == "start-1" and (event.decision == "approve" or is_allow)
        for effect in effects:
            match effect:
                case life.Report(report):
                    assert (report.seq or 0) > seq
                    seq = report.seq or 0
                    assert (report.approval is not None) == (report.status == "needs_approval")
                case life.Conclude(report):
                    assert (report.seq or 0) > seq
                    ends += 1
                case life.StartRun() if order is SHELL:
                    assert said_yes
                case life.Answer(approval_id):
                    answered.append(approval_id)
                case life.Input():
                    assert order is not SHELL
        assert ends == (lives.phase == "over")
        assert lives.due_at is None or lives.due_at >= 0
        assert not lives.waiting or lives.asked is not None
