"""Watches: hearing of an actor's end exactly once, also of one that was before.

A watcher knows whom it watches and a watched actor knows its watchers. The news goes through the watcher's
mailbox, behind what the dead said before, and is dropped there if it was unwatched meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._mailbox import SKIP
from ._spec import StopReason, Terminated

if TYPE_CHECKING:
    from ._cell import Cell


class Down:
    """A watched actor's end, on its way to one watcher."""

    __slots__ = ("reason", "target", "watcher")

    def __init__(self, watcher: Cell, target: Cell, reason: StopReason) -> None:
        self.watcher = watcher
        self.target = target
        self.reason = reason

    def open(self) -> Any:
        watching = self.watcher.watching
        if watching is None or self.target not in watching:
            return SKIP
        del watching[self.target]
        return Terminated(self.target.ref, self.reason)


def watch(watcher: Cell, target: Cell) -> None:
    """Let `watcher` hear of `target`'s end, once."""
    if watcher.watching is None:
        watcher.watching = {}
    if target in watcher.watching:
        return
    watcher.watching[target] = None
    if not target.mailbox.is_open:
        watcher.mailbox.put_envelope(Down(watcher, target, target.end_reason()))
        return
    if target.watchers is None:
        target.watchers = {}
    target.watchers[watcher] = None


def unwatch(watcher: Cell, target: Cell) -> None:
    """Let it hear no more of it, also if the news waits in the mailbox."""
    if watcher.watching is not None:
        watcher.watching.pop(target, None)
    if target.watchers is not None:
        target.watchers.pop(watcher, None)


def forget_watches(watcher: Cell) -> None:
    """Let it hear of nobody."""
    for target in tuple(watcher.watching or ()):
        unwatch(watcher, target)
    watcher.watching = None
