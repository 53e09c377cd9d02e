"""`glasshouse serve` and the commands beside it, as processes on one data directory."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def _environment(data: Path) -> dict[str, str]:
    # The checkout is on the path by ./run; this names it for any other environment too.
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(data.parent),
        "GLASSHOUSE_DATA": str(data),
        "PYTHONPATH": str(ROOT),
    }


def _words(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "config.cli", *words]


def _run(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _words(*words), env=_environment(data), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A server on a free port; its first line says which."""
    with subprocess.Popen(
        _words("serve", "--port", "0"),
        env=_environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], 60)
    assert readable, "the server said nothing for a minute"
    return process.stdout.readline()


def test_server_says_where_it_listens_shows_its_tree_and_ends_in_order(
    server: subprocess.Popen[str], data: Path
) -> None:
    line = _first_line(server)
    tree = _run(data, "tree")
    server.send_signal(signal.SIGTERM)
    status = server.wait(timeout=30)

    assert line.startswith("listening on http://127.0.0.1:")
    assert not line.endswith(":0\n")
    for actor in ("journal", "directory", "users", "listener"):
        assert f"── {actor}" in tree.stdout, tree.stderr
    assert status == 0
    assert not (data / "server.json").exists()


def test_commands_work_while_a_server_runs_and_after_it(server: subprocess.Popen[str], data: Path) -> None:
    _first_line(server)

    added = _run(data, "app", "add", "org.example.hello", "--url", "http://127.0.0.1:1")
    server.terminate()
    server.wait(timeout=30)
    listed = _run(data, "app", "list")

    assert added.returncode == 0, added.stderr
    assert "org.example.hello" in listed.stdout


def test_wrong_setting_ends_serve_with_its_name_and_source(data: Path) -> None:
    done = _run(data, "serve", "--port", "http")

    assert done.returncode == 78
    assert "wrong setting: port (from command line)" in done.stderr
    assert not data.exists()


def test_second_server_on_the_same_data_is_refused_with_the_reason(
    server: subprocess.Popen[str], data: Path
) -> None:
    _first_line(server)

    done = _run(data, "serve", "--port", "0", "--set", "keeper.predecessor_s=0.1")

    assert done.returncode == 1
    assert "is in use by" in done.stderr


def test_store_that_cannot_be_opened_ends_serve_with_one_sentence(data: Path) -> None:
    data.mkdir()
    (data / "glasshouse.sqlite3").write_bytes(b"no database at all, but long enough to be looked at" * 40)

    done = _run(data, "serve", "--port", "0")

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert done.stderr.startswith(f"glasshouse serve: {data / 'glasshouse.sqlite3'}: this is not a database")


def test_settings_worth_a_word_are_in_the_log(data: Path, tmp_path: Path) -> None:
    environment = _environment(data) | {"MONGODB_URI": "mongodb://ada:hunter2@db", "GLASSHOUSE_PROT": "1"}
    with (
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(
            _words("serve", "--port", "0"),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            _first_line(process)
        finally:
            process.terminate()
            process.wait(timeout=30)
        log.seek(0)
        said = log.read()

    assert "mongodb_uri is set but does nothing: store is sqlite" in said
    assert "GLASSHOUSE_PROT is no setting; did you mean GLASSHOUSE_PORT?" in said
    assert "hunter2" not in said
