"""What an actor has handled lately, and how long each type of message took. Off unless switched on.

It measures with the performance counter and decides nothing by it, so a seeded run stays the same run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

RECENT = 16


@dataclass(slots=True)
class Spent:
    """Handlers of one message type."""

    count: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0


class Trace:
    """The record of one actor."""

    def __init__(self) -> None:
        self.recent: deque[Any] = deque(maxlen=RECENT)
        self.spent: dict[str, Spent] = {}

    def around(self, receive: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`receive`, recorded."""

        def recorded(message: Any) -> None:
            self.recent.append(message)
            began = time.perf_counter()
            try:
                receive(message)
            finally:
                self._note(message, time.perf_counter() - began)

        return recorded

    def around_async(self, receive: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`receive` of a TaskActor, recorded; the time includes what it waited."""

        async def recorded(message: Any) -> None:
            self.recent.append(message)
            began = time.perf_counter()
            try:
                result = receive(message)
                if isawaitable(result):
                    await result
            finally:
                self._note(message, time.perf_counter() - began)

        return recorded

    def _note(self, message: Any, took_s: float) -> None:
        spent = self.spent.setdefault(type(message).__name__, Spent())
        spent.count += 1
        spent.total_s += took_s
        spent.longest_s = max(spent.longest_s, took_s)
