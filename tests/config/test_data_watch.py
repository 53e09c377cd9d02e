"""A data directory that goes away under a running server is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from adapters.simulated.telemetry import RecordingTelemetry
from adapters.storage import FILE_NAME
from config.data_watch import EVERY_S, DataWatch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / FILE_NAME).touch()
    return folder


def test_a_folder_that_was_moved_is_an_error_until_it_is_back(data: Path) -> None:
    telemetry = RecordingTelemetry()
    watch = DataWatch(str(data), telemetry)
    before = watch.health()

    moved = data.rename(data.with_name("moved"))
    watch.look()
    watch.look()
    lost = watch.health()
    moved.rename(data)
    watch.look()

    assert {} == before == watch.health()
    assert {"status": "data_lost", "problem": f"{data / FILE_NAME} is gone"} == lost
    assert [("error", "data_lost"), ("warning", "data_found")] == [
        (fact.level, fact.event) for fact in telemetry.facts
    ]


def test_another_file_in_its_place_is_an_error_too(data: Path) -> None:
    watch = DataWatch(str(data), RecordingTelemetry())

    (data / "other").touch()
    (data / "other").rename(data / FILE_NAME)
    watch.look()

    assert f"{data / FILE_NAME} is another file" == watch.problem


async def test_it_is_looked_at_again_and_again(data: Path, autojump_clock: trio.testing.MockClock) -> None:
    watch = DataWatch(str(data), RecordingTelemetry())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(EVERY_S * 2.5)
        (data / FILE_NAME).unlink()
        await trio.sleep(EVERY_S)
        nursery.cancel_scope.cancel()

    assert watch.problem
