"""What a copy of the store's file gives away, with a key and without."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.document_ports import PutDocument
from actors.ports import KeptTranscript, SnapshotToSave, StorageError
from adapters.storage import FILE_NAME, Seal, open_sqlite
from adapters.storage.sealing import SealError, key_of
from tests.adapters.storage.conformance import Opener, StoreConformance

OLD, NEW = "the old key, and thirty-two bytes", "the new key, and thirty-two bytes"
BODY = b'{"lens": "the surgeon called back"}'
ANN, BEN = "ann@example.org", "ben@example.org"


class TestSealedStore(StoreConformance):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return lambda: open_sqlite(tmp_path, seal=Seal(NEW, [OLD]))


@given(row=st.text(), value=st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_row_alone(row: str, value: bytes) -> None:
    row = row.encode(errors="replace").decode()
    sealed = Seal(NEW).seal(row, value)

    assert value == Seal("", [OLD, NEW]).open(row, sealed)
    with pytest.raises(SealError):
        Seal(NEW).open(row + "x", sealed)
    with pytest.raises(SealError):
        Seal(OLD).open(row, sealed)


@given(st.data())
def test_a_damaged_value_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(Seal(NEW).seal("row", BODY))
    place = data.draw(st.integers(1, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SealError):
        Seal(NEW).open("row", bytes(sealed))


@pytest.mark.parametrize("length", range(5, 40))
def test_a_value_that_was_cut_off_does_not_open(length: int) -> None:
    with pytest.raises(SealError):
        Seal(NEW).open("row", Seal(NEW).seal("row", BODY)[:length])


def test_two_values_never_look_alike_and_plain_ones_name_no_key() -> None:
    assert Seal(NEW).seal("row", BODY) != Seal(NEW).seal("row", BODY)
    assert BODY == Seal("", [OLD]).seal("row", BODY)
    assert b"" == key_of(BODY)


def is_readable(folder: Path) -> bool:
    return any(b"surgeon" in path.read_bytes() for path in folder.iterdir())


async def keep(folder: Path, seal: Seal | None, user_id: str = ANN) -> None:
    store = await open_sqlite(folder, seal=seal)
    claim = await store.claim_user(user_id)
    await store.save_snapshots([SnapshotToSave(user_id, claim.epoch, BODY)])
    await store.aclose()


def leave_old_text(folder: Path) -> None:
    """A longer snapshot is replaced, by an SQLite that does not wipe pages that it frees (a build option)."""
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.execute("PRAGMA secure_delete = OFF")
    for body in (BODY * 1000, BODY):
        connection.execute("UPDATE owners SET snapshot = ?", (body,))
        connection.commit()
    connection.close()


async def kept(folder: Path, seal: Seal | None, user_id: str = ANN) -> bytes | None:
    store = await open_sqlite(folder, seal=seal)
    try:
        return (await store.claim_user(user_id)).snapshot
    finally:
        await store.aclose()


async def test_with_a_key_the_file_holds_nothing_a_wearer_read(tmp_path: Path) -> None:
    await keep(tmp_path / "plain", None)
    await keep(tmp_path / "sealed", Seal(NEW))

    assert is_readable(tmp_path / "plain")
    assert not is_readable(tmp_path / "sealed")
    assert BODY == await kept(tmp_path / "sealed", Seal(NEW))


async def test_switching_encryption_on_leaves_no_old_text_in_the_file(tmp_path: Path) -> None:
    await keep(tmp_path, None)
    leave_old_text(tmp_path)

    store = await open_sqlite(tmp_path, seal=Seal(NEW))

    assert not is_readable(tmp_path)
    await store.aclose()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Seal(), Seal(NEW)),
        (Seal(OLD), Seal(NEW, [OLD])),
        (Seal(OLD), Seal("", [OLD])),
    ],
    ids=["switched on", "changed", "switched off"],
)
async def test_after_one_start_with_the_next_key_the_former_is_not_needed(
    tmp_path: Path, first: Seal, then: Seal
) -> None:
    await keep(tmp_path, first)

    store = await open_sqlite(tmp_path, seal=then)

    assert is_readable(tmp_path) == (not then.current)
    await store.aclose()
    assert BODY == await kept(tmp_path, Seal(NEW) if then.current else Seal())


async def test_a_store_whose_key_is_missing_does_not_open_and_names_it(tmp_path: Path) -> None:
    await keep(tmp_path, Seal(OLD))

    with pytest.raises(StorageError, match=f"not configured: {Seal(OLD).current.hex()}"):
        await open_sqlite(tmp_path, seal=Seal(NEW))

    assert BODY == await kept(tmp_path, Seal(OLD))


async def test_a_snapshot_moved_to_another_user_is_not_read_as_his(tmp_path: Path) -> None:
    await keep(tmp_path, Seal(NEW), ANN)
    await keep(tmp_path, Seal(NEW), BEN)
    store = await open_sqlite(tmp_path)
    (anns, epoch) = (await store.claim_user(ANN)).snapshot, (await store.claim_user(BEN)).epoch
    assert anns is not None
    await store.save_snapshots([SnapshotToSave(BEN, epoch, anns)])
    await store.aclose()

    assert anns == await kept(tmp_path, Seal(NEW), BEN), "unreadable, as it lies there"
    assert BODY == await kept(tmp_path, Seal(NEW), ANN)


async def say(folder: Path, seal: Seal | None, user_id: str = ANN) -> None:
    store = await open_sqlite(folder, seal=seal)
    await store.keep_transcripts([KeptTranscript(user_id, "u1", 1, BODY)], 0)
    await store.aclose()


async def said(folder: Path, seal: Seal | None, user_id: str = ANN) -> tuple[bytes, ...]:
    store = await open_sqlite(folder, seal=seal)
    try:
        return await store.find_transcripts(user_id)
    finally:
        await store.aclose()


async def test_with_a_key_the_file_holds_nothing_a_wearer_said(tmp_path: Path) -> None:
    await say(tmp_path / "plain", None)
    await say(tmp_path / "sealed", Seal(NEW))

    assert is_readable(tmp_path / "plain")
    assert not is_readable(tmp_path / "sealed")
    assert (BODY,) == await said(tmp_path / "sealed", Seal(NEW))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Seal(), Seal(NEW)),
        (Seal(OLD), Seal(NEW, [OLD])),
        (Seal(OLD), Seal("", [OLD])),
    ],
    ids=["switched on", "changed", "switched off"],
)
async def test_what_was_said_is_under_the_next_key_after_one_start(
    tmp_path: Path, first: Seal, then: Seal
) -> None:
    await say(tmp_path, first)

    store = await open_sqlite(tmp_path, seal=then)

    assert is_readable(tmp_path) == (not then.current)
    await store.aclose()
    assert (BODY,) == await said(tmp_path, Seal(NEW) if then.current else Seal())


async def test_what_was_said_under_a_key_that_is_missing_keeps_the_store_shut(tmp_path: Path) -> None:
    await say(tmp_path, Seal(OLD))

    with pytest.raises(StorageError, match=f"not configured: {Seal(OLD).current.hex()}"):
        await open_sqlite(tmp_path, seal=Seal(NEW))

    assert (BODY,) == await said(tmp_path, Seal(OLD))


async def test_a_piece_moved_to_another_user_is_left_out(tmp_path: Path) -> None:
    await say(tmp_path, Seal(NEW), ANN)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("INSERT INTO transcripts SELECT ?, result_id, at_ms, segment FROM transcripts", (BEN,))
    connection.commit()
    connection.close()

    assert () == await said(tmp_path, Seal(NEW), BEN)
    assert (BODY,) == await said(tmp_path, Seal(NEW), ANN)


async def note(folder: Path, seal: Seal | None) -> None:
    store = await open_sqlite(folder, seal=seal)
    change = PutDocument(collection="tasks", key="t1", user_id=ANN, document=BODY, updated_at_ms=1)
    await store.commit([change])
    await store.aclose()


async def noted(folder: Path, seal: Seal | None) -> bytes | None:
    store = await open_sqlite(folder, seal=seal)
    try:
        found = await store.find_document("tasks", "t1")
        listed = await store.list_documents("tasks", ANN, 10)
    finally:
        await store.aclose()
    assert (found,) == listed
    return None if found is None else found.document


async def test_with_a_key_the_file_holds_nothing_of_a_document(tmp_path: Path) -> None:
    await note(tmp_path / "plain", None)
    await note(tmp_path / "sealed", Seal(NEW))

    assert is_readable(tmp_path / "plain")
    assert not is_readable(tmp_path / "sealed")
    assert BODY == await noted(tmp_path / "sealed", Seal(NEW))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Seal(), Seal(NEW)),
        (Seal(OLD), Seal(NEW, [OLD])),
        (Seal(OLD), Seal("", [OLD])),
    ],
    ids=["switched on", "changed", "switched off"],
)
async def test_documents_are_under_the_next_key_after_one_start(
    tmp_path: Path, first: Seal, then: Seal
) -> None:
    await note(tmp_path, first)

    store = await open_sqlite(tmp_path, seal=then)

    assert is_readable(tmp_path) == (not then.current)
    await store.aclose()
    assert BODY == await noted(tmp_path, Seal(NEW) if then.current else Seal())


async def test_a_document_that_does_not_open_is_an_error_alone_and_left_out_of_lists(tmp_path: Path) -> None:
    await note(tmp_path, Seal(NEW))
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("UPDATE documents SET key = 't2'")
    connection.commit()
    connection.close()
    store = await open_sqlite(tmp_path, seal=Seal(NEW))

    with pytest.raises(StorageError, match="'t2' is unreadable"):
        await store.find_document("tasks", "t2")
    assert () == await store.list_documents("tasks", ANN, 10)
    await store.aclose()
