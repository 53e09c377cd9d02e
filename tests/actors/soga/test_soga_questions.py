"""Questions and answers on the lens: how one is opened, put, followed and read."""

from __future__ import annotations

from msgspec.structs import replace

from actors.soga import events
from actors.soga.events import Ask, Show, Speak, StopSpeaking, UseMicrophone
from actors.soga.screen import LISTENING, THINKING
from tests.actors.soga.talk import SETTINGS, Talk, agent, of, task


def asked(talk: Talk) -> list[str]:
    return [effect.question for effect in of(Ask, talk.effects)]


def test_the_wake_phrase_and_a_pause_put_a_question() -> None:
    talk = Talk()

    talk.say("Hey Glasshouse, what time is it?")
    assert "> what time is it?" == talk.lens
    assert [] == asked(talk)
    talk.wait(SETTINGS.pause_s)

    assert ["what time is it?"] == asked(talk)
    assert THINKING == talk.lens


def test_a_press_opens_a_question_and_another_puts_it() -> None:
    talk = Talk()

    talk.press()
    assert LISTENING == talk.lens
    talk.say("fix the failing test")
    talk.press()

    assert ["fix the failing test"] == asked(talk)


def test_a_second_press_takes_what_is_not_final_yet() -> None:
    talk = Talk()

    talk.press()
    talk.wait(0.5)
    talk.hear(events.Heard(text="fix the test", is_final=False, utterance="u", lasted_s=0.4))
    talk.press()

    assert ["fix the test"] == asked(talk)


def test_a_question_goes_on_while_its_asker_speaks_on() -> None:
    talk = Talk()

    talk.say("hey glasshouse run the tests")
    talk.wait(0.5)
    talk.say("and tell me what fails", lasts_s=2.0)
    talk.wait(SETTINGS.pause_s)

    assert ["run the tests and tell me what fails"] == asked(talk)


def test_the_wake_phrase_alone_waits_for_the_question() -> None:
    talk = Talk()

    talk.say("hey glasshouse")
    assert LISTENING == talk.lens
    talk.wait(3.0)
    talk.say("what time is it")
    talk.wait(SETTINGS.pause_s)

    assert ["what time is it"] == asked(talk)


def test_a_question_that_nobody_puts_is_closed_again() -> None:
    talk = Talk()

    talk.press()
    talk.wait(SETTINGS.listen_s + 1.0)

    assert [] == asked(talk)
    assert "" == talk.lens


def test_a_recogniser_that_never_finishes_puts_the_question_all_the_same() -> None:
    talk = Talk()

    talk.press()
    talk.hear(events.Heard(text="what time is it", is_final=False, utterance="u", lasted_s=0.0))
    talk.wait(SETTINGS.stale_s)

    assert ["what time is it"] == asked(talk)


def test_no_question_takes_for_ever() -> None:
    talk = Talk()

    talk.press()
    for _ in range(40):
        talk.say("and then", lasts_s=1.0)
        talk.wait(0.5)

    assert 1 <= len(asked(talk))
    assert len(asked(talk)[0].split()) <= 2 * SETTINGS.question_s


def test_a_wake_phrase_that_the_recogniser_takes_back_called_nobody() -> None:
    talk = Talk()

    talk.hear(events.Heard(text="hey glass house", is_final=False, utterance="u", lasted_s=0.5))
    talk.wait(1.0)
    talk.hear(events.Heard(text="they passed our house", is_final=True, utterance="u", lasted_s=1.5))
    talk.wait(20.0)

    assert [] == asked(talk)
    assert "" == talk.lens


def test_what_was_said_before_the_press_is_no_part_of_the_question() -> None:
    talk = Talk()

    talk.hear(events.Heard(text="so I told", is_final=False, utterance="before", lasted_s=2.0))
    talk.press()
    talk.hear(events.Heard(text="so I told him", is_final=True, utterance="before", lasted_s=2.5))
    talk.wait(1.0)
    talk.say("what time is it")
    talk.press()

    assert ["what time is it"] == asked(talk)


