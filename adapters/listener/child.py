"""The server's side of its agreement with the keeper: what it inherits, what it says, and when it has to end.

A server that outlives its keeper would hold the port and the data lock against the next one. So it watches
the lifeline, a pipe whose other end only the keeper has: it reads as ended when the keeper is gone, however
it went.
"""

from __future__ import annotations

import contextlib
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
      control: where the keeper orders a hand-over.
      taking: where a server comes from whom this one is to take over; None when it begins by itself.
    """

    listening: socket.socket
    lifeline: int
    status: int
    lock: int
    control: socket.socket
    taking: socket.socket | None = None


def inherit(text: str) -> Inherited:
    """Take over the descriptors named by the value of `--inherited`, so that no process started later
    inherits them.

    Raises:
      ValueError: not five or six numbers.
      OSError: not the descriptors of a keeper's child.
    """
    descriptors = [int(number) for number in text.split(",")]
    listening, lifeline, status, lock, control, *taking = descriptors
    if len(taking) > 1:
        raise ValueError(f"too many values to unpack: {text}")
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return Inherited(
        socket.socket(fileno=listening),
        lifeline,
        status,
        lock,
        socket.socket(fileno=control),
        socket.socket(fileno=taking[0]) if taking else None,
    )


def say_standing(inherited: Inherited) -> None:
    """Tell the keeper that this server is ready to take over. Call it once, before `say_ready`."""
    with contextlib.suppress(BrokenPipeError):  # the keeper died meanwhile; the lifeline says so too
        os.write(inherited.status, b"standing\n")


def say_ready(inherited: Inherited) -> None:
    """Tell the keeper that this server serves. Call it once."""
    try:
        os.write(inherited.status, b"ready\n")
    except BrokenPipeError:  # the keeper died meanwhile; the lifeline says so too
        return
    finally:
        os.close(inherited.status)


async def hand_over_ordered(inherited: Inherited) -> socket.socket:
    """Wait for the keeper's order to hand over; the socket to the server that takes over.

    Cancellation: harmless; it may be awaited again.
    """
    inherited.control.setblocking(False)
    while True:
        await trio.lowlevel.wait_readable(inherited.control)
        data, descriptors, _, _ = socket.recv_fds(inherited.control, 64, 1)
        if descriptors:
            os.set_inheritable(descriptors[0], False)
            return socket.socket(fileno=descriptors[0])
        if not data:
            await trio.sleep_forever()  # the keeper is gone: whoever waits for the lifeline ends this


def say_kept(inherited: Inherited, reason: str) -> None:
    """Tell the keeper that this server goes on itself, and why: the order cannot be carried out."""
    with contextlib.suppress(OSError):  # the keeper died meanwhile
        inherited.control.send(f"{' '.join(reason.split())[:300]}\n".encode())


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
