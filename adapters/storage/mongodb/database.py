"""What is asked of MongoDB: plain calls that block, each tried until it goes through or its time is up.

Four decisions.

- Everything may be done twice: a document is put whole, a user is made where there is none, a removal finds
  nothing the second time. Only a claim counts up, and one epoch more than needed does no harm. So a call
  that broke off is simply asked again, whether MongoDB had done it or not, and pymongo's own single retry,
  which needs a replica set, is off.
- A commit of one document is one write. One of several is a transaction where the server has them (a replica
  set or a sharded cluster). A single server has none: there the writes follow each other, and a crash of this
  process or of MongoDB in between can leave the first ones alone.
- Commits that wait together are one group (`commit`): a bulk a collection, so a busy moment costs a few round
  trips for all of it.
- Writes are acknowledged by a majority of the members, on disk: what was acknowledged survives the loss of
  the primary. Reads go to the primary.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import pymongo
from pymongo import DeleteOne, MongoClient, ReplaceOne, ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from actors.document_ports import KeepNewest, PutDocument, RemoveDocument
from actors.ports import PutUser, RemoveApp, SetRunningApps, StorageError
from adapters.storage.mongodb import wire
from adapters.storage.mongodb.faults import ERRORS, is_duplicate, is_passing, storage_error
from adapters.storage.mongodb.packing import STORE, fields_of, text_of
from adapters.storage.mongodb.schema import (
    APPS,
    IDENTITIES,
    SESSIONS,
    TRANSCRIPTS,
    USERS,
    document_collections,
    index_documents,
    migrate,
)
from adapters.storage.mongodb.wire import PutAppText, WireChange
from adapters.storage.schema import SchemaTooNewError
from adapters.storage.sealing import (
    Seal,
    SealError,
    document_row,
    key_of,
    missing_keys,
    snapshot_row,
    transcript_row,
)

Fields = dict[str, Any]
Client = MongoClient[Fields]
Answer = TypeVar("Answer")
Model = ReplaceOne[Fields] | UpdateOne | DeleteOne
Step = Model | KeepNewest

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5
_DUPLICATES: Final = 3
"""How often two upserts of one document may meet; then its identity is taken for another document's."""


def open_database(given: wire.Configure, until: float) -> MongoDatabase:
    """The database, in its current form.

    Not with `pymongo.timeout`, which tells the server too: FerretDB refuses what it tells for `distinct`.

    Args:
      until: when to give up, in seconds of the monotonic clock.

    Raises:
      StorageError: it does not answer, a later version wrote it, or a key is missing.
    """
    attempt_ms = int(given.attempt_s * 1000)
    try:
        client: Client = MongoClient(
            given.uri,
            appname="glasshouse",
            retryWrites=False,
            retryReads=False,
            serverSelectionTimeoutMS=attempt_ms,
            connectTimeoutMS=attempt_ms,
            socketTimeoutMS=attempt_ms,
            waitQueueTimeoutMS=attempt_ms,
            maxPoolSize=16,
        )
    except ERRORS as error:
        raise storage_error(error) from error
    database = MongoDatabase(client, given)
    try:
        database.prepare(until)
    except StorageError:
        client.close()
        raise
    return database


