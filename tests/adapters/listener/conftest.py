from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest


class RecordedTelemetry:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self._counters: Counter[str] = Counter()

    def debug(self, event: str, **fields: object) -> None:
        self.count(event)
        self.events.append((event, fields))

    info = warning = error = debug

    def count(self, event: str, amount: int = 1) -> None:
        self._counters[event] += amount

    def counters(self) -> Mapping[str, int]:
        return self._counters

    def of(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events if name == event]


@pytest.fixture
def telemetry() -> RecordedTelemetry:
    return RecordedTelemetry()
