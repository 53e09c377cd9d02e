"""Two named pipes to a program that speaks in lines, beside the terminal that it runs in.

Named ones, because what starts the program closes every descriptor but its terminal's; the names are taken
away once it has them. Both ends of both are held open here: so neither side waits for the other to open its
own, and that the program has ended is learnt from its exit alone.

It has a terminal all the same: when the daemon is killed the terminal hangs up, which ends the program and
its tools. The end of its input would not: Claude Code takes that for a refusal, and goes on with its turn.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from actors.desktop_daemon.claude_stream import LineReader
from actors.desktop_daemon.terminal_facts import LineHeard

MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
"""What may wait for a program that does not read: an answer to a permission repeats what was asked."""

_READ_BYTES: Final = 4096
"""So much is read in one turn of the loop. A line is 50 to 100 µs of work, and some are short."""

_DRAINED: Final = 256
"""How often a pipe is read that something may still be writing to. It holds 64 KiB."""


class PipesError(Exception):
    """The program takes no more."""


class LinePipes:
    """Pipes of one program.

    Args:
      folder: where they lie; only this user can look into it.
      tell: what it writes goes here, in order.
    """

    def __init__(self, folder: Path, tell: Callable[[LineHeard], None]) -> None:
        self._folder = folder
        self._names: tuple[Path, ...] = (folder / "to_program", folder / "from_program")
        self._tell = tell
        self._reader = LineReader()
        self._in = self._out = -1
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._has_waiting = trio.Event()

    def start(self, nursery: trio.Nursery) -> None:
        """Make them, and serve them until the nursery is cancelled. Raises OSError."""
        self._in = _make(self._names[0])
        try:
            self._out = _make(self._names[1])
        except OSError:
            os.close(self._in)
            raise
        nursery.start_soon(self._run)

    def redirected(self, argv: Sequence[str]) -> tuple[str, ...]:
        """A command line with these pipes as its input and its output, and the terminal for its errors.

        The program holds its own input open for writing, too: it never ends.
        """
        into, out = (path.name for path in self._names)
        return ("/bin/sh", "-c", f'exec "$@" <>"$0/{into}" >"$0/{out}"', str(self._folder), *argv)

    def send(self, line: bytes) -> None:
        """Write a line. What the program does not take at once waits its turn.

        Raises:
          PipesError: more than MOST_WAITING_BYTES wait.
        """
        if self._waiting_bytes + len(line) > MOST_WAITING_BYTES:
            raise PipesError(f"the program does not read: {self._waiting_bytes} bytes wait")
        self._waiting.append(memoryview(line))
        self._waiting_bytes += len(line)
        if len(self._waiting) == 1:
            self._write_some()
        if self._waiting:
            self._has_waiting.set()

    def drain(self) -> None:
        """Tell what the program has written and nobody has read yet; it has ended."""
        for _ in range(_DRAINED):
            if not self._read_some():
                return

    async def _run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                while True:
                    await trio.lowlevel.wait_readable(self._out)
                    self._read_some()
        finally:
            for descriptor in (self._in, self._out):
                trio.lowlevel.notify_closing(descriptor)
                os.close(descriptor)
            self._hide()

    async def _write(self) -> None:
        while True:
            while not self._waiting:
                self._has_waiting = trio.Event()
                await self._has_waiting.wait()
            await trio.lowlevel.wait_writable(self._in)
            self._write_some()

    def _write_some(self) -> None:
        while self._waiting:
            try:
                count = os.write(self._in, self._waiting[0])
            except BlockingIOError:
                return
            self._waiting_bytes -= count
            rest = self._waiting.popleft()[count:]
            if rest:
                self._waiting.appendleft(rest)

    def _read_some(self) -> bool:
        try:
            data = os.read(self._out, _READ_BYTES)
        except BlockingIOError:
            return False
        self._hide()  # who writes has opened both
        for line in self._reader.feed(data):
            self._tell(LineHeard(line))
        return True

    def _hide(self) -> None:
        for path in self._names:
            path.unlink(missing_ok=True)
        self._names = ()


def _make(path: Path) -> int:
    path.unlink(missing_ok=True)
    os.mkfifo(path, mode=0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
