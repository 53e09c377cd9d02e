"""A terminal's screen as data, and what can be said of any program by it."""

from __future__ import annotations

import msgspec


class Screen(msgspec.Struct, frozen=True):
    """What a terminal shows.

    Attributes:
      lines: all rows from the top, without trailing spaces.
      row, column: the cursor's, from 0.
    """

    lines: tuple[str, ...] = ()
    row: int = 0
    column: int = 0

    @property
    def cursor_line(self) -> str:
        """The line that the cursor is in, up to the cursor."""
        return self.lines[self.row][: self.column] if self.row < len(self.lines) else ""

    @property
    def text(self) -> str:
        """All of it, without the empty lines at its end."""
        return "\n".join(self.lines).rstrip()
