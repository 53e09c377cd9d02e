"""The embedded store: one SQLite file in WAL mode, used from worker threads.

Five decisions.

- Two connections, one that writes documents and one that reads, each used by one thread at a time. In WAL a
  reader never waits for a writer, so a look-up does not stand behind another process's transaction. A thread
  runs one short call; nothing computes there, since a thread that executes Python beside the loop slows the
  loop down.
- Group commit without a timer (`turns`). A commit that finds the writer free starts at once; those that
  arrive while it runs wait together and go into one transaction when it ends. So nobody waits on purpose, and
  a busy moment costs one flush to disk for all of it. Reads have their turns likewise.
- `synchronous=FULL`: what `commit` acknowledged survives a power cut, not only a killed process.
- Snapshots and claims are written by a third connection with `synchronous=NORMAL`, which leaves out the flush
  to disk: they have to survive the process, not the machine. The file keeps its order, so a power cut that
  loses a claim loses everything its owner wrote, too. It takes turns with the writer.
- Snapshots hold what a wearer reads, transcripts what was said, so they are sealed when there is a key
  (`sealing`). Who opens the file with another key than the last one seals them anew before it is ready: then
  the former key can go.

Other processes may read and write the same file at any time (administration commands do). Every read begins a
new snapshot, so it sees the newest committed data of all processes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import trio

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
    UserDocument,
)
from adapters.storage import documents, transcripts
from adapters.storage.rotation import seal_anew
from adapters.storage.schema import SchemaTooNewError, migrate
from adapters.storage.sealing import Seal, SealError, snapshot_row
from adapters.storage.turns import Turns, Waiting

FILE_NAME: Final = "glasshouse.sqlite3"
LOCK_WAIT_S: Final = 2.0
MAX_WAITING: Final = 10_000

Answer = TypeVar("Answer")
Read = Callable[[], Any]
Write = Callable[[sqlite3.Connection], Any]
Statement = tuple[str, tuple[object, ...]]

_APP_DECODER: Final = msgspec.json.Decoder(AppDocument)
_RUNNING_DECODER: Final = msgspec.json.Decoder(tuple[str, ...])

_FAULTS: Final[dict[int, tuple[str, float]]] = {
    sqlite3.SQLITE_BUSY: ("another process holds the write lock", 0.5),
    sqlite3.SQLITE_LOCKED: ("another connection holds a lock", 0.5),
    sqlite3.SQLITE_FULL: ("the disk is full; free some space", 10.0),
    sqlite3.SQLITE_IOERR: (
        "the disk refused to read or write (failing, over quota, or over a size limit)",
        10.0,
    ),
    sqlite3.SQLITE_READONLY: (
        "the file or its folder is read-only; give this user the right to write it",
        30.0,
    ),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened; check its folder and the rights on it", 30.0),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged; stop the server and restore it from a copy", 60.0),
    sqlite3.SQLITE_NOTADB: ("this is not a database file; move it away or restore it from a copy", 60.0),
}
"""SQLite's primary result code: what it means for the operator, and the seconds after which to ask again."""


async def open_sqlite(
    folder: Path,
    *,
    seal: Seal | None = None,
    lock_wait_s: float = LOCK_WAIT_S,
    max_waiting: int = MAX_WAITING,
) -> SqliteStore:
    """Open the store in `folder`; make the folder (mode 0700) and the file (mode 0600) when they are missing.

    Args:
      folder: the data directory.
      seal: what private values are sealed with; those that are not under its current key are sealed anew.
        Without it they are left as they lie there.
      lock_wait_s: how long a call waits for another process's transaction before it is a StorageError; 2 s is
        far more than an administration command needs. A cancelled call waits it out too.
      max_waiting: how many commits, and how many reads, may wait for their turn; one more is refused.

    Raises:
      StorageError: the folder or file cannot be made, opened or brought to the current schema, or holds
        values whose key `seal` does not have.
    """
    path = folder / FILE_NAME
    opened = await trio.to_thread.run_sync(_reporting_faults, path, lambda: _open(path, seal, lock_wait_s))
    return SqliteStore(path, opened, seal=seal or Seal(), max_waiting=max_waiting)


