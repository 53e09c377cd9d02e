"""A program with what its terminal shows and what it has said, bounded whatever it prints.

The reader takes everything at once, so that the program is never held up; drawing follows, a little a turn.
A program that prints faster than pyte draws (half a mebibyte a second) is not drawn in full: past
MOST_BACKLOG_BYTES all but the newest part is left out, and the screen begins anew with that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import trio

from actors.desktop_daemon.screens import Screen

from .drawing import Drawing
from .escapes import EscapeFilter, PlainText
from .pty import COLUMNS, ROWS, ExitStatus, Pty

MOST_BACKLOG_BYTES: Final = 256 * 1024
KEPT_BACKLOG_BYTES: Final = 64 * 1024
_DRAWN_A_TURN_BYTES: Final = 4096  # 8 ms
_REST_S: Final = 0.2
"""After something was left out: most of a core stays free while a program floods."""

_SHOW_S: Final = 0.25
"""A screen that never comes to rest is looked at this often."""


class Drawn(msgspec.Struct, frozen=True):
    """The screen as it is; `bytes_read` since the program's start."""

    screen: Screen
    bytes_read: int


class Said(msgspec.Struct, frozen=True):
    """Whole lines of text."""

    text: str


class Marked(msgspec.Struct, frozen=True):
    """An operating system command of the program: our shells say by it how a command has ended."""

    text: str


class Skipped(msgspec.Struct, frozen=True):
    """So many bytes were neither drawn nor kept."""

    count: int


TerminalFact = Drawn | Said | Marked | Skipped


class Terminal:
    """Runs a program until it has ended.

    Args:
      heard: told everything that happens, in order; never blocks.
    """

    def __init__(self, pty: Pty, heard: Callable[[TerminalFact], None]) -> None:
        self._pty = pty
        self._heard = heard
        self._drawing = Drawing()
        self._filter = EscapeFilter()
        self._text = PlainText()
        self._backlog = bytearray()
        self._has_backlog = trio.Event()
        self._is_over = False
        self._bytes_read = 0
        self._skipped = 0

    async def run(self) -> ExitStatus:
        """Until the program has ended and all it printed was told. Cancellation leaves it running."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._draw)
            status = await self._pty.run(self._take)
            self._is_over = True
            self._has_backlog.set()
        return status

    def _take(self, data: bytes) -> None:
        self._bytes_read += len(data)
        self._backlog += data
        if len(self._backlog) > MOST_BACKLOG_BYTES:
            count = len(self._backlog) - KEPT_BACKLOG_BYTES
            del self._backlog[:count]
            self._skipped += count
        self._has_backlog.set()

    async def _draw(self) -> None:
        shown_at = trio.current_time()
        while True:
            while not self._backlog:
                if self._is_over:
                    self._tell_text(self._text.rest())
                    self._show()
                    return
                self._has_backlog = trio.Event()
                await self._has_backlog.wait()
            if self._skipped:
                await self._begin_anew()
            piece = bytes(self._backlog[:_DRAWN_A_TURN_BYTES])
            del self._backlog[:_DRAWN_A_TURN_BYTES]
            self._feed(piece)
            if not self._backlog or trio.current_time() - shown_at > _SHOW_S:
                shown_at = trio.current_time()
                self._show()
            await trio.lowlevel.checkpoint()

    async def _begin_anew(self) -> None:
        if not self._is_over:
            await trio.sleep(_REST_S)
        self._heard(Skipped(self._skipped))
        self._skipped = 0
        self._drawing.reset()
        self._filter, self._text = EscapeFilter(), PlainText()
        # A program with a screen of its own draws all of it for another size.
        self._pty.resize(ROWS - 1, COLUMNS)
        self._pty.resize(ROWS, COLUMNS)

    def _feed(self, piece: bytes) -> None:
        for data, mark in self._filter.feed(piece):
            self._drawing.feed(data)
            self._tell_text(self._text.feed(data))
            if mark is not None:
                self._tell_text(self._text.rest())
                self._heard(Marked(mark))

    def _tell_text(self, text: str) -> None:
        if text:
            self._heard(Said(text))

    def _show(self) -> None:
        self._heard(Drawn(self._drawing.screen(), self._bytes_read))
