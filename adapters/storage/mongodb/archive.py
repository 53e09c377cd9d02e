"""All of MongoDB's database as records, and back: blocking calls for a command, not for the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from pymongo import InsertOne

from actors.document_ports import PutDocument
from actors.ports import StorageError
from adapters.storage.archive import App, Document, NotEmptyError, Record, Session, Transcript, User
from adapters.storage.mongodb.database import (
    MongoDatabase,
    app_fields,
    app_text,
    document_fields,
    transcript_id,
)
from adapters.storage.mongodb.faults import ERRORS, storage_error
from adapters.storage.mongodb.packing import STORE, is_collection, text_of
from adapters.storage.mongodb.schema import (
    APPS,
    SESSIONS,
    TRANSCRIPTS,
    USERS,
    document_collections,
    index_documents,
)
from adapters.storage.sealing import (
    Seal,
    SealError,
    document_row,
    key_of,
    snapshot_row,
    transcript_row,
)

_BATCH: Final = 200

Fields = dict[str, Any]


def dump_mongodb(database: MongoDatabase) -> Iterator[Record]:
    """Everything in the database, collection by collection: what servers write meanwhile may be in it or not.

    Raises:
      StorageError
    """
    with _reporting_faults():
        mongo = database.mongo
        for one in mongo[APPS].find().sort("_id"):
            yield App(one["_id"], app_text(one).decode())
        for one in mongo[USERS].find().sort("_id"):
            yield User(one["_id"], int(one["createdAtMs"]), tuple(one.get("runningApps", ())))
        for one in mongo[SESSIONS].find().sort("_id"):
            yield Session(one["_id"], int(one["epoch"]), one.get("snapshot"))
        for one in mongo[TRANSCRIPTS].find().sort([("userId", 1), ("resultId", 1)]):
            yield Transcript(one["userId"], one["resultId"], int(one["atMs"]), one["segment"])
        for name in document_collections(mongo):
            for one in mongo[name].find().sort("_id"):
                yield _document(name, one)


def load_mongodb(database: MongoDatabase, records: Iterable[Record], *, replaces: bool) -> int:
    """Put the records into the database. It is not all or none: after an error, import again with `replaces`.

    Args:
      replaces: what is there is removed first; otherwise the database has to be empty.

    Returns:
      How many.

    Raises:
      NotEmptyError: the database holds something.
      StorageError
    """
    with _reporting_faults():
        mongo = database.mongo
        for name in (APPS, USERS, SESSIONS, TRANSCRIPTS, *document_collections(mongo)):
            if replaces:
                mongo[name].delete_many({})
            elif mongo[name].find_one({}, {"_id": 1}) is not None:
                raise NotEmptyError(f"the database holds {name} already")
        count, indexed = 0, set()
        remaining = iter(records)
        while batch := list(islice(remaining, _BATCH)):
            inserts: dict[str, list[InsertOne[Fields]]] = {}
            for record in batch:
                name, fields = _fields(record)
                if isinstance(record, Document) and name not in indexed:
                    index_documents(mongo, name)
                    indexed.add(name)
                inserts.setdefault(name, []).append(InsertOne(fields))
            for name, models in inserts.items():
                mongo[name].bulk_write(models)
            count += len(batch)
        return count


def reseal_mongodb(database: MongoDatabase, seal: Seal) -> int:
    """Bring all private values under the current key; servers may run meanwhile.

    A value that a server replaces at the same moment is left to it: it has the current key already.

    Returns:
      How many were under another key and now are not.

    Raises:
      StorageError
    """
    current, count = seal.current.hex(), 0
    with _reporting_faults():
        mongo = database.mongo
        for name, column in ((SESSIONS, "snapshot"), (TRANSCRIPTS, "segment")):
            for one in mongo[name].find({"key": {"$ne": current}, column: {"$exists": True}}):
                row = snapshot_row(one["_id"])
                if name == TRANSCRIPTS:
                    row = transcript_row(one["userId"], one["resultId"])
                try:
                    sealed = seal.seal(row, seal.open(row, one[column]))
                except SealError:
                    continue
                update = {"$set": {column: sealed, "key": key_of(sealed).hex()}}
                count += (
                    mongo[name].update_one({"_id": one["_id"], column: one[column]}, update).matched_count
                )
        for name in document_collections(mongo):
            for one in mongo[name].find({f"{STORE}.key": {"$ne": current}}):
                count += _reseal_document(mongo[name], one, seal)
    return count


def _reseal_document(collection: Any, one: Fields, seal: Seal) -> int:
    own, record = one[STORE], _document(collection.name, one)
    row = document_row(record.collection, record.key)
    try:
        text = seal.open(row, record.sealed) if record.sealed is not None else (record.text or "").encode()
    except SealError:
        return 0
    put = PutDocument(
        collection=record.collection,
        key=record.key,
        user_id=record.user_id,
        document=text,
        updated_at_ms=record.updated_at_ms,
        is_unfinished=record.is_unfinished,
    )
    same = {
        "_id": record.key,
        f"{STORE}.key": own["key"],
        f"{STORE}.updatedAtMs": own["updatedAtMs"],
    }
    return int(collection.replace_one(same, document_fields(put, seal)).matched_count)


def _document(collection: str, one: Fields) -> Document:
    own = one[STORE]
    sealed = own.get("sealed")
    text = None if sealed is not None else own["text"] if "text" in own else text_of(one).decode()
    return Document(
        collection, one["_id"], own["userId"], int(own["updatedAtMs"]), own["isUnfinished"], text, sealed
    )


def _fields(record: Record) -> tuple[str, Fields]:
    match record:
        case App():
            return APPS, {"_id": record.package_name, **app_fields(record.document)}
        case User():
            made = {"_id": record.user_id, "createdAtMs": record.created_at_ms}
            return USERS, {**made, "runningApps": list(record.running_apps)}
        case Session():
            owner: Fields = {"_id": record.user_id, "epoch": record.epoch}
            if record.snapshot is not None:
                owner |= {"snapshot": record.snapshot, "key": key_of(record.snapshot).hex()}
            return SESSIONS, owner
        case Transcript():
            return TRANSCRIPTS, {
                "_id": transcript_id(record.user_id, record.result_id),
                "userId": record.user_id,
                "resultId": record.result_id,
                "atMs": record.at_ms,
                "segment": record.segment,
                "key": key_of(record.segment).hex(),
            }
        case Document():
            if not is_collection(record.collection):
                raise StorageError(f"MongoDB takes no documents in a collection {record.collection!r}")
            put = PutDocument(
                collection=record.collection,
                key=record.key,
                user_id=record.user_id,
                document=(record.text or "").encode(),
                updated_at_ms=record.updated_at_ms,
                is_unfinished=record.is_unfinished,
            )
            return record.collection, {"_id": record.key, **document_fields(put, Seal(), record.sealed)}


@contextmanager
def _reporting_faults() -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        raise storage_error(error) from error
    except KeyError as error:
        raise StorageError(f"a document in MongoDB is none of ours: it has no {error}") from error
