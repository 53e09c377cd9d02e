"""Escape sequences: what pyte must not see, what our own shells say by them, and text without any.

pyte prints what it does not know as text, keeps an unfinished title for ever, and takes `ESC [ > 4 ; 2 m` for
colours. So everything but plain cursor and colour sequences is taken out before it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

MOST_HELD_BYTES: Final = 4096
"""A sequence that is longer is none: its text is shown."""

_STRANGE: Final = re.compile(
    rb"\x1b\[[<=>][0-?]*[ -/]*[@-~]"  # private ones: kitty's keyboard, xterm's modifiers
    rb"|\x1b\[\?[0-?]*[ -/]*u"
    rb"|\x1b\[[0-9;]*:[0-9;:]*m"  # colours with colons
    rb"|\x1b[PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # device control, start of string, privacy, application
    rb"|\x1b\](?P<said>[^\x07\x1b]*)(?:\x07|\x1b\\)"  # operating system command: titles, links, marks
)
_UNFINISHED: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?)?$")
_ANY: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class EscapeFilter:
    """Takes a terminal's bytes apart; a sequence may arrive in pieces."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, str | None]]:
        """Pieces in order: bytes to draw, and the operating system command that came after them, if any."""
        data = self._held + data
        self._held = b""
        unfinished = _UNFINISHED.search(data, max(0, len(data) - MOST_HELD_BYTES))
        if unfinished is not None:
            self._held = data[unfinished.start() :]
            data = data[: unfinished.start()]
        begin = 0
        for match in _STRANGE.finditer(data):
            said = match["said"]
            yield data[begin : match.start()], None if said is None else said.decode(errors="replace")
            begin = match.end()
        if begin < len(data):
            yield data[begin:], None


class PlainText:
    """What a terminal's bytes say, as whole lines without escape sequences.

    A line that was overwritten from its start, as progress bars do, is what it was in the end.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""

    def feed(self, data: bytes) -> str:
        """The lines that these bytes have finished; empty when none."""
        text = self._line + self._decoder.decode(data)
        lines, newline, self._line = text.rpartition("\n")
        if len(self._line) > MOST_HELD_BYTES:
            lines, newline, self._line = lines + newline + self._line, "", ""
        return plain(lines + newline)

    def rest(self) -> str:
        """The line that was not finished."""
        text, self._line = self._line, ""
        return plain(text)


def plain(text: str) -> str:
    """`text` without escape sequences and control characters but newline and tab."""
    bare = _ANY.sub("", text).replace("\r\n", "\n")
    if "\r" not in bare:
        return bare
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in bare.split("\n"))
