"""Reading what the cabinet keeps, straight from the store: what was answered as stored is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from ..document_ports import StoredDocument
from ..ports import StorageError, Store
from . import preferences, storage
from .preferences import Preferences
from .storage import Values

T = TypeVar("T")


class UnreadableDocumentError(StorageError):
    """The store holds a document that this server cannot read; nothing overwrites it."""


_preferences = msgspec.json.Decoder(Preferences)
_values = msgspec.json.Decoder(Mapping[str, str])


async def find_preferences(store: Store, user_id: str) -> Preferences:
    """The user's preferences, empty ones where there are none.

    Raises:
      StorageError: the store could not answer; an UnreadableDocumentError where it holds what cannot be read.
    """
    return preferences_of(await store.find_document(preferences.COLLECTION, user_id))


async def find_storage(store: Store, user_id: str, package_name: str) -> Values:
    """What an app keeps for a user; empty where there is nothing.

    Raises:
      StorageError: the store could not answer; an UnreadableDocumentError where it holds what cannot be read.
    """
    return values_of(await store.find_document(storage.COLLECTION, storage.key_of(user_id, package_name)))


def preferences_of(document: StoredDocument | None) -> Preferences:
    """The preferences in a document, or empty ones.

    Raises:
      UnreadableDocumentError: it cannot be read.
    """
    return Preferences() if document is None else _read(_preferences, document)


def values_of(document: StoredDocument | None) -> Values:
    """The values in a document, or none.

    Raises:
      UnreadableDocumentError: it cannot be read.
    """
    return {} if document is None else _read(_values, document)


def _read(decoder: msgspec.json.Decoder[T], document: StoredDocument) -> T:
    try:
        return decoder.decode(document.document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"a document of {document.user_id} cannot be read: {error}"
        raise UnreadableDocumentError(message, retry_after_s=60.0) from error
