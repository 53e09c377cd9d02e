"""`glasshouse data`: a backup that a person can make, bring back, and read under another key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from actors.ports import PutUser, SnapshotToSave
from adapters.listener.lock import take_data_lock
from adapters.storage import Seal, open_sqlite
from config.cli.data import data

OLD, NEW = "the old key with its thirty-two bytes", "the new key with its thirty-two bytes"


def glasshouse(*words: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(data, [str(word) for word in words], env=environment)


def fill(folder: Path, key: str = "") -> None:
    async def main() -> None:
        store = await open_sqlite(folder, seal=Seal(key))
        claim = await store.claim_user("ada")
        await store.commit([PutUser("ada", 5)])
        await store.save_snapshots([SnapshotToSave("ada", claim.epoch, b"lens")])
        await store.aclose()

    trio.run(main)


def snapshot(folder: Path, key: str = "") -> bytes | None:
    async def main() -> bytes | None:
        store = await open_sqlite(folder, seal=Seal(key))
        try:
            return (await store.claim_user("ada")).snapshot
        finally:
            await store.aclose()

    return trio.run(main)


def test_a_backup_is_brought_back_into_an_empty_folder(tmp_path: Path) -> None:
    fill(tmp_path / "first")

    out = glasshouse("export", tmp_path / "backup", "--data", tmp_path / "first")
    back = glasshouse("import", tmp_path / "backup", "--data", tmp_path / "second")

    assert (0, 0) == (out.exit_code, back.exit_code), out.output + back.output
    assert f"exported 2 records from {tmp_path / 'first'}" in out.output
    assert "imported 2 records" in back.output
    assert 0o600 == (tmp_path / "backup").stat().st_mode & 0o777
    assert b"lens" == snapshot(tmp_path / "second")


def test_a_store_is_exported_while_a_server_has_it_and_not_imported_into(tmp_path: Path) -> None:
    fill(tmp_path)
    lock = take_data_lock(str(tmp_path))
    assert lock is not None

    out = glasshouse("export", tmp_path / "backup", "--data", tmp_path)
    back = glasshouse("import", tmp_path / "backup", "--replace", "--data", tmp_path)
    os.close(lock)

    assert 0 == out.exit_code
    assert 1 == back.exit_code
    assert "stop it first" in back.output


def test_a_store_that_holds_something_is_replaced_only_when_told(tmp_path: Path) -> None:
    fill(tmp_path)
    glasshouse("export", tmp_path / "backup", "--data", tmp_path)

    refused = glasshouse("import", tmp_path / "backup", "--data", tmp_path)
    replaced = glasshouse("import", tmp_path / "backup", "--replace", "--data", tmp_path)

    assert 1 == refused.exit_code
    assert "--replace removes that first" in refused.output
    assert 0 == replaced.exit_code


def test_a_backup_that_was_cut_off_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "backup").write_bytes(
        b'{"type":"head","format":"glasshouse data","version":1,"store":"sqlite"}\n'
    )

    refused = glasshouse("import", tmp_path / "backup", "--data", tmp_path / "data")

    assert 1 == refused.exit_code
    assert "line 1: the end is missing" in refused.output


def test_a_backup_is_never_half_there(tmp_path: Path) -> None:
    (tmp_path / "backup").write_bytes(b"the one before")

    refused = glasshouse("export", tmp_path / "backup", "--data", tmp_path / "nothing")

    assert 1 == refused.exit_code
    assert "nothing was ever stored" in refused.output
    assert [b"the one before"] == [path.read_bytes() for path in tmp_path.iterdir()]


def test_values_come_under_another_key_by_a_command(tmp_path: Path) -> None:
    fill(tmp_path, OLD)
    keys = {"GLASSHOUSE_STORAGE_KEY": NEW, "GLASSHOUSE_FORMER_STORAGE_KEYS": OLD}

    done = glasshouse("reseal", "--data", tmp_path, **keys)
    again = glasshouse("reseal", "--data", tmp_path, **keys)

    assert 0 == done.exit_code, done.output
    assert "1 values" in done.output
    assert "0 values" in again.output
    assert b"lens" == snapshot(tmp_path, NEW)


def test_a_key_that_is_missing_is_named_and_nothing_changes(tmp_path: Path) -> None:
    fill(tmp_path, OLD)

    refused = glasshouse("reseal", "--data", tmp_path, GLASSHOUSE_STORAGE_KEY=NEW)

    assert 1 == refused.exit_code
    assert f"not configured: {Seal(OLD).current.hex()}" in refused.output
    assert b"lens" == snapshot(tmp_path, OLD)


@pytest.mark.parametrize("words", [("export",), ("import",), ("reseal",)])
def test_each_says_what_has_to_be_stopped(words: tuple[str, ...]) -> None:
    assert "stop" in glasshouse(*words, "--help").output


def test_a_store_moves_to_mongodb_and_its_key_changes_there(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    fill(tmp_path / "first", OLD)
    mongodb = {
        "GLASSHOUSE_STORE": "mongodb",
        "GLASSHOUSE_MONGODB_URI": mongodb_uri,
        "GLASSHOUSE_MONGODB_DATABASE": database,
        "GLASSHOUSE_STORAGE_KEY": NEW,
        "GLASSHOUSE_FORMER_STORAGE_KEYS": OLD,
    }
    steps = [
        glasshouse("export", tmp_path / "one", "--data", tmp_path / "first"),
        glasshouse("import", tmp_path / "one", "--data", tmp_path / "second", **mongodb),
        glasshouse("reseal", "--data", tmp_path / "second", **mongodb),
        glasshouse("export", tmp_path / "two", "--data", tmp_path / "second", **mongodb),
        glasshouse("import", tmp_path / "two", "--data", tmp_path / "third"),
    ]

    assert [0] * 5 == [step.exit_code for step in steps], "".join(step.output for step in steps)
    assert f"imported 2 records into MongoDB, database {database}" in steps[1].output
    assert "1 values" in steps[2].output
    assert b"lens" == snapshot(tmp_path / "third", NEW)
