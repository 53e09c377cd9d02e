"""The machine that decides what is translated when: order, throttle, deadlines, pauses."""

from __future__ import annotations

from msgspec.structs import replace

from actors.speech import translating
from actors.speech.translating import (
    Ask,
    Cancel,
    Done,
    Failed,
    Heard,
    LookAgain,
    Looked,
    Say,
    TellReaders,
    TranslatingEffect,
    TranslatingEvent,
    TranslatingState,
)
from actors.speech.translation_settings import TranslationSettings
from protocols.transcription import TranscriptionData

SETTINGS = TranslationSettings()


def said(text: str, utterance: str, *, is_final: bool = False, detected: str | None = None) -> Heard:
    data = TranscriptionData(
        text=text,
        is_final=is_final,
        start_time=0,
        end_time=1,
        utterance_id=utterance,
        transcribe_language="fr-FR",
        detected_language=detected,
    )
    return Heard(data)


def final(text: str, utterance: str, *, detected: str | None = None) -> Heard:
    return said(text, utterance, is_final=True, detected=detected)


class Run:
    """A machine and what it wants done."""

    def __init__(self, settings: TranslationSettings = SETTINGS, *, source: str = "fr-FR") -> None:
        self.settings = settings
        self.source = source
        self.state = TranslatingState()
        self.now = 100.0

    def __call__(self, event: TranslatingEvent, *, after_s: float = 0.0) -> list[TranslatingEffect]:
        self.now += after_s
        self.state, effects = translating.step(
            self.state, event, self.now, self.source, "en-US", self.settings
        )
        return [effect for effect in effects if not isinstance(effect, LookAgain)]

    def spoken(self, event: TranslatingEvent, *, after_s: float = 0.0) -> list[tuple[str, bool, bool]]:
        """What goes out: text, whether it is final, whether it was translated."""
        effects = self(event, after_s=after_s)
        return [
            (effect.spoken.text, effect.spoken.data.is_final, effect.spoken.did_translate)
            for effect in effects
            if isinstance(effect, Say)
        ]


def test_a_final_is_asked_for_at_once_and_goes_out_translated() -> None:
    run = Run()

    assert [Ask(1, "bonjour", "fr-FR", SETTINGS.deadline_s)] == run(final("bonjour", "u1"))
    assert [("hello", True, True)] == run.spoken(Done(1, "hello"))


def test_guesses_are_asked_for_now_and_then_and_only_the_newest() -> None:
    run = Run()

    assert [Ask(1, "je", "fr-FR", SETTINGS.deadline_s)] == run(said("je", "u1"))
    assert [] == run(said("je vais", "u1"), after_s=0.2)
    assert [("I", False, True)] == run.spoken(Done(1, "I"), after_s=0.2)
    assert [] == run(said("je vais bien", "u1"), after_s=0.2)
    assert [Ask(2, "je vais bien", "fr-FR", SETTINGS.deadline_s)] == run(Looked(), after_s=0.4)


def test_a_guess_that_has_not_changed_is_not_asked_for_again() -> None:
    run = Run()
    run(said("je", "u1"))
    run(Done(1, "I"), after_s=0.5)

    assert [] == run(said("je", "u1"), after_s=5)


def test_guesses_are_not_asked_for_where_nobody_wants_them() -> None:
    run = Run(replace(SETTINGS, partials=False))

    assert [] == run(said("je", "u1"))
    assert 1 == len(run(final("je vais", "u1")))


def test_a_guess_never_comes_after_its_final() -> None:
    run = Run()
    run(said("je", "u1"))

    assert [Cancel(1), Ask(2, "je vais", "fr-FR", SETTINGS.deadline_s)] == run(final("je vais", "u1"))
    assert [] == run.spoken(Done(1, "I")), "it was under way when the final came"
    assert [("I go", True, True)] == run.spoken(Done(2, "I go"))
    assert [] == run(said("je vais", "u1"), after_s=5)


def test_a_translated_guess_says_what_was_translated() -> None:
    run = Run()
    run(said("je", "u1"))
    run(said("je vais bien", "u1"))

    (say,) = run(Done(1, "I"))

    assert isinstance(say, Say)
    assert ("je", "I") == (say.spoken.data.text, say.spoken.text)


