"""What a service runs at the moment, for the services that need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Running(Generic[T]):
    """A place that is filled while a service runs, with another thing after each of its restarts."""

    def __init__(self) -> None:
        self.now: T | None = None
        self._came = trio.Event()

    @contextmanager
    def is_now(self, thing: T) -> Iterator[None]:
        """While in the block, `thing` is what runs."""
        self.now = thing
        self._came.set()
        try:
            yield
        finally:
            self.now = None
            self._came = trio.Event()

    async def wait(self) -> T:
        """What runs, once something does. Whoever starts the service ends the wait."""
        while self.now is None:
            await self._came.wait()
        return self.now
