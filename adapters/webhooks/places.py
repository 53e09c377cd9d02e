"""How many calls may run at once, in all and to one host.

A host that hangs holds its own places only; calls to other hosts go on. A host costs memory only while
somebody calls it or waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Places:
    """Two limits in one. Whoever waits is served in the order of arrival, host by host."""

    def __init__(self, *, total: int, per_host: int) -> None:
        self._total = trio.Semaphore(total)
        self._per_host = per_host
        self._hosts: dict[str, trio.Semaphore] = {}
        self._callers: dict[str, int] = {}

    def callers(self, host: str) -> int:
        """How many calls to `host` run or wait."""
        return self._callers.get(host, 0)

    @asynccontextmanager
    async def place(self, host: str) -> AsyncIterator[None]:
        """Hold one place for a call to `host`; waits for one, without a deadline of its own.

        Cancellation: the place is given back, or was never taken.
        """
        of_host = self._hosts.setdefault(host, trio.Semaphore(self._per_host))
        self._callers[host] = self.callers(host) + 1
        try:
            # The host's place first: whoever waits for a busy host holds none of the others'.
            async with of_host, self._total:
                yield
        finally:
            self._callers[host] -= 1
            if self._callers[host] == 0:
                del self._callers[host], self._hosts[host]
