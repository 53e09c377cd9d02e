"""`glasshouse bench store`: what a store under write load does to the relay beside it, and how fast it is.

In one process, as in a server: 20 frames of 1,000 bytes every 5 ms, each sent and received twice over
loopback, and beside them commits of documents and snapshots of fifty sessions a second. In turns, within
one run: no store, SQLite, MongoDB as the server has it (in a process of its own), and MongoDB asked by
threads of this process, which is how it would be without. This process has one core, the worker another; keep
MongoDB off the first one. A burst in which the kernel gave the core to somebody else says nothing of a store
and is left out of `own`.

    glasshouse bench store --uri mongodb://127.0.0.1:27017/
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from actors.document_ports import PutDocument
from actors.ports import Claim, SnapshotToSave, StorageError, Store
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.storage import open_sqlite
from adapters.storage.mongodb import MongoSettings, MongoStore, wire
from bench import engine, report

if TYPE_CHECKING:
    from adapters.storage.mongodb.database import MongoDatabase

FRAME: Final = bytes(1000)
FRAMES: Final = 20
EVERY_S: Final = 0.005
SESSIONS: Final = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench store", description=__doc__.splitlines()[0])
    parser.add_argument("--uri", default="", help="a MongoDB to measure; without it SQLite alone")
    parser.add_argument("--commits", type=float, default=50.0, help="commits a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--runs", type=int, default=3, help="rounds through all stores")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for the JSON")
    options = parser.parse_args()
    all_cores = os.sched_getaffinity(0)
    engine.pin(0)
    others = all_cores - os.sched_getaffinity(0) or all_cores
    rows: list[dict[str, Any]] = []
    for run in range(1, options.runs + 1):
        for name, opened in _stores(options.uri, others):
            row = {"store": name, "run": run, **trio.run(_measure, opened, options.commits, options.seconds)}
            rows.append(row)
            print(report.table([row]), flush=True)
    print(
        "\nrelay: one burst of 20 frames in ms, own: of those that nobody interrupted; cpu: of this process,"
    )
    print("ms a second; commit: until it is durable, in ms; failed: commits")
    print(report.table(rows))
    print("kept in", report.write_json("store", {"rows": rows}, options.out))


def _stores(uri: str, others: set[int]) -> list[tuple[str, Callable[[], Any]]]:
    stores: list[tuple[str, Callable[[], Any]]] = [("none", _no_store), ("sqlite", _sqlite)]
    if uri:
        stores += [("mongodb", lambda: _mongodb(uri, others)), ("in threads", lambda: _in_threads(uri))]
    return stores


async def _measure(opened: Callable[[], Any], commits: float, seconds: float) -> dict[str, Any]:
    bursts: list[float] = []
    own: list[float] = []
    writes: list[float] = []
    failed = [0]
    async with opened() as commit, trio.open_nursery() as nursery:
        gc.collect()
        if commit is not None:
            nursery.start_soon(_write, commit, commits, writes, failed)
        await trio.sleep(1.0)
        writes.clear()
        before_s = time.process_time()
        await _relay(seconds, bursts, own)
        worked_s = time.process_time() - before_s
        nursery.cancel_scope.cancel()
    return {
        "relay p50": report.percentile(bursts, 50) * 1000,
        "relay p99": report.percentile(bursts, 99) * 1000,
        "own p99": report.percentile(own, 99) * 1000,
        "own max": max(own) * 1000,
        "cpu": worked_s / seconds * 1000,
        "commits": len(writes),
        "commit p50": report.percentile(writes, 50) * 1000 if writes else 0.0,
        "commit p99": report.percentile(writes, 99) * 1000 if writes else 0.0,
        "failed": failed[0],
    }


async def _relay(seconds: float, bursts: list[float], own: list[float]) -> None:
    """Each frame is read from one socket and written to another, as from a phone to an app."""
    phone, in_ = socket.socketpair()
    out, app = socket.socketpair()
    with phone, in_, out, app:
        for one in (phone, in_, out, app):
            one.setblocking(False)
        due = trio.current_time()
        end = due + seconds
        while due < end:
            began, taken = time.perf_counter(), _times_taken()
            for _ in range(FRAMES):
                phone.send(FRAME)
                out.send(in_.recv(2048))
                app.recv(2048)
            took_s = time.perf_counter() - began
            bursts.append(took_s)
            if _times_taken() == taken:
                own.append(took_s)
            due += EVERY_S
            await trio.sleep_until(due)


def _times_taken() -> int:
    """How often the kernel has taken the core from this thread."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


