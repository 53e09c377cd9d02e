"""Escape sequences are taken apart, however their bytes arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.terminal.drawing import Drawing
from adapters.terminal.escapes import MOST_HELD_BYTES, EscapeFilter, PlainText, plain


def taken_apart(*pieces: bytes) -> tuple[bytes, list[str]]:
    """What is left to draw, and the operating system commands."""
    escapes = EscapeFilter()
    parts = [part for piece in pieces for part in escapes.feed(piece)]
    return b"".join(data for data, _ in parts), [mark for _, mark in parts if mark is not None]


@pytest.mark.parametrize(
    "sequence",
    [
        b"\x1b[>1u",  # kitty's keyboard: push, pop, set, ask
        b"\x1b[<u",
        b"\x1b[=5;1u",
        b"\x1b[?u",
        b"\x1b[>4;2m",  # xterm's modifiers, which pyte takes for underlined
        b"\x1b[>0q",
        b"\x1b[38:2::255:0:0m",
        b"\x1bP+q544e\x1b\\",
        b"\x1b_Gi=1;AAAA\x1b\\",
    ],
)
def test_strange_sequences_are_not_drawn(sequence: bytes) -> None:
    whole = b"a" + sequence + b"b"

    assert (b"ab", []) == taken_apart(whole)
    assert (b"ab", []) == taken_apart(*(whole[at : at + 1] for at in range(len(whole))))


def test_cursor_and_colours_are_left_to_the_screen() -> None:
    text = b"\x1b[2J\x1b[3;4Hred\x1b[31;1m\x1b[?25l\x1b7\x1b(B"

    assert (text, []) == taken_apart(text)


def test_operating_system_commands_are_told_where_they_stood() -> None:
    escapes = EscapeFilter()

    parts = list(escapes.feed(b"one\x1b]777;x;0\x07two\x1b]0;title\x1b\\"))

    assert [(b"one", "777;x;0"), (b"two", "0;title")] == parts


def test_a_title_without_an_end_is_shown_and_not_kept_for_ever() -> None:
    drawn, marks = taken_apart(*([b"\x1b]0;"] + [b"x" * 1000] * 10))

    assert [] == marks
    assert len(drawn) >= 10_000 - MOST_HELD_BYTES


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    assert taken_apart(b"".join(pieces)) == taken_apart(*pieces)


@given(
    st.lists(
        st.sampled_from(
            [b"\x1b[", b"\x1b]", b"\x1bP", b"\x1b", b"?", b"1;", b"m", b"u", b"A", b"\x07", b"\\"]
        )
    )
)
def test_pieces_of_sequences_make_no_difference_either(pieces: list[bytes]) -> None:
    assert taken_apart(b"".join(pieces)) == taken_apart(*pieces)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [b"\x1b[", b"\x1b[?", b"\x1b]", b"\x1b#", b"\x1b(", b"99999999999999999999", b"r", b"m", b";"]
            ),
        ),
        max_size=30,
    )
)
def test_nothing_that_a_program_prints_stops_the_drawing(pieces: list[bytes]) -> None:
    drawing = Drawing()
    for piece in pieces:
        drawing.feed(piece)
    drawing.feed(b"\x07\x07\x18\x1bchere")

    assert any("here" in line for line in drawing.screen().lines)


def test_a_sequence_that_pyte_cannot_stand_is_counted() -> None:
    drawing = Drawing()

    drawing.feed("\x1b[²m".encode())

    assert drawing.faults == 1


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("\x1b[31mred\x1b[0m\n", "red\n"),
        ("10%\r50%\r100%\r\n", "100%\n"),
        ("\x1b]0;title\x07text\n", "text\n"),
        ("tab\there\x07\n", "tab\there\n"),
    ],
)
def test_text_is_what_a_reader_would_have_seen(printed: str, said: str) -> None:
    assert said == plain(printed.replace("\x1b]0;title\x07", ""))


def test_text_comes_in_whole_lines() -> None:
    text = PlainText()

    assert "" == text.feed(b"caf\xc3")
    assert "caf\xe9\n" == text.feed(b"\xa9\nand")
    assert "and" == text.rest()
    assert "" == text.rest()


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    text = PlainText()

    assert MOST_HELD_BYTES < len(text.feed(b"x" * (MOST_HELD_BYTES + 1)))
