"""Everything in SQLite's file that is sealed, and how it comes under another key."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple

from adapters.storage.sealing import (
    Seal,
    SealError,
    document_row,
    key_of,
    missing_keys,
    snapshot_row,
    transcript_row,
)


class _Place(NamedTuple):
    """A column of sealed values, the columns that name its row, and what a row's key is derived from."""

    table: str
    column: str
    names: tuple[str, str] | tuple[str]
    row: Callable[..., str]


_PLACES: Final = (
    _Place("owners", "snapshot", ("user_id",), snapshot_row),
    _Place("transcripts", "segment", ("user_id", "result_id"), transcript_row),
    _Place("documents", "document", ("collection", "key"), document_row),
)


def seal_anew(connection: sqlite3.Connection, seal: Seal) -> int:
    """Bring all private values under the current key; those that are damaged stay as they are.

    SQLite leaves the old text in pages that it no longer uses, so the file is then written anew.

    Returns:
      How many were under another key.

    Raises:
      SealError: some are under a key that is not configured; nothing was changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = {place: _keys(connection, place) for place in _PLACES}
        missing = missing_keys((key_id for keys in found.values() for key_id in keys.values()), seal)
        if missing:
            raise SealError(missing)
        others = 0
        for place, keys in found.items():
            for names in [names for names, key_id in keys.items() if key_id != seal.current]:
                others += 1
                _seal(connection, place, names, seal)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if others:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return others


def _keys(connection: sqlite3.Connection, place: _Place) -> dict[tuple[str, ...], bytes]:
    """The id of the key of each value."""
    # A plain document is text, and `substr` of text counts characters.
    head = f"substr(CAST({place.column} AS BLOB), 1, 5)"
    query = f"SELECT {head}, {', '.join(place.names)} FROM {place.table} WHERE {place.column} IS NOT NULL"
    return {tuple(names): key_of(head) for head, *names in connection.execute(query)}


def _seal(connection: sqlite3.Connection, place: _Place, names: tuple[str, ...], seal: Seal) -> None:
    where = " AND ".join(f"{name} = ?" for name in place.names)
    query = f"SELECT {place.column} FROM {place.table} WHERE {where}"
    (stored,) = connection.execute(query, names).fetchone()
    row = place.row(*names)
    with contextlib.suppress(SealError):
        opened = seal.open(row, stored.encode() if isinstance(stored, str) else stored)
        sealed: bytes | str = seal.seal(row, opened)
        if place.column == "document" and not seal.current:
            sealed = opened.decode()
        connection.execute(f"UPDATE {place.table} SET {place.column} = ? WHERE {where}", (sealed, *names))