class SqliteStore:
    """`actors.ports.Store` over one SQLite file. Made by `open_sqlite`."""

    def __init__(self, path: Path, connections: _Connections, *, seal: Seal, max_waiting: int) -> None:
        self._path = path
        self._seal = seal
        self._connections = connections
        self._reader = connections.reader
        self._max_waiting = max_waiting
        self._threads = trio.CapacityLimiter(2)
        self._writing = trio.Lock()
        self._reading = trio.Lock()
        self._commits: Turns[Write] = Turns(self._writing, partial(self._transact, connections.writer))
        self._snapshots: Turns[Write] = Turns(self._writing, partial(self._transact, connections.snapshots))
        self._reads: Turns[Read] = Turns(self._reading, self._answer_all)
        self._is_closed = False

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes in order, or none; durable when it returns.

        Cancellation: before its transaction began the commit is withdrawn; one that has begun is finished.
        """
        statements = _statements(changes, self._seal)
        await self._write(self._commits, lambda connection: _execute(connection, statements))

    async def find_app(self, package_name: str) -> AppDocument | None:
        """The app, or None when the catalogue does not have it."""
        row = await self._read_one("SELECT document FROM apps WHERE package_name = ?", package_name)
        return None if row is None else self._decode_app(package_name, row[0])

    async def list_apps(self) -> tuple[AppDocument, ...]:
        """All apps, ordered by package name."""
        query = "SELECT package_name, document FROM apps ORDER BY package_name"
        rows = await self._read(lambda: self._reader.execute(query).fetchall())
        return tuple(self._decode_app(package_name, document) for package_name, document in rows)

    async def find_user(self, user_id: str) -> UserDocument | None:
        """The user, or None. `created_at_ms` is 0 where only a running list was ever stored."""
        row = await self._read_one("SELECT created_at_ms, running_apps FROM users WHERE user_id = ?", user_id)
        if row is None:
            return None
        try:
            running_apps = _RUNNING_DECODER.decode(row[1])
        except msgspec.MsgspecError as error:
            raise self._unreadable("user", user_id, error) from error
        return UserDocument(user_id=user_id, created_at_ms=row[0], running_apps=running_apps)

    async def find_document(self, collection: str, key: str) -> StoredDocument | None:
        """The document, or None."""
        query = "SELECT key, user_id, document FROM documents WHERE collection = ? AND key = ?"
        try:
            found = await self._documents(collection, (query, (collection, key)))
        except SealError as error:
            raise self._unreadable(collection, key, error) from error
        return found[0] if found else None

    async def list_documents(
        self, collection: str, user_id: str | None, limit: int, *, only_unfinished: bool = False
    ) -> tuple[StoredDocument, ...]:
        """The newest first, of those that open; of everybody where `user_id` is None."""
        query = documents.listing(collection, user_id, limit, only_unfinished=only_unfinished)
        return await self._documents(collection, query, skips_unreadable=True)

    async def list_unfinished_users(self, collections: Sequence[str]) -> tuple[str, ...]:
        """Who has an unfinished document in one of these."""
        query = documents.unfinished_users(collections)
        rows = await self._read(lambda: self._reader.execute(*query).fetchall())
        return tuple(user_id for (user_id,) in rows)

    async def _documents(
        self, collection: str, query: documents.Statement, *, skips_unreadable: bool = False
    ) -> tuple[StoredDocument, ...]:
        if not all(_is_unicode(value) for value in query[1] if isinstance(value, str)):
            return ()  # such a key cannot have been stored
        rows = await self._read(lambda: documents.fetch(self._reader, query))
        return documents.of_rows(collection, rows, self._seal, skips_unreadable=skips_unreadable)

    async def claim_user(self, user_id: str) -> Claim:
        """Become the user's owner. Cancellation: as `commit`.

        A snapshot that does not open comes as it lies there, and whoever decodes it says that it is
        unreadable: a user is not locked out for what can be begun anew.
        """
        key = _storable_key(user_id)
        claim: Claim = await self._write(self._snapshots, lambda connection: _claim(connection, key))
        if claim.snapshot is None:
            return claim
        with contextlib.suppress(SealError):
            return Claim(claim.epoch, self._seal.open(snapshot_row(key), claim.snapshot))
        return claim

    async def save_snapshots(self, snapshots: Sequence[SnapshotToSave]) -> tuple[str, ...]:
        """Replace snapshots; returns whose owner is another one. Cancellation: as `commit`."""
        rows = [
            (self._seal.seal(snapshot_row(one.user_id), one.body), _storable_key(one.user_id), one.epoch)
            for one in snapshots
        ]
        stale: tuple[str, ...] = await self._write(
            self._snapshots, lambda connection: _save(connection, rows)
        )
        return stale

    async def forget_snapshot(self, user_id: str, epoch: int) -> None:
        """Remove the user's snapshot and transcripts, if the owner is that of `epoch`.

        Cancellation: as `commit`.
        """
        key = _storable_key(user_id)

        def forget(connection: sqlite3.Connection) -> None:
            if not _save(connection, [(None, key, epoch)]):
                transcripts.forget(connection, key)

        await self._write(self._snapshots, forget)

    async def keep_transcripts(self, kept: Sequence[KeptTranscript], before_ms: int) -> None:
        """Put these, remove everybody's older ones. Cancellation: as `commit`."""
        try:
            rows = transcripts.rows_of(kept, self._seal)
        except UnicodeEncodeError as error:
            raise StorageError(f"a transcript cannot be stored: {error}", retry_after_s=60.0) from error
        await self._write(self._snapshots, lambda connection: transcripts.keep(connection, rows, before_ms))

    async def find_transcripts(self, user_id: str) -> tuple[bytes, ...]:
        """The bodies of the user's that open, the oldest first."""
        if not _is_unicode(user_id):
            return ()
        query = "SELECT result_id, segment FROM transcripts WHERE user_id = ? ORDER BY at_ms, result_id"
        rows = await self._read(lambda: self._reader.execute(query, (user_id,)).fetchall())
        return transcripts.opened(user_id, rows, self._seal)

    async def forget_transcripts(self, user_id: str) -> None:
        """Remove all of the user's. Cancellation: as `commit`."""
        key = _storable_key(user_id)
        await self._write(self._snapshots, lambda connection: transcripts.forget(connection, key))

    async def list_snapshots(self) -> Mapping[str, int]:
        """The epoch of every user who has a snapshot."""
        query = "SELECT user_id, epoch FROM owners WHERE snapshot IS NOT NULL"
        rows = await self._read(lambda: self._reader.execute(query).fetchall())
        return dict(rows)

    async def aclose(self) -> None:
        """Finish the commits and reads that wait, then close the file. Calls after it raise StorageError.

        Cancellation: it closes all the same; each transaction before it is bounded by `lock_wait_s`.
        """
        if self._is_closed:
            return
        self._is_closed = True
        with trio.CancelScope(shield=True):
            async with self._writing, self._reading:
                await trio.to_thread.run_sync(self._close_connections, limiter=self._threads)

    async def _write(self, queue: Turns[Write], apply: Write) -> Any:
        """Have `apply` run in the next transaction, together with what else waits in `queue`."""
        self._refuse_if_closed()
        if len(queue) >= self._max_waiting:
            raise StorageError(f"{self._path}: {self._max_waiting} commits wait already", retry_after_s=0.5)
        return await queue.take(apply)

    async def _transact(self, connection: sqlite3.Connection, batch: tuple[Waiting[Write], ...]) -> None:
        try:
            await self._run(lambda: _transact(connection, batch))
        except StorageError as error:
            for waiting in batch:
                waiting.fault = error

    async def _read_one(self, query: str, key: str) -> tuple[Any, ...] | None:
        if not _is_unicode(key):
            return None  # such a key cannot have been stored
        return await self._read(lambda: self._reader.execute(query, (key,)).fetchone())

    async def _read(self, query: Callable[[], Answer]) -> Answer:
        self._refuse_if_closed()
        if len(self._reads) >= self._max_waiting:
            raise StorageError(f"{self._path}: {self._max_waiting} reads wait already", retry_after_s=0.5)
        answer: Answer = await self._reads.take(query)  # type: ignore[assignment]
        return answer

    async def _answer_all(self, batch: tuple[Waiting[Read], ...]) -> None:
        await trio.to_thread.run_sync(_answer_all, self._path, batch, limiter=self._threads)

    async def _run(self, call: Callable[[], Answer]) -> Answer:
        return await trio.to_thread.run_sync(_reporting_faults, self._path, call, limiter=self._threads)

    def _decode_app(self, package_name: str, document: str) -> AppDocument:
        try:
            return _APP_DECODER.decode(document)
        except msgspec.MsgspecError as error:
            raise self._unreadable("app", package_name, error) from error

    def _unreadable(self, kind: str, key: str, error: Exception) -> StorageError:
        return StorageError(
            f"{self._path}: the document of {kind} {key!r} is unreadable: {error}", retry_after_s=60.0
        )

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StorageError(f"{self._path}: the store is closed")

    def _close_connections(self) -> None:
        self._connections.close()


