"""Documents that outlive the process: the `Store` port over SQLite.

Read `sqlite.py`; the tables are in `schema.py`.
"""

from __future__ import annotations

from adapters.storage.sqlite import FILE_NAME, SqliteStore, open_sqlite

__all__ = ["FILE_NAME", "SqliteStore", "open_sqlite"]
