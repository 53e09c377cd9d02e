"""What callers notice of a MongoDB whose primary changes, and of connections that break: nothing but time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from actors.document_ports import KeepNewest, PutDocument
from actors.ports import (
    Claim,
    PutApp,
    PutUser,
    RemoveApp,
    SetRunningApps,
    SnapshotToSave,
    StorageError,
    Store,
)
from adapters.simulated.telemetry import RecordingTelemetry
from tests.adapters.storage.conformance import Opener, StoreConformance, app
from tests.adapters.storage.mongodb_stores import store_opener
from tests.adapters.storage.scripted_mongodb import Dropped, ScriptedSet

ADA = "ada@example.org"


def drop() -> None:
    raise Dropped


@pytest.fixture
def scripted() -> Iterator[ScriptedSet]:
    with ScriptedSet().serving() as scripted:
        yield scripted


@pytest.fixture
async def opener(scripted: ScriptedSet, telemetry: RecordingTelemetry) -> AsyncIterator[Opener]:
    async with store_opener(scripted.uri, "scripted", telemetry) as opener:
        yield opener


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    store = await opener()
    yield store
    await store.aclose()


class TestMongoStoreWithTransactions(StoreConformance):
    """What a single FerretDB cannot show: the same promises, kept with transactions."""


def put(key: str, at_ms: int) -> PutDocument:
    return PutDocument(collection="tasks", key=key, user_id=ADA, document=b"{}", updated_at_ms=at_ms)


async def test_a_write_goes_on_at_the_next_primary(store: Store, scripted: ScriptedSet) -> None:
    scripted.seen.clear()
    scripted.on("update", lambda: scripted.elect(1))

    await store.commit([PutUser(ADA, 1)])

    assert await store.find_user(ADA) is not None
    assert 2 == scripted.seen.count("update")


async def test_while_there_is_no_primary_writes_wait_for_one(store: Store, scripted: ScriptedSet) -> None:
    scripted.elect(None)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [PutUser(ADA, 1)])
        await trio.sleep(0.2)
        seen_before = len(scripted.collections.get("users", {}))
        scripted.elect(1)

    assert 0 == seen_before
    assert 1 == len(scripted.collections["users"])


async def test_a_store_without_a_primary_says_when_to_ask_again(
    scripted: ScriptedSet, telemetry: RecordingTelemetry
) -> None:
    async with store_opener(scripted.uri, "scripted", telemetry, call_s=0.5, attempt_s=0.1) as opener:
        store = await opener()
        scripted.elect(None)

        with pytest.raises(StorageError, match=r"MongoDB d(oes|id) not answer") as raised:
            await store.commit([PutUser(ADA, 1)])

        assert 1.0 == raised.value.retry_after_s
        await store.aclose()


@pytest.mark.parametrize("is_done_first", [False, True], ids=["before it was done", "after it was done"])
async def test_a_connection_that_breaks_during_a_write_is_not_noticed(
    store: Store, scripted: ScriptedSet, is_done_first: bool
) -> None:
    scripted.on("update", drop, is_done_first=is_done_first)

    await store.commit([PutUser(ADA, 1)])
    await store.commit([SetRunningApps(ADA, ("a",))])

    user = await store.find_user(ADA)
    assert user is not None
    assert (1, ("a",)) == (user.created_at_ms, user.running_apps)


async def test_a_connection_that_breaks_during_a_read_is_not_noticed(
    store: Store, scripted: ScriptedSet
) -> None:
    await store.commit([PutApp(app("a"))])
    scripted.on("find", drop)

    assert (app("a"),) == await store.list_apps()


async def test_a_claim_whose_answer_was_lost_is_made_again_with_a_higher_epoch(
    store: Store, scripted: ScriptedSet
) -> None:
    scripted.on("findAndModify", drop, is_done_first=True)

    claim = await store.claim_user(ADA)
    stale = await store.save_snapshots([SnapshotToSave(ADA, claim.epoch, b"body")])

    assert Claim(2) == claim
    assert () == stale


async def test_snapshots_whose_answer_was_lost_are_not_taken_for_somebody_elses(
    store: Store, scripted: ScriptedSet
) -> None:
    claim = await store.claim_user(ADA)
    scripted.on("update", drop, is_done_first=True)

    stale = await store.save_snapshots([SnapshotToSave(ADA, claim.epoch, b"body")])

    assert () == stale
    assert Claim(2, b"body") == await store.claim_user(ADA)


async def test_a_commit_of_one_document_is_one_write(store: Store, scripted: ScriptedSet) -> None:
    scripted.seen.clear()

    await store.commit([PutUser(ADA, 1), SetRunningApps(ADA, ("a",))])

    assert ["update"] == scripted.seen


async def test_a_commit_of_several_documents_is_one_transaction(store: Store, scripted: ScriptedSet) -> None:
    seen: list[int] = []
    scripted.on("commitTransaction", lambda: seen.append(len(scripted.collections.get("users", {}))))

    await store.commit([PutUser(ADA, 1), PutApp(app("a")), RemoveApp("b")])

    assert [0] == seen, "nothing is there before all of it is"
    assert [3] == scripted.transactions
    assert (app("a"),) == await store.list_apps()


@pytest.mark.parametrize("step", ["update", "commitTransaction"])
async def test_a_transaction_that_its_primary_takes_along_is_done_again_at_the_next(
    store: Store, scripted: ScriptedSet, step: str
) -> None:
    await store.commit([put("old", 1), put("older", 0)])
    scripted.transactions.clear()
    scripted.on(step, lambda: scripted.elect(1))

    await store.commit([put("new", 2), PutUser(ADA, 1), KeepNewest("tasks", ADA, 2)])

    assert 1 == len(scripted.transactions)
    assert await store.find_user(ADA) is not None
    assert {"new", "old"} == set(scripted.collections["tasks"])


async def test_a_transaction_whose_commit_was_lost_after_it_was_done_is_done_twice_to_the_same_end(
    store: Store, scripted: ScriptedSet
) -> None:
    scripted.on("commitTransaction", drop, is_done_first=True)

    await store.commit([PutUser(ADA, 1), PutApp(app("a"))])

    assert await store.find_user(ADA) is not None
    assert (app("a"),) == await store.list_apps()
