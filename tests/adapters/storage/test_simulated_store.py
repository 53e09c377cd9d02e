from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from actors.ports import PutApp, StorageError, Store
from adapters.simulated.store import SimulatedDocuments, SimulatedStore, StoreFaults
from tests.adapters.storage.conformance import Opener, StoreConformance, app


class TestSimulatedStore(StoreConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        documents = SimulatedDocuments()

        async def opener() -> Store:
            return SimulatedStore(random.Random(1), documents=documents)

        return opener


async def test_an_outage_fails_every_call_until_it_ends() -> None:
    store = SimulatedStore(random.Random(1), faults=StoreFaults(retry_after_s=7.0))
    store.outage = "the disk is full"

    with pytest.raises(StorageError, match="the disk is full") as raised:
        await store.commit([PutApp(app("a"))])
    with pytest.raises(StorageError, match="the disk is full"):
        await store.list_apps()
    store.outage = None

    assert 7.0 == raised.value.retry_after_s
    assert () == await store.list_apps()
    assert 0 == store.commits


async def fates(seed: int) -> list[bool]:
    store = SimulatedStore(random.Random(seed), faults=StoreFaults(failure_rate=0.5))
    fates = []
    for number in range(20):
        try:
            await store.commit([PutApp(app(str(number)))])
            fates.append(True)
        except StorageError:
            fates.append(False)
    return fates


async def test_failures_replay_from_their_seed() -> None:
    first = await fates(3)

    assert first == await fates(3)
    assert first != await fates(4)
    assert {True, False} == set(first)


async def test_a_commit_cancelled_in_its_first_wait_is_not_applied_and_in_its_second_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    documents = SimulatedDocuments()
    outcomes = set()
    for seed in range(20):
        store = SimulatedStore(random.Random(seed), documents=documents, faults=StoreFaults(max_delay_s=1.0))
        with trio.move_on_after(0.7) as scope:
            await store.commit([PutApp(app(str(seed)))])
        outcomes.add((scope.cancelled_caught, str(seed) in documents.apps))

    assert {(True, False), (True, True), (False, True)} == outcomes
