"""A real server that speaks MongoDB's wire protocol, built and started by the tests themselves.

It is FerretDB 1.24 with its SQLite backend (tests/mongodb_server), compiled once by the machine's Go into a
cache of the user's, whatever checkout asks; `./run test` does that before the tests (`python -m
tests.mongodb`). Where there is no Go, or it cannot reach its modules, the tests that need the server are
skipped and say why. What FerretDB does otherwise than MongoDB is in docs/decisions/0013-mongodb-store.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import platformdirs

SOURCE: Final = Path(__file__).parent / "mongodb_server"
BUILD_S: Final = 480.0
"""A build takes 3 minutes of one core with an empty cache, and downloads 150 MB."""

FAILED_BUILD_KEPT_S: Final = 3600.0
START_S: Final = 20.0


class NoServerError(Exception):
    """The server cannot be had; the text says why."""


def built_server() -> Path:
    """The program, built if it is not there yet; others who want it meanwhile wait.

    Raises:
      NoServerError
    """
    folder = Path(platformdirs.user_cache_dir("glasshouse")) / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"mongodb-server-{_digest()}"
    failure = program.with_suffix(".failed")
    with (folder / "mongodb-server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program
        if failure.exists() and time.time() - failure.stat().st_mtime < FAILED_BUILD_KEPT_S:
            raise NoServerError(failure.read_text())
        try:
            _build(program)
        except NoServerError as error:
            failure.write_text(str(error))
            raise
    return program


@contextlib.contextmanager
def mongodb_server(folder: Path, address: str = "127.0.0.1:0") -> Iterator[str]:
    """A server over the documents in `folder`, and its URI; ended on the way out.

    Raises:
      NoServerError
    """
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [built_server(), folder, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            uri = process.stdout.readline().strip()
            assert uri.startswith("mongodb://"), f"the server said {uri!r}"
            yield uri
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _digest() -> str:
    names = ("go.mod", "go.sum", "main.go")
    return hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in names)).hexdigest()[:16]


def _build(program: Path) -> None:
    if shutil.which("go") is None:
        raise NoServerError(
            "there is no Go to build FerretDB with (https://go.dev, or your system's package)"
        )
    draft = program.with_suffix(f".{os.getpid()}")
    command = [
        "go",
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-tags=ferretdb_no_postgresql",
        "-ldflags=-s -w",
    ]
    process = subprocess.Popen(
        ["nice", "-n", "10", *command, "-o", str(draft), "."],
        cwd=SOURCE,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=BUILD_S)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise NoServerError(f"FerretDB was not built within {BUILD_S:g} s") from error
    if process.returncode:
        raise NoServerError(f"FerretDB could not be built: {said.strip().splitlines()[-1:]}")
    draft.replace(program)


def main() -> None:
    try:
        began = time.monotonic()
        built_server()
        print(
            f"run: the MongoDB server of the tests is there ({time.monotonic() - began:.0f} s)",
            file=sys.stderr,
        )
    except NoServerError as error:
        print(f"run: {error}: the tests of MongoDB with a real server are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
