"""The `Store` port over MongoDB: `MongoStore` in the server, pymongo in a process beside it.

Read `store.py` for what the server has, `database.py` for what is asked of MongoDB and `schema.py` for what
lies in it. Nothing but `worker.py` and what it imports touches pymongo: threads that execute Python beside
the loop ruin it, and pymongo's cost 0.4 ms of it a call (docs/decisions).
"""

from __future__ import annotations

from adapters.storage.mongodb.settings import MongoSettings
from adapters.storage.mongodb.store import MongoStore

__all__ = ["MongoSettings", "MongoStore"]
