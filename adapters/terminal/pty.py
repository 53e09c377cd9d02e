"""A program in a pseudo-terminal of its own, read and written without blocking the loop.

pexpect forks and executes it, and nothing more: its `expect`, `close` and `terminate` sleep. The descriptor
is ours from then on, non-blocking and waited for by trio; the end of the program is seen through a pidfd, or
in a thread where there is none. Who starts one has to call `aclose`, which also ends what the program left
behind.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import signal
import struct
import termios
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import pexpect
import trio

from .process_tree import ProcessTree

ROWS: Final = 40
COLUMNS: Final = 120
READ_BYTES: Final = 65_536
"""At most so much is read in one turn of the loop; Linux gives 4 KiB a call."""

MOST_WAITING_BYTES: Final = 1024 * 1024
"""What may wait for a program that does not read."""

HANG_UP_S: Final = 3.0
"""From SIGHUP to SIGKILL. Claude Code ends itself and its tools within 1.6 s of the first."""

_DRAIN_S: Final = 0.3
"""How long the terminal of an ended program is read while others hold it open."""


class TerminalError(Exception):
    """A program could not be started, or its terminal takes no more."""


class ExitStatus(msgspec.Struct, frozen=True):
    """How a program ended: by itself with a code, or by a signal."""

    code: int | None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"signal {signal.Signals(self.signal).name}"
        return f"exit status {self.code}"


class Pty:
    """A program in its terminal; made by `Pty.start`.

    Attributes:
      pid: the program's; it leads a session of its own.
      exited: set once it has ended and `status` is known.
    """

    def __init__(self, child: pexpect.spawn[str], mark: tuple[str, str]) -> None:
        assert child.pid is not None
        self.pid: int = child.pid
        self.exited = trio.Event()
        self.status: ExitStatus | None = None
        self._child = child
        self._fd: int = child.child_fd
        self._is_open = True
        self._tree = ProcessTree(self.pid, mark)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._has_waiting = trio.Event()
        os.set_blocking(self._fd, False)

    @classmethod
    def start(
        cls, argv: Sequence[str], *, environment: Mapping[str, str], cwd: str, mark: tuple[str, str]
    ) -> Pty:
        """Fork and execute. It holds the loop for 7 to 10 ms.

        Args:
          environment: the whole of it; nothing of ours is inherited.
          mark: a variable that is put into it, by which whatever the program starts is found again.

        Raises:
          TerminalError: there is no such program, or no such directory.
        """
        environment = {**environment, mark[0]: mark[1]}
        _check((*argv, *environment, *environment.values(), cwd))
        with warnings.catch_warnings():
            # Python 3.12 and later warn of a fork beside threads. This child executes at once.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                child = pexpect.spawn(
                    argv[0],
                    list(argv[1:]),
                    env=environment,
                    preexec_fn=functools.partial(os.chdir, cwd),
                    dimensions=(ROWS, COLUMNS),
                    timeout=None,
                )
            except (pexpect.ExceptionPexpect, OSError) as error:
                # Without its traceback, which holds what pexpect had opened.
                cause = error.with_traceback(None)
                raise TerminalError(f"{argv[0]} could not be started in {cwd}: {error}") from cause
        return cls(child, mark)

    async def run(self, take: Callable[[bytes], None]) -> ExitStatus:
        """Hand on what it prints until it has ended and all of that was read; returns how it ended.

        Args:
          take: called with each piece, at most READ_BYTES, then others have their turn.

        Cancellation: the program goes on; `aclose` ends it.
        """
        async with trio.open_nursery() as nursery:
            is_drained = trio.Event()
            nursery.start_soon(self._read, take, is_drained)
            nursery.start_soon(self._write)
            await self._until_exit()
            with trio.move_on_after(_DRAIN_S):
                await is_drained.wait()
            nursery.cancel_scope.cancel()
        assert self.status is not None
        return self.status

    def send(self, data: bytes) -> None:
        """Type. What the program does not take at once waits its turn.

        Raises:
          TerminalError: more than MOST_WAITING_BYTES wait, or the terminal is closed.
        """
        if not self._is_open:
            raise TerminalError(f"the terminal of process {self.pid} is closed")
        if self._waiting_bytes + len(data) > MOST_WAITING_BYTES:
            raise TerminalError(
                f"process {self.pid} does not read its terminal: {self._waiting_bytes} bytes wait"
            )
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if len(self._waiting) == 1:
            self._write_some()
        if self._waiting:
            self._has_waiting.set()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the program of another size, upon which most draw everything anew."""
        with suppress(OSError):
            fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def aclose(self) -> None:
        """Hang up, wait, kill: afterwards nothing that the program started runs any more.

        To be called when `run` has returned or was cancelled. It takes HANG_UP_S at most, and as long as a
        SIGKILL takes. Cancellation does not cut it short.
        """
        with trio.CancelScope(shield=True):
            try:
                await self._tree.note()
                self._tree.hang_up()
                await self._until_gone()
                await self._tree.kill()
                with trio.move_on_after(HANG_UP_S):
                    await self._until_exit()
            finally:
                self._close()

    async def _until_gone(self) -> None:
        with trio.move_on_after(HANG_UP_S):
            async with trio.open_nursery() as nursery:
                # A program that says goodbye must not wait for a reader.
                nursery.start_soon(self._read, _discard, trio.Event())
                await self._until_exit()
                await self._tree.until_gone()
                nursery.cancel_scope.cancel()

    async def _until_exit(self) -> None:
        while not self._reap():
            if not hasattr(os, "pidfd_open"):
                await trio.to_thread.run_sync(_wait_for_end, self.pid, abandon_on_cancel=True)
                continue
            descriptor = os.pidfd_open(self.pid)
            try:
                await trio.lowlevel.wait_readable(descriptor)
            finally:
                os.close(descriptor)

    async def _read(self, take: Callable[[bytes], None], is_drained: trio.Event) -> None:
        is_over = False
        while not is_over:
            await trio.lowlevel.wait_readable(self._fd)
            data, is_over = self._read_some()
            if data:
                take(data)
        is_drained.set()

    async def _write(self) -> None:
        while True:
            while not self._waiting:
                self._has_waiting = trio.Event()
                await self._has_waiting.wait()
            await trio.lowlevel.wait_writable(self._fd)
            self._write_some()

    def _read_some(self) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        size = 0
        while size < READ_BYTES:
            try:
                piece = os.read(self._fd, READ_BYTES - size)
            except BlockingIOError:
                return b"".join(pieces), False
            except OSError as error:
                if error.errno != errno.EIO:  # Linux's way to say that nobody has the other side open
                    raise
                return b"".join(pieces), True
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces), False

    def _write_some(self) -> None:
        while self._waiting:
            try:
                count = os.write(self._fd, self._waiting[0])
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()  # it has ended; who reads it learns so
                self._waiting_bytes = 0
                return
            self._waiting_bytes -= count
            rest = self._waiting.popleft()[count:]
            if rest:
                self._waiting.appendleft(rest)

    def _reap(self) -> bool:
        if not self.exited.is_set():
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            if pid == 0:
                return False
            if os.WIFSIGNALED(status):
                self.status = ExitStatus(None, os.WTERMSIG(status))
            else:
                self.status = ExitStatus(os.waitstatus_to_exitcode(status))
            self.exited.set()
        return True

    def _close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        trio.lowlevel.notify_closing(self._fd)
        # Only what its own `close` does without sleeping; its finaliser then has nothing left to do.
        inner = self._child.ptyproc  # type: ignore[attr-defined] # its stubs leave it out
        inner.fileobj.close()
        inner.closed = self._child.closed = True


def _check(strings: Sequence[str]) -> None:
    """Refuse what cannot be executed before the fork.

    ptyprocess catches what its `preexec_fn` raises and what the kernel says to the exec. Any other exception
    in the child, its own `chdir` for one, would return into a second copy of our program.
    """
    for text in strings:
        try:
            is_possible = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            is_possible = False
        if not is_possible:
            raise TerminalError(f"{text[:40]!r} has characters that no command line can have")


def _discard(data: bytes) -> None:
    pass


def _wait_for_end(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
