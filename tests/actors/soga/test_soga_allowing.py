"""Approvals in the conversation: shown at once, answered once, by nothing that was not meant for them."""

from __future__ import annotations

import pytest

from actors.soga import events
from actors.soga.conversation import ELSEWHERE, EXPIRED, HEARD_LATE_S
from actors.soga.events import Answer, Ask, Show, StopSpeaking
from protocols.desktop.documents import APPROVAL_S, Option
from tests.actors.soga.talk import SETTINGS, Talk, agent, approval, of, task

READS = "Allow: Bash pytest -q? yes / no"
READ_S = SETTINGS.approve_after_s


def answers(talk: Talk) -> list[tuple[str, str, str | None]]:
    return [(one.approval_id, one.decision, one.choice) for one in of(Answer, talk.effects)]


def test_an_approval_is_on_the_lens_in_the_same_moment() -> None:
    talk = Talk()
    talk.ask()

    (shown,) = of(Show, talk.hear(events.AgentSeen(agent(approval()), talk.now + 60.0)))

    assert (READS, True, 60.0) == (shown.text, shown.is_critical, shown.for_s)


@pytest.mark.parametrize(
    ("said", "decision"), [("Yes.", "approve"), ("go ahead", "approve"), ("no", "deny"), ("stop", "deny")]
)
def test_an_approval_is_answered_by_voice(said: str, decision: str) -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(1.0)
    talk.say(said, lasts_s=0.4)

    assert [("approval_1", decision, None)] == answers(talk)


def test_an_option_is_answered_by_voice() -> None:
    options = (Option(id="a", label="Tabs"), Option(id="b", label="Spaces"))
    for said in ("the second", "spaces"):
        talk = Talk()
        talk.hear(events.AgentSeen(agent(approval(kind="question", options=options))))
        talk.wait(1.0)
        talk.say(said, lasts_s=0.6)

        assert [("approval_1", "choose", "b")] == answers(talk)


@pytest.mark.parametrize("said", ["yes but later", "and always allow it", "switch to auto mode", "the third"])
def test_what_is_not_an_answer_as_a_whole_leaves_it_open(said: str) -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(1.0)
    talk.say(said)

    assert [] == answers(talk)
    assert [] == of(Ask, talk.effects)
    assert READS == talk.lens


def test_a_yes_that_was_said_to_somebody_else_before_does_not_count() -> None:
    talk = Talk()
    talk.hear(events.Heard(text="yes", is_final=False, utterance="u", lasted_s=0.2))
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(0.3)
    talk.hear(events.Heard(text="yes", is_final=True, utterance="u", lasted_s=0.5))
    talk.hear(events.Heard(text="yes", is_final=True, utterance="late", lasted_s=0.0))
    talk.wait(HEARD_LATE_S)
    talk.hear(events.Heard(text="yes", is_final=True, utterance="later", lasted_s=HEARD_LATE_S))

    assert [] == answers(talk)


def test_an_interim_yes_is_not_taken() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(2.0)
    talk.hear(events.Heard(text="yes", is_final=False, utterance="u", lasted_s=0.3))
    assert [] == answers(talk)
    talk.wait(0.5)
    talk.hear(events.Heard(text="yesterday was fine", is_final=True, utterance="u", lasted_s=0.8))

    assert [] == answers(talk)


def test_the_glasses_do_not_answer_themselves() -> None:
    talk = Talk(has_speaker=True)
    talk.ask()
    talk.hear(events.TaskSeen(task(answer="Yes.")))
    talk.wait(0.5)
    came = talk.hear(events.AgentSeen(agent(approval())))
    talk.hear(events.Heard(text="yes", is_final=True, utterance="echo", lasted_s=0.6))

    assert [StopSpeaking()] == of(StopSpeaking, came)
    assert [] == answers(talk)


