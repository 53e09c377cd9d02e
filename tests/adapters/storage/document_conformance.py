"""What every store must do with documents of collections."""

from __future__ import annotations

import pytest

from actors.document_ports import KeepNewest, PutDocument, RemoveDocument, StoredDocument
from actors.ports import (
    StorageError,
    Store,
)

ADA = "ada@example.org"
BOB = "bob@example.org"


def put(
    key: str, *, at_ms: int = 0, user: str = ADA, collection: str = "tasks", is_unfinished: bool = False
) -> PutDocument:
    """A small document."""
    return PutDocument(
        collection=collection,
        key=key,
        user_id=user,
        document=f'{{"at": {at_ms}}}'.encode(),
        updated_at_ms=at_ms,
        is_unfinished=is_unfinished,
    )


async def keys(store: Store, user: str | None = ADA, limit: int = 100, **wanted: bool) -> list[str]:
    return [one.key for one in await store.list_documents("tasks", user, limit, **wanted)]


class DocumentConformance:
    async def test_a_document_comes_back_byte_for_byte(self, store: Store) -> None:
        text = '{"goal": "für alle \u2028", "raw":  [1.50, null], "nul": "\\u0000"}'.encode()
        change = PutDocument(
            collection="tasks", key="t1", user_id=ADA, document=text, updated_at_ms=2**62, is_unfinished=True
        )

        await store.commit([change])

        assert StoredDocument("t1", ADA, text) == await store.find_document("tasks", "t1")
        assert await store.find_document("agents", "t1") is None
        assert await store.find_document("tasks", "\ud800") is None

    async def test_a_document_put_again_replaces_all_of_it(self, store: Store) -> None:
        await store.commit([put("a", at_ms=1, is_unfinished=True), put("b", at_ms=2)])

        await store.commit([put("a", at_ms=3)])

        assert ["a", "b"] == await keys(store)
        assert [] == await keys(store, only_unfinished=True)

    async def test_documents_are_listed_newest_first_and_by_user(self, store: Store) -> None:
        await store.commit([put("old", at_ms=1), put("his", at_ms=2, user=BOB)])
        await store.commit([put("b", at_ms=5), put("a", at_ms=5), put("x", at_ms=9, collection="other")])

        assert ["a", "b", "old"] == await keys(store)
        assert ["a", "b"] == await keys(store, limit=2)
        assert ["a", "b", "his", "old"] == await keys(store, user=None)

    async def test_who_has_unfinished_documents_is_found(self, store: Store) -> None:
        await store.commit([put("a", is_unfinished=True), put("b", user=BOB), put("c", user="zoe")])
        await store.commit([put("d", user="zoe", collection="agents", is_unfinished=True)])

        assert (ADA, "zoe") == await store.list_unfinished_users(("tasks", "agents"))
        assert (ADA,) == await store.list_unfinished_users(("tasks",))
        assert () == await store.list_unfinished_users(())

    async def test_a_removed_document_is_gone_and_removing_it_again_is_no_error(self, store: Store) -> None:
        await store.commit([put("a"), put("b")])

        await store.commit([RemoveDocument("tasks", "a")])
        await store.commit([RemoveDocument("tasks", "a")])

        assert ["b"] == await keys(store)

    async def test_only_the_newest_finished_documents_are_kept(self, store: Store) -> None:
        await store.commit([put(str(number), at_ms=number) for number in range(5)])
        await store.commit([put("open", is_unfinished=True), put("his", user=BOB)])

        await store.commit([KeepNewest("tasks", ADA, 2)])

        assert ["4", "3", "open"] == await keys(store)
        assert ["his"] == await keys(store, user=BOB)

    @pytest.mark.parametrize("text", [b"", b"no json", b"{} {}", b'"\xff"'])
    async def test_a_document_that_is_no_json_is_refused_with_its_commit(
        self, store: Store, text: bytes
    ) -> None:
        bad = PutDocument(collection="tasks", key="bad", user_id=ADA, document=text, updated_at_ms=0)

        with pytest.raises(StorageError):
            await store.commit([put("a"), bad])

        assert [] == await keys(store)

    async def test_a_document_with_an_unusable_name_or_time_is_refused(self, store: Store) -> None:
        for change in (put("\ud800"), put("a", at_ms=2**63), RemoveDocument("tasks", "\ud800")):
            with pytest.raises(StorageError):
                await store.commit([change])

        assert [] == await keys(store)
