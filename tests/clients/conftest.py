from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.clients.captions_app import Captions
from tests.clients.scripted_cloud import ScriptedCloud, in_virtual_time


@pytest.hookimpl(trylast=True)  # after pytest-trio, which sees a clock only among a test's own arguments
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "cloud" in item.fixturenames:
            item.add_marker(pytest.mark.trio(run=in_virtual_time), append=False)


@pytest.fixture
async def cloud() -> AsyncIterator[ScriptedCloud]:
    async with trio.open_nursery() as nursery:
        yield ScriptedCloud(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


@pytest.fixture
async def app(cloud: ScriptedCloud) -> AsyncIterator[Captions]:
    async with trio.open_nursery() as nursery:
        app = Captions(cloud)
        await nursery.start(app.run)
        yield app
        nursery.cancel_scope.cancel()
