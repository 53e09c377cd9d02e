"""The telemetry's twin: facts kept in memory, for tests and seeded runs to look at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

import msgspec

KEPT_FACTS: Final = 100_000


class Fact(msgspec.Struct, frozen=True):
    """One call of `debug`, `info`, `warning` or `error`."""

    level: str
    event: str
    fields: Mapping[str, object]


class RecordingTelemetry:
    """`actors.ports.Telemetry` in memory.

    Attributes:
      facts: in order; the oldest beyond 100,000 are forgotten.
    """

    def __init__(self) -> None:
        self.facts: deque[Fact] = deque(maxlen=KEPT_FACTS)
        self._counters: Counter[str] = Counter()

    def debug(self, event: str, **fields: object) -> None:
        """Keep and count it."""
        self._keep("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Keep and count it."""
        self._keep("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Keep and count it."""
        self._keep("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Keep and count it."""
        self._keep("error", event, fields)

    def count(self, event: str, amount: int = 1) -> None:
        """Count it."""
        self._counters[event] += amount

    def counters(self) -> Mapping[str, int]:
        """A copy of all counters, in which what was never counted is 0."""
        return self._counters.copy()

    def of(self, event: str) -> list[Mapping[str, object]]:
        """The fields of every kept fact with this name, in order."""
        return [fact.fields for fact in self.facts if fact.event == event]

    def _keep(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        self.facts.append(Fact(level, event, fields))
        self._counters[event] += 1
