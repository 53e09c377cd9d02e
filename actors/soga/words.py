"""What was said, as far as the voice has to understand it: the wake phrase, and whole utterances.

Pure. Recognisers write as they please: case, punctuation, one word or two. So texts are compared letter by
letter without all that, and the wake phrase with a few letters wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import msgspec

LETTERS_A_MISTAKE: Final = 5
"""One letter in five may be wrong in the wake phrase after its first word: two in "glasshouse"."""

_WITHIN_WORDS: Final = "'\N{RIGHT SINGLE QUOTATION MARK}"

_SOUNDS_LIKE: Final = {
    "hey": frozenset({"a", "ay", "eh", "ei", "ey", "hay", "he", "hei", "hi", "they"}),
    "hi": frozenset({"hey", "high", "i"}),
    "ok": frozenset({"okay", "k"}),
    "okay": frozenset({"ok", "k"}),
}
"""What recognisers write for the short words that a wake phrase begins with."""


class Word(msgspec.Struct, frozen=True):
    """A word in its plain form, and where it ends in the text it is from."""

    plain: str
    end: int


def words(text: str) -> tuple[Word, ...]:
    """The words of `text`: letters and digits in lower case; an apostrophe belongs to its word."""
    return tuple(_words(text))


def plain(text: str) -> str:
    """`text` as it is compared: its words, a blank between each two."""
    return " ".join(word.plain for word in _words(text))


def _words(text: str) -> Iterator[Word]:
    letters = ""
    for at, character in enumerate(text):
        if character.isalnum():
            letters += character.casefold()
        elif character not in _WITHIN_WORDS and letters:
            yield Word(letters, at)
            letters = ""
    if letters:
        yield Word(letters, len(text))


def after_wake(text: str, phrase: str) -> str | None:
    """What follows the wake phrase in `text`; empty where nothing does, None where the phrase is not there.

    The phrase may stand anywhere between two words. Its first word has to be that word, one letter off or
    something that sounds like it; the rest may be spelled in any number of words and with one letter in
    `LETTERS_A_MISTAKE` wrong. The best match counts, of equal ones the first.
    """
    wanted = words(phrase)
    if not wanted:
        return None
    head = wanted[0].plain if len(wanted) > 1 else ""
    tail = "".join(word.plain for word in wanted[1:] or wanted)
    most = len(tail) // LETTERS_A_MISTAKE
    heard = words(text)
    best: tuple[int, int] | None = None
    for start in range(len(heard)):
        begin = start + 1 if head else start
        if head and not _is_like(heard[start].plain, head):
            continue
        for end, joined in _joined(heard, begin, len(tail) + most):
            wrong = _distance(joined, tail, most)
            if wrong is not None and (best is None or wrong < best[0]):
                best = (wrong, end)
    return None if best is None else _from_first_word(text[best[1] :])


def _from_first_word(text: str) -> str:
    return next((text[at:] for at, character in enumerate(text) if character.isalnum()), "")


def _joined(heard: tuple[Word, ...], begin: int, longest: int) -> Iterator[tuple[int, str]]:
    """The words from `begin` on written as one, one more of them at a time, and where the last one ends."""
    joined = ""
    for word in heard[begin:]:
        joined += word.plain
        if len(joined) > longest:
            return
        yield word.end, joined


@cache
def _is_like(heard: str, wanted: str) -> bool:
    return (
        heard in _SOUNDS_LIKE.get(wanted, ()) or _distance(heard, wanted, min(1, len(wanted) - 2)) is not None
    )


def _distance(one: str, other: str, most: int) -> int | None:
    """How many letters have to be put in, taken out or changed; None where it is more than `most`."""
    if abs(len(one) - len(other)) > most:
        return None
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        above, row = row, [at]
        for column, wanted in enumerate(other, start=1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (letter != wanted)))
        if min(row) > most:
            return None
    return row[-1] if row[-1] <= most else None
