"""Which report goes next: tables, and any server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon import posting
from actors.desktop_daemon.ports import ReportAnswer
from actors.desktop_daemon.posting import Delivered, Piece, Post, Posting
from actors.desktop_daemon.settings import ReportSettings
from protocols.desktop.reports import CompleteReport, LogReport, StatusReport

SETTINGS = ReportSettings()
END = CompleteReport(status="completed", result="done")


def _status(seq: int) -> StatusReport:
    return StatusReport(status="running", current_step=f"step {seq}", seq=seq)


def _told(waiting: Posting, seq: int, *, is_urgent: bool = False) -> Posting:
    return posting.told(waiting, "a", _status(seq), is_urgent=is_urgent)


def _next(waiting: Posting, now: float) -> tuple[Posting, list[object]]:
    waiting, posts = posting.next_posts(waiting, now, SETTINGS)
    return waiting, [post.sent.report for post in posts]


def _answer(
    waiting: Posting, status: int | None, now: float, *, agent: str = "a", retry_after_s: float | None = None
) -> tuple[Posting, Delivered | None]:
    sent = waiting.lanes[agent].sent
    assert sent is not None
    answer = None if status is None else ReportAnswer(status, retry_after_s)
    return posting.answered(waiting, agent, sent.number, answer, now, 0.5, SETTINGS)


def test_newest_state_counts_and_keeps_its_pace() -> None:
    waiting, first = _next(_told(Posting(), 1), 0.0)
    waiting = _told(_told(waiting, 2), 3)
    waiting, _ = _answer(waiting, 200, 0.1)

    assert [_status(1)] == first
    assert 0.5 == posting.due_at(waiting, SETTINGS)
    assert [] == _next(waiting, 0.4)[1]
    assert [_status(3)] == _next(waiting, 0.5)[1]


def test_approval_does_not_wait_for_the_pace() -> None:
    waiting, _ = _next(_told(Posting(), 1), 0.0)
    waiting, _ = _answer(_told(waiting, 2, is_urgent=True), 200, 0.1)

    assert [_status(2)] == _next(waiting, 0.1)[1]


def test_one_report_of_an_agent_is_under_way_at_a_time_and_four_in_all() -> None:
    waiting = Posting()
    for agent in "abcdef":
        waiting = posting.told(waiting, agent, _status(1), is_urgent=False)
        waiting = posting.logged(waiting, agent, Piece("stdout", "x"), SETTINGS)

    waiting, reports = _next(waiting, 0.0)

    assert [_status(1)] * 4 == reports
    assert [] == _next(waiting, 10.0)[1]
    assert posting.due_at(waiting, SETTINGS) is None


@pytest.mark.parametrize("status", [None, 401, 408, 425, 429, 500, 502, 503, 301])
def test_outcome_is_repeated_while_the_server_may_still_take_it(status: int | None) -> None:
    waiting, now = posting.concluded(Posting(), "a", END), 0.0
    waits = []
    for _ in range(8):
        waiting, reports = _next(waiting, now)
        assert [END] == reports
        waiting, delivered = _answer(waiting, status, now)
        assert delivered is None
        due_at = posting.due_at(waiting, SETTINGS)
        assert due_at is not None
        waits.append(round(due_at - now, 3))
        now = due_at

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] == waits


@pytest.mark.parametrize("status", [200, 204, 400, 403, 404, 409, 410, 422])
def test_outcome_that_the_server_has_judged_is_not_repeated(status: int) -> None:
    waiting, _ = _next(posting.concluded(Posting(), "a", END), 0.0)

    waiting, delivered = _answer(waiting, status, 0.0)

    assert Delivered("a", status) == delivered
    assert {} == waiting.lanes


def test_first_outcome_of_an_agent_counts() -> None:
    second = CompleteReport(status="failed", error="too late")

    waiting = posting.concluded(posting.concluded(Posting(), "a", END), "a", second)

    assert [END] == _next(waiting, 0.0)[1]


def test_server_may_ask_for_more_time() -> None:
    waiting, _ = _next(posting.concluded(Posting(), "a", END), 0.0)

    assert 7.0 == posting.due_at(_answer(waiting, 429, 0.0, retry_after_s=7.0)[0], SETTINGS)


def test_outcome_too_large_is_cut_until_it_is_taken() -> None:
    outcome = CompleteReport(status="completed", result="x" * 9_000)
    waiting, sizes = posting.concluded(Posting(), "a", outcome), []
    delivered = None
    while delivered is None:
        waiting, posts = posting.next_posts(waiting, 0.0, SETTINGS)
        report = posts[0].sent.report
        assert isinstance(report, CompleteReport)
        sizes.append(None if report.result is None else len(report.result.encode()))
        waiting, delivered = _answer(waiting, 200 if report.result is None else 413, 0.0)

    assert [9000, 4467, 2200, 1067, None] == sizes
    assert Delivered("a", 200) == delivered


def test_outcome_that_is_too_large_without_a_result_is_given_up() -> None:
    waiting, _ = _next(posting.concluded(Posting(), "a", CompleteReport(status="failed", error="x")), 0.0)

    assert Delivered("a", 413) == _answer(waiting, 413, 0.0)[1]


def test_server_that_is_back_is_told_at_once() -> None:
    waiting, _ = _next(posting.concluded(Posting(), "a", END), 0.0)
    for now in (0.0, 1.0, 3.0):
        waiting, _ = _next(_answer(waiting, None, now)[0], now + 10)
    waiting, _ = _answer(waiting, None, 20.0)
    assert [] == _next(waiting, 20.1)[1]

    assert [END] == _next(posting.again(waiting), 20.1)[1]


def test_what_was_under_way_at_a_crash_goes_again() -> None:
    waiting, reports = _next(_told(Posting(), 1), 0.0)

    assert reports == _next(posting.again(waiting, forget_sent=True), 1.0)[1]


def test_log_goes_before_the_outcome_and_the_state_not_at_all() -> None:
    waiting = posting.logged(_told(Posting(), 1), "a", Piece("stdout", "x"), SETTINGS)
    waiting = _told(posting.concluded(waiting, "a", END), 2)

    waiting, log = _next(waiting, 0.0)
    waiting, outcome = _next(_answer(waiting, 200, 0.0)[0], 0.0)

    assert [LogReport(type="stdout", content="x")] == log
    assert [END] == outcome
    assert {} == _answer(waiting, 200, 0.0)[0].lanes


def test_log_that_cannot_be_delivered_does_not_hold_the_outcome_up() -> None:
    waiting = posting.logged(Posting(), "a", Piece("stdout", "x"), SETTINGS)
    waiting, _ = _next(posting.concluded(waiting, "a", END), 0.0)
    waiting, _ = _answer(waiting, None, 0.0)

    assert [END] == _next(waiting, 1.0)[1]


def test_flood_keeps_its_end_and_comes_in_pieces() -> None:
    waiting = Posting()
    for number in range(20_000):
        waiting = posting.logged(waiting, "a", Piece("stdout", f"line {number}\n"), SETTINGS)
    text, now, posts = "", 0.0, 0
    while waiting.lanes["a"].log:
        waiting, reports = _next(waiting, now)
        assert isinstance(reports[0], LogReport)
        assert len(reports[0].content) <= SETTINGS.piece_characters
        text += reports[0].content
        waiting, _ = _answer(waiting, 200, now)
        posts, now = posts + 1, now + SETTINGS.log_s

    note, _, rest = text.partition("\n")
    assert "[... output left out ...]" == note
    assert text.endswith("line 19999\n")
    assert SETTINGS.log_characters == len(rest)
    assert posts <= 10


def test_kinds_of_log_are_not_mixed() -> None:
    waiting = Posting()
    for kind, content in (("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")):
        waiting = posting.logged(waiting, "a", Piece(kind, content), SETTINGS)  # type: ignore[arg-type]
    seen: list[tuple[str, str]] = []
    now = 0.0
    while waiting.lanes["a"].log:
        waiting, reports = _next(waiting, now)
        seen.extend((report.type, report.content) for report in reports if isinstance(report, LogReport))
        waiting, _ = _answer(waiting, 200, now)
        now += SETTINGS.log_s

    assert [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")] == seen


MOVES = st.one_of(
    st.tuples(st.just("status"), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("log"), st.sampled_from("ab"), st.integers(1, 200)),
    st.tuples(st.just("end"), st.sampled_from("ab"), st.integers(0, 3000)),
    st.tuples(st.just("answer"), st.sampled_from([200, 404, 413, 429, 500, None]), st.none()),
    st.tuples(st.just("again"), st.booleans(), st.none()),
    st.tuples(st.just("wait"), st.floats(0, 40), st.none()),
)


@given(st.lists(MOVES, max_size=60))
def test_whatever_the_server_answers_an_outcome_arrives_and_states_never_go_back(
    moves: list[tuple[str, Any, Any]],
) -> None:
    waiting, now, seq = Posting(), 0.0, 0
    under_way: dict[str, Post] = {}
    newest: dict[str, int] = {}
    ended: dict[str, bool] = {}

    def settle(agent: str, status: int | None) -> None:
        nonlocal waiting
        post = under_way.pop(agent)
        answer = None if status is None else ReportAnswer(status)
        waiting, delivered = posting.answered(waiting, agent, post.sent.number, answer, now, 0.5, SETTINGS)
        if delivered is not None:
            ended[agent] = True

    def pump() -> None:
        nonlocal waiting
        waiting, posts = posting.next_posts(waiting, now, SETTINGS)
        for post in posts:
            assert post.agent_id not in under_way
            under_way[post.agent_id] = post
            report = post.sent.report
            if isinstance(report, StatusReport):
                assert (report.seq or 0) >= newest.get(post.agent_id, 0)
                newest[post.agent_id] = report.seq or 0

    for kind, first, second in moves:
        if kind == "status" and first not in ended:
            seq += 1
            waiting = posting.told(waiting, first, _status(seq), is_urgent=second)
        elif kind == "log":
            waiting = posting.logged(waiting, first, Piece("stdout", "x" * second), SETTINGS)
        elif kind == "end" and first not in ended:
            ended[first] = False
            outcome = CompleteReport(status="completed", result="r" * second)
            waiting = posting.concluded(waiting, first, outcome)
        elif kind == "answer" and under_way:
            settle(next(iter(under_way)), first)
        elif kind == "again":
            waiting = posting.again(waiting, forget_sent=first)
            if first:
                under_way.clear()
        elif kind == "wait":
            now += first
        pump()
    for _ in range(200):
        for agent in tuple(under_way):
            settle(agent, 200)
        now += 40.0
        pump()

    assert all(ended.values())
    assert all(lane.sent is None and not lane.log and lane.status is None for lane in waiting.lanes.values())
