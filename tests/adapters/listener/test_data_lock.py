"""The data lock: one holder, freed by the kernel when the last copy of its descriptor closes."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from adapters.listener.lock import LOCK_NAME, lock_holder, take_data_lock


def test_second_taker_gets_nothing_until_every_copy_is_closed(tmp_path: Path) -> None:
    data = str(tmp_path / "missing" / "data")

    first = take_data_lock(data)
    assert first is not None
    copy = os.dup(first)
    os.close(first)
    assert take_data_lock(data) is None
    os.close(copy)
    second = take_data_lock(data)

    assert second is not None
    os.close(second)


def test_holder_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("12345678901234567890\n")

    lock = take_data_lock(str(tmp_path))

    assert lock is not None
    assert os.getpid() == lock_holder(str(tmp_path))
    os.close(lock)


@pytest.mark.parametrize("content", [None, "", "nobody\n", "\xff\n"])
def test_holder_that_cannot_be_known_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / LOCK_NAME).write_text(content, encoding="latin-1")

    assert lock_holder(str(tmp_path)) is None


def test_lock_is_not_inherited_by_accident(tmp_path: Path) -> None:
    lock = take_data_lock(str(tmp_path))

    assert lock is not None
    assert not os.get_inheritable(lock)
    os.close(lock)


def test_file_system_without_locks_is_an_error_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(OSError, match="No locks available"):
        take_data_lock(str(tmp_path))

    assert before == os.listdir("/proc/self/fd")
