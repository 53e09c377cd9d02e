"""What tests with real processes have in common: the server's log under one that failed, node, a port."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import socket
import subprocess
from collections.abc import Generator, Iterator
from typing import Final

import pytest

from tests.system.server import ROOT, Server

SDK_APP: Final = ROOT / "tests" / "system" / "sdk_app"
_UNREACHABLE: Final = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, fixture in item.funcargs.items():
            if isinstance(fixture, Server):
                report.sections.append((f"log of {name}", fixture.log_tail()))
    return report


@pytest.fixture(scope="session")
def node() -> str:
    """The program; the official SDK is installed beside its app, once for each state of the lock file."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("node and npm are not installed; node 20 or newer runs these tests")
    lock = (SDK_APP / "package-lock.json").read_bytes()
    stamp = SDK_APP / "node_modules" / ".installed-from"
    wanted = hashlib.sha256(lock).hexdigest()
    with (SDK_APP / "package.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # another run of the tests may install at the same moment
        if not stamp.exists() or stamp.read_text() != wanted:
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts"],
                cwd=SDK_APP,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode and _UNREACHABLE.search(done.stderr):
                pytest.skip(f"npm cannot reach its registry to install the SDK: {done.stderr[-300:]}")
            assert done.returncode == 0, done.stderr
            stamp.write_text(wanted)
    return program


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port of this machine where nobody answers, kept from everybody else."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
