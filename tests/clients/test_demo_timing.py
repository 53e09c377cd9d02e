"""The demo's figures, worked out from times."""

from __future__ import annotations

import io
import math

from clients.demo.screen import Screen, summary
from clients.demo.timing import (
    Heard,
    Reading,
    Said,
    Spoken,
    display_delays,
    frame_delays,
    percentile,
    readings,
)


def test_percentiles_are_values_that_were_seen() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]

    assert 3.0 == percentile(values, 50)
    assert 5.0 == percentile(values, 99)
    assert 1.0 == percentile(values, 0)
    assert math.isnan(percentile([], 50))


def test_frames_are_paired_in_order() -> None:
    assert [0.5, 0.25] == frame_delays([1.0, 2.0, 3.0], [1.5, 2.25])


def test_a_final_belongs_to_the_sentence_before_the_next_one_begins() -> None:
    spoken = [Spoken("one", 0.0, 2.0), Spoken("two", 4.0, 6.0), Spoken("three", 8.0, 9.0)]
    finals = [Heard("on", 1.0), Heard("e", 2.5), Heard("two", 6.25)]

    assert [
        Reading("one", "on e", 0.5),
        Reading("two", "two", 0.25),
        Reading("three", "", None),
    ] == readings(spoken, finals)


def test_only_texts_that_reached_the_lens_count() -> None:
    said = [Said("a", 1.0), Said("ab", 1.1), Said("abc", 1.2), Said("d", 2.0)]

    delays = display_delays(said, [Said("a", 1.05), Said("abc", 1.3), Said("d", 2.5)])

    assert [0.05, 0.1, 0.5] == [round(delay, 6) for delay in delays]


def test_words_handed_over_again_count_from_the_last_time() -> None:
    said = [Said("a", 1.0), Said("a", 1.2), Said("a", 9.0)]

    assert [0.25] == [round(delay, 6) for delay in display_delays(said, [Said("a", 1.45)])]


def test_a_text_the_app_never_showed_has_no_delay() -> None:
    assert [0.5] == display_delays([Said("a", 1.0)], [Said("boot screen", 1.2), Said("a", 1.5)])


def test_the_summary_tells_what_was_read_and_what_was_not() -> None:
    lines = summary(
        [Reading("good day", "good day", 0.4), Reading("again", "", None)], [0.001], [], lost_frames=2
    )

    text = "\n".join(lines)
    assert "read  good day" in text
    assert "read  (nothing)" in text
    assert "400.0 ms" in text
    assert "none seen" in text
    assert "2 audio frames did not reach the app" in text


def test_without_a_terminal_each_change_of_the_lens_is_a_line() -> None:
    out = io.StringIO()
    screen = Screen(out)

    for text in ("", "good", "good", "good day\nto you"):
        screen.lens(text)
    screen.say("end")

    assert ["  lens | good", "  lens | good day / to you", "end"] == out.getvalue().splitlines()


def test_in_a_terminal_the_lens_changes_in_place() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    screen = Screen(out)

    screen.lens("good")
    screen.lens("good day")
    screen.say("end")

    assert 2 == out.getvalue().count("\r\x1b[K")
    assert out.getvalue().endswith("good day\nend\n")
