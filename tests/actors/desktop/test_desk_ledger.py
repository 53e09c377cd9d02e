"""What is said, and when, whatever becomes of the commits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.desktop import ledger
from actors.desktop.ledger import Ledger
from actors.document_ports import DocumentChange, KeepNewest, PutDocument, RemoveDocument


def put(key: str, version: int = 0) -> PutDocument:
    return PutDocument(
        collection="agents", key=key, user_id="ada", document=str(version).encode(), updated_at_ms=version
    )


def test_nothing_is_said_before_its_commit() -> None:
    waiting = ledger.noted(Ledger[str](), [put("a")], ["a is kept"])

    begun, changes = ledger.begin(waiting)
    assert (put("a"),) == changes
    assert (begun, None) == ledger.begin(begun), "one commit at a time"
    assert (begun, ()) == ledger.done(begun, begun.token - 1)
    rest, said = ledger.done(begun, begun.token)

    assert ("a is kept",) == said
    assert rest.is_idle


def test_what_changes_while_it_is_written_is_written_once_more_and_newest_only() -> None:
    begun, _ = ledger.begin(ledger.noted(Ledger[str](), [put("a", 1)], ["one"]))
    for version in (2, 3):
        begun = ledger.noted(begun, [put("a", version), put("b", version)], [f"version {version}"])

    rest, said = ledger.done(begun, begun.token)
    again, changes = ledger.begin(rest)

    assert ("one",) == said
    assert (put("a", 3), put("b", 3)) == changes
    assert ("version 2", "version 3") == ledger.done(again, again.token)[1]


def test_a_commit_that_failed_waits_again_without_undoing_what_is_newer() -> None:
    begun, _ = ledger.begin(ledger.noted(Ledger[str](), [put("a", 1), put("b", 1)], ["one"]))
    begun = ledger.noted(begun, [RemoveDocument("agents", "a")], ["gone"])

    again, changes = ledger.begin(ledger.undone(begun))

    assert (put("b", 1), RemoveDocument("agents", "a")) == changes
    assert (again, ()) == ledger.done(again, begun.token), "the old one's success is no news"
    assert ("one", "gone") == ledger.done(again, again.token)[1]


def test_trimming_comes_behind_what_it_trims() -> None:
    keep = KeepNewest("agents", "ada", 2)
    waiting = ledger.noted(Ledger[str](), [keep, put("a")])

    _, changes = ledger.begin(ledger.noted(waiting, [put("b"), keep]))

    assert (put("a"), put("b"), keep) == changes


@given(st.lists(st.sampled_from(["note", "begin", "done", "failed", "crash"]), max_size=40))
def test_all_is_said_once_in_order_and_of_what_is_durable(steps: list[str]) -> None:
    book: Ledger[int] = Ledger()
    disk = written = 0
    said: list[int] = []
    noted = 0
    in_flight: tuple[DocumentChange, ...] | None = None
    for step in [*steps, "crash", "begin", "done", "begin", "done"]:
        if step == "note":
            noted += 1
            book = ledger.noted(book, [put("a", noted)], [noted])
        elif step == "begin":
            begun, changes = ledger.begin(book)
            if changes is not None:
                book, in_flight = begun, changes
        elif step == "done" and in_flight is not None:
            for change in in_flight:
                assert isinstance(change, PutDocument)
                disk = written = max(disk, change.updated_at_ms)
            book, now = ledger.done(book, book.token)
            assert all(one <= disk for one in now)
            said += now
            in_flight = None
        elif step in ("failed", "crash"):
            book, in_flight = ledger.undone(book), None

    assert list(range(1, noted + 1)) == said
    assert written == noted
    assert book.is_idle
