"""Looks at the whole tree, one user at a time, so that sockets are served in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from actors.figures import Figures
from runtime import ActorSystem

_FRESH_S: Final = 1.0


class Collector:
    """Adds up the figures for whoever asks; who asks within a second of another gets the same.

    Args:
      path: of the application's tree.
      users: of the supervisor of the users' subtrees, which are looked at one by one.
    """

    def __init__(self, system: ActorSystem, *, path: str, users: str) -> None:
        self._system = system
        self._path = path
        self._users = users
        self._lock = trio.Lock()
        self._newest = Figures()
        self._at = float("-inf")

    async def collect(self) -> Figures:
        async with self._lock:
            if self._now() - self._at >= _FRESH_S:
                self._newest = await self._collect()
                self._at = self._now()
            return self._newest

    @property
    def _now(self) -> Callable[[], float]:
        return self._system.clock.now

    async def _collect(self) -> Figures:
        system, figures = self._system, Figures()
        top = system.find(self._path)
        users = system.find(self._users)
        for ref in () if top is None else system.children(top):
            for part in system.children(ref) if ref is users else (ref,):
                figures.add(system.tree(part).walk())
                await trio.lowlevel.checkpoint()
        return figures
