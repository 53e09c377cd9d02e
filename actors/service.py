"""A service: an async function that runs for as long as its actor does.

What is not an actor itself (the engine's pump, the listener, a pool of worker processes) stands in the tree
as one: supervised, restarted with back-off, stopped in its turn, visible in the inspection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from runtime import Actor, Backoff, ChildSpec, DynamicSupervisor, RestartInfo


class EachAlone(DynamicSupervisor):
    """A dynamic supervisor whose children's crashes count for each alone: one that keeps crashing starts
    clean after a wait, and harms nobody else.
    """

    intensity_scope = "child"
    backoff = Backoff()


class ServiceEnded(msgspec.Struct, frozen=True):
    """The function returned, which it must not do while the server runs."""


@dataclass(frozen=True)
class ServiceSpec:
    """A named service.

    Attributes:
      run: runs until cancelled; an error or a return restarts it.
      shutdown_s: how long its cleanup may take.
    """

    name: str
    run: Callable[[], Awaitable[object]]
    shutdown_s: float = 5.0

    def child(self) -> ChildSpec[Any]:
        return ChildSpec(name=self.name, factory=lambda: Service(self.run), shutdown_s=self.shutdown_s)


class UnexpectedEndError(Exception):
    """A service's function returned by itself."""


class Service(Actor[ServiceEnded]):
    """Runs one function; a failure of it is this actor's crash."""

    def __init__(self, run: Callable[[], Awaitable[object]]) -> None:
        self.run = run

    def started(self, restart: RestartInfo | None) -> None:
        self.start(self.run, then=lambda _: ServiceEnded(), name="run")

    def receive(self, message: ServiceEnded) -> None:
        raise UnexpectedEndError(f"{self.ref.path} returned; a service runs until it is stopped")
