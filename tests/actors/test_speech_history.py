"""What is remembered of what was said: how long, how much, and what a question finds."""

from __future__ import annotations

from actors.speech import history as histories
from actors.speech.history import History, Remembered
from actors.speech.history_settings import TranscriptSettings

SETTINGS = TranscriptSettings()
NOW_MS = 1_800_000_000_000
HALF_HOUR_MS = 1_800_000


def piece(number: int, *, at_ms: int = NOW_MS, language: str = "en-US", text: str = "") -> Remembered:
    return Remembered(f"u{number}", language, text or f"piece {number}", at_ms)


def history_of(*pieces: Remembered, settings: TranscriptSettings = SETTINGS) -> History:
    history: History = {}
    for one in pieces:
        history = histories.heard(history, one, settings, is_final=True)
    return history


def texts(
    history: History,
    *,
    language: str = "en-US",
    from_ms: float = 0,
    to_ms: float = NOW_MS * 2,
    now_ms: int = NOW_MS,
) -> list[str]:
    found = histories.between(history, language, from_ms, to_ms, now_ms, SETTINGS)
    return [segment.text for segment in found]


def test_a_language_keeps_its_own() -> None:
    history = history_of(piece(1), piece(2, language="fr-FR"), piece(3))

    assert ["piece 1", "piece 3"] == texts(history)
    assert ["piece 2"] == texts(history, language="fr-FR")
    assert [] == texts(history, language="de-DE")


def test_a_range_has_both_its_ends() -> None:
    history = history_of(*(piece(n, at_ms=NOW_MS - 1000 * (5 - n)) for n in range(1, 6)))

    found = texts(history, from_ms=NOW_MS - 3000, to_ms=NOW_MS - 1000)

    assert ["piece 2", "piece 3", "piece 4"] == found


def test_what_is_older_than_half_an_hour_is_not_told_even_before_it_is_gone() -> None:
    history = history_of(piece(1, at_ms=NOW_MS - HALF_HOUR_MS - 1), piece(2, at_ms=NOW_MS - HALF_HOUR_MS))

    assert ["piece 2"] == texts(history)


def test_what_is_older_than_half_an_hour_goes_with_the_next_piece() -> None:
    history = history_of(piece(1, at_ms=NOW_MS - HALF_HOUR_MS - 1), piece(2))

    assert ["u2"] == [one.result_id for one in histories.finals(history)]


def test_too_much_goes_from_its_oldest_end() -> None:
    settings = TranscriptSettings(most_bytes=2000)
    history = history_of(*(piece(n, text="x" * 800) for n in range(5)), settings=settings)

    assert ["u3", "u4"] == [one.result_id for one in histories.finals(history)]
    assert 2000 == history["en-US"].size


def test_a_piece_larger_than_all_room_is_the_only_one() -> None:
    settings = TranscriptSettings(most_bytes=1024)
    history = history_of(piece(1), piece(2, text="x" * 5000), settings=settings)

    assert ["u2"] == [one.result_id for one in histories.finals(history)]


def test_the_guess_comes_last_and_its_final_takes_its_place() -> None:
    history = histories.heard(history_of(piece(1)), piece(2, text="gue"), SETTINGS, is_final=False)
    history = histories.heard(history, piece(2, text="guess"), SETTINGS, is_final=False)

    found = histories.between(history, "en-US", 0, NOW_MS, NOW_MS, SETTINGS)
    assert [("piece 1", True), ("guess", False)] == [(one.text, one.is_final) for one in found]

    history = histories.heard(history, piece(2, text="guessed"), SETTINGS, is_final=True)
    assert ["piece 1", "guessed"] == texts(history)


def test_an_empty_final_ends_the_guess_and_is_not_kept() -> None:
    history = histories.heard({}, piece(1, text="gue"), SETTINGS, is_final=False)

    history = histories.heard(history, piece(1, text=" "), SETTINGS, is_final=True)

    assert [] == texts(history)


def test_what_was_stored_is_put_before_what_was_heard_since_and_nothing_is_twice() -> None:
    history = history_of(piece(2, at_ms=NOW_MS - 1), piece(3))
    stored = [piece(2, at_ms=NOW_MS - 1), piece(1, at_ms=NOW_MS - 2), piece(9, language="fr-FR")]

    history = histories.joined(history, stored, NOW_MS, SETTINGS)

    assert ["piece 1", "piece 2", "piece 3"] == texts(history)
    assert ["piece 9"] == texts(history, language="fr-FR")


def test_a_segment_says_when_in_the_wires_form() -> None:
    (segment,) = histories.between(history_of(piece(1)), "en-US", 0, NOW_MS, NOW_MS, SETTINGS)

    assert ("u1", None, "piece 1", "2027-01-15T08:00:00.000Z", True) == (
        segment.result_id,
        segment.speaker_id,
        segment.text,
        segment.timestamp,
        segment.is_final,
    )
