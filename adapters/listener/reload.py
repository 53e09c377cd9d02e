"""Asking a running keeper for a reload."""

from __future__ import annotations

import socket
import time

import msgspec
import trio

from adapters.listener.door import near


class NoKeeperError(Exception):
    """No keeper answers on this data directory."""


class ReloadOutcome(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
      is_done: another server serves, and has every connection.
      text: its process id, or what went wrong; the server then goes on as before, unless the text says more.
      took_s: from the question to the answer.
    """

    is_done: bool
    text: str
    took_s: float


async def request_reload(data: str) -> ReloadOutcome:
    """Have the keeper on the data directory `data` put a new server in the place of its present one.

    Returns when that has worked or failed; the keeper's own limits bound it (`keeper.start_s`,
    `keeper.hand_over_s`, `keeper.stop_s`).

    Raises:
      NoKeeperError: nobody is there, or it went away before it had an answer.

    Cancellation: the reload goes on.
    """
    began = time.monotonic()
    try:
        with near(data) as address, trio.socket.socket(socket.AF_UNIX) as asking:
            await asking.connect(address)
            answer = b""
            while chunk := await asking.recv(4096):
                answer += chunk
    except OSError as error:
        raise NoKeeperError(f"no keeper answers on {data}: {error.strerror}") from error
    verdict, _, text = answer.decode(errors="replace").strip().partition(" ")
    if verdict not in ("done", "failed", "refused"):
        raise NoKeeperError(f"the keeper on {data} ended before the reload did")
    return ReloadOutcome(verdict == "done", text, time.monotonic() - began)
