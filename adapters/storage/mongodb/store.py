"""`actors.ports.Store` over MongoDB: each call becomes a request to the process that asks it (`process`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from actors.document_ports import KeepNewest, PutDocument, RemoveDocument, StoredDocument
from actors.ports import (
    AppDocument,
    Change,
    Claim,
    KeptTranscript,
    PutApp,
    PutUser,
    RemoveApp,
    SetRunningApps,
    SnapshotToSave,
    StorageError,
    Telemetry,
    UserDocument,
)
from adapters.storage.mongodb import wire
from adapters.storage.mongodb.packing import is_collection
from adapters.storage.mongodb.process import StoreProcess, WorkerProcess, launch_worker
from adapters.storage.mongodb.settings import MongoSettings

_MOST_DOCUMENT_BYTES: Final = 15 * 1024 * 1024
"""MongoDB takes 16 MiB with everything around it."""

_APP: Final = msgspec.json.Decoder(AppDocument)


class MongoStore:
    """`actors.ports.Store` over MongoDB. `run` has to be running for any of it.

    Args:
      uri: the address of the database, with user and password: a secret.
      key: what private values are sealed with; empty leaves them plain.
      former_keys: keys that sealed values earlier and still open them.
      launch: what starts the process; tests have others.

    Attributes:
      process: the process that asks MongoDB.
    """

    def __init__(
        self,
        uri: str,
        settings: MongoSettings,
        telemetry: Telemetry,
        *,
        key: str = "",
        former_keys: Sequence[str] = (),
        launch: Callable[[], Awaitable[WorkerProcess]] = launch_worker,
    ) -> None:
        configure = wire.Configure(
            uri=uri,
            database=settings.database,
            attempt_s=settings.attempt_s,
            start_s=settings.start_s,
            key=key,
            former_keys=tuple(former_keys),
        )
        self.process = StoreProcess(configure, settings, telemetry, launch)

    async def run(self) -> None:
        """Keep the process until `aclose` or until cancelled; then end it."""
        await self.process.run()

    async def ready(self) -> None:
        """Wait until the first process is ready.

        Raises:
          StorageError: it cannot be: MongoDB does not answer, refuses us, or holds what we cannot read.
        """
        await self.process.ready()

    async def aclose(self) -> None:
        """Wait for what was asked, then end the process. Calls after it raise StorageError.

        Cancellation: it closes all the same; `call_s` bounds it.
        """
        await self.process.aclose()

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes in order, or none; durable when it returns.

        Without transactions (a MongoDB that is no replica set) a crash can leave the first of several.
        Cancellation: it is not known whether they were applied.
        """
        try:
            packed = tuple(wire.packed(_storable(change)) for change in changes)
        except (msgspec.MsgspecError, UnicodeError, OverflowError) as error:
            raise StorageError(f"a change cannot be stored: {error}", retry_after_s=60.0) from error
        await self.process.ask(wire.Commit(packed), None)

    async def find_app(self, package_name: str) -> AppDocument | None:
        """The app, or None when the catalogue does not have it."""
        if not _is_unicode(package_name):
            return None
        text = await self.process.ask(wire.FindApp(package_name), bytes | None)
        return None if text is None else _app(package_name, text)

    async def list_apps(self) -> tuple[AppDocument, ...]:
        """All apps, ordered by package name."""
        found = await self.process.ask(wire.ListApps(), list[tuple[str, bytes]])
        return tuple(_app(package_name, text) for package_name, text in found)

    async def find_user(self, user_id: str) -> UserDocument | None:
        """The user, or None. `created_at_ms` is 0 where only a running list was ever stored."""
        if not _is_unicode(user_id):
            return None
        found = await self.process.ask(wire.FindUser(user_id), tuple[int, tuple[str, ...]] | None)
        if found is None:
            return None
        return UserDocument(user_id=user_id, created_at_ms=found[0], running_apps=found[1])

    async def claim_user(self, user_id: str) -> Claim:
        """Become the user's owner. Cancellation: as `commit`."""
        epoch, snapshot = await self.process.ask(
            wire.ClaimUser(_storable_key(user_id)), tuple[int, bytes | None]
        )
        return Claim(epoch, snapshot)

    async def save_snapshots(self, snapshots: Sequence[SnapshotToSave]) -> tuple[str, ...]:
        """Replace snapshots; returns whose owner is another one. Cancellation: as `commit`."""
        for one in snapshots:
            _storable_key(one.user_id)
        answer: tuple[str, ...] = await self.process.ask(
            wire.SaveSnapshots(tuple(snapshots)), tuple[str, ...]
        )
        return answer

    async def forget_snapshot(self, user_id: str, epoch: int) -> None:
        """Remove the user's snapshot and transcripts, if the owner is that of `epoch`."""
        await self.process.ask(wire.ForgetSnapshot(_storable_key(user_id), epoch), None)

    async def list_snapshots(self) -> Mapping[str, int]:
        """The epoch of every user who has a snapshot."""
        answer: dict[str, int] = await self.process.ask(wire.ListSnapshots(), dict[str, int])
        return answer

    async def keep_transcripts(self, kept: Sequence[KeptTranscript], before_ms: int) -> None:
        """Put these, remove everybody's older ones. Cancellation: as `commit`."""
        for one in kept:
            _storable_key(one.user_id)
            _storable_key(one.result_id)
        await self.process.ask(wire.KeepTranscripts(tuple(kept), before_ms), None)

    async def find_transcripts(self, user_id: str) -> tuple[bytes, ...]:
        """The bodies of the user's that open, the oldest first."""
        if not _is_unicode(user_id):
            return ()
        answer: tuple[bytes, ...] = await self.process.ask(wire.FindTranscripts(user_id), tuple[bytes, ...])
        return answer

    async def forget_transcripts(self, user_id: str) -> None:
        """Remove all of the user's. Cancellation: as `commit`."""
        await self.process.ask(wire.ForgetTranscripts(_storable_key(user_id)), None)

    async def find_document(self, collection: str, key: str) -> StoredDocument | None:
        """The document, or None."""
        if not _is_unicode(collection) or not _is_unicode(key) or not is_collection(collection):
            return None
        found = await self.process.ask(wire.FindDocument(collection, key), tuple[str, str, bytes] | None)
        return None if found is None else StoredDocument(*found)

    async def list_documents(
        self, collection: str, user_id: str | None, limit: int, *, only_unfinished: bool = False
    ) -> tuple[StoredDocument, ...]:
        """The newest first, then by key; of everybody where `user_id` is None."""
        if not _is_unicode(collection) or not _is_unicode(user_id or "") or not is_collection(collection):
            return ()
        request = wire.ListDocuments(collection, user_id, limit, only_unfinished)
        found = await self.process.ask(request, list[tuple[str, str, bytes]])
        return tuple(StoredDocument(*one) for one in found)

    async def list_unfinished_users(self, collections: Sequence[str]) -> tuple[str, ...]:
        """Who has an unfinished document in one of these, in the order of their names."""
        names = tuple(name for name in collections if _is_unicode(name) and is_collection(name))
        answer: tuple[str, ...] = await self.process.ask(wire.ListUnfinishedUsers(names), tuple[str, ...])
        return answer


