"""The store beside other processes, and on disks that refuse: each fault is a real one."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from actors.ports import PutUser
from adapters.storage import FILE_NAME, open_sqlite

ROOT = Path(__file__).parents[3]

FILL = """
import sys, trio
from pathlib import Path
from actors.ports import AppDocument, PutApp, StorageError
from adapters.storage import open_sqlite

async def main(folder: Path) -> None:
    store = await open_sqlite(folder)
    document = dict(public_url="http://127.0.0.1:1", hashed_api_key="", name="n", description="d" * 20_000)
    kept = 0
    try:
        for kept in range(1000):
            await store.commit([PutApp(AppDocument(package_name=f"{kept:04}", **document))])
    except StorageError as error:
        print("refused:", error, error.retry_after_s)
    print("listed all:", kept == len(await store.list_apps()))
    for path in sys.argv[2:]:
        Path(path).unlink()
    if sys.argv[2:]:
        await store.commit([PutApp(AppDocument(package_name="later", **document))])
        print("went on:", await store.find_app("later") is not None)
    await store.aclose()

trio.run(main, Path(sys.argv[1]))
"""

OPEN_AS_NOBODY = """
import os, sys, trio
from pathlib import Path
from actors.ports import PutUser, StorageError
from adapters.storage import open_sqlite

async def main(folder: Path) -> None:
    await trio.to_thread.run_sync(int)  # whatever is imported late is imported before the rights go
    if os.getuid() == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    try:
        store = await open_sqlite(folder)
        await store.commit([PutUser("eve@example.org", 1)])
    except StorageError as error:
        print("refused:", error, error.retry_after_s)

trio.run(main, Path(sys.argv[1]))
"""

COUNT_UP = """
import sys, trio
from pathlib import Path
from actors.ports import PutUser
from adapters.storage import open_sqlite

async def main(folder: Path, name: str) -> None:
    store = await open_sqlite(folder)
    for number in range(30):
        await store.commit([PutUser(f"{name}-{number}", number)])
    await store.aclose()

trio.run(main, Path(sys.argv[1]), sys.argv[2])
"""

KILL_ITSELF = """
import os, sys, trio
from pathlib import Path
from actors.ports import SetRunningApps
from adapters.storage import open_sqlite

async def main(folder: Path) -> None:
    store = await open_sqlite(folder)
    await store.commit([SetRunningApps("ada@example.org", ("a",))])
    os.kill(os.getpid(), 9)

trio.run(main, Path(sys.argv[1]))
"""


def run(
    script: str, *words: str | Path, before: tuple[str, ...] = (), limit: Callable[[], None] | None = None
) -> str:
    """What `script` prints in a process of its own."""
    command = [*before, sys.executable, "-W", "error", "-c", script, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, preexec_fn=limit)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def may_mount() -> bool:
    """Whether this user can mount a small disk in a namespace of its own."""
    try:
        done = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "t", "/mnt"], capture_output=True, timeout=10
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def test_a_disk_that_takes_no_more_is_an_error_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    printed = run(FILL, tmp_path, limit=limit)

    assert "refused:" in printed
    assert "the disk refused to read or write" in printed
    assert "listed all: True" in printed


@pytest.mark.skipif(not may_mount(), reason="needs the right to mount a small disk (unshare -rm)")
def test_a_full_disk_is_named_and_the_store_goes_on_when_there_is_room(tmp_path: Path) -> None:
    mounted = 'mount -t tmpfs -o size=2m t "$0" && head -c 500000 /dev/zero > "$0/ballast" && exec "$@"'

    printed = run(
        FILL, tmp_path, tmp_path / "ballast", before=("unshare", "-rm", "sh", "-c", mounted, str(tmp_path))
    )

    assert "the disk is full; free some space (SQLITE_FULL" in printed
    assert "10.0\n" in printed
    assert "listed all: True" in printed
    assert "went on: True" in printed


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "expected"),
    [
        (0o755, 0o444, "read-only"),
        (0o700, 0o666, "Permission denied"),
        (0o777, 0o000, "cannot be opened"),
    ],
)
def test_a_file_one_may_not_write_is_named(folder_mode: int, file_mode: int, expected: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to others
        folder = Path(name) / "data"
        Path(name).chmod(0o755)

        async def make() -> None:
            store = await open_sqlite(folder)
            await store.commit([PutUser("ada@example.org", 1)])
            await store.aclose()

        trio.run(make)
        (folder / FILE_NAME).chmod(file_mode)
        folder.chmod(folder_mode)
        printed = run(OPEN_AS_NOBODY, folder)
        folder.chmod(0o700)

    assert "refused:" in printed
    assert expected in printed
    assert printed.endswith("30.0\n")


def test_processes_that_open_a_fresh_file_at_once_and_write_lose_nothing(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", COUNT_UP, tmp_path / "data", name], cwd=ROOT)
        for name in "abcd"
    ]

    codes = [writer.wait(timeout=60) for writer in writers]

    async def missing() -> list[str]:
        store = await open_sqlite(tmp_path / "data")
        names = [f"{name}-{number}" for name in "abcd" for number in range(30)]
        missing = [name for name in names if await store.find_user(name) is None]
        await store.aclose()
        return missing

    assert [0, 0, 0, 0] == codes
    assert [] == trio.run(missing)


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-W", "error", "-c", KILL_ITSELF, tmp_path], cwd=ROOT, timeout=60
    )

    async def running() -> tuple[str, ...]:
        store = await open_sqlite(tmp_path)
        user = await store.find_user("ada@example.org")
        await store.aclose()
        return () if user is None else user.running_apps

    assert -9 == killed.returncode
    assert ("a",) == trio.run(running)