def test_finals_go_out_in_the_order_they_were_spoken() -> None:
    run = Run()
    run(final("un", "u1"))
    run(final("deux", "u2"))

    assert [] == run.spoken(Done(2, "two"))
    assert [("one", True, True), ("two", True, True)] == run.spoken(Done(1, "one"))


def test_a_guess_waits_for_the_finals_before_it() -> None:
    run = Run()
    run(final("un", "u1"))
    assert [Ask(2, "deux", "fr-FR", SETTINGS.deadline_s)] == run(said("deux", "u2"), after_s=0.1)

    assert [] == run.spoken(Done(2, "two")), "the final before it is not out yet"
    assert [("one", True, True)] == run.spoken(Done(1, "one"))


def test_no_more_than_so_many_requests_run_and_finals_go_first() -> None:
    run = Run(replace(SETTINGS, at_once=2))
    asked = [run(final(f"piece {number}", f"u{number}")) for number in range(4)]
    asked.append(run(said("guess", "u9"), after_s=0.1))

    assert [1, 1, 0, 0, 0] == [len(effects) for effects in asked]
    effects = run(Done(1, "one"))
    assert "piece 2" == next(effect.text for effect in effects if isinstance(effect, Ask))


def test_what_is_spoken_in_the_target_passes_as_it_is() -> None:
    run = Run()

    assert [("hel", False, False)] == run.spoken(said("hel", "u1", detected="en"))
    assert [("hello", True, False)] == run.spoken(final("hello", "u1", detected="en"))
    assert 0 == run.state.jobs


def test_what_passes_as_it_is_keeps_its_place() -> None:
    run = Run()
    run(final("un", "u1"))

    assert [] == run.spoken(final("hello", "u2", detected="en-GB"))
    assert [("one", True, True), ("hello", True, False)] == run.spoken(Done(1, "one"))


def test_the_language_that_was_found_is_the_source() -> None:
    run = Run(source="auto")

    asked = [effect for text in ("a", "b") for effect in run(final(text, text)) if isinstance(effect, Ask)]
    asked += [effect for effect in run(Done(1, "x")) if isinstance(effect, Ask)]
    (last,) = run(final("c", "c", detected="de"))[-1:]

    assert ["auto", "auto"] == [effect.source for effect in asked]
    assert last == Ask(3, "c", "de", SETTINGS.deadline_s)


def test_an_empty_final_is_not_translated() -> None:
    run = Run()

    assert [(" ", True, False)] == run.spoken(final(" ", "u1"))


def test_a_final_that_failed_is_tried_again_within_its_time() -> None:
    run = Run()
    run(final("un", "u1"))

    assert [] == run(Failed(1, "network"))
    assert [] == run(Looked(), after_s=0.2)
    (ask,) = run(Looked(), after_s=0.2)
    assert isinstance(ask, Ask)
    assert (2, "un") == (ask.job, ask.text)
    assert ask.within_s < SETTINGS.deadline_s
    assert [("one", True, True)] == run.spoken(Done(2, "one"))


def test_a_guess_does_not_take_the_place_of_a_final_that_is_tried_again() -> None:
    run = Run(replace(SETTINGS, at_once=1))
    run(final("un", "u1"))
    run(Failed(1, "network"))

    assert [] == run(said("deux", "u2"), after_s=0.1)
    (ask,) = run(Looked(), after_s=0.3)
    assert "un" == ask.text  # type: ignore[union-attr]


def test_a_wait_that_the_translator_asks_for_is_kept() -> None:
    run = Run()
    run(final("un", "u1"))
    run(Failed(1, "rate", retry_after_s=2.0))

    assert [] == run(Looked(), after_s=1.9)
    assert 1 == len(run(Looked(), after_s=0.2))


def test_a_wait_beyond_the_deadline_is_not_waited_for() -> None:
    run = Run()
    run(final("un", "u1"))

    told, say = run(Failed(1, "rate", retry_after_s=30.0))

    assert isinstance(told, TellReaders)
    assert "asks the translator for too much" in told.cause
    assert isinstance(say, Say)
    assert ("un", False) == (say.spoken.text, say.spoken.did_translate)


