"""What commands do with the store: the server's, opened for as long as they need it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from actors.ports import StorageError, Store
from adapters.telemetry import LogTelemetry
from config.cli.options import Failed
from config.data_directory import DataDirectoryError
from config.settings import Settings
from config.storage import open_store

Answer = TypeVar("Answer")


def with_store(settings: Settings, work: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """Run `work` on the store that the settings name; SQLite's file is made when it is not there.

    Raises:
      Failed: the store cannot be opened, or does not do what it is asked.
    """

    async def run() -> Answer:
        failure: Exception | None = None
        # An exception that left the block would come out of MongoDB's nursery as a group.
        async with open_store(settings, LogTelemetry(sys.stderr, level="error"), reseals=False) as store:
            try:
                return await work(store)
            except Exception as error:
                failure = error
        raise failure

    try:
        return trio.run(run)
    except (StorageError, DataDirectoryError) as error:
        raise Failed(str(error)) from error
