"""What tests need of npm's packages, installed from the lock file beside them."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_UNREACHABLE: Final = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH")


def install(folder: Path, what: str) -> None:
    """Install what the folder's lock file says, once for each state of it.

    The test is skipped, and says why, where npm is missing or cannot reach its registry.

    Args:
      what: its name for people.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed; with it {what} is tested")
    stamp = folder / "node_modules" / ".installed-from"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with (folder / "package.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # another run of the tests may install at the same moment
        if stamp.exists() and stamp.read_text() == wanted:
            return
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode and _UNREACHABLE.search(done.stderr):
            pytest.skip(f"npm cannot reach its registry to install {what}: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
        stamp.write_text(wanted)
