"""Times as they travel: ISO-8601 with milliseconds and `Z`, or epoch milliseconds (protocol.md 0.4).

The functions here read no clock: whoever calls them has the time from the system object.
"""

from __future__ import annotations

import datetime
import functools

from protocols.envelope import Timestamp


def iso(epoch_s: float) -> str:
    """`epoch_s` as JavaScript's `Date.toISOString` writes it: 2026-11-21T06:00:00.000Z."""
    whole_s, milliseconds = divmod(epoch_ms(epoch_s), 1000)
    return f"{_to_the_second(whole_s)}.{milliseconds:03d}Z"


def epoch_ms(epoch_s: float) -> int:
    """`epoch_s` in whole milliseconds, the nearest one."""
    return round(epoch_s * 1000)


def parse(timestamp: Timestamp) -> float | None:
    """Epoch seconds of a timestamp in either form; None when it is absent or no time at all."""
    if isinstance(timestamp, str):
        try:
            moment = datetime.datetime.fromisoformat(timestamp)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    if timestamp is None or not -_LATEST_MS <= timestamp <= _LATEST_MS:
        return None
    return timestamp / 1000


_LATEST_MS = 8_640_000_000_000_000  # the last moment a JavaScript Date can hold


@functools.lru_cache(maxsize=8)
def _to_the_second(whole_s: int) -> str:
    return datetime.datetime.fromtimestamp(whole_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