def test_an_echo_that_is_recognised_late_is_no_answer_either() -> None:
    talk = Talk()
    talk.hear(events.GlassesKnown(has_display=False, has_speaker=True))
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(2.0)
    talk.hear(events.Heard(text="yes", is_final=False, utterance="echo", lasted_s=0.2))
    talk.wait(0.5)
    talk.hear(events.SpeechOver(1))
    talk.wait(0.5)
    talk.hear(events.Heard(text="yes", is_final=True, utterance="echo", lasted_s=0.7))

    assert [] == answers(talk)


def test_work_goes_on_on_the_lens_as_soon_as_the_answer_was_taken() -> None:
    talk = Talk()
    talk.ask()
    talk.hear(events.TaskSeen(task(phase="needs_approval")), events.AgentSeen(agent(approval())))
    talk.wait(READ_S)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/approval_1", "taken"))
    talk.wait(SETTINGS.update_s)

    assert "Working…" == talk.lens


def test_two_agents_may_call_their_approvals_the_same() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval("start-1", "make"))))
    talk.wait(READ_S)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/start-1", "taken"))
    again = agent(approval("start-1", "pytest -q"), agent_id="agent_2", task_id="task_2")
    (shown,) = of(Show, talk.hear(events.AgentSeen(again)))
    assert READS == shown.text
    talk.wait(READ_S)
    talk.press()

    assert [("agent_1", "start-1"), ("agent_2", "start-1")] == [
        (one.agent_id, one.approval_id) for one in of(Answer, talk.effects)
    ]


def test_approvals_of_two_agents_under_one_name_are_open_at_once() -> None:
    talk = Talk()
    talk.hear(
        events.AgentSeen(agent(approval("start-1", "make"))),
        events.AgentSeen(agent(approval("start-1", "pytest -q"), agent_id="agent_2", task_id="task_2")),
    )
    talk.wait(READ_S)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/start-1", "taken"))

    assert READS == talk.lens


@pytest.mark.parametrize(("after_s", "count"), [(READ_S - 0.1, 0), (READ_S, 1)])
def test_a_press_allows_only_what_could_be_read(after_s: float, count: int) -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(after_s)
    talk.press()

    assert [("approval_1", "approve", None)][:count] == answers(talk)


def test_a_long_press_denies_at_once() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.press(is_long=True)

    assert [("approval_1", "deny", None)] == answers(talk)


def test_two_nods_allow_what_could_be_read_and_one_does_not() -> None:
    for wait_s, nods, count in ((0.0, 1, 0), (READ_S, 1, 0), (READ_S, 2, 1)):
        talk = Talk()
        talk.hear(events.AgentSeen(agent(approval())))
        talk.wait(wait_s)
        talk.nod(nods)

        assert [("approval_1", "approve", None)][:count] == answers(talk)


def test_looking_up_twice_in_a_while_is_no_nod() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(READ_S)
    talk.nod(1)
    talk.wait(SETTINGS.nod_s)
    talk.nod(1)

    assert [] == answers(talk)


def test_neither_hand_nor_head_chooses_an_option() -> None:
    talk = Talk()
    options = (Option(id="a", label="Tabs"), Option(id="b", label="Spaces"))
    talk.hear(events.AgentSeen(agent(approval(kind="question", options=options))))
    talk.wait(READ_S)
    talk.press()
    talk.nod()

    assert [] == answers(talk)


def test_an_approval_is_answered_once() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(READ_S)
    talk.press()
    talk.press(is_long=True)
    talk.say("no", lasts_s=0.4)

    assert [("approval_1", "approve", None)] == answers(talk)


def test_two_approvals_stand_in_line_and_each_has_to_be_read() -> None:
    talk = Talk()
    talk.hear(
        events.AgentSeen(agent(approval("first"))),
        events.AgentSeen(agent(approval("second", "rm -r build"), agent_id="agent_2")),
    )
    talk.wait(READ_S)
    assert f"{READS} (1 of 2)" == talk.lens

    talk.press()
    (shown,) = of(Show, talk.hear(events.ApprovalAnswered("agent_1/first", "taken")))
    talk.press()

    assert ("Allow: Bash rm -r build? yes / no", True) == (shown.text, shown.is_critical)
    assert [("first", "approve", None)] == answers(talk)
    talk.wait(READ_S)
    talk.press()
    assert [("first", "approve", None), ("second", "approve", None)] == answers(talk)


