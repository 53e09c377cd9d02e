"""Where a keeper is asked for a reload: a socket in its data directory. To connect is to ask.

Nothing is read from who asks, so nobody can hold the keeper up; the answer is one line, `done PID`, `failed
REASON` or `refused REASON`, when it is known. The directory is its owner's alone (mode 0700), and so is the
socket.

The standard library alone, as in `keeper`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

DOOR_NAME = "reload.sock"


@contextlib.contextmanager
def near(data: str) -> Iterator[str]:
    """The socket's address: a path of any length, where the kernel takes 107 bytes.

    Raises:
      OSError: the directory cannot be opened.
    """
    directory = os.open(data, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{DOOR_NAME}"
    finally:
        os.close(directory)


class Door:
    """The keeper's side. Whoever makes it holds the data lock, so a socket that is there is a dead one's.

    Raises:
      OSError: it cannot be made there.
    """

    def __init__(self, data: str) -> None:
        self._data = data
        self._listening = socket.socket(socket.AF_UNIX)
        try:
            self._listening.setblocking(False)
            with near(data) as address:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(address)
                self._listening.bind(address)
                os.chmod(address, 0o600)
            self._listening.listen(8)
        except OSError:
            self._listening.close()
            raise

    def fileno(self) -> int:
        return self._listening.fileno()

    def asked(self) -> socket.socket | None:
        """Who asks next."""
        try:
            return self._listening.accept()[0]
        except OSError:  # nobody, or nobody any more
            return None

    def refuse_all(self, reason: str) -> None:
        """Answer everybody who asks now."""
        while (asker := self.asked()) is not None:
            tell(asker, f"refused {reason}")

    def close(self) -> None:
        with contextlib.suppress(OSError), near(self._data) as address:
            os.unlink(address)
        self._listening.close()


def tell(asker: socket.socket, line: str) -> None:
    """Give the answer, which fits into the socket's buffer, and hang up."""
    with asker, contextlib.suppress(OSError):  # it may have left
        asker.setblocking(False)
        asker.send(f"{line}\n".encode())