Writing = Callable[[int], Awaitable[None]]


async def _write(write: Writing, rate: float, took: list[float], failed: list[int]) -> None:
    """Begin one write every 1 / rate seconds, whether those before it are done or not."""

    async def one(number: int) -> None:
        began = time.perf_counter()
        try:
            await write(number)
        except StorageError:
            failed[0] += 1
        else:
            took.append(time.perf_counter() - began)

    due = trio.current_time()
    async with trio.open_nursery() as nursery:
        number = 0
        while True:
            number += 1
            nursery.start_soon(one, number)
            due += 1 / rate
            await trio.sleep_until(due)


@asynccontextmanager
async def _no_store() -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def _sqlite() -> AsyncIterator[Writing]:
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        store = await open_sqlite(Path(folder))
        async with _load(store) as write:
            yield write
        await store.aclose()


@asynccontextmanager
async def _mongodb(uri: str, others: set[int]) -> AsyncIterator[Writing]:
    settings = MongoSettings(database=f"bench-{secrets.token_hex(4)}")
    store = MongoStore(uri, settings, RecordingTelemetry())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        await store.ready()
        assert store.process.pid is not None
        os.sched_setaffinity(store.process.pid, others)
        async with _load(store) as write:
            yield write
        await store.aclose()


@asynccontextmanager
async def _load(store: Store | _Threads) -> AsyncIterator[Writing]:
    """Snapshots of all sessions once a second; yields what commits one document."""
    users = [f"user{number}@example.org" for number in range(SESSIONS)]
    epochs = {user: (await store.claim_user(user)).epoch for user in users}

    async def save() -> None:
        while True:
            with contextlib.suppress(StorageError):  # too slow a server: the commits' figures say so
                await store.save_snapshots(
                    [SnapshotToSave(user, epochs[user], bytes(2000)) for user in users]
                )
            await trio.sleep(1.0)

    async def write(number: int) -> None:
        await store.commit([_document(number)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(save)
        yield write
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _in_threads(uri: str) -> AsyncIterator[Writing]:
    """What the server does not do: pymongo in its own threads."""
    from adapters.storage.mongodb.database import open_database

    configure = wire.Configure(uri=uri, database=f"bench-{secrets.token_hex(4)}", attempt_s=2.0, start_s=20.0)
    database = await trio.to_thread.run_sync(open_database, configure, time.monotonic() + 20)
    try:
        async with _load(_Threads(database)) as write:
            yield write
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(database.close)


class _Threads:
    """The calls of a store that this bench makes, each in a thread of this process."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._commits = trio.CapacityLimiter(1)
        self._snapshots = trio.CapacityLimiter(1)

    async def commit(self, changes: Sequence[PutDocument]) -> None:
        await trio.to_thread.run_sync(self._database.commit, [changes], _soon(), limiter=self._commits)

    async def claim_user(self, user_id: str) -> Claim:
        claimed: Any = await self._write(wire.ClaimUser(user_id))
        return Claim(*claimed)

    async def save_snapshots(self, snapshots: Sequence[SnapshotToSave]) -> object:
        return await self._write(wire.SaveSnapshots(tuple(snapshots)))

    async def _write(self, request: wire.SnapshotWrite) -> object:
        return await trio.to_thread.run_sync(self._database.write, request, _soon(), limiter=self._snapshots)


def _soon() -> float:
    return time.monotonic() + 5


def _document(number: int) -> PutDocument:
    return PutDocument(
        collection="tasks",
        key=f"task{number % 200}",
        user_id=f"user{number % SESSIONS}@example.org",
        document=b'{"taskId":"task%d","goal":"%s"}' % (number % 200, b"x" * 900),
        updated_at_ms=number,
    )


if __name__ == "__main__":
    main()
