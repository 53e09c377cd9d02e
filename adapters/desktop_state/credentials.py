"""Who this desktop is to its server: the token, in a file for its owner's eyes."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from .folder import write_whole


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a login leaves.

    Attributes:
      server: the base URL that the token is for, and is sent to.
      token: of this daemon alone.
      user_id: whose desktop it is; empty where that was not told.
    """

    server: str
    token: str
    daemon_id: str = ""
    user_id: str = ""
    name: str = ""

    def __repr__(self) -> str:
        return f"Credentials(server={self.server!r}, daemon_id={self.daemon_id!r})"


class CredentialsFile:
    """The file of the credentials. What was read is kept until the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._read: Credentials | None = None

    def read(self) -> Credentials | None:
        """What it holds; None where there is none, or nothing of use."""
        try:
            stat = os.stat(self.path)
            seen = (stat.st_mtime_ns, stat.st_ino)
            if seen != self._seen:
                self._read = msgspec.json.decode(self.path.read_bytes(), type=Credentials)
                self._seen = seen
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._seen = self._read = None
        return self._read

    def write(self, credentials: Credentials) -> None:
        """Keep them, mode 0600. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.path, msgspec.json.encode(credentials))

    def forget(self) -> None:
        """Remove the file. Raises OSError."""
        self.path.unlink(missing_ok=True)
