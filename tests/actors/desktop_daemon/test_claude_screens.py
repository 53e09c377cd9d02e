"""What is read from recorded screens of the real Claude Code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon.claude_screens import look, said_since_prompt
from actors.desktop_daemon.screens import Screen
from tests.actors.desktop_daemon.recorded import NAMES, recorded

CURSOR = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"

STATES = {
    "api_error": "error",
    "api_error_401": "error",
    "api_error_529": "error",
    "api_key": "needs_approval",
    "approve_bash": "needs_approval",
    "approve_edit": "needs_approval",
    "approve_fetch": "needs_approval",
    "approve_write": "needs_approval",
    "approve_write_long": "needs_approval",
    "approve_write_second": "needs_approval",
    "goal_typed": "ready",
    "interrupted": "error",  # of the turn before; the interrupted one was taken back into the input box
    "interrupted_at_dialog": "ready",
    "model_dialog": "needs_approval",
    "no_login": "ready",
    "no_login_asked": "error",
    "plan": "ready",
    "prose_dialog": "ready",
    "question": "needs_approval",
    "question_declined": "ready",
    "question_many": "needs_approval",
    "question_second": "needs_approval",
    "ready": "ready",
    "retrying": "working",
    "shortcuts": "ready",
    "slash_menu": "ready",
    "trust_folder": "needs_approval",
    "working_thinking": "working",
    "working_tool": "working",
}


def test_every_recorded_screen_is_judged() -> None:
    assert sorted(STATES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_screen_is_seen_for_what_it_is(name: str) -> None:
    assert STATES[name] == look(recorded(name)).state


@pytest.mark.parametrize(
    ("name", "title", "yes", "no", "cursor"),
    [
        ("approve_bash", "Do you want to proceed?", 0, 3, 0),
        ("approve_edit", "Do you want to make this edit to note.txt?", 0, 2, 0),
        ("approve_fetch", "Do you want to allow Claude to fetch this content?", 0, 2, 0),
        ("approve_write", "Do you want to create note.txt?", 0, 2, 0),
        ("approve_write_long", "Do you want to create note.txt?", 0, 2, 0),
        ("approve_write_second", "Do you want to create note.txt?", 0, 2, 1),
    ],
)
def test_a_permission_is_found_with_the_options_that_mean_yes_and_no(
    name: str, title: str, yes: int, no: int, cursor: int
) -> None:
    seen = look(recorded(name))

    assert ("permission", title) == (seen.kind, seen.title)
    assert (yes, no, cursor) == (seen.yes, seen.no, seen.cursor)
    assert "Yes" == seen.options[yes]


def test_what_a_permission_is_about_is_its_detail() -> None:
    assert "touch a.txt; python3" in look(recorded("approve_bash")).detail


def test_the_model_s_questions_are_found_with_their_labels() -> None:
    seen = look(recorded("question_second"))

    assert ("question", "Which database shall I use?") == (seen.kind, seen.title)
    assert ("SQLite", "PostgreSQL", "Type something.", "Chat about this") == seen.options
    assert 1 == seen.cursor


def test_the_folder_s_trust_is_found_by_its_label() -> None:
    seen = look(recorded("trust_folder"))

    assert "trust" == seen.kind
    assert (0, 1) == (seen.cursor, seen.trusts)


@pytest.mark.parametrize("name", ["api_key", "model_dialog", "question_many"])
def test_a_dialog_that_nobody_has_taught_us_is_unknown(name: str) -> None:
    assert "unknown" == look(recorded(name)).kind


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("api_error", "API Error: 400 The request was planned to fail."),
        ("api_error_401", "Invalid API key · Fix external API key"),
        ("no_login_asked", "Not logged in · Please run /login"),
    ],
)
def test_an_error_over_the_input_box_is_named(name: str, title: str) -> None:
    assert title == look(recorded(name)).title


def test_what_is_typed_is_seen() -> None:
    assert "do the whole job" == look(recorded("goal_typed")).typed
    assert "" == look(recorded("ready")).typed


def test_what_was_said_last_is_read_from_the_screen() -> None:
    said = said_since_prompt(recorded("prose_dialog"))

    assert said.startswith("One.\nWrite(note.txt)")
    assert said.endswith("Esc to cancel · Tab to amend")


def test_an_empty_screen_is_one_that_begins() -> None:
    assert "initializing" == look(Screen()).state
    assert "initializing" == look(Screen(("", "", ""))).state


@pytest.mark.parametrize(
    "lines",
    [
        ("Unable to connect to Anthropic services",),
        ("$ claude", "Segmentation fault"),
        ("Do you want to proceed?", f" {CURSOR} 1. Yes", "   2. No", "", "and so on"),
        ("─" * 120, CURSOR, "─" * 120, *["text"] * 12),
        (f"{CURSOR} 1. Yes", "  2. No", "  4. Maybe"),
        ("  1. Yes", "  2. No"),
    ],
)
def test_what_is_neither_input_box_nor_dialog_is_unknown_and_never_ready(lines: tuple[str, ...]) -> None:
    seen = look(Screen(lines))

    assert ("needs_approval", "unknown") == (seen.state, seen.kind)


def test_a_dialog_that_shows_an_input_box_is_a_dialog() -> None:
    rule = "─" * 120
    dialog = (" Do you want to proceed?", f" {CURSOR} 1. Yes", "   2. No", "", " Esc to cancel")

    seen = look(Screen((rule, f"{CURSOR} rm", rule, *dialog)))

    assert ("permission", "Do you want to proceed?") == (seen.kind, seen.title)


DIALOG = ("Do you want to proceed?", f" {CURSOR} 1. Yes", "   2. No", "", " Esc to cancel · Tab to amend")


@pytest.mark.parametrize("name", ["ready", "working_tool", "working_thinking", "api_error"])
@given(at=st.integers(0, 30))
def test_prose_that_imitates_a_dialog_counts_for_nothing_wherever_it_stands(name: str, at: int) -> None:
    screen = recorded(name)
    lines = (*screen.lines[:at], *DIALOG, *screen.lines[at + len(DIALOG) :])

    assert look(Screen(lines)).state in ("ready", "working", "error")


@given(st.integers(0, 20))
def test_a_false_dialog_in_a_dialog_does_not_hide_the_true_one(at: int) -> None:
    screen = recorded("approve_write_long")
    lines = (*screen.lines[:at], *DIALOG, *screen.lines[at + len(DIALOG) :])

    seen = look(Screen(lines))

    assert "Do you want to create note.txt?" == seen.title
    assert (0, 2) == (seen.yes, seen.no)


@given(st.lists(st.text(alphabet=CURSOR + "─ 12.YesNo·✻…EctoancelEntr\t", max_size=20), max_size=12))
def test_any_screen_has_a_look(lines: list[str]) -> None:
    seen = look(Screen(tuple(lines)))

    assert seen.kind == "" or seen.state == "needs_approval"
    assert seen.cursor is None or 0 <= seen.cursor < len(seen.options)
