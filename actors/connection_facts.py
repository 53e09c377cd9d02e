"""What the tree shows of a connection."""

from __future__ import annotations

from collections.abc import Mapping

from .ports import Connection


def connection_facts(connection: Connection | None, now: float) -> Mapping[str, object]:
    """Who is connected, when it was last heard and how it answers; nothing without a connection."""
    if connection is None:
        return {}
    health = connection.health
    round_trip_s = health.round_trip_s
    return {
        "connection": connection.id,
        "peer": connection.peer,
        "open_s": round(now - health.opened_at, 1),
        "silent_s": round(now - health.last_activity_at, 1),
        "round_trip_ms": None if round_trip_s is None else round(round_trip_s * 1000, 1),
        "missed_pongs": health.missed_pongs,
        "bytes_in": health.bytes_in,
        "bytes_out": health.bytes_out,
        "queued_bytes": health.queued_bytes,
        "audio_dropped": health.audio_dropped,
    }
