"""MongoDB stores for tests, their worker in a thread of the test's process: no test waits for a Python."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import trio

from adapters.simulated.telemetry import RecordingTelemetry
from adapters.storage.mongodb import MongoSettings, MongoStore
from adapters.storage.mongodb.process import WorkerProcess
from adapters.storage.mongodb.worker import Answers, serve
from tests.adapters.storage.conformance import Opener


class WorkerInThread:
    """`WorkerProcess` in a thread, behind real pipes. Killed, it is deaf and mute from then on."""

    pid = 0

    def __init__(self) -> None:
        requests, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        self.stdin: trio.abc.SendStream | None = trio.lowlevel.FdStream(to_worker)
        self.stdout: trio.abc.ReceiveStream | None = trio.lowlevel.FdStream(from_worker)
        self.returncode: int | None = None
        self._ended = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        threading.Thread(target=self._serve, args=(requests, answers), daemon=True).start()

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    def kill(self) -> None:
        self._end()

    def _serve(self, requests: int, answers: int) -> None:
        try:
            serve(requests, Answers(answers))
        finally:
            os.close(requests)
            os.close(answers)
            with contextlib.suppress(trio.RunFinishedError):  # the test was over first
                self._token.run_sync_soon(self._end)

    def _end(self) -> None:
        self.returncode = 0
        self._ended.set()


async def launch_thread() -> WorkerProcess:
    return WorkerInThread()


@asynccontextmanager
async def store_opener(
    uri: str,
    database: str,
    telemetry: RecordingTelemetry,
    *,
    key: str = "",
    former_keys: tuple[str, ...] = (),
    **limits: float,
) -> AsyncIterator[Opener]:
    """Opens stores on one database, each with its own worker."""
    settings = msgspec.structs.replace(MongoSettings(), database=database, **limits)
    async with trio.open_nursery() as nursery:

        async def opener() -> MongoStore:
            store = MongoStore(
                uri, settings, telemetry, key=key, former_keys=former_keys, launch=launch_thread
            )
            nursery.start_soon(store.run)
            await store.ready()
            return store

        yield opener
        nursery.cancel_scope.cancel()
