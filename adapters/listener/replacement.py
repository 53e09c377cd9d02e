"""How the keeper puts another server in the place of the one that serves, without closing a connection.

The next server is started beside the present one. Once it stands, the present one is told to hand over: the
two settle that between them, over a socket pair whose ends they are given (`adapters.listener.handing`).
Until the next one has said that it has everything, the present one can go on as if nothing had been, and
whatever goes wrong before ends in that.

The standard library alone, as in `keeper`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from adapters.listener.servers import READY, STANDING, Server, how_it_ended

Wait = Callable[[float | None, Sequence[int]], object]


class Patience(NamedTuple):
    """Attributes:
    start_s: the next server has so long to stand.
    hand_over_s: both have so long for the hand-over, requests that are being answered included.
    end_s: afterwards the one before has so long to end.
    """

    start_s: float = 60.0
    hand_over_s: float = 30.0
    end_s: float = 10.0


def replace(
    present: Server, *, start: Callable[[int], Server], wait: Wait, patience: Patience
) -> tuple[Server, str]:
    """Have `present` hand over to a server that is started now.

    Args:
      start: starts the next server and gives it this descriptor. Raises OSError.
      wait: waits for news of any server, for at most that long or until one of these is readable.

    Returns: the server from here on, and what went wrong; empty when nothing did. With a problem that is the
      present one, which serves on, or has ended too.
    """
    giving, taking = socket.socketpair()
    with giving:
        try:
            with taking:
                successor = start(taking.fileno())
        except OSError as error:
            return present, f"the new server cannot be started: {error.strerror}"
        problem = _await_standing(present, successor, wait, patience.start_s)
        if not problem:
            try:
                present.order_hand_over(giving)
            except OSError as error:
                problem = f"the present server cannot be told to hand over: {error.strerror}"
    if not problem:
        problem = _await_ready(present, successor, wait, patience)
    if problem:
        successor.kill()
        _await_end(successor, wait, None)  # the kernel ends it
        return present, problem
    successor.ready_at = time.monotonic()
    if not _await_end(present, wait, patience.end_s):
        present.kill()
        _await_end(present, wait, None)
    return successor, ""


def _await_standing(present: Server, successor: Server, wait: Wait, within_s: float) -> str:
    """What went wrong before the new server stood; empty when it does."""
    deadline = time.monotonic() + within_s
    while not successor.has_said(STANDING):
        left_s = deadline - time.monotonic()
        if successor.status is not None:
            return f"the new server {how_it_ended(successor.status)}{_meaning(successor.status)}"
        if present.status is not None:
            return f"the present server {how_it_ended(present.status)}"
        if left_s <= 0:
            return f"the new server was not ready after {within_s:g} s"
        wait(left_s, () if successor.status_pipe is None else (successor.status_pipe,))
    return ""


def _await_ready(present: Server, successor: Server, wait: Wait, patience: Patience) -> str:
    """What went wrong before the new server served; empty when it does."""
    deadline = time.monotonic() + patience.hand_over_s
    watched = [present.control]
    while not successor.has_said(READY):
        if successor.status is not None:
            return _await_word(present, successor.status, wait, patience.end_s)
        reason = present.answer()
        if reason is not None:
            return f"the present server serves on: {reason}"
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            successor.kill()
            left_s = patience.end_s
        if present.status is not None:
            watched = []
        pipe = successor.status_pipe
        wait(left_s, watched if pipe is None else (*watched, pipe))
    return ""


def _await_word(present: Server, status: int, wait: Wait, within_s: float) -> str:
    """The new server has ended: whether the present one goes on."""
    what = f"the new server {how_it_ended(status)} while it took over"
    deadline = time.monotonic() + within_s
    while present.status is None and time.monotonic() < deadline:
        reason = present.answer()
        if reason is not None:
            return f"{what}; the present server serves on: {reason}"
        wait(deadline - time.monotonic(), (present.control,))
    present.kill()  # it has nothing left to serve, and hangs
    return f"{what}, and connections went with it; another one is started"


def _await_end(server: Server, wait: Wait, within_s: float | None) -> bool:
    deadline = None if within_s is None else time.monotonic() + within_s
    while server.status is None:
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            return False
        wait(left_s, ())
    return True


def _meaning(status: int) -> str:
    """What a server's log has more about."""
    return {78 << 8: " (a wrong setting; the log says which)", 74 << 8: " (the log says why)"}.get(status, "")
