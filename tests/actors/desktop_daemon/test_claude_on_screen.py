"""Dialogs that Claude Code shows and no hook tells of, interrupts, and what it is told in between."""

from __future__ import annotations

import msgspec

from actors.desktop_daemon.claude_hooks import (
    Stop,
    UserPromptSubmit,
)
from actors.desktop_daemon.claude_run import (
    DIALOG_S,
    ENTER_S,
    INTERRUPTED_S,
    SETTLE_S,
    UNKNOWN_S,
    takes,
)
from actors.desktop_daemon.ports import Done, Failed, Withdrawn
from actors.desktop_daemon.screens import Screen
from actors.desktop_daemon.terminal_facts import (
    Answered,
    HookHeard,
    InputGiven,
    InterruptAsked,
)
from tests.actors.desktop_daemon.claude_play import DOWN, ENTER, ESCAPE, PASTE, UP, Play, permission
from tests.actors.desktop_daemon.recorded import recorded


def with_cursor(name: str, number: int) -> Screen:
    """A recorded dialog with the cursor on another option."""
    screen = recorded(name)
    mark = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
    lines = [
        line.replace(mark, " ") if f"{mark} " in line and ". " in line else line for line in screen.lines
    ]
    at = next(at for at in range(len(lines) - 1, -1, -1) if f" {number + 1}. " in lines[at])
    lines[at] = lines[at].replace(f"  {number + 1}. ", f"{mark} {number + 1}. ", 1)
    return msgspec.structs.replace(screen, lines=tuple(lines))


# ---------------------------------------------------------------------------------------------------------
# Dialogs on the screen


def on_screen(name: str) -> Play:
    """A dialog stands, no hook has told of it, and somebody was asked."""
    play = Play().work().show(name, for_s=max(DIALOG_S, UNKNOWN_S))
    assert 1 == len(play.asked)
    play.effects.clear()
    return play


def test_a_dialog_is_answered_with_enter_only_where_the_cursor_is_seen() -> None:
    play = on_screen("approve_write_second")  # the cursor stands on "always"

    play.hear(Answered("a-1", "approve")).wait(0.4)
    assert [UP] == play.typed
    play.wait(0.1)
    assert ENTER not in play.typed

    play.show("approve_write", for_s=0.3)
    assert ENTER == play.typed[-1]
    assert 1 == play.typed.count(ENTER)


def test_a_dialog_is_refused_by_its_label_and_the_program_told_to_go_on() -> None:
    play = on_screen("approve_bash")

    play.hear(Answered("a-1", "deny", None, "Not that.")).wait(0.3)
    for number in (1, 2, 3):
        play.show(with_cursor("approve_bash", number), for_s=0.3)
    assert [DOWN, DOWN, DOWN, ENTER] == play.typed

    play.show("interrupted_at_dialog", for_s=SETTLE_S)
    assert "\x1b[200~Not that.\x1b[201~" == play.typed[-1]


def test_an_answer_to_one_dialog_is_none_to_the_next_that_looks_alike() -> None:
    play = on_screen("approve_bash").hear(Answered("a-1", "approve")).wait(0.4)
    assert [ENTER] == play.typed
    screen = recorded("approve_bash")
    lines = tuple(line.replace("touch a.txt;", "rm -rf /data;") for line in screen.lines)

    play.show(msgspec.structs.replace(screen, lines=lines), for_s=60)

    assert [ENTER] == play.typed
    (asked,) = play.asked
    assert "rm -rf /data" in asked.approval.detail


def test_enter_is_pressed_once_and_then_asked_about() -> None:
    play = on_screen("approve_bash").hear(Answered("a-1", "approve")).wait(60)

    assert [ENTER] == play.typed
    assert ["a-2"] == [asked.approval.approval_id for asked in play.asked]


def test_only_what_allows_this_once_is_offered() -> None:
    for name in ("approve_bash", "approve_write", "approve_fetch"):
        play = Play().work().show(name, for_s=DIALOG_S)
        assert ["Yes", "No"] == [option.label for option in play.asked[0].approval.options]


