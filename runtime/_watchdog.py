"""Ends a process whose loop is held: a handler that never returns cannot be survived inside.

A task in the loop says every quarter of the limit that it runs. A thread that has not heard it for the
whole limit writes the actor, the message's type and the stacks of all threads, and ends the process;
whoever keeps the process starts it again. The thread counts short waits of its own, so that a process that
was stopped (SIGSTOP, a frozen container) is not taken for one that is held. It needs the interpreter lock;
for C code that never gives it up, faulthandler's own timer stands behind it. That one cannot tell a stopped
process, so it has five times the limit.

Shorter holds are not ended but named: a `Held` event for every handler over 50 ms.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import trio

from ._turn import CURRENT

_WAITS = 16  # the thread looks so often within the limit

if TYPE_CHECKING:
    from ._system import ActorSystem


class Watchdog:
    """Give it to `open_system`. One a process: faulthandler has one timer.

    Args:
      limit_s: seconds the loop may be held. The time that the process, or the machine, is stopped does not
        count.
      exit_code: of the process it ends; 70 is EX_SOFTWARE.
      output: where it writes, a real file; standard error unless given.
    """

    def __init__(self, *, limit_s: float = 30.0, exit_code: int = 70, output: TextIO | None = None) -> None:
        self._limit_s = limit_s
        self._exit_code = exit_code
        self._output = sys.stderr if output is None else output
        self._beat = threading.Event()
        self._is_over = False

    async def run(self, system: ActorSystem) -> None:
        """Watch until cancelled."""
        CURRENT.set(None)
        thread = threading.Thread(target=self._watch, args=(system,), name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                self._beat.set()
                faulthandler.dump_traceback_later(self._limit_s * 5, exit=True, file=self._output)
                await trio.sleep(self._limit_s / 4)
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._is_over = True
            self._beat.set()

    def _watch(self, system: ActorSystem) -> None:
        silent = 0
        while not self._is_over:
            if self._beat.wait(self._limit_s / _WAITS):
                self._beat.clear()
                silent = 0
            else:
                silent += 1
                if silent > _WAITS:
                    self._end(system)

    def _end(self, system: ActorSystem) -> None:
        turn = system.scheduler.turn
        who = "no actor's handler"
        if turn.effects is not None and turn.cell is not None:
            who = f"{turn.cell.path}, handling {type(turn.message).__name__}"
        print(f"watchdog: the loop is held for {self._limit_s:g} s by {who}", file=self._output, flush=True)
        faulthandler.dump_traceback(file=self._output, all_threads=True)
        os._exit(self._exit_code)
