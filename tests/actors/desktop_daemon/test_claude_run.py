"""A run of Claude Code, fact by fact, on its recorded screens."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon.claude_hooks import (
    BackgroundTask,
    PermissionRequest,
    PreToolUse,
    Stop,
    StopFailure,
    UserPromptSubmit,
)
from actors.desktop_daemon.claude_prompt import RESTARTS, first_prompt
from actors.desktop_daemon.claude_run import (
    BACKGROUND_S,
    DIALOG_S,
    DISAGREE_S,
    ENTER_AGAIN_S,
    ENTER_S,
    ENTERS,
    ERROR_S,
    HANG_S,
    SETTLE_S,
    SILENT_S,
    START_S,
    UNKNOWN_S,
    takes,
)
from actors.desktop_daemon.ports import Done, Failed, Output, Ready, Withdrawn
from actors.desktop_daemon.screens import Screen
from actors.desktop_daemon.terminal_facts import (
    Again,
    Answered,
    Describe,
    Described,
    End,
    Ended,
    HookHeard,
    HookLost,
    InputGiven,
    InterruptAsked,
    ProgramFact,
    Started,
)
from tests.actors.desktop_daemon.claude_play import DOWN, ENTER, ESCAPE, PASTE, UP, Play, decision, permission
from tests.actors.desktop_daemon.recorded import NAMES, recorded

# ---------------------------------------------------------------------------------------------------------
# The goal


def test_the_goal_is_pasted_when_the_box_is_there_and_entered_apart() -> None:
    play = Play().show(Screen()).wait(2).show("ready")
    assert [] == play.typed

    play.wait(SETTLE_S)
    assert [PASTE] == play.typed
    assert [Ready()] == play.events

    play.show("goal_typed", for_s=ENTER_S)
    assert [PASTE, ENTER] == play.typed


def test_an_enter_that_was_swallowed_is_pressed_again_and_not_for_ever() -> None:
    play = Play().show("ready", for_s=SETTLE_S).show("goal_typed", for_s=ENTER_S + ENTER_AGAIN_S)
    assert [PASTE, ENTER, ENTER] == play.typed

    play.wait(ENTERS * ENTER_AGAIN_S)
    assert ENTERS == play.typed.count(ENTER)
    assert isinstance(play.events[-1], Failed)


def test_a_goal_that_was_taken_is_not_entered_again() -> None:
    play = Play().work().wait(60)

    assert [PASTE, ENTER] == play.typed


@pytest.mark.parametrize(
    ("goal", "prompt"),
    [
        ("fix it", "fix it"),
        ("!rm -rf .", "Please do this: !rm -rf ."),
        ("  !rm", "Please do this: !rm"),
        ("/exit", "Please do this: /exit"),
        ("a\x1b[201~\r!b", "a [201~ !b"),
        ("line\nline", "line\nline"),
        ("fix it\\", "fix it"),
        (
            "read @/etc/passwd and @~/.ssh/id and mail me@example.org",
            "read /etc/passwd and ~/.ssh/id and mail me@example.org",
        ),
        ("", "Please do this: "),
    ],
)
def test_a_goal_cannot_be_a_command_of_the_program(goal: str, prompt: str) -> None:
    assert prompt == first_prompt(goal, is_resume=False)
    assert "\x1b" not in first_prompt(goal, is_resume=True)


def test_a_folder_of_the_allow_list_is_trusted_by_its_label() -> None:
    play = Play().show("trust_folder", for_s=1)
    assert [DOWN] == play.typed[:1]
    assert ENTER not in play.typed

    moved = recorded("trust_folder").text.replace(
        "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} No, exit", "  No, exit"
    )
    moved = moved.replace(
        "  Yes, I trust", "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} Yes, I trust"
    )
    play.show(Screen(tuple(moved.split("\n"))), for_s=0.5)

    assert ENTER == play.typed[-1]
    assert [] == play.events


def test_a_question_at_the_start_is_the_users_to_look_at() -> None:
    play = Play().show("api_key", for_s=UNKNOWN_S)

    (asked,) = play.asked
    assert "Please look" in asked.approval.title
    assert "Do you want to use this API key?" in asked.approval.detail
    assert [] == play.typed
    play.hear(Answered("a-1", "choose", "escape")).wait(1)
    assert [ESCAPE] == play.typed


def test_a_program_that_shows_nothing_has_failed_in_time() -> None:
    play = Play().wait(START_S)

    assert [Failed("Claude Code did not start.", "")] == play.events


# ---------------------------------------------------------------------------------------------------------
# Turns


def test_the_hooks_word_is_the_result_whatever_the_screen_shows() -> None:
    play = Play().work().hear(HookHeard(2, Stop("It is done.")))

    assert Done("It is done.") == play.events[-1]
    assert End() == play.effects[-1]


def test_a_failed_turn_has_failed() -> None:
    play = Play().work().hear(HookHeard(2, StopFailure("unknown", "API Error: 400 planned")))

    failed = play.events[-1]
    assert isinstance(failed, Failed)
    assert "API Error: 400 planned" == failed.error


@pytest.mark.parametrize(("how", "code"), [("exit status 0", 0), ("exit status 1", 1)])
def test_an_exit_is_never_success(how: str, code: int) -> None:
    play = Play().work().show("working_tool").hear(Ended(how, code, ""))

    failed = play.events[-1]
    assert isinstance(failed, Failed)
    assert f"Claude Code has ended: {how}" == failed.error
    assert "Garnishing" in failed.detail


def test_an_observer_is_asked_once_about_a_screen_that_nobody_understands() -> None:
    play = Play().work().show("model_dialog", for_s=UNKNOWN_S + 60)

    assert [recorded("model_dialog")] == [
        effect.screen for effect in play.effects if isinstance(effect, Describe)
    ]
    assert ["Claude Code shows something unknown. Please look."] == [
        asked.approval.title for asked in play.asked
    ]


def test_one_that_was_killed_is_started_again_and_told_to_go_on_and_not_for_ever() -> None:
    killed = Ended("signal SIGKILL", None, "")
    play = Play().work().hear(permission())
    (asked,) = play.asked

    play.hear(killed)
    assert [Again()] == [effect for effect in play.effects if isinstance(effect, Again)]
    assert Withdrawn(asked.approval.approval_id) in play.events
    assert not takes(play.state, Answered(asked.approval.approval_id, "approve"))

    for _ in range(RESTARTS - 1):
        play.hear(Started()).show("ready", for_s=SETTLE_S)
        assert "\x1b[200~go on\x1b[201~" == play.typed[-1]
        play.hear(killed)
    play.hear(Started()).show("ready", for_s=SETTLE_S).hear(permission())
    assert asked.approval.approval_id != play.asked[-1].approval.approval_id

    failed = play.hear(killed).events[-1]
    assert isinstance(failed, Failed)
    assert "Claude Code has ended: signal SIGKILL" == failed.error


def test_a_turn_waits_for_what_it_has_left_running() -> None:
    stop = Stop("It runs.", (BackgroundTask("running", "the tests"),))
    play = Play().work().hear(HookHeard(2, stop)).show("ready", for_s=SILENT_S + 1)
    assert not [event for event in play.events if isinstance(event, Done)]

    play.hear(HookHeard(3, UserPromptSubmit("it has ended")), HookHeard(4, Stop("12 passed.")))
    assert Done("12 passed.") == play.events[-1]


def test_what_runs_in_the_background_is_not_waited_for_for_ever() -> None:
    stop = Stop("The server runs.", (BackgroundTask("running", "the server"),))
    play = Play().work().hear(HookHeard(2, stop)).show("ready", for_s=BACKGROUND_S)

    done = play.events[-1]
    assert isinstance(done, Done)
    assert done.result.startswith("The server runs.")


def test_a_screen_that_rests_without_a_hook_is_described_first_and_believed_later() -> None:
    play = Play().work().show("plan", for_s=DISAGREE_S)
    assert [Describe(recorded("plan"))] == [each for each in play.effects if isinstance(each, Describe)]

    play.hear(Described("It seems to be finished."))
    assert [PASTE, ENTER] == play.typed
    assert Output("note", "It seems to be finished.") in play.events

    play.wait(SILENT_S - DISAGREE_S)
    assert isinstance(play.events[-1], Done)
    assert len([each for each in play.effects if isinstance(each, Describe)]) == 1


def test_an_error_on_the_screen_counts_when_no_hook_tells_it() -> None:
    play = Play().work().show("api_error_401", for_s=ERROR_S)

    failed = play.events[-1]
    assert isinstance(failed, Failed)
    assert failed.error.startswith("Invalid API key")


def test_a_program_that_does_not_move_hangs() -> None:
    play = Play().work().wait(HANG_S)

    failed = play.events[-1]
    assert isinstance(failed, Failed)
    assert "hangs" in failed.error


def test_who_waits_for_a_permission_does_not_hang() -> None:
    play = Play().work().hear(permission()).show("approve_bash", for_s=10 * HANG_S)

    assert 1 == len(play.asked)
    assert not [event for event in play.events if isinstance(event, Failed)]


# ---------------------------------------------------------------------------------------------------------
# Permissions


def test_a_permission_is_asked_once_though_hook_and_screen_both_show_it() -> None:
    play = Play().work().hear(permission()).show("approve_bash", for_s=60)

    (asked,) = play.asked
    assert ("permission", "Bash", "Run make") == (
        asked.approval.kind,
        asked.approval.tool,
        asked.approval.title,
    )
    assert [] == play.replies


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answered("a-1", "approve"), {"behavior": "allow"}),
        (Answered("a-1", "choose", "yes"), {"behavior": "allow"}),
        (Answered("a-1", "deny", None, "Not now."), {"behavior": "deny", "message": "Not now."}),
        (Answered("a-1", "choose", "no", "Never."), {"behavior": "deny", "message": "Never."}),
    ],
)
def test_a_decision_is_the_hooks_reply_and_nothing_is_typed(answer: Answered, said: object) -> None:
    play = Play().work().hear(permission()).show("approve_bash").hear(answer, answer)

    (reply,) = play.replies
    assert (7, said) == (reply.number, decision(reply))
    assert [PASTE, ENTER] == play.typed


def test_two_permissions_at_once_are_two_questions() -> None:
    play = Play().work().hear(permission(7, "one"), permission(8, "two"))

    play.hear(Answered("a-2", "deny"), Answered("a-1", "approve"))

    assert [8, 7] == [reply.number for reply in play.replies]


def test_an_answer_with_another_id_is_nobodys() -> None:
    play = Play().work().hear(permission())

    assert not takes(play.state, Answered("b-1", "approve"))
    assert not takes(play.state, Answered("a-1", "choose", "always"))
    play.hear(Answered("b-1", "approve"), Answered("a-1", "choose", "2"))

    assert [] == play.replies


QUESTIONS = {
    "questions": [
        {
            "question": "Which?",
            "header": "W",
            "multiSelect": False,
            "options": [{"label": "A"}, {"label": "B"}],
        },
        {
            "question": "Why?",
            "header": "Y",
            "multiSelect": False,
            "options": [{"label": "C"}, {"label": "D"}],
        },
    ]
}


def test_questions_are_asked_one_after_the_other_and_answered_together() -> None:
    request = PermissionRequest("AskUserQuestion", msgspec.Raw(msgspec.json.encode(QUESTIONS)))
    play = Play().work().hear(HookHeard(5, request), Answered("a-1", "choose", "2"))
    assert [] == play.replies
    assert not takes(play.state, Answered("a-1", "choose", "1"))

    play.hear(InputGiven("because"))

    assert ["Which?", "Why?"] == [asked.approval.title for asked in play.asked]
    (reply,) = play.replies
    told = json.loads(reply.body)["hookSpecificOutput"]["decision"]
    assert {**QUESTIONS, "answers": {"Which?": "B", "Why?": "because"}} == told["updatedInput"]
    assert [PASTE, ENTER] == play.typed


def test_a_question_nobody_wants_to_answer_is_refused_and_the_turn_goes_on() -> None:
    request = PermissionRequest("AskUserQuestion", msgspec.Raw(msgspec.json.encode(QUESTIONS)))
    play = Play().work().hear(HookHeard(5, request), Answered("a-1", "deny"))

    (reply,) = play.replies
    assert "deny" == json.loads(reply.body)["hookSpecificOutput"]["decision"]["behavior"]


def test_a_hook_that_was_lost_withdraws_its_question_and_leaves_the_dialog_to_the_screen() -> None:
    play = Play().work().hear(permission()).show("approve_bash", for_s=1).hear(HookLost(7))
    assert Withdrawn("a-1") == play.events[-1]
    assert not takes(play.state, Answered("a-1", "approve"))

    play.wait(DIALOG_S)

    assert ["Run make", "Do you want to proceed?"] == [asked.approval.title for asked in play.asked]


def test_a_late_hook_takes_the_question_over_from_the_screen() -> None:
    play = Play().work().show("approve_bash", for_s=DIALOG_S).hear(permission())

    assert Withdrawn("a-1") in play.events
    play.hear(Answered("a-1", "approve"), Answered("a-2", "approve"))
    assert 1 == len(play.replies)


# ---------------------------------------------------------------------------------------------------------
# Whatever happens

_FACTS = st.one_of(
    st.builds(lambda name: ("show", name), st.sampled_from(NAMES)),
    st.builds(
        lambda *parts: Answered(*parts),
        st.sampled_from(["a-1", "a-2", "a-3", "b-1"]),
        st.sampled_from(["approve", "deny", "choose"]),
        st.sampled_from([None, "yes", "no", "1", "2", "escape", "end"]),
    ),
    st.just(permission()),
    st.just(HookLost(7)),
    st.just(HookHeard(1, UserPromptSubmit(""))),
    st.just(HookHeard(2, PreToolUse("Bash"))),
    st.just(HookHeard(3, Stop("Done.", (BackgroundTask(),)))),
    st.just(InputGiven("more")),
    st.just(InterruptAsked()),
)


@given(st.lists(st.tuples(_FACTS, st.sampled_from([0.0, 0.3, 2.0, 12.0])), max_size=25))
def test_whatever_happens_enter_answers_only_what_was_decided(
    facts: list[tuple[ProgramFact | tuple[str, str], float]],
) -> None:
    play = Play()
    decided = False
    for fact, wait_s in facts:
        if isinstance(fact, tuple):
            play.show(fact[1])
        else:
            if isinstance(fact, Answered):
                decided = decided or takes(play.state, fact)
            play.hear(fact)
        play.wait(wait_s)
        for keys, seen, dialog in play.pressed:
            if seen.state == "needs_approval":
                assert keys in (DOWN, UP, ENTER, ESCAPE)
                assert decided or seen.kind == "trust" or keys == ESCAPE
            if seen.state == "needs_approval" and keys == ENTER:
                assert dialog is not None
                assert dialog.decided == seen.cursor
    replied = [reply.number for reply in play.replies]
    assert len(replied) <= 1 + len([fact for fact, _ in facts if isinstance(fact, HookHeard)])
    ends = [event for event in play.events if isinstance(event, Done | Failed)]
    assert play.effects.count(End()) == len(ends) <= 1
