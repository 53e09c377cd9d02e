"""What the `Store` port keeps by collection and key: a user's tasks, conversations, agents and daemons.

The store knows nothing of what is in them; whoever puts a document says what it is to be found by.
"""

from __future__ import annotations

import msgspec


class PutDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Put a document of a collection (tasks, conversations, subagents, ...) in place of the one of its key.

    Attributes:
      key: unique in its collection, whoever's it is.
      document: JSON.
      updated_at_ms: epoch milliseconds; lists have the newest first.
      is_unfinished: it is work in progress, which a start looks for and `KeepNewest` leaves alone.
    """

    collection: str
    key: str
    user_id: str
    document: bytes
    updated_at_ms: int
    is_unfinished: bool = False


class RemoveDocument(msgspec.Struct, frozen=True):
    collection: str
    key: str


class KeepNewest(msgspec.Struct, frozen=True):
    """Remove a user's finished documents of a collection but the newest `count`."""

    collection: str
    user_id: str
    count: int


DocumentChange = PutDocument | RemoveDocument | KeepNewest


class StoredDocument(msgspec.Struct, frozen=True):
    """A document as it was put."""

    key: str
    user_id: str
    document: bytes
