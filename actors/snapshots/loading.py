"""What the store knows of a user, read before the user's subtree is made: a task of the roster."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Ref

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
    user = await store.find_user(user_id)
    if claim.snapshot is None:
        return Loaded(claim.epoch, user)
    try:
        snapshot = None if is_over else decode(claim.snapshot)
    except UnreadableSnapshotError as error:
        telemetry.error("snapshot_unreadable", user=user_id, cause=str(error))
        snapshot = None
    if snapshot is None:
        await store.forget_snapshot(user_id, claim.epoch)
        return Loaded(claim.epoch, user)
    documents = {}
    for package_name in named(snapshot.session, user):
        app = await directory.ask(find_app(package_name))
        if app is not None:
            documents[package_name] = app
    return Loaded(claim.epoch, user, snapshot, documents)
