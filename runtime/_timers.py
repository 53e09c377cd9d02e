"""A timer is a message that comes later. It dies with the incarnation that set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._mailbox import SKIP

if TYPE_CHECKING:
    from ._cell import Cell


class Timer:
    """One timer of one incarnation, known to it by key.

    Whether its message may still arrive is looked at when the message is taken from the mailbox, so a
    cancelled or replaced timer's message never arrives, also when it waited already. A periodic timer has
    at most one message
    waiting: a slow actor misses ticks instead of being buried in them.
    """

    __slots__ = ("at", "cell", "is_cancelled", "is_dead", "is_waiting", "key", "message", "period_s")

    def __init__(self, cell: Cell, key: str, at: float, message: Any, period_s: float | None) -> None:
        self.cell = cell
        self.key = key
        self.at = at
        self.message = message
        self.period_s = period_s
        self.is_dead = False  # not on the heap any more, or to be forgotten there
        self.is_cancelled = False
        self.is_waiting = False  # its message is in the mailbox

    def begin(self) -> None:
        """Take the key, from the timer that had it, and wait."""
        cell = self.cell
        if cell.timers is None:
            cell.timers = {}
        before = cell.timers.get(self.key)
        if before is not None:
            before.cancel()
        cell.timers[self.key] = self
        cell.system.deadlines.add(self.at, self)

    def cancel(self) -> None:
        """The message shall not arrive."""
        self.is_cancelled = True
        if not self.is_dead:
            self.cell.system.deadlines.drop(self)

    def due(self) -> None:
        if not self.is_waiting:
            self.is_waiting = True
            self.cell.mailbox.put_envelope(self)
        if self.period_s is None:
            self.is_dead = True
            return
        missed = max(0.0, self.cell.system.deadlines.time - self.at) // self.period_s
        self.at += self.period_s * (missed + 1)
        self.cell.system.deadlines.add(self.at, self)

    def open(self) -> Any:
        self.is_waiting = False
        if self.is_cancelled:
            return SKIP
        if self.period_s is None and self.cell.timers is not None:
            del self.cell.timers[self.key]
        return self.message
