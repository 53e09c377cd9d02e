"""An approval on the lens: what the wearer reads, and what of all that is said is an answer to it.

Pure. Only a whole utterance answers, and what would allow more than this once (always, from now on, another
mode) cannot be chosen by voice at all: it stands on the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from protocols.desktop.documents import Approval, Decision, Option
from protocols.desktop.lens import cut

from .words import plain

TITLE_CHARACTERS: Final = 60
LABEL_CHARACTERS: Final = 28
MOST_OPTIONS: Final = 4

_YES: Final = frozenset(
    {
        "allow",
        "allow it",
        "approve",
        "approve it",
        "approved",
        "do it",
        "go ahead",
        "go for it",
        "ok",
        "okay",
        "please do",
        "sure",
        "yeah",
        "yep",
        "yes",
        "yes allow it",
        "yes do it",
        "yes go ahead",
        "yes please",
        "yes yes",
    }
)
_NO: Final = frozenset(
    {
        "cancel",
        "cancel it",
        "deny",
        "deny it",
        "do not",
        "do not do it",
        "dont",
        "dont do it",
        "nah",
        "no",
        "no dont",
        "no no",
        "no stop",
        "no thank you",
        "no thanks",
        "nope",
        "reject",
        "reject it",
        "stop",
        "stop it",
    }
)
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_BEYOND_ONCE: Final = (
    "allow all",
    "all edits",
    "always",
    "ask again",
    "auto",
    "automatically",
    "bypass",
    "dont ask",
    "every time",
    "from now on",
    "this session",
)
"""Parts of labels that allow more than what is asked for now."""


class Reply(msgspec.Struct, frozen=True):
    """An answer. `choice` is an option's id, of `choose` alone."""

    decision: Decision
    choice: str | None = None


APPROVE: Final = Reply("approve")
DENY: Final = Reply("deny")


def lens_text(approval: Approval, waiting: int = 0) -> str:
    """What the wearer reads, in a line or, of a question, a line an option.

    Args:
      waiting: how many approvals come after it.
    """
    title = cut(_printable(approval.title), TITLE_CHARACTERS).rstrip("?").rstrip()
    more = f" (1 of {waiting + 1})" if waiting else ""
    if approval.kind == "question":
        lines = [f"{title}?{more}"]
        lines += [
            f"{number} {cut(_printable(option.label), LABEL_CHARACTERS)}"
            for number, option in list(_sayable(approval))[:MOST_OPTIONS]
        ]
        return "\n".join(lines)
    if approval.kind == "confirm" or not approval.tool:
        return f"{title}? yes / no{more}"
    tool = cut(_printable(approval.tool), LABEL_CHARACTERS)
    named = title if title.split(" ", 1)[0] == tool else f"{tool} {title}"
    return f"Allow: {named}? yes / no{more}"


def reply_of(said: str, approval: Approval) -> Reply | None:
    """The answer that the whole of `said` is, by itself; None where it is none."""
    text = plain(said)
    if not text:
        return None
    if approval.kind != "question" and text in _YES | _NO:
        return APPROVE if text in _YES else DENY
    for number, option in _sayable(approval):
        if text == plain(option.label) or text in _names_of(number):
            return Reply("choose", option.id)
    return DENY if text in _NO else None


def _sayable(approval: Approval) -> Iterator[tuple[int, Option]]:
    """The options that may be chosen by voice, by their number among all of them."""
    for number, option in enumerate(approval.options, start=1):
        if not is_beyond_once(option):
            yield number, option


def is_beyond_once(option: Option) -> bool:
    """Whether the option allows more than what is asked for now."""
    label = f" {plain(option.label)} "
    return any(f" {part} " in label for part in _BEYOND_ONCE)


def _names_of(number: int) -> tuple[str, ...]:
    """How the option of this number is called: "two", "the second", "number two", "the second one"."""
    if number > len(_ORDINALS):
        return (str(number), f"number {number}", f"option {number}")
    ordinal, name = _ORDINALS[number - 1], _NUMBERS[number - 1]
    spoken = (ordinal, f"the {ordinal}", f"{ordinal} one", f"the {ordinal} one", f"the {ordinal} option")
    counted = tuple(f"{kind}{count}" for kind in ("", "number ", "option ") for count in (name, number))
    return (*spoken, *counted)


def _printable(text: str) -> str:
    """What an agent's text may do to the lens: nothing but be read."""
    return "".join(character if character.isprintable() else " " for character in text)
