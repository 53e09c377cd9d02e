from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.ports import PutApp, PutUser, SetRunningApps, StorageError, Store
from adapters.storage import FILE_NAME, SqliteStore, open_sqlite
from adapters.storage.schema import MIGRATIONS
from tests.adapters.storage.conformance import Opener, StoreConformance, app


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        async def opener() -> Store:
            return await open_sqlite(tmp_path)

        return opener


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(tmp_path, lock_wait_s=0.05, max_waiting=3)
    yield store
    await store.aclose()


class Locker:
    """Another process, as far as SQLite is concerned: a connection of its own."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None, check_same_thread=False)
        self.connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self.connection.execute("ROLLBACK")
        self.connection.close()


async def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    await (await open_sqlite(folder)).aclose()

    assert 0o700 == folder.stat().st_mode & 0o777
    assert 0o600 == (folder / FILE_NAME).stat().st_mode & 0o777


async def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(StorageError, match=r"data/glasshouse\.sqlite3.*File exists"):
        await open_sqlite(tmp_path / "data")


async def test_the_file_is_in_wal_mode_and_has_its_version(store: SqliteStore, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)

    assert ("wal",) == connection.execute("PRAGMA journal_mode").fetchone()
    assert (len(MIGRATIONS),) == connection.execute("SELECT max(version) FROM schema_version").fetchone()
    connection.close()


async def test_a_file_of_a_later_version_is_refused_and_left_alone(
    store: SqliteStore, tmp_path: Path
) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        connection.execute("INSERT INTO schema_version VALUES (?)", (len(MIGRATIONS) + 1,))

    with pytest.raises(StorageError, match="start the newer Glasshouse again"):
        await open_sqlite(tmp_path)

    assert (len(MIGRATIONS) + 1,) == connection.execute("SELECT max(version) FROM schema_version").fetchone()
    connection.close()


async def test_a_migration_that_fails_leaves_the_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_sqlite(tmp_path)
    await store.commit([PutApp(app("a"))])
    await store.aclose()
    broken = (*MIGRATIONS, ("ALTER TABLE apps ADD COLUMN x", "no sql"))

    with monkeypatch.context() as patch:
        patch.setattr("adapters.storage.schema.MIGRATIONS", broken)
        with pytest.raises(StorageError, match="SQLite failed"):
            await open_sqlite(tmp_path)
    again = await open_sqlite(tmp_path)

    assert (app("a"),) == await again.list_apps()
    await again.aclose()


async def test_an_older_file_is_brought_to_the_current_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_sqlite(tmp_path)
    await store.commit([PutApp(app("a"))])
    await store.aclose()
    monkeypatch.setattr("adapters.storage.schema.MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE later (x)",)))

    again = await open_sqlite(tmp_path)

    assert (app("a"),) == await again.list_apps()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert [(number,) for number in range(1, len(MIGRATIONS) + 2)] == connection.execute(
        "SELECT version FROM schema_version"
    ).fetchall()
    assert [] == connection.execute("SELECT x FROM later").fetchall()
    connection.close()
    await again.aclose()


async def test_another_process_that_holds_the_lock_is_an_error_with_a_time_to_retry(
    store: SqliteStore, tmp_path: Path
) -> None:
    locker = Locker(tmp_path)

    with pytest.raises(StorageError, match="another process holds the write lock") as raised:
        await store.commit([PutApp(app("a"))])
    seen_meanwhile = await store.find_app("a")
    locker.release()
    await store.commit([PutApp(app("b"))])

    assert 0.5 == raised.value.retry_after_s
    assert seen_meanwhile is None
    assert (app("b"),) == await store.list_apps()


async def test_a_commit_waits_for_another_process_to_finish(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path, lock_wait_s=10.0)
    locker = Locker(tmp_path)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [PutApp(app("a"))])
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(locker.release)

    assert (app("a"),) == await store.list_apps()
    await store.aclose()


async def test_opening_waits_while_another_process_prepares_the_file(tmp_path: Path) -> None:
    locker = Locker(tmp_path)  # a file in rollback mode, where SQLite itself does not wait
    began = time.monotonic()

    with pytest.raises(StorageError, match="another process holds the write lock"):
        await open_sqlite(tmp_path, lock_wait_s=0.1)

    assert 0.1 <= time.monotonic() - began
    locker.release()


async def test_commits_that_wait_together_are_one_transaction(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path, lock_wait_s=10.0)
    locker = Locker(tmp_path)
    writes: list[str] = []
    store._connections.writer.set_trace_callback(lambda sql: writes.append(sql.split()[0]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [PutUser("first@example.org", 1)])
        await trio.testing.wait_all_tasks_blocked()
        for number in range(49):
            nursery.start_soon(store.commit, [PutUser(f"{number}@example.org", number)])
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(locker.release)

    assert 2 == writes.count("COMMIT")
    assert 50 == writes.count("INSERT")
    await store.aclose()


async def test_a_lone_commit_waits_for_nobody(store: SqliteStore) -> None:
    with trio.fail_after(5):
        for number in range(100):
            await store.commit([SetRunningApps("ada@example.org", (str(number),))])

    user = await store.find_user("ada@example.org")
    assert user is not None
    assert ("99",) == user.running_apps


async def test_a_failed_group_fails_each_of_its_callers(store: SqliteStore, tmp_path: Path) -> None:
    locker = Locker(tmp_path)
    failed: list[str] = []

    async def commit(name: str) -> None:
        with pytest.raises(StorageError):
            await store.commit([PutApp(app(name))])
        failed.append(name)

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(commit, name)
    locker.release()

    assert ["a", "b", "c"] == sorted(failed)
    assert () == await store.list_apps()


async def test_a_commit_cancelled_before_its_turn_is_withdrawn(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path, lock_wait_s=10.0)
    locker = Locker(tmp_path)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [PutApp(app("first"))])
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0) as scope:
            await store.commit([PutApp(app("withdrawn"))])
        await trio.to_thread.run_sync(locker.release)
    await store.commit([PutApp(app("later"))])

    assert scope.cancelled_caught
    assert (app("first"), app("later")) == await store.list_apps()
    await store.aclose()


async def test_whoever_is_cancelled_when_its_turn_comes_takes_nobodys_commit_along(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path, lock_wait_s=10.0)
    locker = Locker(tmp_path)
    scope = trio.CancelScope()

    async def first() -> None:
        await store.commit([PutApp(app("a"))])
        scope.cancel()  # the writer's lock has just been handed to the second

    async def second() -> None:
        with scope:
            await store.commit([PutApp(app("b"))])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(second)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(store.commit, [PutApp(app("c"))])
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(locker.release)

    assert (app("a"), app("b"), app("c")) == await store.list_apps()
    await store.aclose()


async def test_a_statement_that_fails_undoes_its_transaction_and_frees_the_lock(
    store: SqliteStore, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / FILE_NAME, timeout=0)
    with other:
        other.execute("DROP TABLE apps")

    with pytest.raises(StorageError, match="no such table: apps") as raised:
        await store.commit([PutUser("ada@example.org", 1), PutApp(app("a"))])
    with other:
        other.execute("INSERT INTO users VALUES ('eve@example.org', 1, '[]')")
    other.close()

    assert 5.0 == raised.value.retry_after_s
    assert await store.find_user("ada@example.org") is None


async def test_a_transaction_that_has_begun_is_finished_though_its_caller_is_cancelled(
    tmp_path: Path,
) -> None:
    store = await open_sqlite(tmp_path, lock_wait_s=10.0)
    locker = Locker(tmp_path)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [PutApp(app("a"))])
        nursery.start_soon(store.commit, [PutApp(app("b"))])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        locker.release()

    assert (app("a"), app("b")) == await store.list_apps()
    await store.aclose()


async def test_too_many_waiting_commits_and_reads_are_refused(store: SqliteStore, tmp_path: Path) -> None:
    locker = Locker(tmp_path)
    refused: list[str] = []

    async def call(number: int) -> None:
        try:
            await store.commit([PutUser(str(number), number)])
        except StorageError as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(call, number)
    locker.release()

    assert 3 == len([text for text in refused if "3 commits wait already" in text])

    refused.clear()

    async def read(number: int) -> None:
        try:
            await store.find_user(str(number))
        except StorageError as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(read, number)

    assert 3 == len([text for text in refused if "3 reads wait already" in text])


async def test_closing_finishes_the_commits_that_wait_even_when_cancelled(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path, lock_wait_s=10.0)
    locker = Locker(tmp_path)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(store.commit, [PutApp(app(f"{number:02}"))])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(trio.to_thread.run_sync, locker.release)
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.aclose()

    assert [FILE_NAME] == os.listdir(tmp_path)  # the last one to close takes the log away
    again = await open_sqlite(tmp_path)
    assert [f"{number:02}" for number in range(20)] == [
        document.package_name for document in await again.list_apps()
    ]
    await again.aclose()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"these bytes are not a database" * 100)

    with pytest.raises(StorageError, match="not a database file") as raised:
        await open_sqlite(tmp_path)

    assert 60.0 == raised.value.retry_after_s


async def test_a_damaged_file_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path)
    await store.commit([PutApp(app(f"{number:04}", description="d" * 2000)) for number in range(100)])
    await store.aclose()
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(os.fstat(file.fileno()).st_size - 4096))

    async def list_apps() -> None:
        again = await open_sqlite(tmp_path)
        try:
            await again.list_apps()
        finally:
            await again.aclose()

    with pytest.raises(StorageError, match="damaged") as raised:
        await list_apps()

    assert 60.0 == raised.value.retry_after_s


async def test_an_unreadable_document_is_named(store: SqliteStore, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        connection.execute("INSERT INTO apps VALUES ('a', '{\"package_name\": 5}')")
        connection.execute("INSERT INTO users VALUES ('ada@example.org', 1, 'x')")
    connection.close()

    with pytest.raises(StorageError, match="the document of app 'a' is unreadable"):
        await store.find_app("a")
    with pytest.raises(StorageError, match="the document of app 'a' is unreadable"):
        await store.list_apps()
    with pytest.raises(StorageError, match=r"the document of user 'ada@example.org' is unreadable"):
        await store.find_user("ada@example.org")
