"""The tables of `glasshouse.sqlite3`, and how an older file becomes a current one.

A document is one row: what is looked up has a column, the rest is JSON text that a person can read with the
sqlite3 shell. The statements keep to SQLite 3.24, since some systems' Python comes with an old one.
`schema_version` holds one row per migration that was applied. A migration is never edited once it has been
released; a change of the tables is one more entry at the end of `MIGRATIONS`.

Several processes may open the same fresh file at once (a server and an administration command): each step
takes SQLite's write lock first and looks again at what is there.
"""

from __future__ import annotations

import sqlite3
from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE apps (package_name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE users (user_id TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL, "
        "running_apps TEXT NOT NULL) WITHOUT ROWID",
    ),
    # A snapshot is JSON too, as a blob: it is stored as it comes, and the sqlite3 shell prints it as text.
    ("CREATE TABLE owners (user_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, snapshot BLOB)",),
    # Likewise a piece of what was said; they are written in the order of time and removed by it.
    (
        "CREATE TABLE transcripts (user_id TEXT NOT NULL, result_id TEXT NOT NULL, at_ms INTEGER NOT NULL, "
        "segment BLOB NOT NULL, PRIMARY KEY (user_id, result_id)) WITHOUT ROWID",
        "CREATE INDEX transcripts_by_time ON transcripts (at_ms)",
    ),
    (
        "CREATE TABLE documents (collection TEXT NOT NULL, key TEXT NOT NULL, user_id TEXT NOT NULL, "
        "updated_at_ms INTEGER NOT NULL, is_unfinished INTEGER NOT NULL, document TEXT NOT NULL, "
        "PRIMARY KEY (collection, key))",
        "CREATE INDEX documents_by_user ON documents (collection, user_id, updated_at_ms)",
        "CREATE INDEX documents_unfinished ON documents (collection, user_id) WHERE is_unfinished",
    ),
)
"""Each entry brings the file from version n to n + 1, in one transaction."""


class SchemaTooNewError(Exception):
    """The store was written by a later Glasshouse, which may keep things in it that this one would lose."""

    def __init__(self, version: int, known: int, what: str = "the file") -> None:
        super().__init__(
            f"{what} has schema version {version}, this Glasshouse knows {known} and older;"
            " start the newer Glasshouse again, or give another place for the data"
        )
        self.version = version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file behind `connection` (in autocommit mode) to the current version.

    Raises:
      SchemaTooNewError: a later version wrote the file.
      sqlite3.Error: as SQLite says; what was not finished is rolled back.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)")
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise SchemaTooNewError(version, len(MIGRATIONS))
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?)", (number,))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    if tables == (0,):
        return 0
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    return int(version)
