"""What the tests with real processes have in common: the server's log under a test that failed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.system.server import Server


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