class _Connections:
    """All connections of one store to its file."""

    def __init__(self) -> None:
        self._open: list[sqlite3.Connection] = []
        self.writer: sqlite3.Connection
        self.reader: sqlite3.Connection
        self.snapshots: sqlite3.Connection

    def connect(self, path: Path, lock_wait_s: float, *, is_flushed: bool = True) -> sqlite3.Connection:
        connection = _connect(path, lock_wait_s, is_flushed=is_flushed)
        self._open.append(connection)
        return connection

    def close(self) -> None:
        for connection in reversed(self._open):
            connection.close()


# What follows up to `_statements` runs in a worker thread.


def _open(path: Path, seal: Seal | None, lock_wait_s: float) -> _Connections:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(
        FileExistsError
    ):  # never open and close a file in use: that drops SQLite's locks on it
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connections = _Connections()
    try:
        connections.writer = connections.connect(path, lock_wait_s)
        migrate(connections.writer)
        if seal is not None:
            seal_anew(connections.writer, seal)
        connections.reader = connections.connect(path, lock_wait_s)
        connections.snapshots = connections.connect(path, lock_wait_s, is_flushed=False)
    except BaseException:
        connections.close()
        raise
    return connections


def _connect(path: Path, lock_wait_s: float, *, is_flushed: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None, check_same_thread=False)
    try:
        _enter_wal(connection, time.monotonic() + lock_wait_s)
        connection.execute(f"PRAGMA synchronous = {'FULL' if is_flushed else 'NORMAL'}")
    except BaseException:
        connection.close()
        raise
    return connection


