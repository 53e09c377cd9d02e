"""The end of each session's log, and what went wrong lately, kept in memory for the console.

Fed by the telemetry with what it writes, so a line costs its text a second time and no rendering. Bounded
three ways: so many lines of so many sessions, each cut at 600 bytes; and counts of a quarter of an hour, of
so many apps. What the log leaves out (`limits`) is left out here too, but it is counted.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final

from actors.console.ports import ErrorRates, KeptLog

MINUTES: Final = 15
MOST_APPS: Final = 500
LONGEST_LINE: Final = 600
_USERS: Final = "/users/"
_DESKS: Final = "/desks/"


class _Ring:
    __slots__ = ("count", "lines")

    def __init__(self, most: int) -> None:
        self.count = 0
        self.lines: deque[bytes] = deque(maxlen=most)


class _Minute:
    __slots__ = ("apps", "number", "totals")

    def __init__(self, number: int) -> None:
        self.number = number
        self.totals: Counter[tuple[str, str]] = Counter()
        self.apps: dict[str, Counter[tuple[str, str]]] = {}


class MemoryLogs:
    """`actors.console.ports.SessionLogs`.

    Args:
      lines: kept of each session.
      sessions: that lines are kept of, those that were heard of last.
      wall: epoch seconds.
    """

    def __init__(
        self, *, lines: int = 50, sessions: int = 1_000, wall: Callable[[], float] = time.time
    ) -> None:
        self._most_lines = lines
        self._most_sessions = sessions
        self._wall = wall
        self._rings: OrderedDict[str, _Ring] = OrderedDict()
        self._minutes: deque[_Minute] = deque(maxlen=MINUTES)

    def wrote(self, fields: Mapping[str, object], line: bytes) -> None:
        """A line of the log, whole."""
        user_id = _user_of(fields)
        if user_id is None:
            return
        ring = self._rings.get(user_id)
        if ring is None:
            ring = self._rings[user_id] = _Ring(self._most_lines)
            if len(self._rings) > self._most_sessions:
                self._rings.popitem(last=False)
        else:
            self._rings.move_to_end(user_id)
        ring.count += 1
        ring.lines.append(line[:LONGEST_LINE])

    def failed(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """A warning or an error, whether it is written or not."""
        minute = self._minute()
        key = (level, event)
        minute.totals[key] += 1
        package = fields.get("package")
        if isinstance(package, str):
            of_app = minute.apps.get(package)
            if of_app is None:
                if len(minute.apps) >= MOST_APPS:
                    return
                of_app = minute.apps[package] = Counter()
            of_app[key] += 1

    def log_of(self, user_id: str) -> KeptLog:
        """The last lines that concern a user."""
        ring = self._rings.get(user_id)
        if ring is None:
            return KeptLog()
        return KeptLog(ring.count, tuple(line.decode("utf-8", "replace") for line in ring.lines))

    def rates(self, package_name: str | None = None) -> ErrorRates:
        """Of the whole server, or of what concerns one app."""
        present = int(self._wall() // 60)
        counted = {minute.number: minute for minute in self._minutes}
        errors, warnings = [], []
        events: Counter[str] = Counter()
        for number in range(present - MINUTES + 1, present + 1):
            minute = counted.get(number) or _Minute(number)
            counts = minute.totals if package_name is None else minute.apps.get(package_name, Counter())
            errors.append(sum(count for (level, _), count in counts.items() if level == "error"))
            warnings.append(sum(count for (level, _), count in counts.items() if level == "warning"))
            for (_, event), count in counts.items():
                events[event] += count
        return ErrorRates(tuple(errors), tuple(warnings), tuple(events.most_common(10)))

    def _minute(self) -> _Minute:
        number = int(self._wall() // 60)
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Minute(number))
        return self._minutes[-1]


def _user_of(fields: Mapping[str, object]) -> str | None:
    """Whom a line concerns: it says so, or an actor of theirs."""
    user_id = fields.get("user")
    if isinstance(user_id, str):
        return user_id
    path = fields.get("actor")
    if not isinstance(path, str):
        return None
    for folder in (_USERS, _DESKS):
        before, found, rest = path.partition(folder)
        if found and before.count("/") == 1:
            return rest.partition("/")[0].replace("%2F", "/").replace("%25", "%")
    return None
