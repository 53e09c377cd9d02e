"""Every process that a program has started, noted before it is ended.

A tool of an agent runs in a session of its own, so neither its process group nor the terminal's hang-up
reaches it, and once its parent has died nothing says whose it was. Hence two ways to find it: the children's
children, while they still have their parents, and a variable in the environment that all of them inherit.
A process is known by its number and its start, so that a number used again is never killed.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Final

import psutil
import trio

_LOOK_S: Final = 0.05

_PASSES: Final = 5
"""How often the tree is looked for again: what is being stopped may still be forking."""


class ProcessTree:
    """The processes below one.

    Args:
      root: its number. It is not in the tree itself: its parent has to reap it.
      mark: name and value of the variable.
    """

    def __init__(self, root: int, mark: tuple[str, str]) -> None:
        self._root = psutil.Process(root)
        self._mark = mark
        self._noted: set[psutil.Process] = set()

    async def note(self) -> int:
        """Find those that run now and add them to what is noted; returns how many are. Takes some ms."""
        self._noted |= await trio.to_thread.run_sync(_family, {self._root}, self._mark)
        self._noted.discard(self._root)
        return len(self._noted)

    def hang_up(self) -> None:
        """Send SIGHUP to the root and to all that are noted."""
        for process in (self._root, *self._noted):
            _send(process, signal.SIGHUP)

    async def until_gone(self) -> None:
        """Wait until all that are noted have ended. Who calls it sets the deadline."""
        # They are not our children, so no event tells of their end on every system.
        while any(is_running(process) for process in self._noted):  # noqa: ASYNC110
            await trio.sleep(_LOOK_S)

    async def kill(self) -> None:
        """Kill the root, all that are noted, and what they have started since."""
        await trio.to_thread.run_sync(_end, {self._root, *self._noted}, self._mark)


def marked(mark: tuple[str, str]) -> set[psutil.Process]:
    """All processes of this user that have inherited the mark; blocks for some milliseconds."""
    name, value = mark
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value:
                found.add(process)
        except (psutil.Error, OSError):
            continue  # somebody else's, or gone by now
    return found


def end_marked(mark: tuple[str, str]) -> None:
    """Kill all processes of this user that have inherited the mark; blocks for some milliseconds."""
    _end(set(), mark)


def _family(known: set[psutil.Process], mark: tuple[str, str]) -> set[psutil.Process]:
    """Those of `known` that run, what they have started, and all that bear the mark."""
    found = known | marked(mark)
    for process in known:
        with suppress(psutil.NoSuchProcess):  # its children have other parents by then; the mark finds them
            found.update(process.children(recursive=True))
    return {process for process in found if is_running(process)}


def _end(known: set[psutil.Process], mark: tuple[str, str]) -> None:
    """Stop all of them first: what is stopped starts nothing that nobody would find."""
    stopped: set[psutil.Process] = set()
    for _ in range(_PASSES):
        found = _family(known | stopped, mark) - stopped
        if not found:
            break
        for process in found:
            _send(process, signal.SIGSTOP)
        stopped |= found
    for process in stopped:
        _send(process, signal.SIGKILL)


def is_running(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and was not reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
