"""The screen of a terminal, drawn by pyte."""

from __future__ import annotations

import pyte

from actors.desktop_daemon.screens import Screen

from .pty import COLUMNS, ROWS


class Drawing:
    """What a program's bytes make of a screen. pyte draws about half a mebibyte a second.

    Attributes:
      faults: sequences that pyte could not stand; the rest of their piece was left out.
    """

    def __init__(self) -> None:
        self.faults = 0
        self.reset()

    def reset(self) -> None:
        """An empty screen."""
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        """Draw. Never raises: what is wrong with a program's output is not ours."""
        try:
            self._stream.feed(data)
        except Exception:  # pyte has no errors of its own: TypeError, ValueError, IndexError were seen
            self.faults += 1

    def screen(self) -> Screen:
        """The screen as it is now."""
        cursor = self._screen.cursor
        return Screen(tuple(line.rstrip() for line in self._screen.display), cursor.y, cursor.x)
