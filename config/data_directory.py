"""What lies in the data directory beside the store: the token secret and the file of the running server.

Both are for their owner's eyes (mode 0600) and written whole or not at all: a reader sees the old file or the
new.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import msgspec

from actors.ports import Telemetry
from config.settings import Settings

SECRET_NAME = "jwt_secret"
SERVER_NAME = "server.json"
WEBVIEW_KEY_NAME = "webview_key.pem"

_SECRET_BYTES = 48


class DataDirectoryError(Exception):
    """The data directory cannot be used. `path` is what failed, `cause` the system's reason."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path}: {cause}; pass another --data, or mend it")
        self.path = path
        self.cause = cause


class ServerFile(msgspec.Struct, frozen=True):
    """How commands on the same data directory reach the server that runs on it.

    Attributes:
      url: its base on this machine.
      admin_token: what its administration routes ask for; another one each time it starts.
      process: its process id.
    """

    url: str
    admin_token: str
    process: int

    @classmethod
    def fresh(cls, url: str) -> ServerFile:
        """For this process, with a new token."""
        return cls(url=url, admin_token=secrets.token_urlsafe(32), process=os.getpid())

    def write(self, data: str) -> None:
        """Leave it in the data directory, in place of a predecessor's.

        Raises:
          DataDirectoryError
        """
        path = Path(data) / SERVER_NAME
        try:
            _write_whole(path, msgspec.json.encode(self))
        except OSError as error:
            raise DataDirectoryError(path, error.strerror or str(error)) from error

    def leave(self, data: str, telemetry: Telemetry) -> bool:
        """`write`, or say in one line of the log that it cannot be: the server serves all the same.

        A predecessor's file is taken away then, since its token is no longer good. Returns whether it is
        written.
        """
        try:
            self.write(data)
        except DataDirectoryError as error:
            with contextlib.suppress(OSError):
                error.path.unlink()
            telemetry.warning("server_file_not_written", path=str(error.path), cause=error.cause)
            return False
        return True

    def remove(self, data: str) -> None:
        """Take it away, unless a successor has left its own already."""
        if read_server_file(data) == self:
            with contextlib.suppress(OSError):  # a folder that became read-only: it stays, and leads nowhere
                (Path(data) / SERVER_NAME).unlink()


def read_server_file(data: str) -> ServerFile | None:
    """The file of the server that runs on `data`; None when there is none or it cannot be read."""
    try:
        return msgspec.json.decode((Path(data) / SERVER_NAME).read_bytes(), type=ServerFile)
    except (OSError, msgspec.DecodeError):
        return None


def make_data_directory(settings: Settings) -> Path:
    """The data directory, made (mode 0700) when it is not there.

    Raises:
      DataDirectoryError
    """
    path = Path(settings.data)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirectoryError(path, error.strerror or str(error)) from error
    return path


def jwt_secret(settings: Settings) -> str:
    """What phones' tokens are signed with: the setting, or a random secret that is made once and kept.

    Two processes that make it at the same moment agree on one: the file is linked into its place, which only
    the first can do.

    Raises:
      DataDirectoryError: it cannot be read or made.
    """
    if settings.jwt_secret:
        return settings.jwt_secret
    path = make_data_directory(settings) / SECRET_NAME
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(_SECRET_BYTES).encode())
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataDirectoryError(path, str(error)) from error
    if not secret:
        raise DataDirectoryError(path, "holds no secret; remove it and one is made")
    return secret


def webview_key(settings: Settings) -> bytes:
    """What tokens of web pages are signed with: the setting, or a key that is made once and kept, as PEM.

    Raises:
      DataDirectoryError: it cannot be read or made.
    """
    from adapters.tokens.webview import make_key  # a quarter of a second that no other command needs

    if settings.webview_key:
        return settings.webview_key.encode()
    path = make_data_directory(settings) / WEBVIEW_KEY_NAME
    try:
        if not path.exists():
            _write_once(path, make_key())
        return path.read_bytes()
    except OSError as error:
        raise DataDirectoryError(path, str(error)) from error


def _write_whole(path: Path, content: bytes) -> None:
    draft = _draft(path, content)
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_once(path: Path, content: bytes) -> None:
    draft = _draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:  # another process was first: its secret counts
        return
    finally:
        draft.unlink(missing_ok=True)


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # a full disk takes the name of a file and not its content
        draft.unlink(missing_ok=True)
        raise
    return draft
