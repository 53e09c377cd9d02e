"""An approval on the lens: how it reads, and which utterance answers it how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.soga.approvals import APPROVE, DENY, Reply, is_beyond_once, lens_text, reply_of
from protocols.desktop.documents import Option
from tests.actors.soga.talk import CLAUDES_OPTIONS, approval

COLOURS = (Option(id="r", label="Red"), Option(id="b", label="Dark blue"), Option(id="x", label="Always red"))
QUESTION = approval(title="Which colour?", kind="question", tool="AskUserQuestion", options=COLOURS)


def test_a_permission_reads_tool_and_title() -> None:
    assert "Allow: Bash pytest -q? yes / no" == lens_text(approval())
    assert "Allow: Bash Do you want to proceed? yes / no" == lens_text(
        approval(title="Do you want to proceed?")
    )


def test_a_title_that_begins_with_the_tool_names_it_once() -> None:
    assert "Allow: Edit parser.py? yes / no" == lens_text(approval(tool="Edit", title="Edit parser.py"))
    assert "Allow: Edit Editor? yes / no" == lens_text(approval(tool="Edit", title="Editor"))


def test_a_long_title_is_cut_and_what_waits_is_counted() -> None:
    text = lens_text(approval(title="rm " + "very " * 40 + "much"), waiting=2)

    assert text.startswith("Allow: Bash rm very very")
    assert text.endswith("…? yes / no (1 of 3)")
    assert len(text) <= len("Allow: Bash ") + 60 + len("? yes / no (1 of 3)")


def test_a_question_has_a_line_an_option_but_none_that_cannot_be_said() -> None:
    assert "Which colour?\n1 Red\n2 Dark blue" == lens_text(QUESTION)


def test_a_confirmation_without_a_tool_reads_plainly() -> None:
    assert "Overwrite it? yes / no" == lens_text(
        approval(title="Overwrite it?", kind="confirm", tool="", options=())
    )


def test_what_an_agent_writes_cannot_move_on_the_lens() -> None:
    text = lens_text(approval(title="ls\x1b[2J\n\n\u202eevil", tool="Ba\x07sh"))

    assert text.isprintable()
    assert text.startswith("Allow: Ba sh ls [2J evil")


@pytest.mark.parametrize(
    "said", ["yes", "Yes.", "yeah", "go ahead", "Okay!", "approve", "do it", "Yes please"]
)
def test_these_allow(said: str) -> None:
    assert APPROVE == reply_of(said, approval())


@pytest.mark.parametrize("said", ["no", "No!", "stop", "don't", "deny", "no thanks", "cancel"])
def test_these_do_not_allow(said: str) -> None:
    assert DENY == reply_of(said, approval())


@pytest.mark.parametrize(
    "said",
    [
        "",
        "...",
        "yes but not now",
        "yes I had soup",
        "no way that was yesterday",
        "go ahead of me",
        "stop the car",
        "allow all",
        "yes and always allow access to src from this project",
        "Yes, and switch to auto mode",
        "the second",
        "number three",
        "2",
        "always",
    ],
)
def test_these_are_no_answer(said: str) -> None:
    assert reply_of(said, approval()) is None


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("red", "r"),
        ("the first", "r"),
        ("first one", "r"),
        ("one", "r"),
        ("dark blue", "b"),
        ("The second.", "b"),
        ("number two", "b"),
        ("option 2", "b"),
    ],
)
def test_an_option_is_chosen_by_label_or_number(said: str, choice: str) -> None:
    assert Reply("choose", choice) == reply_of(said, QUESTION)


@pytest.mark.parametrize("said", ["yes", "always red", "the third", "blue", "the ninth"])
def test_a_question_is_not_answered_by_what_it_does_not_offer(said: str) -> None:
    assert reply_of(said, QUESTION) is None


def test_a_question_can_be_refused() -> None:
    assert DENY == reply_of("no", QUESTION)


def test_an_option_called_yes_is_an_answer_to_a_question() -> None:
    asked = approval(kind="question", options=(Option(id="y", label="Yes"), Option(id="n", label="No")))

    assert Reply("choose", "y") == reply_of("yes", asked)
    assert Reply("choose", "n") == reply_of("no", asked)


def test_of_claudes_options_two_go_beyond_once() -> None:
    assert ["2", "3"] == [option.id for option in CLAUDES_OPTIONS if is_beyond_once(option)]


@given(st.text(max_size=60))
def test_nothing_said_chooses_what_goes_beyond_once(said: str) -> None:
    for asked in (approval(), QUESTION):
        reply = reply_of(said, asked)
        beyond = {option.id for option in asked.options if is_beyond_once(option)}

        assert reply is None or reply.choice not in beyond
