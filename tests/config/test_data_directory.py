"""The files of the data directory: made once, whole, and for their owner alone."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from actors.ports import TokenError
from adapters.simulated.telemetry import RecordingTelemetry
from config.core_tokens import core_tokens
from config.data_directory import (
    SECRET_NAME,
    SERVER_NAME,
    DataDirectoryError,
    ServerFile,
    jwt_secret,
    read_server_file,
)
from config.settings import Settings


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "new" / "data"))

    first, second = jwt_secret(settings), jwt_secret(settings)

    assert first == second
    assert len(first.encode()) >= 32
    assert 0o600 == _mode(tmp_path / "new" / "data" / SECRET_NAME)
    assert 0o700 == _mode(tmp_path / "new" / "data")


def test_two_data_directories_have_two_secrets(tmp_path: Path) -> None:
    assert jwt_secret(Settings(data=str(tmp_path / "a"))) != jwt_secret(Settings(data=str(tmp_path / "b")))


def test_a_secret_that_is_given_is_not_written(tmp_path: Path) -> None:
    assert "given" == jwt_secret(Settings(data=str(tmp_path), jwt_secret="given"))
    assert [] == list(tmp_path.iterdir())


def test_commands_that_make_the_secret_at_once_agree_on_it(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    start = threading.Barrier(8)
    secrets = []

    def make() -> None:
        start.wait()
        secrets.append(jwt_secret(settings))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == len(secrets)
    assert 1 == len(set(secrets))
    assert [SECRET_NAME] == [path.name for path in tmp_path.iterdir()]


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / SECRET_NAME).write_text("\n", encoding="ascii")

    with pytest.raises(DataDirectoryError, match="holds no secret"):
        jwt_secret(Settings(data=str(tmp_path)))


def test_a_secret_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / SECRET_NAME).write_bytes(b"\xff" * 40)

    with pytest.raises(DataDirectoryError, match=SECRET_NAME):
        jwt_secret(Settings(data=str(tmp_path)))


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(DataDirectoryError, match="pass another --data"):
        jwt_secret(Settings(data=str(tmp_path / "data")))


def test_tokens_are_signed_as_the_settings_say(tmp_path: Path) -> None:
    former = core_tokens(Settings(data=str(tmp_path), jwt_secret="f" * 32)).mint(
        "ada@example.org", expires_s=None
    )
    settings = Settings(
        data=str(tmp_path),
        former_jwt_secrets=("f" * 32,),
        token_audience="glasses",
        token_issuer="us",
        require_token_expiry=True,
    )
    tokens = core_tokens(settings, wall=lambda: 1_000.0)

    assert "ada@example.org" == tokens.verify(tokens.mint("Ada@example.org", expires_s=10))
    with pytest.raises(TokenError, match="demands one"):
        tokens.verify(former)
    with pytest.raises(TokenError, match="aud does not name glasses"):
        core_tokens(msgspec.structs.replace(settings, require_token_expiry=False)).verify(former)


def test_server_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = ServerFile.fresh("http://127.0.0.1:8002")

    written.write(str(tmp_path))

    assert written == read_server_file(str(tmp_path))
    assert os.getpid() == written.process
    assert 0o600 == _mode(tmp_path / SERVER_NAME)


def test_every_start_has_another_admin_token() -> None:
    assert ServerFile.fresh("http://x").admin_token != ServerFile.fresh("http://x").admin_token


def test_a_server_takes_away_its_own_file_only(tmp_path: Path) -> None:
    mine, successor = ServerFile.fresh("http://127.0.0.1:1"), ServerFile.fresh("http://127.0.0.1:2")
    successor.write(str(tmp_path))

    mine.remove(str(tmp_path))
    assert successor == read_server_file(str(tmp_path))

    successor.remove(str(tmp_path))
    assert None is read_server_file(str(tmp_path))


def test_a_server_file_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / SERVER_NAME).write_text("{", encoding="ascii")

    assert None is read_server_file(str(tmp_path))


def test_a_server_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match=SERVER_NAME):
        ServerFile.fresh("http://x").write(str(tmp_path / "missing"))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files can be made and take no content."""

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_costs_a_server_its_file_and_a_line_in_the_log(tmp_path: Path) -> None:
    (tmp_path / SERVER_NAME).write_text("of the one before", encoding="ascii")
    telemetry = RecordingTelemetry()

    was_left = ServerFile.fresh("http://x").leave(str(tmp_path), telemetry)

    assert not was_left
    assert [] == list(tmp_path.iterdir())
    assert {"server_file_not_written": 1} == telemetry.counters()


@pytest.mark.usefixtures("full_disk")
def test_a_secret_that_could_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="No space left"):
        jwt_secret(Settings(data=str(tmp_path)))

    assert [] == list(tmp_path.iterdir())
