"""All of SQLite's file as records, and back: blocking calls for a command, not for the server's loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from actors.ports import StorageError
from adapters.storage.archive import App, Document, NotEmptyError, Record, Session, Transcript, User
from adapters.storage.rotation import seal_anew
from adapters.storage.schema import SchemaTooNewError, migrate
from adapters.storage.sealing import Seal, SealError
from adapters.storage.sqlite import FILE_NAME

LOCK_WAIT_S: Final = 5.0

_TABLES: Final = ("apps", "users", "owners", "transcripts", "documents")


def dump_sqlite(folder: Path) -> Iterator[Record]:
    """Everything in the file, as it stood at one moment; a server may run on it.

    Raises:
      StorageError: the file is not there or cannot be read.
    """
    if not (folder / FILE_NAME).exists():
        raise StorageError(f"{folder / FILE_NAME} is not there: nothing was ever stored in {folder}")
    with _opened(folder) as connection:
        connection.execute("BEGIN")
        for name, document in connection.execute("SELECT package_name, document FROM apps ORDER BY 1"):
            yield App(name, document)
        users = "SELECT user_id, created_at_ms, running_apps FROM users ORDER BY 1"
        for user_id, created_at_ms, running in connection.execute(users):
            yield User(user_id, created_at_ms, msgspec.json.decode(running, type=tuple[str, ...]))
        for row in connection.execute("SELECT user_id, epoch, snapshot FROM owners ORDER BY 1"):
            yield Session(*row)
        said = "SELECT user_id, result_id, at_ms, segment FROM transcripts ORDER BY 1, 2"
        for row in connection.execute(said):
            yield Transcript(*row)
        kept = (
            "SELECT collection, key, user_id, updated_at_ms, is_unfinished, document FROM documents "
            "ORDER BY 1, 2"
        )
        for collection, key, user_id, updated_at_ms, is_unfinished, document in connection.execute(kept):
            text, sealed = (document, None) if isinstance(document, str) else (None, document)
            yield Document(collection, key, user_id, updated_at_ms, bool(is_unfinished), text, sealed)


def load_sqlite(folder: Path, records: Iterable[Record], *, replaces: bool) -> int:
    """Put the records into the file, all or none; the file and its folder are made when missing.

    No server may run on it: it would go on with what it has in memory.

    Args:
      replaces: what is there is removed first; otherwise the file has to be empty.

    Returns:
      How many.

    Raises:
      NotEmptyError: the file holds something.
      StorageError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    count = 0
    with _opened(folder) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            if replaces:
                connection.execute(f"DELETE FROM {table}")
            elif connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
                raise NotEmptyError(f"{folder / FILE_NAME} holds {table} already")
        for record in records:
            connection.execute(*_insertion(record))
            count += 1
        connection.execute("COMMIT")
    return count


def reseal_sqlite(folder: Path, seal: Seal) -> int:
    """Bring all private values under the current key; returns how many were under another one.

    Raises:
      StorageError: some are under a key that is not configured, or the file cannot be written.
    """
    if not (folder / FILE_NAME).exists():
        return 0
    with _opened(folder) as connection:
        return seal_anew(connection, seal)


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / FILE_NAME
    try:
        if not path.exists():
            path.touch(0o600)
        connection = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            migrate(connection)
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()
    except (sqlite3.Error, OSError, SchemaTooNewError, SealError) as error:
        raise StorageError(f"{path}: {error}") from error


def _insertion(record: Record) -> tuple[str, tuple[object, ...]]:
    match record:
        case App():
            return "INSERT INTO apps VALUES (?, ?)", (record.package_name, record.document)
        case User():
            running = msgspec.json.encode(record.running_apps).decode()
            return "INSERT INTO users VALUES (?, ?, ?)", (record.user_id, record.created_at_ms, running)
        case Session():
            return "INSERT INTO owners VALUES (?, ?, ?)", (record.user_id, record.epoch, record.snapshot)
        case Transcript():
            row = (record.user_id, record.result_id, record.at_ms, record.segment)
            return "INSERT INTO transcripts VALUES (?, ?, ?, ?)", row
        case Document():
            names = (record.collection, record.key, record.user_id, record.updated_at_ms)
            content = record.sealed if record.text is None else record.text
            sql = (
                "INSERT INTO documents (collection, key, user_id, updated_at_ms, is_unfinished, document) "
                "VALUES (?, ?, ?, ?, ?, ?)"
            )
            return sql, (*names, int(record.is_unfinished), content)