class MongoDatabase:
    """The blocking side of the store. Any thread may call; `commit` from one at a time.

    Attributes:
      mongo: the database itself.
      has_transactions: as the server said when it was last asked by `prepare`.
      server: its version, as it says itself.
    """

    def __init__(self, client: Client, given: wire.Configure) -> None:
        self._client = client
        self.mongo = client.get_database(
            given.database,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority", wtimeout=int(given.attempt_s * 1000)),
        )
        self._seal = Seal(given.key, given.former_keys)
        self._indexed: set[str] = set()
        self.has_transactions = False
        self.server = ""

    def prepare(self, until: float) -> None:
        """Bring the database to its current form, and see that all in it can be opened.

        Raises:
          StorageError: it does not answer, a later version wrote it, or a key is missing.
        """

        def ask() -> None:
            hello = self._client.admin.command("hello")
            self.has_transactions = "setName" in hello or hello.get("msg") == "isdbgrid"
            self.server = str(self._client.server_info()["version"])
            migrate(self.mongo)
            missing = missing_keys(map(bytes.fromhex, self.keys()), self._seal)
            if missing:
                raise SealError(missing)

        try:
            self._trying(until, ask)
        except (SchemaTooNewError, SealError) as error:
            raise StorageError(f"MongoDB: {error}", retry_after_s=30.0) from error

    def close(self) -> None:
        self._client.close()

    def keys(self) -> set[str]:
        """The ids of the keys that values are sealed with, as hexadecimal text; empty for plain ones."""
        found = {key for name in (SESSIONS, TRANSCRIPTS) for key in self.mongo[name].distinct("key")}
        for name in document_collections(self.mongo):
            found.update(self.mongo[name].distinct(f"{STORE}.key"))
        return found

    def commit(self, group: Sequence[Sequence[WireChange]], until: float) -> None:
        """Apply the commits, in their order.

        Raises:
          StorageError: what became of each is not known, beyond what the module's text says.
        """
        steps: dict[str, list[Step]] = {}
        is_several = False
        for changes in group:
            own = [step for change in _merged(changes) for step in self._steps(change)]
            is_several = is_several or len(own) > 1 or any(isinstance(step, KeepNewest) for _, step in own)
            for collection, step in own:
                steps.setdefault(collection, []).append(step)

        def apply() -> None:
            for collection in steps:
                self._index(collection)
            if is_several and self.has_transactions:
                with self._client.start_session() as session, session.start_transaction():
                    self._apply(steps, session)
            else:
                self._apply(steps, None)

        if steps:
            self._trying(until, apply)

    def read(self, request: wire.Read, until: float) -> object:
        """The answer to a request. Raises StorageError."""
        return self._trying(until, lambda: self._read(request))

    def write(self, request: wire.SnapshotWrite, until: float) -> object:
        """Do what a request says. Raises StorageError."""
        return self._trying(until, lambda: self._write(request))

    def _trying(self, until: float, work: Callable[[], Answer]) -> Answer:
        pause_s, duplicates = _FIRST_PAUSE_S, 0
        while True:
            if time.monotonic() >= until:
                raise StorageError("MongoDB does not answer: nobody waits for this call any more")
            try:
                return work()
            except ERRORS as error:
                duplicates += is_duplicate(error)
                is_worth_it = is_passing(error) or (is_duplicate(error) and duplicates < _DUPLICATES)
                if not is_worth_it or time.monotonic() + pause_s >= until:
                    raise storage_error(error) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _index(self, collection: str) -> None:
        if collection not in (APPS, USERS) and collection not in self._indexed:
            index_documents(self.mongo, collection)
            self._indexed.add(collection)

    def _apply(self, steps: Mapping[str, Sequence[Step]], session: ClientSession | None) -> None:
        for name, of_collection in steps.items():
            collection = self.mongo[name]
            models: list[Model] = []
            for step in of_collection:
                if not isinstance(step, KeepNewest):
                    models.append(step)
                    continue
                _bulk(collection, models, session)
                models = []
                _keep_newest(collection, step, session)
            _bulk(collection, models, session)

    def _steps(self, change: WireChange | _UserMade) -> list[tuple[str, Step]]:
        match change:
            case PutAppText(package_name, text):
                return [(APPS, ReplaceOne({"_id": package_name}, app_fields(text), upsert=True))]
            case RemoveApp(package_name):
                return [(APPS, DeleteOne({"_id": package_name}))]
            case _UserMade():
                return [(USERS, change.model())]
            case PutDocument():
                fields = document_fields(change, self._seal)
                return [(change.collection, ReplaceOne({"_id": change.key}, fields, upsert=True))]
            case RemoveDocument(collection, key):
                return [(collection, DeleteOne({"_id": key}))]
            case KeepNewest():
                return [(change.collection, change)]
            case _:
                raise AssertionError(f"{change} was to be merged")

    def _read(self, request: wire.Read) -> object:
        match request:
            case wire.FindApp(package_name):
                found = self.mongo[APPS].find_one({"_id": package_name})
                return None if found is None else app_text(found)
            case wire.ListApps():
                return sorted((one["_id"], app_text(one)) for one in self.mongo[APPS].find())
            case wire.FindUser(user_id):
                found = self.mongo[USERS].find_one({"_id": user_id})
                return None if found is None else (found["createdAtMs"], found.get("runningApps", ()))
            case wire.ListSnapshots():
                owners = self.mongo[SESSIONS].find({"snapshot": {"$exists": True}}, {"epoch": 1})
                return {one["_id"]: one["epoch"] for one in owners}
            case wire.FindTranscripts(user_id):
                return self._transcripts(user_id)
            case wire.FindDocument(collection, key):
                found = self.mongo[collection].find_one({"_id": key})
                return None if found is None else self._document(collection, found)
            case wire.ListDocuments():
                return self._documents(request)
            case wire.ListUnfinishedUsers(collections):
                unfinished = {f"{STORE}.isUnfinished": True}
                lists = [self.mongo[one].distinct(f"{STORE}.userId", unfinished) for one in collections]
                return sorted({user_id for one in lists for user_id in one})

    def _transcripts(self, user_id: str) -> list[bytes]:
        order = [("atMs", pymongo.ASCENDING), ("resultId", pymongo.ASCENDING)]
        bodies = []
        for one in self.mongo[TRANSCRIPTS].find({"userId": user_id}).sort(order):
            with contextlib.suppress(SealError):
                bodies.append(self._seal.open(transcript_row(user_id, one["resultId"]), one["segment"]))
        return bodies

    def _documents(self, request: wire.ListDocuments) -> list[tuple[str, str, bytes]]:
        if request.limit == 0:
            return []  # to MongoDB it is no limit
        wanted: Fields = {}
        if request.user_id is not None:
            wanted[f"{STORE}.userId"] = request.user_id
        if request.only_unfinished:
            wanted[f"{STORE}.isUnfinished"] = True
        found = self.mongo[request.collection].find(wanted).sort(_NEWEST).limit(request.limit)
        documents = []
        for one in found:
            with contextlib.suppress(SealError):
                documents.append(self._document(request.collection, one))
        return documents

    def _document(self, collection: str, found: Fields) -> tuple[str, str, bytes]:
        own, key = found[STORE], found["_id"]
        if "sealed" in own:
            return key, own["userId"], self._seal.open(document_row(collection, key), own["sealed"])
        text = own["text"].encode() if "text" in own else text_of(found)
        return key, own["userId"], text

    def _write(self, request: wire.SnapshotWrite) -> object:
        match request:
            case wire.ClaimUser(user_id):
                return self._claim(user_id)
            case wire.SaveSnapshots(snapshots):
                return self._save(snapshots)
            case wire.ForgetSnapshot(user_id, epoch):
                forget = {"$unset": {"snapshot": "", "key": ""}}
                owner = {"_id": user_id, "epoch": epoch}
                if self.mongo[SESSIONS].update_one(owner, forget).matched_count:
                    self.mongo[TRANSCRIPTS].delete_many({"userId": user_id})
            case wire.KeepTranscripts(kept, before_ms):
                puts = [
                    ReplaceOne(
                        {"_id": transcript_id(one.user_id, one.result_id)}, self._piece(one), upsert=True
                    )
                    for one in kept
                ]
                _bulk(self.mongo[TRANSCRIPTS], puts, None)
                self.mongo[TRANSCRIPTS].delete_many({"atMs": {"$lt": before_ms}})
            case wire.ForgetTranscripts(user_id):
                self.mongo[TRANSCRIPTS].delete_many({"userId": user_id})
        return None

    def _claim(self, user_id: str) -> tuple[int, bytes | None]:
        claimed = self.mongo[SESSIONS].find_one_and_update(
            {"_id": user_id}, {"$inc": {"epoch": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert claimed is not None, "an upsert returns what it made"
        stored = claimed.get("snapshot")
        if stored is not None:
            with contextlib.suppress(SealError):  # whoever decodes it says that it is unreadable
                stored = self._seal.open(snapshot_row(user_id), stored)
        return claimed["epoch"], stored

    def _save(self, snapshots: Sequence[Any]) -> list[str]:
        collection = self.mongo[SESSIONS]
        puts = []
        for one in snapshots:
            stored = self._seal.seal(snapshot_row(one.user_id), one.body)
            fields = {"snapshot": stored, "key": key_of(stored).hex()}
            puts.append(UpdateOne({"_id": one.user_id, "epoch": one.epoch}, {"$set": fields}))
        if not puts or collection.bulk_write(puts, ordered=False).matched_count == len(puts):
            return []
        ids = [one.user_id for one in snapshots]
        epochs = {one["_id"]: one["epoch"] for one in collection.find({"_id": {"$in": ids}}, {"epoch": 1})}
        return [one.user_id for one in snapshots if epochs.get(one.user_id) != one.epoch]

    def _piece(self, one: Any) -> Fields:
        segment = self._seal.seal(transcript_row(one.user_id, one.result_id), one.body)
        return {
            "userId": one.user_id,
            "resultId": one.result_id,
            "atMs": one.at_ms,
            "segment": segment,
            "key": key_of(segment).hex(),
        }


_NEWEST: Final = [(f"{STORE}.updatedAtMs", pymongo.DESCENDING), ("_id", pymongo.ASCENDING)]


def transcript_id(user_id: str, result_id: str) -> str:
    return msgspec.json.encode((user_id, result_id)).decode()


class _UserMade(msgspec.Struct):
    """What a commit does to one user, as one write."""

    user_id: str
    created_at_ms: int = 0
    running_apps: tuple[str, ...] | None = None

    def model(self) -> UpdateOne:
        made: Fields = {"createdAtMs": self.created_at_ms}
        update = {"$setOnInsert": made}
        if self.running_apps is not None:
            update["$set"] = {"runningApps": list(self.running_apps)}
        return UpdateOne({"_id": self.user_id}, update, upsert=True)


def _merged(changes: Iterable[WireChange]) -> list[WireChange | _UserMade]:
    """The changes, those of one user that follow each other as one."""
    merged: list[WireChange | _UserMade] = []
    for change in changes:
        if not isinstance(change, PutUser | SetRunningApps):
            merged.append(change)
            continue
        last = merged[-1] if merged else None
        if not isinstance(last, _UserMade) or last.user_id != change.user_id:
            last = _UserMade(change.user_id)
            merged.append(last)
            if isinstance(change, PutUser):
                last.created_at_ms = change.created_at_ms
        if isinstance(change, SetRunningApps):
            last.running_apps = change.running_apps
    return merged


def _bulk(collection: Collection[Fields], models: Sequence[Model], session: ClientSession | None) -> None:
    if models:
        collection.bulk_write(models, session=session)


def _keep_newest(collection: Collection[Fields], change: KeepNewest, session: ClientSession | None) -> None:
    finished = {f"{STORE}.userId": change.user_id, f"{STORE}.isUnfinished": False}
    found = collection.find(finished, {"_id": 1}, session=session).sort(_NEWEST).skip(change.count)
    old = [one["_id"] for one in found]
    if old:
        collection.delete_many({"_id": {"$in": old}}, session=session)


def app_fields(text: str) -> Fields:
    """What lies in the database of an app, but its `_id`."""
    fields = fields_of(text.encode())
    return {STORE: {"text": text}} if fields is None else fields


def document_fields(change: PutDocument, seal: Seal, sealed: bytes | None = None) -> Fields:
    """What lies in the database of a document, but its `_id`.

    Args:
      sealed: what is sealed already, instead of the document of `change`.
    """
    if sealed is None and seal.current:
        sealed = seal.seal(document_row(change.collection, change.key), change.document)
    own: Fields = {
        "userId": change.user_id,
        "updatedAtMs": change.updated_at_ms,
        "isUnfinished": change.is_unfinished,
        "key": key_of(sealed or b"").hex(),
    }
    identity = IDENTITIES.get(change.collection)
    fields = fields_of(change.document) if sealed is None else None
    if fields is None or (identity and fields.get(identity) != change.key):
        fields = {"userId": change.user_id, **({identity: change.key} if identity else {})}
        own |= {"text": change.document.decode()} if sealed is None else {"sealed": sealed}
    return {**fields, STORE: own}


def app_text(found: Fields) -> bytes:
    """The document of an app, as it was put."""
    own = found.get(STORE, {})
    return own["text"].encode() if "text" in own else text_of(found)
