"""A server process as its keeper sees it, and the one place where the keeper waits.

The standard library alone, as in `keeper`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
from collections.abc import Sequence
from types import FrameType, TracebackType

READY = "ready"
STANDING = "standing"
"""Said instead of `ready` by a server that waits for what another one hands to it."""

_WORDS_BYTES = 4096


class StopTold(Exception):  # noqa: N818 - not an error: the way out of every wait
    """SIGTERM or SIGINT arrived."""


class Server:
    """A started server.

    Attributes:
      process: its process id.
      status: its wait status once it was reaped.
      ready_at: when it said that it serves, on the monotonic clock.
    """

    def __init__(self, process: int, status_pipe: int, control: socket.socket) -> None:
        self.process = process
        self.status: int | None = None
        self.ready_at: float | None = None
        self._status_pipe = status_pipe
        self._control = control
        self._said = ""
        self._answer = b""
        os.set_blocking(status_pipe, False)
        control.setblocking(False)

    @property
    def status_pipe(self) -> int | None:
        """Readable when it has said something; None when it will say nothing more there."""
        return self._status_pipe if self._status_pipe >= 0 else None

    @property
    def control(self) -> int:
        return self._control.fileno()

    def has_said(self, word: str) -> bool:
        """Whether it has said `word` on its status pipe."""
        if self._status_pipe >= 0:
            try:
                chunk = os.read(self._status_pipe, 64)
            except BlockingIOError:
                chunk = None
            if chunk:
                self._said += chunk.decode(errors="replace")
            if chunk == b"" or len(self._said) > 256:
                self.hush()
        return word in self._said.split("\n")[:-1]

    def hush(self) -> None:
        """Listen to its status pipe no more."""
        if self._status_pipe >= 0:
            os.close(self._status_pipe)
            self._status_pipe = -1

    def order_hand_over(self, to: socket.socket) -> None:
        """Tell it to hand everything to whoever has the other end of `to`. Raises OSError when it is gone."""
        socket.send_fds(self._control, [b"hand over\n"], [to.fileno()])

    def answer(self) -> str | None:
        """What it said on its control socket: why it goes on itself. None while it has said nothing."""
        with contextlib.suppress(OSError):
            self._answer += self._control.recv(_WORDS_BYTES)
        line, ended, _ = self._answer.partition(b"\n")
        if not ended:
            return None
        self._answer = b""
        return line.decode(errors="replace")

    def kill(self) -> None:
        if self.status is None:
            os.kill(self.process, signal.SIGKILL)

    def close(self) -> None:
        """After its end: take what it has said, and close what we have of it."""
        self.has_said("")
        self.hush()
        self._control.close()


def how_it_ended(status: int) -> str:
    """A wait status in words, as the rest of a sentence about a process."""
    if os.WIFSIGNALED(status):
        return f"was ended by signal {os.WTERMSIG(status)}"
    return f"ended with status {os.WEXITSTATUS(status)}"


def reap_one() -> tuple[int, int] | None:
    """A child that has ended, and its wait status."""
    try:
        process, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (process, status) if process else None


class Signals:
    """Signals as something to wait for: the handlers do nothing, the wakeup descriptor tells.

    While it is open, SIGTERM and SIGINT end the next `wait` with `StopTold`, also where they had been ignored
    (a shell starts its background jobs so).
    """

    def __enter__(self) -> Signals:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        watched = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        self._handlers_before = [(number, signal.signal(number, _heard)) for number in watched]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers_before:
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reading)
        os.close(self._writing)

    def wait(self, timeout_s: float | None, readable: Sequence[int] = ()) -> list[int]:
        """Wait for any signal, for one of `readable`, or `timeout_s` at most; those that are readable."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        for descriptor in readable:
            poll.register(descriptor, select.POLLIN)
        # poll counts whole milliseconds: rounded up, or the last one would be a busy loop.
        ready = poll.poll(None if timeout_s is None else max(0, math.ceil(timeout_s * 1000)))
        descriptors = [descriptor for descriptor, _ in ready]
        if self._reading in descriptors:
            arrived = os.read(self._reading, 4096)
            if signal.SIGTERM in arrived or signal.SIGINT in arrived:
                raise StopTold
        return [descriptor for descriptor in descriptors if descriptor != self._reading]


def _heard(number: int, frame: FrameType | None) -> None:
    """Do nothing: without a handler the signal would not reach the wakeup descriptor."""
