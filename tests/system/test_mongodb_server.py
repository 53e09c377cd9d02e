"""A server whose store is MongoDB: what `glasshouse serve` promises holds, and it says when it cannot."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import trio

from adapters.simulated.store import SimulatedStore
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.storage import FILE_NAME
from config.storage import MongoWatch
from tests.system.peers import RecordingApp, press_until_shown, wearer
from tests.system.server import PATIENCE_S, Server, descendants, eventually, is_alive, run, serving

ADA = "ada@example.org"
CAPTIONS = "org.example.captions"


def is_worker(process: int) -> bool:
    try:
        return b"adapters.storage.mongodb.worker" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def workers(server: Server) -> list[int]:
    return [process for process in descendants(server.process.pid) if is_worker(process)]


def settings_of(uri: str, database: str) -> tuple[str, ...]:
    return (
        "store=mongodb",
        f"mongodb_uri={uri}",
        f"mongodb.database={database}",
        "display.boot_screen_s=0.1",
    )


def variables(uri: str, database: str) -> dict[str, str]:
    return {
        "GLASSHOUSE_STORE": "mongodb",
        "GLASSHOUSE_MONGODB_URI": uri,
        "GLASSHOUSE_MONGODB_DATABASE": database,
    }


async def test_a_session_in_mongodb_outlives_its_server(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    async with (
        serving(tmp_path, *settings_of(mongodb_uri, database)) as server,
        trio.open_nursery() as nursery,
    ):
        captions = RecordingApp(CAPTIONS)
        await nursery.start(captions.run)
        words = ("app", "add", CAPTIONS, "--url", captions.url, "--api-key", "key", "--permission", "ALL")
        added = await trio.to_thread.run_sync(
            lambda: run(server.data, *words, **variables(mongodb_uri, database))
        )
        assert 0 == added.returncode, added.stderr
        async with wearer(server, ADA) as phone:
            await phone.start_app(CAPTIONS)
            await press_until_shown(phone, "before")
            killed = server.child
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda: is_alive(server.child) and server.child != killed)
            back = await phone.wait_for(
                lambda glasses: glasses.is_connected and {CAPTIONS} == set(glasses.running_apps),
                timeout_s=PATIENCE_S,
            )
            await press_until_shown(phone, "after")
        left = workers(server)
        nursery.cancel_scope.cancel()

    assert back
    assert 1 == len(left)
    assert [] == [process for process in left if is_alive(process)]
    assert not (server.data / FILE_NAME).exists()


def test_a_server_whose_mongodb_is_not_there_does_not_begin_and_shows_no_password(tmp_path: Path) -> None:
    uri = "mongodb://ada:hunter2@127.0.0.1:9/"

    ended = run(
        tmp_path,
        "serve",
        *("--port", "0", "--set", "mongodb.start_s=0.5", "--set", "mongodb.attempt_s=0.2"),
        **variables(uri, "nobody"),
    )

    assert 1 == ended.returncode
    assert "MongoDB does not answer" in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout


async def test_a_store_that_is_away_is_said_once_and_its_return_too() -> None:
    telemetry = RecordingTelemetry()
    store = SimulatedStore(random.Random(1))
    watch = MongoWatch(store, telemetry)

    await watch.look()
    well = watch.health()
    store.outage = "MongoDB does not answer"
    await watch.look()
    await watch.look()
    away = watch.health()
    store.outage = None
    await watch.look()

    assert {} == well == watch.health()
    assert {"status": "store_away", "problem": "MongoDB does not answer"} == away
    assert (1, 1) == (telemetry.counters()["store_away"], telemetry.counters()["store_back"])
