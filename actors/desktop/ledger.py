"""What waits to be kept, and what is said only once it is: nothing is told before it is durable.

A value beside an actor's state. `noted` takes documents and what hangs on them, `begin` gives the next commit
for the journal, `done` and `failed` take its outcome. While one commit is being written the next one gathers:
of a document that changes again only the newest is written, and what hangs on the older one waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

import msgspec

from ..document_ports import DocumentChange, KeepNewest

A = TypeVar("A")

Place = tuple[str, str]


class Ledger(msgspec.Struct, Generic[A], frozen=True):
    """What waits, what is being written, and what is to be said after each.

    Attributes:
      token: of the last commit that was begun.
    """

    waiting: Mapping[Place, DocumentChange] = {}
    after: tuple[A, ...] = ()
    writing: Mapping[Place, DocumentChange] | None = None
    after_writing: tuple[A, ...] = ()
    token: int = 0

    @property
    def is_idle(self) -> bool:
        """All there was is kept and said."""
        return self.writing is None and not self.waiting and not self.after

    def holds(self, place: Place) -> bool:
        """Whether a change of this document is not durable yet."""
        return place in self.waiting or (self.writing is not None and place in self.writing)


def noted(ledger: Ledger[A], changes: Iterable[DocumentChange], after: Iterable[A] = ()) -> Ledger[A]:
    """Keep `changes`, then say `after`, behind all that waits already."""
    waiting = dict(ledger.waiting)
    for change in changes:
        place = place_of(change)
        waiting.pop(place, None)  # it goes behind what it is to come after
        waiting[place] = change
    return msgspec.structs.replace(ledger, waiting=waiting, after=(*ledger.after, *after))


def begin(ledger: Ledger[A]) -> tuple[Ledger[A], tuple[DocumentChange, ...] | None]:
    """The changes of the next commit, whose token is the new ledger's; None while there is nothing to do."""
    if ledger.writing is not None or (not ledger.waiting and not ledger.after):
        return ledger, None
    begun: Ledger[A] = Ledger(writing=ledger.waiting, after_writing=ledger.after, token=ledger.token + 1)
    return begun, tuple(ledger.waiting.values())


def done(ledger: Ledger[A], token: int) -> tuple[Ledger[A], tuple[A, ...]]:
    """The commit is durable: what is said now. Nothing for one that was given up."""
    if ledger.writing is None or token != ledger.token:
        return ledger, ()
    return msgspec.structs.replace(ledger, writing=None, after_writing=()), ledger.after_writing


def undone(ledger: Ledger[A]) -> Ledger[A]:
    """The commit failed, or nobody knows: everything waits again, in its order."""
    if ledger.writing is None:
        return ledger
    again = {place: change for place, change in ledger.writing.items() if place not in ledger.waiting}
    return Ledger(
        waiting={**again, **ledger.waiting},
        after=(*ledger.after_writing, *ledger.after),
        token=ledger.token,
    )


def place_of(change: DocumentChange) -> Place:
    """Which document a change is about."""
    if isinstance(change, KeepNewest):
        return change.collection, f"newest of {change.user_id}"
    return change.collection, change.key
