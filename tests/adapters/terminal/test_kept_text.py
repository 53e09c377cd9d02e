"""What is kept of a long text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.terminal.kept_text import LOG_CHARACTERS, LOG_S, KeptText, Log


@given(st.lists(st.text(max_size=30), max_size=20))
def test_head_and_tail_of_a_text_are_kept_and_the_gap_is_counted(pieces: list[str]) -> None:
    kept = KeptText(head=10, tail=20)
    for piece in pieces:
        kept.add(piece)
    whole = "".join(pieces)

    text = kept.take()

    if len(whole) <= 30:
        assert whole == text
    else:
        assert f"{whole[:10]}\n[... {len(whole) - 30} characters left out ...]\n{whole[-20:]}" == text


def test_what_nobody_has_read_is_a_gap_too() -> None:
    kept = KeptText(head=10, tail=20)
    kept.add("begin")
    kept.skip(1000)
    kept.add("end")

    assert "begin\n[... 1000 characters left out ...]\nend" == kept.take()


def test_the_log_gets_a_flood_in_rations() -> None:
    log = Log()
    told = []
    for number in range(1000):
        now = number / 100
        log.add("x" * 1000, now)
        if log.due_at is not None and now >= log.due_at:
            told.append(log.take(now))

    assert len(told) <= 10 / LOG_S + 1
    assert all(len(piece) <= LOG_CHARACTERS + 60 for piece in told)


def test_the_log_tells_a_single_line_at_once() -> None:
    log = Log()
    assert log.due_at is None

    log.add("hello\n", 5.0)

    assert 5.0 == log.due_at
    assert "hello\n" == log.take(5.0)
    assert log.due_at is None
