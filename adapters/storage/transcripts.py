"""What was said, one row a piece: sealed like a snapshot, and removed with the session or when it is old."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence

from actors.ports import KeptTranscript
from adapters.storage.sealing import Seal, SealError, transcript_row

Row = tuple[str, str, int, bytes]


def rows_of(kept: Sequence[KeptTranscript], seal: Seal) -> list[Row]:
    """The rows as they are stored.

    Raises:
      UnicodeEncodeError: an id cannot be stored.
    """
    rows = []
    for one in kept:
        name = transcript_row(one.user_id, one.result_id)
        name.encode()
        rows.append((one.user_id, one.result_id, one.at_ms, seal.seal(name, one.body)))
    return rows


def opened(user_id: str, rows: Iterable[tuple[str, bytes]], seal: Seal) -> tuple[bytes, ...]:
    """Those that open; one that does not is left out."""
    bodies = []
    for result_id, stored in rows:
        with contextlib.suppress(SealError):
            bodies.append(seal.open(transcript_row(user_id, result_id), stored))
    return tuple(bodies)


# What follows runs in a worker thread.


def keep(connection: sqlite3.Connection, rows: Sequence[Row], before_ms: int) -> None:
    """Put the rows, and remove every user's that are older."""
    put = (
        "INSERT INTO transcripts VALUES (?, ?, ?, ?) "
        "ON CONFLICT (user_id, result_id) DO UPDATE SET at_ms = excluded.at_ms, segment = excluded.segment"
    )
    connection.executemany(put, rows)
    connection.execute("DELETE FROM transcripts WHERE at_ms < ?", (before_ms,))


def forget(connection: sqlite3.Connection, user_id: str) -> None:
    connection.execute("DELETE FROM transcripts WHERE user_id = ?", (user_id,))