def test_a_final_that_gets_no_answer_goes_out_as_it_was_spoken() -> None:
    run = Run()
    run(final("un", "u1"))

    cancel, told, say = run(Looked(), after_s=SETTINGS.deadline_s)

    assert (Cancel(1), "no translation within 5 s") == (cancel, told.cause)  # type: ignore[union-attr]
    assert isinstance(say, Say)
    assert not say.spoken.did_translate
    assert [] == run.spoken(Done(1, "one")), "too late"


def test_readers_are_told_once_until_it_works_again() -> None:
    run = Run(replace(SETTINGS, attempts=1, pause_after=100))

    told = []
    for number, event in enumerate((Failed, Failed, Done, Failed), start=1):
        run(final(str(number), str(number)))
        outcome = Done(number, "x") if event is Done else Failed(number, "network")
        told.append(any(isinstance(effect, TellReaders) for effect in run(outcome)))

    assert [True, False, False, True] == told


def test_after_failures_in_a_row_nothing_is_asked_for_a_while() -> None:
    run = Run(replace(SETTINGS, attempts=1))
    for number in (1, 2, 3):
        run(final("un", f"u{number}"))
        run(Failed(number, "overloaded"))

    assert [("quatre", True, False)] == run.spoken(final("quatre", "u4")), "without waiting for anybody"
    assert [] == run(said("cinq", "u5"), after_s=1)
    run(final("cinq", "u5"))
    (ask,) = run(final("six", "u6"), after_s=SETTINGS.pause_first_s)
    assert isinstance(ask, Ask)
    run(Failed(ask.job, "overloaded"))
    pause_s = run.state.paused_until - run.now
    assert 2 * SETTINGS.pause_first_s == pause_s, "the trial failed, so the pause doubles"


def test_a_refused_key_pauses_at_once() -> None:
    run = Run()
    run(final("un", "u1"))
    run(Failed(1, "auth"))

    assert SETTINGS.pause_most_s == run.state.paused_until - run.now


def test_a_guess_that_is_refused_lets_the_final_pass_with_the_reason() -> None:
    run = Run()
    run(said("je", "u1"))
    assert [] == run(Failed(1, "auth")), "nothing is lost yet"

    told, say = run(final("je vais", "u1"))

    assert TellReaders("the translator refuses this server") == told
    assert isinstance(say, Say)


def test_a_translation_ends_the_pause() -> None:
    run = Run(replace(SETTINGS, at_once=2, attempts=1))
    run(final("un", "u1"))
    run(final("deux", "u2"))
    run(Failed(1, "auth"))

    run(Done(2, "two"))

    assert 1 == len(run(final("trois", "u3")))


def test_too_many_that_wait_let_the_oldest_go() -> None:
    run = Run(replace(SETTINGS, at_once=1, waiting_most=2))
    run(final("un", "u1"))
    run(final("deux", "u2"))

    assert [("un", True, False)] == run.spoken(final("trois", "u3"))


def test_a_guess_whose_final_never_comes_makes_way() -> None:
    run = Run()
    run(said("je", "u1"))

    assert [Cancel(1), Ask(2, "tu", "fr-FR", SETTINGS.deadline_s)] == run(final("tu", "u2"))


def test_after_a_crash_the_finals_are_asked_for_again() -> None:
    run = Run()
    run(final("un", "u1"))

    effects = run(translating.Began(), after_s=1)

    assert [Ask(2, "un", "fr-FR", SETTINGS.deadline_s - 1)] == effects


def test_somebody_looks_again_when_something_is_due() -> None:
    run = Run()
    state, effects = translating.step(run.state, final("un", "u1"), 100.0, "fr-FR", "en-US", SETTINGS)
    assert LookAgain(SETTINGS.deadline_s) in effects

    _, effects = translating.step(state, Failed(1, "network"), 101.0, "fr-FR", "en-US", SETTINGS)
    assert LookAgain(SETTINGS.retry_s) == LookAgain(round(effects[-1].after_s, 6))  # type: ignore[union-attr]
