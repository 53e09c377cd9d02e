"""What every store must do. A test file subclasses `StoreConformance` and gives it an `opener`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
import trio

from actors.ports import (
    AppDocument,
    Claim,
    HardwareRequirement,
    KeptTranscript,
    Permission,
    PutApp,
    PutUser,
    RemoveApp,
    SetRunningApps,
    SnapshotToSave,
    StorageError,
    Store,
    UserDocument,
)
from tests.adapters.storage.document_conformance import DocumentConformance

Opener = Callable[[], Awaitable[Store]]


def app(package_name: str, **fields: object) -> AppDocument:
    """A small app document."""
    document = {
        "package_name": package_name,
        "public_url": "http://127.0.0.1:7001",
        "hashed_api_key": "00" * 32,
    }
    return AppDocument(**({"name": package_name.title()} | document | fields))  # type: ignore[arg-type]


def said(user_id: str, number: int, *, at_ms: int) -> KeptTranscript:
    """A piece of what somebody said."""
    return KeptTranscript(user_id, f"u{number}", at_ms, f"{user_id} said {number}".encode())


class StoreConformance(DocumentConformance):
    """`opener` opens another store over the same documents; `store` is the first one it opened."""

    @pytest.fixture
    async def store(self, opener: Opener) -> AsyncIterator[Store]:
        store = await opener()
        yield store
        await store.aclose()

    async def test_a_stored_app_comes_back_field_by_field(self, store: Store) -> None:
        document = AppDocument(
            package_name="org.example.captions",
            public_url="https://captions.example.org",
            hashed_api_key="ab" * 32,
            name='Captions "für" alle \u2028 \x00',
            app_type="standard",
            is_system=True,
            description="d",
            logo_url="https://example.org/l.png",
            webview_url="https://example.org/w",
            version="2.1.0",
            permissions=(Permission("MICROPHONE", "to hear"), Permission("ALL")),
            settings_schema=(msgspec.Raw(b'{"type": "toggle","key":"k" }'),),
            tools=(msgspec.Raw(b'{"id":"t","unknown":[1,2.50,null]}'),),
            hardware=(HardwareRequirement("DISPLAY", "REQUIRED"),),
        )

        await store.commit([PutApp(document)])

        assert document == await store.find_app("org.example.captions")

    async def test_an_unknown_app_and_user_are_none(self, store: Store) -> None:
        assert await store.find_app("org.example.nothing") is None
        assert await store.find_user("nobody@example.org") is None

    async def test_a_key_that_is_not_unicode_is_unknown(self, store: Store) -> None:
        assert await store.find_app("\ud800") is None
        assert await store.find_user("\ud800") is None

    async def test_putting_an_app_again_replaces_it(self, store: Store) -> None:
        await store.commit([PutApp(app("a", description="old"))])

        await store.commit([PutApp(app("a", description="new"))])

        assert (app("a", description="new"),) == await store.list_apps()

    async def test_removing_an_app_twice_is_as_once(self, store: Store) -> None:
        await store.commit([PutApp(app("a")), PutApp(app("b"))])

        await store.commit([RemoveApp("a")])
        await store.commit([RemoveApp("a")])

        assert (app("b"),) == await store.list_apps()

    async def test_apps_are_listed_by_package_name(self, store: Store) -> None:
        names = ["b", "a", "Z", "ä", "a.b", "a-b"]

        await store.commit([PutApp(app(name)) for name in names])

        assert sorted(names) == [document.package_name for document in await store.list_apps()]

    async def test_a_known_user_is_not_made_again(self, store: Store) -> None:
        await store.commit([PutUser("ada@example.org", 1), SetRunningApps("ada@example.org", ("a",))])

        await store.commit([PutUser("ada@example.org", 2)])

        expected = UserDocument(user_id="ada@example.org", created_at_ms=1, running_apps=("a",))
        assert expected == await store.find_user("ada@example.org")

    async def test_a_time_of_the_calendar_comes_back(self, store: Store) -> None:
        await store.commit([PutUser("ada@example.org", 1_790_000_000_123)])

        user = await store.find_user("ada@example.org")

        assert user is not None
        assert 1_790_000_000_123 == user.created_at_ms

    async def test_the_running_list_keeps_its_order(self, store: Store) -> None:
        await store.commit([PutUser("ada@example.org", 1), SetRunningApps("ada@example.org", ("a", "b"))])

        await store.commit([SetRunningApps("ada@example.org", ("z", "b", "a"))])

        user = await store.find_user("ada@example.org")
        assert user is not None
        assert ("z", "b", "a") == user.running_apps

    async def test_a_running_list_without_its_user_is_kept(self, store: Store) -> None:
        await store.commit([SetRunningApps("ada@example.org", ("a",))])

        expected = UserDocument(user_id="ada@example.org", created_at_ms=0, running_apps=("a",))
        assert expected == await store.find_user("ada@example.org")

    async def test_changes_of_one_commit_apply_in_order(self, store: Store) -> None:
        await store.commit(
            [PutApp(app("a")), RemoveApp("a"), PutApp(app("b")), PutApp(app("b", version="2.0.0"))]
        )

        assert (app("b", version="2.0.0"),) == await store.list_apps()

    async def test_an_empty_commit_changes_nothing(self, store: Store) -> None:
        await store.commit([])

        assert () == await store.list_apps()

    @pytest.mark.parametrize(
        "bad",
        [
            PutApp(app("b", tools=(msgspec.Raw(b"{not json"),))),
            PutApp(app("\ud800")),
            RemoveApp("\ud800"),
            PutUser("\ud800", 1),
            PutUser("ada@example.org", 2**63),
            SetRunningApps("\ud800", ()),
            SetRunningApps("ada@example.org", ("\ud800",)),
        ],
        ids=[
            "an app's tools are not JSON",
            "a package name is not Unicode",
            "a package to remove is not Unicode",
            "a user id is not Unicode",
            "a time is past 64 bits",
            "the user of a running list is not Unicode",
            "an app of a running list is not Unicode",
        ],
    )
    async def test_a_commit_with_something_that_cannot_be_stored_changes_nothing(
        self, store: Store, bad: PutApp | RemoveApp | PutUser | SetRunningApps
    ) -> None:
        with pytest.raises(StorageError, match="cannot be stored"):
            await store.commit([PutApp(app("a")), PutUser("ada@example.org", 1), bad])

        assert () == await store.list_apps()
        assert await store.find_user("ada@example.org") is None

    async def test_another_store_sees_what_was_committed_at_once(self, store: Store, opener: Opener) -> None:
        other = await opener()
        assert await other.find_app("a") is None

        await store.commit([PutApp(app("a"))])
        seen = await other.find_app("a")
        await other.commit([RemoveApp("a")])

        assert app("a") == seen
        assert await store.find_app("a") is None
        await other.aclose()

    async def test_documents_outlive_the_store(self, store: Store, opener: Opener) -> None:
        await store.commit([PutUser("ada@example.org", 1), SetRunningApps("ada@example.org", ("a",))])
        await store.aclose()

        again = await opener()

        expected = UserDocument(user_id="ada@example.org", created_at_ms=1, running_apps=("a",))
        assert expected == await again.find_user("ada@example.org")
        await again.aclose()

    async def test_many_commits_at_once_are_all_there(self, store: Store) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(store.commit, [PutUser(f"{number}@example.org", number)])

        for number in range(50):
            assert UserDocument(
                user_id=f"{number}@example.org", created_at_ms=number
            ) == await store.find_user(f"{number}@example.org")

    async def test_each_claim_of_a_user_has_a_higher_epoch(self, store: Store, opener: Opener) -> None:
        other = await opener()

        claims = [await each.claim_user("ada@example.org") for each in (store, other, store)]

        assert [Claim(1), Claim(2), Claim(3)] == claims
        assert Claim(1) == await store.claim_user("bob@example.org")
        await other.aclose()

    async def test_the_next_owner_is_handed_the_last_snapshot(self, store: Store, opener: Opener) -> None:
        first = await store.claim_user("ada@example.org")
        body = '{"text": "für \u2028"}'.encode()
        await store.save_snapshots([SnapshotToSave("ada@example.org", first.epoch, b"older")])
        assert () == await store.save_snapshots([SnapshotToSave("ada@example.org", first.epoch, body)])
        await store.aclose()

        again = await opener()

        assert {"ada@example.org": 1} == await again.list_snapshots()
        assert Claim(2, body) == await again.claim_user("ada@example.org")
        await again.aclose()

    async def test_a_former_owners_snapshot_is_not_taken(self, store: Store) -> None:
        ada = await store.claim_user("ada@example.org")
        bob = await store.claim_user("bob@example.org")
        await store.save_snapshots([SnapshotToSave("ada@example.org", ada.epoch, b"first")])
        await store.claim_user("ada@example.org")

        stale = await store.save_snapshots(
            [
                SnapshotToSave("ada@example.org", ada.epoch, b"late"),
                SnapshotToSave("bob@example.org", bob.epoch, b"bob"),
                SnapshotToSave("nobody@example.org", 1, b"never claimed"),
            ]
        )

        assert ("ada@example.org", "nobody@example.org") == stale
        assert {"ada@example.org": 2, "bob@example.org": 1} == await store.list_snapshots()
        assert Claim(3, b"first") == await store.claim_user("ada@example.org")
        assert Claim(2, b"bob") == await store.claim_user("bob@example.org")

    async def test_a_forgotten_snapshot_is_gone_and_its_epoch_is_not(self, store: Store) -> None:
        first = await store.claim_user("ada@example.org")
        await store.save_snapshots([SnapshotToSave("ada@example.org", first.epoch, b"body")])

        await store.forget_snapshot("ada@example.org", first.epoch)
        await store.forget_snapshot("nobody@example.org", 1)

        assert {} == await store.list_snapshots()
        assert Claim(2) == await store.claim_user("ada@example.org")

    async def test_a_former_owner_forgets_nothing(self, store: Store) -> None:
        first = await store.claim_user("ada@example.org")
        await store.save_snapshots([SnapshotToSave("ada@example.org", first.epoch, b"body")])
        await store.claim_user("ada@example.org")

        await store.forget_snapshot("ada@example.org", first.epoch)

        assert Claim(3, b"body") == await store.claim_user("ada@example.org")

    async def test_many_claims_at_once_have_their_own_epochs(self, store: Store) -> None:
        epochs: list[int] = []

        async def claim() -> None:
            epochs.append((await store.claim_user("ada@example.org")).epoch)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(claim)

        assert list(range(1, 21)) == sorted(epochs)

    async def test_a_user_whose_name_is_not_unicode_is_not_owned(self, store: Store) -> None:
        with pytest.raises(StorageError, match="cannot be stored"):
            await store.claim_user("\ud800")

    async def test_what_a_user_said_comes_back_in_order_and_is_nobody_elses(
        self, store: Store, opener: Opener
    ) -> None:
        await store.keep_transcripts([said("ben", 1, at_ms=5)], 0)
        await store.keep_transcripts([said("ann", 2, at_ms=20), said("ann", 1, at_ms=10)], 0)
        await store.keep_transcripts([said("ann", 3, at_ms=30)], 0)

        other = await opener()
        assert (b"ann said 1", b"ann said 2", b"ann said 3") == await other.find_transcripts("ann")
        assert (b"ben said 1",) == await other.find_transcripts("ben")
        assert () == await other.find_transcripts("eve")
        assert () == await other.find_transcripts("\ud800")
        await other.aclose()

    async def test_a_piece_that_is_kept_twice_is_there_once(self, store: Store) -> None:
        for _ in range(2):
            await store.keep_transcripts([said("ann", 1, at_ms=10)], 0)

        assert (b"ann said 1",) == await store.find_transcripts("ann")

    async def test_old_pieces_of_everybody_go_with_the_next_one(self, store: Store) -> None:
        await store.keep_transcripts([said("ann", 1, at_ms=10), said("ben", 1, at_ms=19)], 0)
        await store.keep_transcripts([said("ann", 2, at_ms=20)], 20)

        assert (b"ann said 2",) == await store.find_transcripts("ann")
        assert () == await store.find_transcripts("ben")

    async def test_what_one_user_said_is_forgotten_alone(self, store: Store) -> None:
        await store.keep_transcripts([said("ann", 1, at_ms=10), said("ben", 1, at_ms=10)], 0)

        await store.forget_transcripts("ann")

        assert () == await store.find_transcripts("ann")
        assert (b"ben said 1",) == await store.find_transcripts("ben")

    async def test_what_was_said_goes_with_the_snapshot_if_its_owner_says_so(self, store: Store) -> None:
        epoch = (await store.claim_user("ann")).epoch
        await store.save_snapshots([SnapshotToSave("ann", epoch, b"{}")])
        await store.keep_transcripts([said("ann", 1, at_ms=10), said("ben", 1, at_ms=10)], 0)

        await store.forget_snapshot("ann", epoch - 1)
        assert (b"ann said 1",) == await store.find_transcripts("ann")
        await store.forget_snapshot("ann", epoch)

        assert () == await store.find_transcripts("ann")
        assert (b"ben said 1",) == await store.find_transcripts("ben")

    async def test_a_piece_whose_id_is_not_unicode_is_refused(self, store: Store) -> None:
        with pytest.raises(StorageError):
            await store.keep_transcripts([KeptTranscript("ann", "\ud800", 1, b"{}")], 0)
        with pytest.raises(StorageError):
            await store.forget_transcripts("\ud800")

    async def test_a_closed_store_refuses_everything(self, store: Store) -> None:
        await store.aclose()
        await store.aclose()

        with pytest.raises(StorageError, match="closed"):
            await store.commit([PutApp(app("a"))])
        with pytest.raises(StorageError, match="closed"):
            await store.find_app("a")
        with pytest.raises(StorageError, match="closed"):
            await store.list_apps()
        with pytest.raises(StorageError, match="closed"):
            await store.find_user("ada@example.org")
        with pytest.raises(StorageError, match="closed"):
            await store.claim_user("ada@example.org")
        with pytest.raises(StorageError, match="closed"):
            await store.save_snapshots([SnapshotToSave("ada@example.org", 1, b"body")])
        with pytest.raises(StorageError, match="closed"):
            await store.forget_snapshot("ada@example.org", 1)
        with pytest.raises(StorageError, match="closed"):
            await store.list_snapshots()
        with pytest.raises(StorageError, match="closed"):
            await store.keep_transcripts([said("ann", 1, at_ms=1)], 0)
        with pytest.raises(StorageError, match="closed"):
            await store.find_transcripts("ann")
        with pytest.raises(StorageError, match="closed"):
            await store.forget_transcripts("ann")
