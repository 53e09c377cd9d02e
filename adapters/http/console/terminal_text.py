"""What a terminal printed, as text and nothing else.

An agent's output holds escape sequences (colours, movements, titles, links, the clipboard) and whatever the
programs it ran have printed. A page shows the characters. Sequences go; of a line that a carriage return
overwrote the last form stays; what would turn the direction of the text around, or hide in it, becomes a
visible mark. A sequence that is cut off at the end of one piece goes on in the next.

Every pattern here is linear in the text: whoever writes the output must not choose how long it takes.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST_SEQUENCE: Final = 4_096
"""An escape that has not ended after so many characters is none: its rest is text."""

_CSI: Final = r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+"
_STRING: Final = r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*+"  # OSC, DCS, SOS, PM, APC
_SEQUENCE: Final = re.compile(
    rf"{_CSI}[@-~]"
    rf"|{_STRING}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]++[0-~]"  # with intermediates: character sets
    r"|\x1b[0-OQ-WYZ\\`-~]"  # all others of two characters
)
_BEGUN: Final = re.compile(rf"(?:{_STRING}\x1b?|{_CSI}|\x1b[ -/]*+)\Z")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DECEIVING: Final = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class TerminalText:
    """One agent's output, piece by piece."""

    def __init__(self) -> None:
        self._begun = ""

    def read(self, piece: str) -> str:
        """The text of the next piece."""
        text = _SEQUENCE.sub("", self._begun + piece)
        self._begun = ""
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST_SEQUENCE))
        if begun is not None:
            self._begun = begun[0]
            text = text[: begun.start()]
        elif text.endswith("\r"):  # what it overwrites with is in the next piece, or the rest of a line's end
            self._begun = "\r"
            text = text[:-1]
        return _as_text(text)


def plain(text: str) -> str:
    """The text of something that is whole: a result, a step, a title."""
    return _as_text(_SEQUENCE.sub("", text))


def _as_text(text: str) -> str:
    if "\r" in text:
        lines = text.replace("\r\n", "\n").split("\n")
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return _DECEIVING.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", text))
