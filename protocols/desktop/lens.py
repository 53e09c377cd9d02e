"""What fits on a lens: plain text of at most 100 characters, cut between words."""

from __future__ import annotations

LENS_CHARACTERS = 100
_ELLIPSIS = "…"


def cut(text: str, characters: int = LENS_CHARACTERS) -> str:
    """`text` on one line, cut on a word boundary with an ellipsis where it is longer.

    A word that alone is too long is cut where it must.
    """
    line = " ".join(text.split())
    if len(line) <= characters:
        return line
    head = line[: characters - len(_ELLIPSIS)]
    whole, space, _ = head.rpartition(" ")
    if line[len(head)] == " ":
        whole = head
    return (whole if space or whole == head else head).rstrip(" ,;:.") + _ELLIPSIS
