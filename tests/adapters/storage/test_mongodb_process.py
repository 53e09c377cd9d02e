"""The process that asks MongoDB: what its death, its silence and its nonsense mean for those who ask."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
import trio.testing

from actors.ports import PutUser, SnapshotToSave, StorageError
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.storage.mongodb import MongoSettings, MongoStore, wire
from adapters.storage.mongodb.process import WorkerProcess
from tests.adapters.storage.mongodb_stores import launch_thread

NOBODY = "mongodb://127.0.0.1:9/"  # the port of `discard`, where nobody listens

# A process that speaks the pipes; what it does with calls is the script behind it.
PLAYED = """
import os, sys
from adapters.storage.mongodb import wire
reader = wire.MessageReader()
def messages():
    while chunk := os.read(0, 65536):
        yield from map(wire.to_worker, reader.feed(chunk))
def say(message):
    os.write(1, wire.pack(message))
incoming = messages()
next(incoming)
"""
READY = "say(wire.Ready('7.0', True))\n"


def played(script: str) -> Callable[[], Awaitable[WorkerProcess]]:
    """Launches a process that speaks the pipes as `script` says."""

    async def launch() -> WorkerProcess:
        return await trio.lowlevel.open_process(
            (sys.executable, "-c", PLAYED + script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

    return launch


@asynccontextmanager
async def running(store: MongoStore) -> AsyncIterator[MongoStore]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        yield store
        await store.aclose()


def made(script: str, telemetry: RecordingTelemetry, **settings: float) -> MongoStore:
    limits = msgspec.structs.replace(MongoSettings(call_s=5.0, restart_first_s=0.01), **settings)
    return MongoStore(NOBODY, limits, telemetry, launch=played(script))


async def test_a_real_process_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(
    mongodb_uri: str, database: str, telemetry: RecordingTelemetry
) -> None:
    store = MongoStore(mongodb_uri, MongoSettings(database=database, call_s=30.0), telemetry)

    async with running(store):
        await store.ready()
        first = store.process.pid
        assert first is not None
        await store.commit([PutUser("ada@example.org", 1)])
        os.kill(first, signal.SIGINT)  # Ctrl-C is the server's: it reaches the whole group
        await store.commit([PutUser("ben@example.org", 2)])
        assert first == store.process.pid
        os.kill(first, signal.SIGKILL)
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(store.commit, [PutUser(f"{number}@example.org", number)])
        second = store.process.pid
        users = [await store.find_user(f"{name}@example.org") for name in ("ada", "ben", *range(20))]

    assert second not in (None, first)
    assert 1 == store.process.restarts
    assert None not in users
    assert store.process.pid is None
    assert telemetry.counters()["store_process_died"] == 1


async def test_a_database_that_is_not_there_is_said_before_anybody_asks(
    telemetry: RecordingTelemetry,
) -> None:
    settings = MongoSettings(attempt_s=0.1, start_s=0.3, restart_first_s=60)
    store = MongoStore(NOBODY, settings, telemetry, launch=launch_thread)

    async with running(store):
        with pytest.raises(StorageError, match="MongoDB does not answer"):
            await store.ready()
        with pytest.raises(StorageError, match="MongoDB does not answer"):
            await store.find_user("ada@example.org")


async def test_a_call_that_two_processes_die_of_is_an_error_and_the_next_one_is_not(
    telemetry: RecordingTelemetry,
) -> None:
    dies = "for call in incoming:\n    if call.request.user_id == 'bad': os._exit(3)\n"
    dies += "    say(wire.Answer(call.number, wire.value(None)))\n"
    store = made(READY + dies, telemetry)

    async with running(store):
        with pytest.raises(StorageError, match="died of it: it ended with status 3"):
            await store.find_user("bad")
        found = await store.find_user("good")

    assert found is None
    assert 2 == store.process.restarts


async def test_a_process_that_does_not_answer_is_an_error_in_time(telemetry: RecordingTelemetry) -> None:
    store = made(READY + "for call in incoming: pass\n", telemetry, call_s=0.2)

    async with running(store):
        await store.ready()
        with pytest.raises(StorageError, match="did not answer within"), trio.fail_after(5):
            await store.find_user("ada")


async def test_a_process_that_writes_nonsense_is_replaced(telemetry: RecordingTelemetry) -> None:
    nonsense = "for call in incoming: os.write(1, b'\\xff' * 100)\n"
    store = made(READY + nonsense, telemetry)

    async with running(store):
        with pytest.raises(StorageError, match="nonsense"):
            await store.find_user("ada")


async def test_a_process_that_never_gets_ready_is_killed(telemetry: RecordingTelemetry) -> None:
    store = made("for call in incoming: pass\n", telemetry, start_s=0.1, restart_first_s=60)

    async with running(store):
        with pytest.raises(StorageError, match="not ready within"):
            await store.ready()


async def test_too_many_calls_at_once_are_refused(telemetry: RecordingTelemetry) -> None:
    store = made(READY + "for call in incoming: pass\n", telemetry, most_waiting=1, call_s=1.0)

    async with running(store), trio.open_nursery() as nursery:
        await store.ready()

        async def ask() -> None:
            with pytest.raises(StorageError, match="did not answer"):
                await store.find_user("ada")

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(StorageError, match="1 calls wait"):
            await store.find_user("ben")


async def test_an_answer_of_many_megabytes_arrives_whole(telemetry: RecordingTelemetry) -> None:
    echo = "for call in incoming: say(wire.Answer(call.number, wire.value(call.request.snapshots)))\n"
    store = made(READY + echo, telemetry)
    body = os.urandom(3_000_000)

    async with running(store):
        stored = await store.process.ask(
            wire.SaveSnapshots((SnapshotToSave("ada", 1, body),)), tuple[SnapshotToSave, ...]
        )

    assert (SnapshotToSave("ada", 1, body),) == stored
