"""The store that the settings ask for, opened and closed: for the server and for commands alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from actors.ports import StorageError, Store, Telemetry
from adapters.storage import Seal, open_sqlite
from adapters.storage.mongodb import MongoStore
from config.data_directory import make_data_directory
from config.data_watch import DataWatch
from config.settings import Settings

CLOSE_STORE_S = 8.0
"""What is being written may take as long as a call to MongoDB takes (`mongodb.call_s`)."""


ASK_EVERY_S = 5.0


class Watch(Protocol):
    """Whether the store is where it was."""

    def health(self) -> Mapping[str, object]:
        """What `GET /health` says of it: nothing while all is well."""

    async def run(self) -> None:
        """Look until cancelled."""


class MongoWatch:
    """Whether MongoDB answers: it is asked for something small now and then.

    Attributes:
      problem: what it said the last time; empty when it answered.
    """

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self.problem = ""
        self._store = store
        self._telemetry = telemetry

    def health(self) -> Mapping[str, object]:
        return {"status": "store_away", "problem": self.problem} if self.problem else {}

    async def run(self) -> None:
        while True:
            await trio.sleep(ASK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Ask now; a change is told in the log."""
        was_well = not self.problem
        try:
            await self._store.find_app("")
        except StorageError as error:
            self.problem = str(error)
            if was_well:
                self._telemetry.error("store_away", cause=self.problem)
            return
        self.problem = ""
        if not was_well:
            self._telemetry.warning("store_back")


def watch_of(settings: Settings, store: Store, telemetry: Telemetry) -> Watch:
    """What watches over the store that `open_store` opened."""
    if isinstance(store, MongoStore):
        return MongoWatch(store, telemetry)
    return DataWatch(settings.data, telemetry)


@asynccontextmanager
async def open_store(
    settings: Settings, telemetry: Telemetry, *, reseals: bool = True
) -> AsyncIterator[Store]:
    """The store, closed on the way out.

    Args:
      reseals: what SQLite's file holds under a former key is sealed anew. MongoDB's is by a command alone.

    Raises:
      StorageError: it cannot be opened.
      DataDirectoryError: the data directory cannot be made.
    """
    if settings.store == "mongodb":
        async with _open_mongodb(settings, telemetry) as opened:
            yield opened
        return
    seal = Seal(settings.storage_key, settings.former_storage_keys) if reseals else None
    store = await open_sqlite(make_data_directory(settings), seal=seal)
    try:
        yield store
    finally:
        await _close(store)


@asynccontextmanager
async def _open_mongodb(settings: Settings, telemetry: Telemetry) -> AsyncIterator[Store]:
    store = MongoStore(
        settings.mongodb_uri,
        settings.mongodb,
        telemetry,
        key=settings.storage_key,
        former_keys=settings.former_storage_keys,
    )
    trouble: StorageError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        try:
            await store.ready()
        except StorageError as error:
            trouble = error
        else:
            try:
                yield store
            finally:
                await _close(store)
        nursery.cancel_scope.cancel()
    if trouble is not None:
        raise trouble


async def _close(store: Store) -> None:
    with trio.move_on_after(CLOSE_STORE_S, shield=True):
        await store.aclose()
