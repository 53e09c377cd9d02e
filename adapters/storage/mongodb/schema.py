"""What lies in the database, and how an older one becomes a current one.

    apps           _id the package name; the app's document
    users          _id the user id; createdAtMs, and runningApps once there were some
    sessions       _id the user id; epoch, snapshot, key
    transcripts    _id user and piece as JSON; userId, resultId, atMs, segment, key
    tasks, conversations, subagents, daemons, ...
                   _id the key; the document's fields, or its text or its sealed text (`packing`)
    glasshouse     _id "schema"; version

`key` is the id of the key that sealed a value, as hexadecimal text; empty for one that lies there plain. A
migration is never edited once it has been released; a change is one more entry at the end of `MIGRATIONS`.
Two processes may migrate at the same time, and one may be cut off in the middle: each step can be done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database

from adapters.storage.mongodb.packing import STORE
from adapters.storage.schema import SchemaTooNewError

APPS: Final = "apps"
USERS: Final = "users"
SESSIONS: Final = "sessions"
TRANSCRIPTS: Final = "transcripts"
VERSIONS: Final = "glasshouse"

IDENTITIES: Final = {"tasks": "taskId", "conversations": "conversationId", "subagents": "agentId"}
"""The collections of the desktop whose documents name themselves, and the field in which they do."""

Mongo = Database[dict[str, Any]]


def _first(database: Mongo) -> None:
    pieces = [
        IndexModel([("userId", ASCENDING), ("atMs", ASCENDING), ("resultId", ASCENDING)]),
        IndexModel([("atMs", ASCENDING)]),
        IndexModel([("key", ASCENDING)]),
    ]
    _index(database, TRANSCRIPTS, pieces)
    _index(database, SESSIONS, [IndexModel([("key", ASCENDING)])])
    for collection in (*IDENTITIES, "daemons"):
        index_documents(database, collection)


MIGRATIONS: Final[tuple[Callable[[Mongo], None], ...]] = (_first,)
"""Each entry brings the database from version n to n + 1."""


def migrate(database: Mongo) -> None:
    """Bring the database to the current version.

    Raises:
      SchemaTooNewError: a later version wrote it.
      pymongo.errors.PyMongoError: as MongoDB says; what was done may be done again.
    """
    found = database[VERSIONS].find_one({"_id": "schema"})
    version = 0 if found is None else int(found["version"])
    if version > len(MIGRATIONS):
        raise SchemaTooNewError(version, len(MIGRATIONS), "the database")
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        step(database)
        database[VERSIONS].update_one({"_id": "schema"}, {"$max": {"version": number}}, upsert=True)


def index_documents(database: Mongo, collection: str) -> None:
    """Make the indexes of a collection of documents; does nothing where they are."""
    own = [
        IndexModel([(f"{STORE}.userId", ASCENDING), (f"{STORE}.updatedAtMs", DESCENDING)]),
        IndexModel([(f"{STORE}.isUnfinished", ASCENDING), (f"{STORE}.userId", ASCENDING)]),
        IndexModel([(f"{STORE}.key", ASCENDING)]),
        IndexModel([("userId", ASCENDING), ("createdAt", DESCENDING)]),
    ]
    if collection in IDENTITIES:
        own.append(IndexModel([(IDENTITIES[collection], ASCENDING)], unique=True))
        own.append(IndexModel([("status", ASCENDING)]))
    _index(database, collection, own)


def document_collections(database: Mongo) -> list[str]:
    """The collections of documents that are there, by name."""
    names = database.list_collection_names()
    own = (APPS, USERS, SESSIONS, TRANSCRIPTS, VERSIONS)
    return sorted(name for name in names if name not in own and not name.startswith("system."))


def _index(database: Mongo, collection: str, wanted: Sequence[IndexModel]) -> None:
    """Make the indexes that are not there yet: FerretDB 1.24 crashes when asked for all of them again."""
    there = database[collection].index_information()
    missing = [index for index in wanted if index.document["name"] not in there]
    if missing:
        database[collection].create_indexes(missing)
