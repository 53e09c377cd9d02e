"""Documents by collection, a row each: the JSON as it came, sealed where there is a key, and its names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from actors.document_ports import DocumentChange, KeepNewest, PutDocument, RemoveDocument, StoredDocument
from adapters.storage.sealing import Seal, SealError, document_row

Statement = tuple[str, tuple[object, ...]]
Row = tuple[str, str, str | bytes]
"""Key, user id and the document: text, or the bytes of a sealed one."""

_PUT: Final = (
    "INSERT INTO documents (collection, key, user_id, updated_at_ms, is_unfinished, document) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (collection, key) DO UPDATE SET user_id = excluded.user_id, "
    "updated_at_ms = excluded.updated_at_ms, is_unfinished = excluded.is_unfinished, "
    "document = excluded.document"
)
_KEEP: Final = (
    "DELETE FROM documents WHERE collection = ? AND user_id = ? AND NOT is_unfinished AND key NOT IN "
    "(SELECT key FROM documents WHERE collection = ? AND user_id = ? AND NOT is_unfinished "
    "ORDER BY updated_at_ms DESC, key LIMIT ?)"
)


def statement(change: DocumentChange, seal: Seal) -> Statement:
    """What makes the change; a document is sealed where there is a key.

    Raises:
      UnicodeEncodeError: a name cannot be stored.
      msgspec.MsgspecError: the document is no JSON.
      OverflowError: a number has more than 64 bits.
    """
    match change:
        case PutDocument():
            msgspec.json.decode(change.document, type=msgspec.Raw)
            change.updated_at_ms.to_bytes(8, signed=True)
            key = (change.collection, change.key, change.user_id)
            _check(*key)
            text: str | bytes = change.document.decode()
            if seal.current:
                text = seal.seal(document_row(change.collection, change.key), change.document)
            return _PUT, (*key, change.updated_at_ms, int(change.is_unfinished), text)
        case RemoveDocument(collection, key):
            _check(collection, key)
            return "DELETE FROM documents WHERE collection = ? AND key = ?", (collection, key)
        case KeepNewest(collection, user_id, count):
            _check(collection, user_id)
            count.to_bytes(8, signed=True)
            return _KEEP, (collection, user_id, collection, user_id, count)


def listing(collection: str, user_id: str | None, limit: int, *, only_unfinished: bool) -> Statement:
    """What lists documents, the newest first."""
    wanted, values = ["collection = ?"], [collection]
    if user_id is not None:
        wanted.append("user_id = ?")
        values.append(user_id)
    if only_unfinished:
        wanted.append("is_unfinished")
    query = f"SELECT key, user_id, document FROM documents WHERE {' AND '.join(wanted)} "
    return f"{query}ORDER BY updated_at_ms DESC, key LIMIT ?", (*values, limit)


def unfinished_users(collections: Sequence[str]) -> Statement:
    """What lists the users with unfinished documents."""
    places = ", ".join("?" * len(collections))
    query = f"SELECT DISTINCT user_id FROM documents WHERE is_unfinished AND collection IN ({places})"
    return f"{query} ORDER BY user_id", tuple(collections)


def of_rows(
    collection: str, rows: Iterable[Row], seal: Seal, *, skips_unreadable: bool
) -> tuple[StoredDocument, ...]:
    """The documents of these rows.

    Raises:
      SealError: one does not open, unless such ones are to be left out.
    """
    found = []
    for key, user_id, stored in rows:
        try:
            document = seal.open(
                document_row(collection, key), stored.encode() if isinstance(stored, str) else stored
            )
        except SealError:
            if not skips_unreadable:
                raise
        else:
            found.append(StoredDocument(key, user_id, document))
    return tuple(found)


def fetch(connection: sqlite3.Connection, query: Statement) -> list[Row]:
    """All rows; in a worker thread."""
    return connection.execute(*query).fetchall()


def _check(*names: str) -> None:
    for name in names:
        name.encode()
