"""`glasshouse data`: a backup of the whole store, its way back, and the values in it under another key."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from actors.ports import StorageError
from adapters.listener.lock import lock_holder, take_data_lock
from adapters.storage import Seal
from adapters.storage.archive import ArchiveError, NotEmptyError, Record, lines_of, records_of
from adapters.storage.sqlite_archive import dump_sqlite, load_sqlite, reseal_sqlite
from config.cli.options import Failed, as_flags, data_option, file_option, load_settings, set_option
from config.settings import Settings

if TYPE_CHECKING:
    from adapters.storage.mongodb.database import MongoDatabase

_OPEN_S = 15.0


@click.group()
def data() -> None:
    """Back the store up, bring it back, move it to MongoDB or from it, and change its key.

    It works on the store that the settings name: the file in the data directory, or MongoDB.
    """


@data.command()
@click.argument("target", type=click.Path(dir_okay=False), default="-")
@data_option
@file_option
@set_option
def export(target: str, data: str | None, settings_file: str | None, assignments: tuple[str, ...]) -> None:
    """Write the whole store to TARGET as JSON lines; without one, to standard output.

    With the server up or down. SQLite's is one moment of it; of MongoDB the collections follow each other, so
    what servers write meanwhile may be in it or not: stop them for a backup of one moment. What is encrypted
    stays so: keep the storage key, without it a backup is not whole.
    """
    settings = load_settings(as_flags(assignments, data=data), settings_file).settings
    with _failing_well():
        if target == "-":
            count = _write(sys.stdout.buffer, _dump(settings), settings)
        else:
            count = _export_to(Path(target), settings)
    click.echo(f"exported {count} records from {_name(settings)}", err=True)


@data.command("import")
@click.argument("source", type=click.Path(dir_okay=False), default="-")
@click.option(
    "--replace", is_flag=True, help="Remove first what the store holds. Otherwise it has to be empty."
)
@data_option
@file_option
@set_option
def import_(
    source: str,
    replace: bool,
    data: str | None,
    settings_file: str | None,
    assignments: tuple[str, ...],
) -> None:
    """Put what `export` wrote into the store, whichever it came from. The server has to be stopped.

    Into SQLite all of it comes or nothing. Into MongoDB it comes in pieces: after an error import again with
    --replace. Stop every server that works on that database: this command sees those of its data directory.
    """
    settings = load_settings(as_flags(assignments, data=data), settings_file).settings
    with _failing_well(), _server_stopped(settings), click.open_file(source, "rb") as file:
        records = records_of(file)
        if settings.store == "mongodb":
            from adapters.storage.mongodb.archive import load_mongodb

            with _mongodb(settings) as database:
                count = load_mongodb(database, records, replaces=replace)
        else:
            count = load_sqlite(Path(settings.data), records, replaces=replace)
    click.echo(f"imported {count} records into {_name(settings)}")


@data.command()
@data_option
@file_option
@set_option
def reseal(data: str | None, settings_file: str | None, assignments: tuple[str, ...]) -> None:
    """Encrypt what lies under a former key with the storage key; without one, leave it plain.

    Of SQLite's file with the server stopped; a start does the same. Of MongoDB while servers run, once all of
    them have the new key as `storage_key` and the old one in `former_storage_keys`. Afterwards the old one is
    needed for older backups alone.
    """
    settings = load_settings(as_flags(assignments, data=data), settings_file).settings
    seal = Seal(settings.storage_key, settings.former_storage_keys)
    with _failing_well():
        if settings.store == "mongodb":
            from adapters.storage.mongodb.archive import reseal_mongodb

            with _mongodb(settings) as database:
                count = reseal_mongodb(database, seal)
        else:
            with _server_stopped(settings):
                count = reseal_sqlite(Path(settings.data), seal)
    how = f"under the key {seal.current.hex()}" if seal.current else "plain"
    click.echo(f"{count} values of {_name(settings)} were under another key; all that open are {how} now")


def _export_to(target: Path, settings: Settings) -> int:
    """Write the file beside its place first: one that was cut off never stands there."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            count = _write(file, _dump(settings), settings)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return count


def _write(file: IO[bytes], records: Iterable[Record], settings: Settings) -> int:
    count = -2  # the head and the tail
    for line in lines_of(records, settings.store):
        file.write(line)
        count += 1
    file.flush()
    return count


def _dump(settings: Settings) -> Iterator[Record]:
    if settings.store == "sqlite":
        yield from dump_sqlite(Path(settings.data))
        return
    from adapters.storage.mongodb.archive import dump_mongodb

    with _mongodb(settings) as database:
        yield from dump_mongodb(database)


@contextlib.contextmanager
def _mongodb(settings: Settings) -> Iterator[MongoDatabase]:
    # pymongo is imported by the commands that need it, and by no server (the import contract sees to that).
    from adapters.storage.mongodb.database import open_database
    from adapters.storage.mongodb.wire import Configure

    configure = Configure(
        uri=settings.mongodb_uri,
        database=settings.mongodb.database,
        attempt_s=settings.mongodb.start_s,
        start_s=settings.mongodb.start_s,
        key=settings.storage_key,
        former_keys=settings.former_storage_keys,
    )
    database = open_database(configure, time.monotonic() + _OPEN_S)
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def _server_stopped(settings: Settings) -> Iterator[None]:
    """Keep servers of the data directory out meanwhile."""
    lock = take_data_lock(settings.data)
    if lock is None:
        holder = lock_holder(settings.data)
        raise Failed(
            f"process {holder} serves {settings.data}: stop it first, it would go on with what it knows"
        )
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _failing_well() -> Iterator[None]:
    try:
        yield
    except NotEmptyError as error:
        raise Failed(f"{error}; --replace removes that first") from error
    except (StorageError, ArchiveError, OSError) as error:
        raise Failed(str(error)) from error


def _name(settings: Settings) -> str:
    return f"MongoDB, database {settings.mongodb.database}" if settings.store == "mongodb" else settings.data
