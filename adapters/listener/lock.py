"""One server per data directory: a lock that the kernel frees when its last holder is gone.

The keeper takes it and hands the descriptor to the server it starts. An flock belongs to the open file, not
to a process, so the lock stands while either of them lives: a server that is still flushing after its
keeper's death keeps the next keeper out.
"""

from __future__ import annotations

import fcntl
import os

LOCK_NAME = "server.lock"


def take_data_lock(data_directory: str) -> int | None:
    """Lock `data_directory` for this process; returns the descriptor that holds it, or None while another
    does.

    Makes the directory when it is missing. The descriptor is not inheritable; closing its last copy frees
    the lock.

    Raises:
      OSError: the directory cannot be made or written.
    """
    os.makedirs(data_directory, mode=0o700, exist_ok=True)
    descriptor = os.open(os.path.join(data_directory, LOCK_NAME), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def lock_holder(data_directory: str) -> int | None:
    """The process that took the lock last, as far as it can be known. It may have ended since."""
    try:
        with open(os.path.join(data_directory, LOCK_NAME), encoding="ascii", errors="replace") as file:
            return int(file.readline())
    except (OSError, ValueError):
        return None
