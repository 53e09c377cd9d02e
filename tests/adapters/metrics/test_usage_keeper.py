"""What wearers use, looked at once a minute and kept by the day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from click.testing import CliRunner
from msgspec.structs import replace
from trio.testing import MockClock

from actors.document_ports import PutDocument
from actors.usage import COLLECTION, Usage, key_of
from adapters.metrics import UsageKeeper
from adapters.storage import open_sqlite
from config.cli.commands import main
from protocols import timestamps
from tests.actors.world import ADA, CAPTIONS, World, open_world


@asynccontextmanager
async def kept(world: World) -> AsyncIterator[None]:
    keeper = UsageKeeper(world.system, world.store, world.telemetry, users="/glasshouse/users", keep_days=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        yield
        nursery.cancel_scope.cancel()


async def days_of(world: World, user: str = ADA) -> list[Usage]:
    found = await world.store.list_documents(COLLECTION, user, 100)
    return [msgspec.json.decode(each.document, type=Usage) for each in found]


async def test_a_wearers_minutes_are_kept_by_app_and_feature(autojump_clock: MockClock) -> None:
    async with open_world() as world, kept(world):
        await trio.sleep(1)
        phone = await world.phone()
        await world.running_app(phone, subscriptions=["transcription:en-US"])
        await trio.sleep(600)
        [day] = await days_of(world)

    assert 1 == day.sessions
    assert day.session_s == pytest.approx(600, abs=62)
    assert {CAPTIONS} == set(day.apps)
    assert day.apps[CAPTIONS] == pytest.approx(day.session_s, abs=60)
    assert {"phone", "microphone by WebSocket", "transcription"} == set(day.features)


async def test_a_day_goes_on_after_a_restart_and_old_days_go(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        today = Usage(day="2026-01-01", sessions=3, session_s=1000.0)
        older = [
            PutDocument(
                collection=COLLECTION,
                key=key_of(ADA, f"2025-12-0{number}"),
                user_id=ADA,
                document=msgspec.json.encode(Usage(day=f"2025-12-0{number}")),
                updated_at_ms=number,
            )
            for number in range(1, 5)
        ]
        day = timestamp_day(world)
        document = msgspec.json.encode(replace(today, day=day))
        before = PutDocument(
            collection=COLLECTION, key=key_of(ADA, day), user_id=ADA, document=document, updated_at_ms=10
        )
        await world.store.commit([*older, before])
        async with kept(world):
            await trio.sleep(1)
            await world.phone()
            await trio.sleep(130)
        days = await days_of(world)

    assert [day, "2025-12-04"] == [each.day for each in days]
    assert 4 == days[0].sessions
    assert 1100 < days[0].session_s <= 1131


async def test_a_store_that_is_away_is_told_of_once_and_costs_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world, kept(world):
        await world.phone()
        await trio.sleep(65)
        world.store.outage = "the disk is full"
        await trio.sleep(180)
        world.store.outage = None
        await trio.sleep(120)
        [day] = await days_of(world)

    assert 1 == len(world.telemetry.of("usage_not_stored"))
    assert day.session_s > 300


def test_the_operator_reads_a_wearers_days(tmp_path: Path) -> None:
    async def put() -> None:
        store = await open_sqlite(tmp_path)
        day = Usage(
            day="2026-11-21",
            sessions=2,
            session_s=7_260.0,
            apps={CAPTIONS: 3_600.0, "org.example.notes": 7_200.0},
            features={"phone": 60.0},
        )
        document = msgspec.json.encode(day)
        try:
            await store.commit(
                [
                    PutDocument(
                        collection=COLLECTION,
                        key=key_of(ADA, day.day),
                        user_id=ADA,
                        document=document,
                        updated_at_ms=1,
                    )
                ]
            )
        finally:
            await store.aclose()

    trio.run(put)
    said = CliRunner().invoke(main, ["user", "usage", ADA.upper(), "--data", str(tmp_path)])
    nobody = CliRunner().invoke(main, ["user", "usage", "bob@example.org", "--data", str(tmp_path)])

    assert said.output.splitlines() == [
        "2026-11-21  sessions 2, 2:01 h",
        f"  apps: org.example.notes 2:00 h, {CAPTIONS} 1:00 h",
        "  features: phone 0:01 h",
    ]
    assert 0 != nobody.exit_code


def timestamp_day(world: World) -> str:
    return timestamps.iso(world.system.clock.wall())[:10]