def test_a_menu_is_offered_by_its_labels_and_answered_by_the_chosen_one() -> None:
    play = Play().work().show("question", for_s=DIALOG_S)
    (asked,) = play.asked
    assert [("1", "SQLite"), ("2", "PostgreSQL")] == [
        (each.id, each.label) for each in asked.approval.options
    ]
    assert not takes(play.state, Answered("a-1", "choose", "3"))
    assert not takes(play.state, Answered("a-1", "approve"))

    play.hear(Answered("a-1", "choose", "2")).wait(0.3).show("question_second", for_s=0.3)

    assert [DOWN, ENTER] == play.typed[2:]


def test_a_dialog_that_goes_away_is_withdrawn() -> None:
    play = on_screen("approve_bash").show("working_tool")

    assert [Withdrawn("a-1")] == play.events
    assert [] == play.typed


def test_a_dialog_that_does_not_obey_is_asked_about_again() -> None:
    play = on_screen("approve_write_second")

    play.hear(Answered("a-1", "approve")).wait(15)

    assert ENTER not in play.typed
    assert 1 == len(play.asked)
    assert "a-2" == play.asked[0].approval.approval_id


def test_what_nobody_knows_can_be_ended() -> None:
    play = on_screen("model_dialog").hear(Answered("a-1", "choose", "end"))

    assert isinstance(play.events[-1], Failed)
    assert [] == play.typed


# ---------------------------------------------------------------------------------------------------------
# Interrupts and further instructions


def test_an_interrupted_run_rests_and_asks() -> None:
    play = Play().work().hear(InterruptAsked()).show("interrupted_at_dialog", for_s=INTERRUPTED_S)
    assert ESCAPE == play.typed[-1]
    (asked,) = play.asked
    assert not takes(play.state, Answered("a-1", "approve"))

    play.hear(Answered("a-1", "approve", None, "the other thing")).wait(SETTLE_S)

    assert "question" == asked.approval.kind
    assert "\x1b[200~the other thing\x1b[201~" == play.typed[-1]


def test_what_stands_in_the_box_is_cleared_before_anything_is_pasted() -> None:
    play = Play().work().hear(InterruptAsked()).show("goal_typed", for_s=INTERRUPTED_S)
    play.hear(InputGiven("the other thing")).wait(SETTLE_S)

    *_, cleared, pasted = play.typed
    assert set(cleared) == {"\x15"}
    assert "\x1b[200~the other thing\x1b[201~" == pasted


def test_a_run_that_was_interrupted_can_be_ended() -> None:
    play = Play().work().hear(InterruptAsked()).show("interrupted_at_dialog", for_s=INTERRUPTED_S)
    play.hear(Answered("a-1", "deny"))

    assert isinstance(play.events[-1], Failed)


def test_an_interrupt_of_what_does_not_work_types_nothing() -> None:
    play = Play().show("ready", for_s=SETTLE_S / 2).hear(InterruptAsked())

    assert [] == play.typed


def test_an_instruction_is_never_typed_into_a_dialog() -> None:
    play = Play().work().hear(permission()).show("approve_bash").hear(InputGiven("and then this")).wait(30)
    assert [PASTE, ENTER] == play.typed

    play.hear(Answered("a-1", "approve")).show("working_tool", for_s=30)
    assert [PASTE, ENTER] == play.typed

    play.show("ready", for_s=SETTLE_S)
    assert "\x1b[200~and then this\x1b[201~" == play.typed[-1]


def test_an_instruction_waits_for_a_dialog_that_is_not_drawn_yet() -> None:
    play = Play().work().hear(permission(), InputGiven("and then this")).wait(1)

    assert [PASTE, ENTER] == play.typed


def test_enter_waits_while_a_permission_is_asked_for() -> None:
    play = Play().show("ready", for_s=SETTLE_S).hear(permission()).show("goal_typed", for_s=ENTER_S + 1)

    assert [PASTE] == play.typed


def test_a_turns_end_is_not_the_runs_while_there_is_an_instruction_to_give() -> None:
    play = Play().work().hear(InputGiven("and then this"), HookHeard(2, Stop("One.")))
    assert not [event for event in play.events if isinstance(event, Done)]

    play.show("ready", for_s=SETTLE_S).show("goal_typed", for_s=ENTER_S)
    play.hear(HookHeard(3, UserPromptSubmit("and then this")), HookHeard(4, Stop("Two.")))
    assert Done("Two.") == play.events[-1]
