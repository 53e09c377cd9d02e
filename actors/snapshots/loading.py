"""What the store knows of a user, read before the user's subtree is made: a task of the roster."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Ref

from ..cabinet.preferences import Preferences
from ..cabinet.reading import UnreadableDocumentError, find_preferences
from ..directory import DirectoryMessage, find_app
from ..ports import AppDocument, Store, Telemetry, UserDocument
from .resumption import named
from .snapshot import StoredSnapshot, UnreadableSnapshotError, decode


class Loaded(msgspec.Struct, frozen=True):
    """A user who is ours from here on.

    Attributes:
      documents: the apps that the snapshot and the stored list name, as far as the catalogue has them.
    """

    epoch: int
    user: UserDocument | None
    snapshot: StoredSnapshot | None = None
    documents: Mapping[str, AppDocument] = {}
    preferences: Preferences = Preferences()


class StoredUser(msgspec.Struct, frozen=True):
    """What the store says of a user for whom a session stands already."""

    user: UserDocument | None
    preferences: Preferences


async def read_user(user_id: str, store: Store, telemetry: Telemetry) -> StoredUser:
    """The stored running list and the preferences.

    Raises:
      StorageError: the store could not answer. Preferences that cannot be read count as none.
    """
    user = await store.find_user(user_id)
    try:
        preferences = await find_preferences(store, user_id)
    except UnreadableDocumentError as error:
        telemetry.error("preferences_unreadable", user=user_id, cause=str(error))
        preferences = Preferences()
    return StoredUser(user, preferences)


async def load(
    user_id: str,
    store: Store,
    directory: Ref[DirectoryMessage],
    telemetry: Telemetry,
    *,
    is_over: bool,
) -> Loaded:
    """Become the user's owner, and read what there is.

    Args:
      is_over: the stored snapshot is of a session that has ended since: it is removed and not handed out.

    Raises:
      StorageError: the store could not answer. The epoch may have been raised.
      RuntimeFailure: the directory could not.
    """
    claim = await store.claim_user(user_id)
    stored = await read_user(user_id, store, telemetry)
    user, preferences = stored.user, stored.preferences
    if claim.snapshot is None:
        return Loaded(claim.epoch, user, preferences=preferences)
    try:
        snapshot = None if is_over else decode(claim.snapshot)
    except UnreadableSnapshotError as error:
        telemetry.error("snapshot_unreadable", user=user_id, cause=str(error))
        snapshot = None
    if snapshot is None:
        await store.forget_snapshot(user_id, claim.epoch)
        return Loaded(claim.epoch, user, preferences=preferences)
    documents = {}
    for package_name in named(snapshot.session, user):
        app = await directory.ask(find_app(package_name))
        if app is not None:
            documents[package_name] = app
    return Loaded(claim.epoch, user, snapshot, documents, preferences)
