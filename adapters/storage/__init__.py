"""Documents that outlive the process: the `Store` port over SQLite.

Read `sqlite.py`; the tables are in `schema.py`, the encryption of private values in `sealing.py`.
"""

from __future__ import annotations

from adapters.storage.sealing import Seal
from adapters.storage.sqlite import FILE_NAME, SqliteStore, open_sqlite

__all__ = ["FILE_NAME", "Seal", "SqliteStore", "open_sqlite"]
