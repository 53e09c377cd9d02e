"""How answers that go on for long learn that their host is about to end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import trio

_KEY: Final = "glasshouse.ending"


class Ending:
    """Set while a host drains: a stream of events ends itself then, and its reader dials the next host."""

    def __init__(self) -> None:
        self._event = trio.Event()

    @property
    def is_near(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        """Until the host drains."""
        await self._event.wait()

    def begin(self) -> None:
        self._event.set()

    def call_off(self) -> None:
        """The host goes on after all."""
        if self._event.is_set():
            self._event = trio.Event()


def as_state(ending: Ending) -> dict[str, Any]:
    """The state that a host gives to its application (ASGI's lifespan state)."""
    return {_KEY: ending}


def ending_of(scope: Mapping[str, Any]) -> Ending:
    """Of the host that serves a request; one that never comes where there is no host, as in a test client."""
    state: Mapping[str, Any] = scope.get("state") or {}
    ending = state.get(_KEY)
    return ending if isinstance(ending, Ending) else Ending()
