"""Documents as files: each whole or as it was before, on the disk itself before anybody is told.

A document is written beside its place, synced, and moved there; then the folder is synced, too. A kill or a
power cut at any moment leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple, Unpack
from urllib.parse import quote, unquote

import trio

from actors.desktop_daemon.ports import StateError

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

_SUFFIX: Final = ".json"
_DRAFT: Final = ".draft"


class DocumentFolder:
    """`actors.desktop_daemon.ports.StateFolder` in a directory, made with mode 0700 when it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> dict[str, bytes]:
        """All documents by key. One that cannot be read is left out."""
        return await _in_thread(self._load)

    async def put(self, key: str, body: bytes) -> None:
        """Keep `body`. Raises StateError: the old document stands."""
        await _in_thread(self._put, key, body)

    async def remove(self, key: str) -> None:
        """Forget the document, if there is one."""
        await _in_thread(self._remove, key)

    def _load(self) -> dict[str, bytes]:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        documents = {}
        for path in sorted(self._path.iterdir()):
            if path.name.endswith(_DRAFT):
                path.unlink(missing_ok=True)  # of a daemon that was killed over it
            elif path.name.endswith(_SUFFIX):
                with contextlib.suppress(OSError):
                    documents[unquote(path.name.removesuffix(_SUFFIX))] = path.read_bytes()
        return documents

    def _put(self, key: str, body: bytes) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._place(key), body)

    def _remove(self, key: str) -> None:
        self._place(key).unlink(missing_ok=True)
        _sync_folder(self._path)

    def _place(self, key: str) -> Path:
        return self._path / f"{quote(key, safe='')}{_SUFFIX}"


def write_whole(path: Path, body: bytes) -> None:
    """Put `body` at `path`, mode 0600; it is on the disk when this returns.

    Raises OSError: the file that was there stands.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_DRAFT}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:  # a full disk takes the name of a file and not its content
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _in_thread(call: Callable[[Unpack[Arguments]], Result], *args: *Arguments) -> Result:
    try:
        return await trio.to_thread.run_sync(call, *args)
    except OSError as error:
        raise StateError(f"{error.filename or 'the state folder'}: {error.strerror or error}") from error
