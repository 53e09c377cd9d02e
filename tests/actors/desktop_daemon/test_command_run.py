"""A run of a command line, of a shell and of a REPL, fact by fact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon.command_run import (
    QUIET_S,
    START_S,
    CommandRun,
    find_question,
    step,
    takes,
    wake_at,
)
from actors.desktop_daemon.ports import AgentEvent, Done, Failed, NeedsApproval, Ready, Withdrawn, Working
from actors.desktop_daemon.screens import Screen
from actors.desktop_daemon.terminal_facts import (
    Answered,
    End,
    Ended,
    InputGiven,
    InterruptAsked,
    ProgramEffect,
    ProgramFact,
    Prompted,
    ScreenShown,
    Started,
    Tell,
    TimePassed,
    Type,
)

COMMAND = CommandRun(label="make test", line=None, ids="a")
SHELL = CommandRun(label="make test", line="run_goal", ids="a")
ASKS = "Remove it? [y/N] "


class Play:
    """Applies facts one after the other and keeps what came of them."""

    def __init__(self, state: CommandRun) -> None:
        self.state = state
        self.effects: list[ProgramEffect] = []
        self.now = 100.0

    def hear(self, *facts: ProgramFact, after_s: float = 0.0) -> Play:
        self.now += after_s
        for fact in facts:
            self.state, effects = step(self.state, fact, self.now)
            self.effects += effects
        return self

    @property
    def events(self) -> list[AgentEvent]:
        return [effect.event for effect in self.effects if isinstance(effect, Tell)]

    @property
    def typed(self) -> list[str]:
        return [effect.keys for effect in self.effects if isinstance(effect, Type)]

    @property
    def asked(self) -> list[NeedsApproval]:
        return [event for event in self.events if isinstance(event, NeedsApproval)]


def shows(line: str, bytes_read: int = 1) -> ScreenShown:
    """A screen with the cursor behind this line."""
    return ScreenShown(Screen((line.rstrip(),), 0, len(line)), bytes_read)


def test_a_command_that_succeeds_has_its_output_as_the_result() -> None:
    play = Play(COMMAND).hear(Started(), Ended("exit status 0", 0, "12 passed\n"))

    assert [Ready(), Working("make test"), Done("12 passed")] == play.events
    assert End() == play.effects[-1]


def test_a_test_runner_that_exits_1_has_a_result() -> None:
    play = Play(COMMAND).hear(Started(), Ended("exit status 1", 1, "1 failed\n"))

    assert Done("1 failed\n\n[exit status 1]") == play.events[-1]


@pytest.mark.parametrize(("how", "code"), [("exit status 2", 2), ("signal SIGSEGV", None)])
def test_any_other_end_of_a_command_is_a_failure_with_its_last_lines(how: str, code: int | None) -> None:
    text = "".join(f"line {number}\n" for number in range(100))

    play = Play(COMMAND).hear(Started(), Ended(how, code, text))

    failed = play.events[-1]
    assert isinstance(failed, Failed)
    assert f"make test: {how}" == failed.error
    assert failed.detail.splitlines() == [f"line {number}" for number in range(80, 100)]


def test_a_shell_gets_its_line_at_its_first_prompt_and_says_at_the_next_how_it_went() -> None:
    play = Play(SHELL).hear(Started(), shows("$ "))
    assert [] == play.typed

    play.hear(Prompted(0, ""))
    assert ["run_goal\r"] == play.typed
    assert [Ready(), Working("make test")] == play.events

    play.hear(Prompted(0, "fine\n"))
    assert Done("fine") == play.events[-1]


def test_a_shell_that_shows_no_prompt_has_failed() -> None:
    play = Play(SHELL).hear(Started(), shows("profile asks: "))
    assert play.now + START_S == wake_at(play.state)

    play.hear(TimePassed(), after_s=START_S)

    assert [Failed("The shell showed no prompt", "profile asks:")] == play.events


def test_a_shell_that_ends_before_its_prompt_has_failed() -> None:
    play = Play(SHELL).hear(Started(), Ended("exit status 0", 0, "bye\n"))

    assert [Failed("The shell could not be started: exit status 0", "bye")] == play.events


def test_an_exception_in_a_repl_is_a_failure_named_by_its_last_line() -> None:
    repl = CommandRun(label="1/0", line="run_goal()", ids="a", is_repl=True)

    play = Play(repl).hear(Started(), Prompted(0), Prompted(1, "Traceback ...\nZeroDivisionError: by zero\n"))

    failed = play.events[-1]
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError: by zero" == failed.error


@pytest.mark.parametrize(
    ("line", "yes", "no"),
    [
        ("Remove it? [y/N] ", "y\r", "n\r"),
        ("Proceed (Y/n)? ", "y\r", "n\r"),
        ("Are you sure you want to continue connecting (yes/no/[fingerprint])? ", "yes\r", "no\r"),
        ("Overwrite? (yes/no): ", "yes\r", "no\r"),
        ("Press ENTER to continue", "\r", "\x03"),
        ("Hit any key when done.", "\r", "\x03"),
    ],
)
def test_plain_questions_are_known_with_the_keys_that_answer_them(line: str, yes: str, no: str) -> None:
    question = find_question(line)

    assert question is not None
    assert {"yes": yes, "no": no} == question.keys
    assert "confirm" == question.approval.kind


@pytest.mark.parametrize(
    "line",
    [
        "",
        "$ ",
        "Downloading: ",
        "I asked [y/N] and he said yes",
        "see [y/n] in the manual for more",
        "What is your name? ",
        "100% [======]",
    ],
)
def test_what_is_not_plainly_a_question_is_none(line: str) -> None:
    assert find_question(line) is None


def test_a_question_is_asked_once_the_program_is_quiet() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS))
    assert [] == play.asked
    assert play.now + QUIET_S == wake_at(play.state)

    play.hear(TimePassed(), after_s=QUIET_S)
    play.hear(shows(ASKS), after_s=5)

    (asked,) = play.asked
    assert "Remove it? [y/N]" == asked.approval.title
    assert "confirm" == asked.approval.kind
    assert [] == play.typed
    assert wake_at(play.state) is None


def test_a_question_that_output_follows_at_once_is_not_asked() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS, 1))

    play.hear(shows("Removed.", 2), after_s=QUIET_S / 2).hear(TimePassed(), after_s=QUIET_S)

    assert [] == play.asked


def test_nothing_is_typed_without_a_decision_that_has_the_questions_id() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS)).hear(TimePassed(), after_s=QUIET_S)
    (asked,) = play.asked

    play.hear(Answered("another", "approve"), TimePassed(), after_s=600)
    assert [] == play.typed

    play.hear(Answered(asked.approval.approval_id, "approve"))
    play.hear(Answered(asked.approval.approval_id, "approve"))
    assert ["y\r"] == play.typed


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        (Answered("a-1", "deny"), "n\r"),
        (Answered("a-1", "choose", "no"), "n\r"),
        (Answered("a-1", "choose", "yes"), "y\r"),
    ],
)
def test_a_decision_types_what_the_question_wants(answer: Answered, keys: str) -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS)).hear(TimePassed(), after_s=QUIET_S)

    assert takes(play.state, answer)
    play.hear(answer)

    assert [keys] == play.typed


def test_a_choice_that_is_none_of_the_options_is_not_taken() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS)).hear(TimePassed(), after_s=QUIET_S)

    assert not takes(play.state, Answered("a-1", "choose", "always"))
    play.hear(Answered("a-1", "choose", "always"))

    assert [] == play.typed


def test_a_password_is_typed_only_as_the_user_said_it() -> None:
    play = Play(COMMAND).hear(Started(), shows("[sudo] password for ada: "))
    play.hear(TimePassed(), after_s=QUIET_S)

    assert not takes(play.state, Answered("a-1", "approve"))
    assert takes(play.state, Answered("a-1", "approve", message="sesame"))
    play.hear(Answered("a-1", "approve", message="sesame"))

    assert ["sesame\r"] == play.typed


def test_what_asks_twice_is_answered_twice() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS, 10)).hear(TimePassed(), after_s=QUIET_S)
    play.hear(Answered("a-1", "approve"), shows(ASKS, 10)).hear(TimePassed(), after_s=60)
    assert 1 == len(play.asked)

    play.hear(shows("", 12), shows(ASKS, 30)).hear(TimePassed(), after_s=QUIET_S)

    assert ["a-1", "a-2"] == [asked.approval.approval_id for asked in play.asked]
    assert len({asked.key for asked in play.asked}) == 2
    assert not takes(play.state, Answered("a-1", "approve"))


def test_a_question_is_withdrawn_when_somebody_types_the_answer() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS)).hear(TimePassed(), after_s=QUIET_S)

    play.hear(InputGiven("n"), shows("", 5))

    assert ["n\r"] == play.typed
    assert Withdrawn("a-1") == play.events[-1]


def test_a_question_is_withdrawn_when_the_command_ends() -> None:
    play = Play(COMMAND).hear(Started(), shows(ASKS)).hear(TimePassed(), after_s=QUIET_S)

    play.hear(Ended("signal SIGTERM", None, ""))

    assert [Withdrawn, Failed] == [type(event) for event in play.events[-2:]]


def test_an_interrupt_is_the_terminals() -> None:
    assert ["\x03"] == Play(COMMAND).hear(Started(), InterruptAsked()).typed


_FACTS = st.one_of(
    st.just(Started()),
    st.builds(shows, st.sampled_from(["", ASKS, "Password: ", "text"]), st.integers(0, 5)),
    st.builds(Prompted, st.integers(0, 3)),
    st.builds(Ended, st.just("exit status 3"), st.sampled_from([0, 1, 3, None])),
    st.builds(
        Answered,
        st.sampled_from(["a-1", "a-2", "b-1"]),
        st.sampled_from(["approve", "deny", "choose"]),
        st.sampled_from([None, "yes", "no", "x"]),
    ),
    st.just(TimePassed()),
)


@given(st.sampled_from([COMMAND, SHELL]), st.lists(st.tuples(_FACTS, st.floats(0, 2)), max_size=30))
def test_whatever_happens_a_run_ends_once_and_types_only_what_was_decided(
    start: CommandRun, facts: list[tuple[ProgramFact, float]]
) -> None:
    play = Play(start)
    for fact, after_s in facts:
        is_taken = isinstance(fact, Answered) and takes(play.state, fact)
        before = len(play.typed)
        play.hear(fact, after_s=after_s)
        typed = play.typed[before:]
        assert is_taken or set(typed) <= {"run_goal\r"}
        wakes = wake_at(play.state)
        assert wakes is None or wakes > play.now or not isinstance(fact, TimePassed)

    assert play.effects.count(End()) == len([e for e in play.events if isinstance(e, Done | Failed)]) <= 1
    assert End() not in play.effects[:-1]
