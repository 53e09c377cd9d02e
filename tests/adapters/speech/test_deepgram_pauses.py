"""Deepgram's firm words become an utterance at pauses that our own detector hears, and not at breaths."""

from __future__ import annotations

from actors.ports import Final, Interim, SpeechEvent
from adapters.speech.deepgram_messages import Alternative, Channel, Results, Transcript

PAUSE_MS = 300


def result(
    text: str, start_s: float, end_s: float, *, is_final: bool = True, speech_final: bool | None = None
) -> Results:
    return Results(
        start=start_s,
        duration=end_s - start_s,
        channel=Channel((Alternative(text),)),
        is_final=is_final,
        speech_final=is_final if speech_final is None else speech_final,
    )


def texts(events: list[SpeechEvent]) -> list[str]:
    said = [event for event in events if isinstance(event, Interim | Final)]
    return [f"{event.text}." if isinstance(event, Final) else event.text for event in said]


def transcript() -> Transcript:
    return Transcript(longest_ms=15_000, pause_ms=PAUSE_MS)


def test_a_breath_ends_no_utterance() -> None:
    heard = transcript()

    assert ["he was"] == texts(heard.results(result("he was", 0.0, 1.06)))
    assert ["he was not ill"] == texts(heard.results(result("not ill", 1.06, 2.06)))
    assert ["he was not ill."] == texts(heard.pause(2300))


def test_words_that_come_after_their_pause_was_told_are_final_at_once() -> None:
    heard = transcript()

    assert [] == texts(heard.pause(1300))
    assert ["he was."] == texts(heard.results(result("he was", 0.0, 1.06)))


def test_a_pause_waits_for_words_that_are_on_their_way() -> None:
    heard = transcript()
    heard.results(result("he was", 0.0, 1.06))
    heard.results(result("not", 1.06, 1.8, is_final=False))

    assert [] == texts(heard.pause(2300)), "the guess is not firm"
    assert ["he was not ill."] == texts(heard.results(result("not ill", 1.06, 2.06)))


def test_a_pause_waits_for_words_of_which_nothing_has_come() -> None:
    heard = transcript()
    heard.results(result("he was", 0.0, 1.06))

    assert [] == texts(heard.pause(2300))
    assert ["he was not ill."] == texts(heard.results(result("not ill", 1.06, 2.06)))


def test_a_late_breath_before_the_pause_ends_nothing() -> None:
    heard = transcript()
    heard.pause(2300)

    assert ["he was"] == texts(heard.results(result("he was", 0.0, 1.06)))
    assert ["he was not ill."] == texts(heard.results(result("not ill", 1.06, 2.06)))


def test_words_behind_the_pause_are_another_utterance() -> None:
    heard = transcript()
    heard.results(result("he was", 0.0, 1.06))

    assert ["he was."] == texts(heard.pause(1300))
    assert ["not ill"] == texts(heard.results(result("not ill", 1.06, 2.06)))


def test_deepgrams_own_silence_ends_an_utterance_where_nobody_hears_the_pause() -> None:
    heard = transcript()
    heard.results(result("he was", 0.0, 1.06))

    assert [] == texts(heard.results(result("", 1.06, 1.3, is_final=False)))
    assert ["he was."] == texts(heard.results(result("", 1.06, 2.0, is_final=False)))
    assert 1060 == heard.settled_ms