def test_who_thinks_better_of_it_is_not_heard() -> None:
    for give_up in ("long press", "never mind"):
        talk = Talk()
        talk.press()
        if give_up == "long press":
            talk.say("what time is it")
            talk.press(is_long=True)
        else:
            talk.say("never mind")
        talk.wait(20.0)

        assert [] == asked(talk)
        assert "" == talk.lens


def test_without_a_wake_phrase_nothing_is_listened_to_until_a_press() -> None:
    talk = Talk(replace(SETTINGS, wake_phrase=""))
    assert not talk.state.is_listening_needed

    talk.say("hey glasshouse what time is it")
    assert [] == asked(talk)
    assert [UseMicrophone(True)] == of(UseMicrophone, talk.press())
    talk.say("what time is it")

    assert [UseMicrophone(False)] == of(UseMicrophone, talk.press())


def test_progress_is_followed_and_the_answer_read_long_enough() -> None:
    talk = Talk()
    talk.ask()
    talk.wait(1.0)
    for phase, reads in (("formulating", "Planning…"), ("spawning", "Starting on your computer…")):
        talk.hear(events.TaskSeen(task(phase=phase)))  # type: ignore[arg-type]
        talk.wait(1.0)
        assert reads == talk.lens
    talk.hear(events.TaskSeen(task(phase="running")), events.AgentSeen(agent(step="Running pytest")))
    talk.wait(1.0)
    assert "Running pytest" == talk.lens

    answer = "All 12 tests pass now. It was a missing comma in the fixture of the parser's third test."
    talk.hear(events.TaskSeen(task(answer=answer, type="agent_result")))
    talk.wait(SETTINGS.update_s)

    shown = of(Show, talk.effects)[-1]
    assert answer == shown.text
    assert shown.for_s is not None
    assert shown.for_s >= len(answer) / SETTINGS.read_cps - SETTINGS.update_s
    assert not shown.is_critical


def test_progress_does_not_flicker() -> None:
    talk = Talk()
    talk.ask()
    talk.wait(1.0)
    talk.hear(events.TaskSeen(task(phase="running")))
    before = len(of(Show, talk.effects))

    for number in range(20):
        talk.hear(events.AgentSeen(agent(step=f"step {number}")))
        talk.wait(0.05)
    talk.wait(1.0)

    assert len(of(Show, talk.effects)) - before <= 2 + 1.0 / SETTINGS.update_s
    assert "step 19" == talk.lens


def test_a_failure_says_why_in_its_own_words() -> None:
    talk = Talk()
    talk.ask()
    talk.hear(events.TaskSeen(task(error="None of your computers is online.")))
    talk.wait(1.0)

    assert "None of your computers is online." == talk.lens


def test_an_assistant_that_is_not_there_is_no_silence() -> None:
    talk = Talk()
    talk.press()
    talk.say("what time is it")
    talk.press()
    talk.hear(events.QuestionFailed("The assistant does not answer."))
    talk.wait(0.5)

    assert "The assistant does not answer." == talk.lens


def test_a_follow_up_needs_no_wake_phrase_for_a_while() -> None:
    for pause_s, count in ((5.0, 2), (60.0, 1)):
        talk = Talk()
        talk.ask()
        talk.hear(events.TaskSeen(task(answer="It is ten.")))
        talk.wait(pause_s)
        talk.say("and in Tokyo")
        talk.wait(3.0)

        assert count == len(asked(talk)), f"after {pause_s:g} s"


def test_an_answer_that_comes_late_opens_no_window() -> None:
    talk = Talk()
    talk.ask()
    talk.wait(SETTINGS.conversation_s + 1.0)
    talk.hear(events.TaskSeen(task(answer="The tests pass.", type="agent_result")))
    talk.wait(1.0)
    talk.say("shall we have lunch")
    talk.wait(3.0)

    assert 1 == len(asked(talk))


