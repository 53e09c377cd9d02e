"""What tests with real processes have in common: the server's log under one that failed, node, a port."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Generator, Iterator
from typing import Final

import pytest

from tests.system.npm import install
from tests.system.server import ROOT, Server

SDK_APP: Final = ROOT / "tests" / "system" / "sdk_app"


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
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed; node 20 or newer runs these tests")
    install(SDK_APP, "the official SDK")
    return program


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port of this machine where nobody answers, kept from everybody else."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
