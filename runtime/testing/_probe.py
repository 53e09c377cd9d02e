"""A probe: something to tell messages to, that a test can wait on."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

import trio

from .._actor import Actor
from .._ref import Ref
from .._spec import ChildSpec
from .._system import ActorSystem

M = TypeVar("M")


class Probe(Generic[M]):
    """Keeps what its ref is told, in order.

    Attributes:
      ref: the handle to give away. It is an actor: it can be watched, asked and stopped.
    """

    ref: Ref[M]

    def __init__(self) -> None:
        self._got: deque[M] = deque()
        self._arrived = trio.Event()

    @classmethod
    async def spawn(cls, system: ActorSystem, name: str = "probe") -> Probe[M]:
        """A probe at the root of `system`. Raises AlreadyStarted when there is something of that name."""
        probe = cls()
        probe.ref = await system.spawn(ChildSpec(name, lambda: _ProbeActor(probe)))
        return probe

    def take(self) -> list[M]:
        """Everything that came, oldest first."""
        got = list(self._got)
        self._got.clear()
        return got

    async def next(self, *, timeout_s: float = 5.0) -> M:
        """The next message. Raises trio.TooSlowError when none comes in time."""
        with trio.fail_after(timeout_s):
            while not self._got:
                self._arrived = trio.Event()
                await self._arrived.wait()
        return self._got.popleft()

    async def next_of(self, kind: type[Any], *, timeout_s: float = 5.0) -> Any:
        """The next message of this kind; others are passed over. Raises trio.TooSlowError when none comes in
        `timeout_s`, however many others do.
        """
        with trio.fail_after(timeout_s):
            while True:
                message = await self.next(timeout_s=timeout_s)
                if isinstance(message, kind):
                    return message

    async def none(self, *, for_s: float) -> None:
        """Nothing comes for so long. Raises AssertionError with what came."""
        with trio.move_on_after(for_s):
            message = await self.next(timeout_s=for_s + 1)
            raise AssertionError(f"expected nothing for {for_s:g} s, got {message!r}")

    def got(self, message: M) -> None:
        """For its actor."""
        self._got.append(message)
        self._arrived.set()


class _ProbeActor(Actor[Any]):
    mailbox_size = 1_000_000

    def __init__(self, probe: Probe[Any]) -> None:
        self.probe = probe

    def receive(self, message: Any) -> None:
        self.probe.got(message)