def test_a_question_of_the_assistants_opens_the_window_by_itself() -> None:
    talk = Talk()
    talk.ask()
    talk.wait(SETTINGS.conversation_s + 1.0)
    talk.hear(events.TaskSeen(task(answer="Which project?", type="clarifying_question")))
    talk.wait(8.0)
    assert "Which project?" == talk.lens
    talk.say("the parser")
    talk.wait(2.0)

    assert "the parser" == asked(talk)[-1]


def test_two_answers_are_read_one_after_the_other() -> None:
    talk = Talk()
    talk.hear(events.TaskSeen(task("task_1")), events.TaskSeen(task("task_2")))
    talk.hear(
        events.TaskSeen(task("task_1", answer="The first.")),
        events.TaskSeen(task("task_2", answer="The second.")),
    )
    talk.wait(1.0)
    assert "The first." == talk.lens
    talk.wait(SETTINGS.read_least_s)

    assert "The second." == talk.lens


def test_an_answer_waits_while_its_wearer_asks_something_else() -> None:
    talk = Talk()
    talk.ask()
    talk.press()
    talk.wait(0.5)
    talk.hear(events.TaskSeen(task(answer="It is ten.")))
    talk.wait(1.0)
    assert LISTENING == talk.lens
    talk.press()
    talk.wait(0.5)

    assert "It is ten." == talk.lens


def test_tasks_of_the_page_are_not_for_the_lens() -> None:
    talk = Talk()
    talk.hear(events.TaskSeen(task(source="page")), events.TaskSeen(task(source="page", answer="Ten.")))
    talk.wait(1.0)

    assert "" == talk.lens


def test_an_answer_is_told_once() -> None:
    talk = Talk()
    talk.ask()
    talk.hear(events.TaskSeen(task(answer="It is ten.")))
    talk.wait(30.0)
    talk.hear(events.TaskSeen(task(answer="It is ten."), age_s=1.0))
    talk.wait(1.0)

    assert 1 == sum(show.text == "It is ten." for show in of(Show, talk.effects))


def test_after_a_restart_only_a_fresh_answer_is_told() -> None:
    for age_s, reads in ((5.0, "It is ten."), (3600.0, "")):
        talk = Talk()
        talk.hear(events.TaskSeen(task(answer="It is ten."), age_s=age_s))
        talk.wait(1.0)

        assert reads == talk.lens


def test_an_answer_is_spoken_where_there_is_a_speaker() -> None:
    silent, loud = Talk(), Talk(has_speaker=True)
    for talk in (silent, loud):
        talk.ask()
        talk.hear(events.TaskSeen(task(answer="It is ten.")))
        talk.wait(1.0)

    assert [] == of(Speak, silent.effects)
    assert ["It is ten."] == [said.text for said in of(Speak, loud.effects)]


def test_what_the_glasses_say_themselves_is_no_question() -> None:
    talk = Talk(has_speaker=True)
    talk.ask()
    talk.hear(events.TaskSeen(task(answer="It is ten.")))
    talk.wait(0.2)
    talk.say("it is ten")
    talk.hear(events.SpeechOver(1))
    talk.wait(3.0)
    assert 1 == len(asked(talk))
    talk.say("and in Tokyo")
    talk.wait(3.0)

    assert ["and in Tokyo"] == asked(talk)[1:]


def test_who_presses_has_heard_enough() -> None:
    for is_long in (False, True):
        talk = Talk(has_speaker=True)
        talk.ask()
        talk.hear(events.TaskSeen(task(answer="It is ten.")))
        talk.wait(1.0)

        assert [StopSpeaking()] == of(StopSpeaking, talk.press(is_long=is_long))
        talk.wait(1.0)
        assert ("" if is_long else LISTENING) == talk.lens


def test_a_new_connection_shows_what_should_be_there() -> None:
    talk = Talk()
    talk.press()
    talk.effects.clear()
    talk.wait(1.0)
    came = talk.hear(events.Connected())

    assert [LISTENING] == [show.text for show in of(Show, came)]
    assert [UseMicrophone(True)] == of(UseMicrophone, came)