def _app(package_name: str, text: bytes) -> AppDocument:
    try:
        return _APP.decode(text)
    except msgspec.MsgspecError as error:
        raise StorageError(
            f"the document of app {package_name!r} is unreadable: {error}", retry_after_s=60.0
        ) from error


def _storable(change: Change) -> wire.WireChange:
    """The change as it goes over the pipe, if a database can hold it."""
    match change:
        case PutApp(app):
            document = msgspec.json.encode(app)
            _APP.decode(document)  # the parts kept as given may not be JSON
            _check_size(document)
            return wire.PutAppText(app.package_name, document.decode())
        case PutUser(user_id, created_at_ms):
            created_at_ms.to_bytes(8, signed=True)
            user_id.encode()
        case RemoveApp(package_name):
            package_name.encode()
        case SetRunningApps(user_id, running_apps):
            "".join((user_id, *running_apps)).encode()
        case PutDocument():
            msgspec.json.decode(change.document, type=msgspec.Raw)
            change.document.decode()
            change.updated_at_ms.to_bytes(8, signed=True)
            _check_names(change.collection, change.key, change.user_id)
            _check_size(change.document)
        case RemoveDocument(collection, key):
            _check_names(collection, key)
        case KeepNewest(collection, user_id, count):
            _check_names(collection, user_id)
            count.to_bytes(8, signed=True)
    return change


def _check_names(collection: str, *names: str) -> None:
    "".join((collection, *names)).encode()
    if not is_collection(collection):
        raise OverflowError(f"{collection!r} is no name for a collection of documents")


def _check_size(document: bytes) -> None:
    if len(document) > _MOST_DOCUMENT_BYTES:
        raise OverflowError(f"a document of {len(document)} bytes; MongoDB takes {_MOST_DOCUMENT_BYTES}")


def _storable_key(key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise StorageError(f"{key!r} cannot be stored: {error}", retry_after_s=60.0) from error
    return key


def _is_unicode(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