def _enter_wal(connection: sqlite3.Connection, deadline: float) -> None:
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait here for another process's same change; 1 in 120 openings met that
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(0.01)


def _answer_all(path: Path, batch: Iterable[Waiting[Read]]) -> None:
    for waiting in batch:
        try:
            waiting.answer = _reporting_faults(path, waiting.call)
        except StorageError as error:
            waiting.fault = error


def _transact(connection: sqlite3.Connection, batch: Iterable[Waiting[Write]]) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        for waiting in batch:
            waiting.answer = waiting.call(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _execute(connection: sqlite3.Connection, statements: Iterable[Statement]) -> None:
    for sql, parameters in statements:
        connection.execute(sql, parameters)


def _claim(connection: sqlite3.Connection, user_id: str) -> Claim:
    raise_epoch = (
        "INSERT INTO owners VALUES (?, 1, NULL) ON CONFLICT (user_id) DO UPDATE SET epoch = epoch + 1"
    )
    connection.execute(raise_epoch, (user_id,))
    row = connection.execute("SELECT epoch, snapshot FROM owners WHERE user_id = ?", (user_id,)).fetchone()
    return Claim(*row)


def _save(connection: sqlite3.Connection, rows: Iterable[tuple[bytes | None, str, int]]) -> tuple[str, ...]:
    update = "UPDATE owners SET snapshot = ? WHERE user_id = ? AND epoch = ?"
    return tuple(row[1] for row in rows if connection.execute(update, row).rowcount == 0)


def _reporting_faults(path: Path, call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the name says the rest
        meaning, retry_after_s = _FAULTS.get(code, ("SQLite failed", 5.0))
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StorageError(f"{path}: {meaning} ({name}: {error})", retry_after_s=retry_after_s) from error
    except (OSError, SchemaTooNewError, SealError) as error:
        raise StorageError(f"{path}: {error}", retry_after_s=30.0) from error


def _statements(changes: Iterable[Change], seal: Seal) -> tuple[Statement, ...]:
    try:
        return tuple(_statement(change, seal) for change in changes)
    except (msgspec.MsgspecError, UnicodeError, OverflowError) as error:
        raise StorageError(f"a change cannot be stored: {error}", retry_after_s=60.0) from error


def _statement(change: Change, seal: Seal) -> Statement:
    if isinstance(change, PutDocument | RemoveDocument | KeepNewest):
        return documents.statement(change, seal)
    if isinstance(change, PutApp):
        document = msgspec.json.encode(change.app)
        _APP_DECODER.decode(document)  # the parts kept as given may not be JSON
        sql = (
            "INSERT INTO apps VALUES (?, ?) "
            "ON CONFLICT (package_name) DO UPDATE SET document = excluded.document"
        )
        return sql, (change.app.package_name, document.decode())
    if isinstance(change, RemoveApp):
        return "DELETE FROM apps WHERE package_name = ?", (_unicode(change.package_name),)
    if isinstance(change, PutUser):
        change.created_at_ms.to_bytes(8, signed=True)  # SQLite's integers have 64 bits
        sql = "INSERT INTO users VALUES (?, ?, '[]') ON CONFLICT DO NOTHING"
        return sql, (_unicode(change.user_id), change.created_at_ms)
    assert isinstance(change, SetRunningApps), change
    running_apps = msgspec.json.encode(change.running_apps).decode()
    sql = (
        "INSERT INTO users VALUES (?, 0, ?) "
        "ON CONFLICT (user_id) DO UPDATE SET running_apps = excluded.running_apps"
    )
    return sql, (_unicode(change.user_id), running_apps)


def _unicode(key: str) -> str:
    key.encode()
    return key


def _storable_key(key: str) -> str:
    try:
        return _unicode(key)
    except UnicodeEncodeError as error:
        raise StorageError(f"{key!r} cannot be stored: {error}", retry_after_s=60.0) from error


def _is_unicode(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
