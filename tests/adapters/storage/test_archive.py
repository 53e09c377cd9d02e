"""A whole store as a file: nothing is lost on the way, from either store into either."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.document_ports import PutDocument
from actors.ports import PutApp, PutUser, SetRunningApps, SnapshotToSave, StorageError
from adapters.storage import FILE_NAME, Seal, open_sqlite
from adapters.storage.archive import (
    App,
    ArchiveError,
    Document,
    NotEmptyError,
    Record,
    Session,
    Transcript,
    User,
    lines_of,
    records_of,
)
from adapters.storage.mongodb.archive import dump_mongodb, load_mongodb, reseal_mongodb
from adapters.storage.mongodb.database import MongoDatabase, open_database
from adapters.storage.mongodb.wire import Configure
from adapters.storage.sealing import SealError, document_row, key_of, snapshot_row, transcript_row
from adapters.storage.sqlite_archive import dump_sqlite, load_sqlite
from tests.adapters.storage.conformance import app, said

OLD, NEW = "the old key, and thirty-two bytes", "the new key, and thirty-two bytes"

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
numbers = st.integers(-(2**63), 2**63 - 1)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
texts = json_values.map(lambda value: msgspec.json.encode(value).decode())
bodies = st.binary(max_size=40)


def unique(
    records: st.SearchStrategy[Record], name: Callable[[Record], object]
) -> st.SearchStrategy[list[Record]]:
    return st.lists(records, max_size=4, unique_by=name)


stores = st.tuples(
    unique(st.builds(App, names, texts), lambda one: one.package_name),  # type: ignore[union-attr]
    unique(
        st.builds(User, names, numbers, st.lists(names, max_size=3).map(tuple)),
        lambda one: one.user_id,  # type: ignore[union-attr]
    ),
    unique(st.builds(Session, names, numbers, st.none() | bodies), lambda one: one.user_id),  # type: ignore[union-attr]
    unique(
        st.builds(Transcript, names, names, numbers, bodies),
        lambda one: (one.user_id, one.result_id),  # type: ignore[union-attr]
    ),
    unique(
        st.builds(
            Document,
            collection=st.sampled_from(["tasks", "subagents", "notes"]),
            key=names,
            user_id=names,
            updated_at_ms=numbers,
            is_unfinished=st.booleans(),
            text=texts,
        ),
        lambda one: (one.collection, one.key),  # type: ignore[union-attr]
    ),
).map(lambda parts: [record for part in parts for record in part])


def in_any_order(records: Iterable[Record]) -> list[bytes]:
    return sorted(msgspec.json.encode(record) for record in records)


def archived(records: Iterable[Record], store: Literal["sqlite", "mongodb"] = "sqlite") -> list[bytes]:
    """The lines of a file, as they are when it is read again."""
    return b"".join(lines_of(records, store)).splitlines(keepends=True)


@contextmanager
def mongodb(uri: str, database: str, key: str = "", former: tuple[str, ...] = ()) -> Iterator[MongoDatabase]:
    configure = Configure(
        uri=uri, database=database, attempt_s=5.0, start_s=10.0, key=key, former_keys=former
    )
    opened = open_database(configure, time.monotonic() + 10)
    try:
        yield opened
    finally:
        opened.close()


@given(stores)
@settings(max_examples=60, deadline=None)
def test_what_sqlite_exports_it_imports_again(records: list[Record]) -> None:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        load_sqlite(Path(first), records, replaces=False)
        load_sqlite(Path(second), records_of(archived(dump_sqlite(Path(first)))), replaces=False)

        assert in_any_order(records) == in_any_order(dump_sqlite(Path(second)))


_databases = itertools.count()


@given(stores)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_moves_to_mongodb_and_back_as_it_was(mongodb_uri: str, records: list[Record]) -> None:
    with TemporaryDirectory() as folder, mongodb(mongodb_uri, "archive") as database:
        load_mongodb(database, records_of(archived(records)), replaces=True)
        load_sqlite(Path(folder), records_of(archived(dump_mongodb(database), "mongodb")), replaces=False)

        assert in_any_order(records) == in_any_order(dump_sqlite(Path(folder)))


async def test_what_a_store_was_given_is_in_its_archive(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path, seal=Seal(NEW))
    claim = await store.claim_user("ada")
    await store.commit([PutApp(app("a")), PutUser("ada", 5), SetRunningApps("ada", ("a",))])
    await store.commit(
        [PutDocument(collection="tasks", key="t", user_id="ada", document=b"{}", updated_at_ms=1)]
    )
    await store.save_snapshots([SnapshotToSave("ada", claim.epoch, b"lens")])
    await store.keep_transcripts([said("ada", 1, at_ms=1)], 0)
    await store.aclose()

    kept = list(dump_sqlite(tmp_path))

    assert [App, User, Session, Transcript, Document] == [type(one) for one in kept]
    assert User("ada", 5, ("a",)) == kept[1]
    assert b"lens" not in b"".join(archived(kept)), "what is sealed stays so"
    session = kept[2]
    assert isinstance(session, Session)
    assert session.snapshot is not None
    assert b"lens" == Seal(NEW).open("snapshot ada", session.snapshot)


def test_a_store_that_holds_something_is_not_imported_into_unless_told(tmp_path: Path) -> None:
    load_sqlite(tmp_path, [User("ada", 1, ())], replaces=False)

    with pytest.raises(NotEmptyError, match="users"):
        load_sqlite(tmp_path, [User("ben", 1, ())], replaces=False)
    load_sqlite(tmp_path, [User("ben", 1, ())], replaces=True)

    assert [User("ben", 1, ())] == list(dump_sqlite(tmp_path))


def test_a_database_that_holds_something_is_not_imported_into_unless_told(
    mongodb_uri: str, database: str
) -> None:
    with mongodb(mongodb_uri, database) as opened:
        load_mongodb(opened, [User("ada", 1, ())], replaces=False)

        with pytest.raises(NotEmptyError, match="users"):
            load_mongodb(opened, [User("ben", 1, ())], replaces=False)
        load_mongodb(opened, [User("ben", 1, ())], replaces=True)

        assert [User("ben", 1, ())] == list(dump_mongodb(opened))


WHOLE = archived([User("ada", 1, ()), User("ben", 1, ())])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "line 0: the end is missing"),
        (WHOLE[:-1], "line 3: the end is missing"),
        (WHOLE[:-2] + WHOLE[-1:], "line 3: 1 records, the file had 2"),
        (WHOLE[1:], "line 1: the first line is to be the head"),
        ([*WHOLE, WHOLE[1]], "line 5: the first line"),
        ([WHOLE[0], b'{"type":"user","user_id":5}\n'], "line 2: no line of an archive"),
        ([WHOLE[0], b"\xff\n"], "line 2: no line of an archive"),
        ([WHOLE[0].replace(b'"version":1', b'"version":2')], "of version 1, got"),
    ],
)
def test_a_file_that_is_no_whole_archive_changes_nothing(
    tmp_path: Path, lines: list[bytes], expected: str
) -> None:
    load_sqlite(tmp_path, [User("eve", 1, ())], replaces=False)

    with pytest.raises(ArchiveError, match=expected):
        load_sqlite(tmp_path, records_of(lines), replaces=True)

    assert [User("eve", 1, ())] == list(dump_sqlite(tmp_path))


def test_nothing_is_exported_from_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing was ever stored"):
        list(dump_sqlite(tmp_path))

    assert not (tmp_path / FILE_NAME).exists()


def sealed_store(seal: Seal) -> list[Record]:
    """One of each kind of private value."""
    row = document_row("tasks", "t")
    return [
        Session("ada", 3, seal.seal(snapshot_row("ada"), b"lens")),
        Transcript("ada", "u1", 1, seal.seal(transcript_row("ada", "u1"), b"said")),
        Document("tasks", "t", "ada", 1, True, None, seal.seal(row, b'{"goal":1}'))
        if seal.current
        else Document("tasks", "t", "ada", 1, True, '{"goal":1}'),
    ]


@pytest.mark.parametrize(
    ("first", "then"),
    [(Seal(), NEW), (Seal(OLD), NEW), (Seal(OLD), "")],
    ids=["on", "to another key", "off"],
)
def test_what_lies_in_mongodb_comes_under_the_current_key(
    mongodb_uri: str, database: str, first: Seal, then: str
) -> None:
    with mongodb(mongodb_uri, database, then, (OLD,)) as opened:
        load_mongodb(opened, sealed_store(first), replaces=False)

        counts = [reseal_mongodb(opened, Seal(then, [OLD])) for _ in range(2)]

        kept = list(dump_mongodb(opened))
    assert [3, 0] == counts
    only = Seal(then)
    session, transcript, document = kept
    assert isinstance(session, Session)
    assert isinstance(transcript, Transcript)
    assert isinstance(document, Document)
    assert b"lens" == only.open(snapshot_row("ada"), session.snapshot or b"")
    assert b"said" == only.open(transcript_row("ada", "u1"), transcript.segment)
    stored = document.sealed if document.sealed is not None else (document.text or "").encode()
    assert b'{"goal":1}' == only.open(document_row("tasks", "t"), stored)
    assert {only.current} == {key_of(one) for one in (session.snapshot or b"", transcript.segment, stored)}


def test_a_database_with_a_key_that_is_missing_does_not_open_and_names_it(
    mongodb_uri: str, database: str
) -> None:
    with mongodb(mongodb_uri, database) as opened:
        load_mongodb(opened, sealed_store(Seal(OLD)), replaces=False)

    with (
        pytest.raises(StorageError, match=f"not configured: {Seal(OLD).current.hex()}"),
        mongodb(mongodb_uri, database, NEW),
    ):
        pass


def test_a_sealed_document_opens_in_its_own_place_alone() -> None:
    sealed = Seal(NEW).seal(document_row("tasks", "t"), b"{}")

    with pytest.raises(SealError):
        Seal(NEW).open(document_row("tasks", "u"), sealed)