def test_nobody_answers_and_the_lens_says_so() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval()), talk.now + 30.0))
    talk.wait(31.0)

    assert EXPIRED == talk.lens
    talk.say("yes", lasts_s=0.4)
    assert [] == answers(talk)


def test_an_approval_without_an_expiry_does_not_stay_for_ever() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(APPROVAL_S + 0.5)

    assert EXPIRED == talk.lens


def test_what_is_answered_elsewhere_leaves_the_lens() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval()), talk.now + 60.0))
    talk.wait(5.0)
    talk.hear(events.AgentSeen(agent()))

    talk.wait(0.5)
    assert ELSEWHERE == talk.lens


def test_an_answer_that_came_too_late_says_so() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(READ_S)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/approval_1", "stale"))
    talk.wait(0.5)

    assert talk.lens.startswith("Too late")


def test_an_answer_that_was_not_sent_can_be_given_again() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(READ_S)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/approval_1", "failed"))
    talk.wait(1.0)
    assert f"{READS}\nNot sent, say it again" == talk.lens
    talk.say("yes", lasts_s=0.4)

    assert 2 == len(answers(talk))


def test_an_approval_that_was_settled_does_not_come_back() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(READ_S)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/approval_1", "taken"), events.AgentSeen(agent(approval())))
    talk.wait(1.0)

    assert READS != talk.lens
    assert not talk.state.approvals


def test_a_question_can_be_put_while_an_approval_is_open() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(2.0)
    talk.say("hey glasshouse yes or no questions are hard")
    talk.wait(SETTINGS.pause_s)

    assert ["yes or no questions are hard"] == [ask.question for ask in of(Ask, talk.effects)]
    assert [] == answers(talk)
    assert READS == talk.lens.split("\n")[0]


def test_what_is_said_into_an_open_question_is_no_answer() -> None:
    talk = Talk()
    talk.press()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(2.0)
    talk.say("yes", lasts_s=0.4)
    talk.wait(2.0)

    assert ["yes"] == [ask.question for ask in of(Ask, talk.effects)]
    assert [] == answers(talk)


def test_what_was_being_read_is_read_again_afterwards() -> None:
    talk = Talk()
    talk.ask()
    talk.hear(events.TaskSeen(task(answer="Which project?", type="clarifying_question")))
    talk.wait(6.0)
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(60.0)
    talk.press()
    talk.hear(events.ApprovalAnswered("agent_1/approval_1", "taken"))
    talk.wait(1.0)
    assert "Which project?" == talk.lens
    talk.say("the parser")
    talk.wait(2.0)

    assert "the parser" == of(Ask, talk.effects)[-1].question


def test_glasses_that_were_away_have_to_show_it_again() -> None:
    talk = Talk()
    talk.hear(events.AgentSeen(agent(approval())))
    talk.wait(5.0)
    talk.hear(events.GlassesSeen(are_here=False))
    talk.press()
    talk.say("yes", lasts_s=0.4)
    talk.hear(events.GlassesSeen(are_here=True))
    talk.press()
    assert [] == answers(talk)
    talk.wait(READ_S)
    talk.press()

    assert [("approval_1", "approve", None)] == answers(talk)


def test_glasses_without_a_lens_say_it() -> None:
    talk = Talk()
    talk.hear(events.GlassesKnown(has_display=False, has_speaker=True))
    came = talk.hear(events.AgentSeen(agent(approval())))
    assert [READS] == [said.text for said in of(events.Speak, came)]
    talk.wait(2.0)
    talk.press()
    assert [] == answers(talk), "nobody has read it"
    talk.hear(events.SpeechOver(1))
    talk.wait(1.0)
    talk.say("yes", lasts_s=0.4)

    assert [("approval_1", "approve", None)] == answers(talk)
