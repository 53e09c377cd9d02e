"""The server's side of its agreement with the keeper: what it inherits, what it says, and when it has to end.

A server that outlives its keeper would hold the port and the data lock against the next one. So it watches
the lifeline, a pipe whose other end only the keeper has: it reads as ended when the keeper is gone, however
it went.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from dataclasses import dataclass

import trio


@dataclass(frozen=True)
class Inherited:
    """What the keeper hands to a server.

    Attributes:
      listening: bound and listening.
      lifeline: a pipe that ends when the keeper ends.
      status: where `say_ready` writes.
      lock: holds the data lock while it is open; there is nothing to do with it.
    """

    listening: socket.socket
    lifeline: int
    status: int
    lock: int


def inherit(text: str) -> Inherited:
    """Take over the descriptors named by the value of `--inherited`, so that no process started later
    inherits them.

    Raises:
      ValueError: not four numbers.
      OSError: not the descriptors of a keeper's child.
    """
    listening, lifeline, status, lock = (int(number) for number in text.split(","))
    for descriptor in (listening, lifeline, status, lock):
        os.set_inheritable(descriptor, False)
    return Inherited(socket.socket(fileno=listening), lifeline, status, lock)


def say_ready(inherited: Inherited) -> None:
    """Tell the keeper that this server serves. Call it once."""
    try:
        os.write(inherited.status, b"ready\n")
    except BrokenPipeError:  # the keeper died meanwhile; the lifeline says so too
        return
    finally:
        os.close(inherited.status)


async def lifeline_closed(lifeline: int) -> None:
    """Return when the keeper is gone; from then on the server has 5 seconds to flush and end.

    Cancellation: harmless; it may be awaited again.
    """
    await trio.lowlevel.wait_readable(lifeline)


def end_with_keeper(lifeline: int, *, within_s: float = 5.0, status: int = 70) -> None:
    """Make sure that this process ends `within_s` after the keeper, even if its event loop is stuck.

    A thread that sleeps in the kernel; it takes part in nothing until the keeper is gone. 70 is EX_SOFTWARE.
    """

    def end() -> None:
        poll = select.poll()
        poll.register(lifeline, 0)  # hang-up is always reported
        poll.poll()
        time.sleep(within_s)
        os._exit(status)

    threading.Thread(target=end, name="end-with-keeper", daemon=True).start()
