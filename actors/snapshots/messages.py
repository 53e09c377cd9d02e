"""What the actor that writes snapshots hears."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from runtime import Ref, ReplyTo

if TYPE_CHECKING:
    from ..display.messages import DisplayMessage
    from ..session.messages import SessionMessage


class KeepUser(msgspec.Struct, frozen=True):
    """From the roster: a session stands; from now on its snapshots are written.

    Attributes:
      epoch: of our claim; None while the store could not take one, it is then made before the first write.
    """

    user_id: str
    epoch: int | None
    session: Ref[SessionMessage]
    display: Ref[DisplayMessage]


class ForgetUser(msgspec.Struct, frozen=True):
    """From the roster: the session has ended in order. Answers when its snapshot is gone, or fails."""

    user_id: str
    reply_to: ReplyTo[None]


class FindSnapshot(msgspec.Struct, frozen=True):
    """Answer whether the process before left a snapshot of the user that nobody has come for yet.

    Fails with StorageError until that is known.
    """

    user_id: str
    reply_to: ReplyTo[bool]


class SnapshotGone(msgspec.Struct, frozen=True):
    """From the roster: nothing of the user's snapshot is left in the store."""

    user_id: str


class Flush(msgspec.Struct, frozen=True):
    """Write what has changed now; answers whether all of it is written."""

    reply_to: ReplyTo[bool]


def find_snapshot(user_id: str) -> Callable[[ReplyTo[bool]], FindSnapshot]:
    """What an ask whether a user has a snapshot is made with."""
    return lambda reply_to: FindSnapshot(user_id, reply_to)


def forget_user(user_id: str) -> Callable[[ReplyTo[None]], ForgetUser]:
    """What an ask to remove a user's snapshot is made with."""
    return lambda reply_to: ForgetUser(user_id, reply_to)


class LookTick(msgspec.Struct, frozen=True):
    """The next slice of the round is due."""


class FlushTick(msgspec.Struct, frozen=True):
    """The next slice of a flush."""


class Listed(msgspec.Struct, frozen=True):
    """The store's answer at the start: who has a snapshot."""

    owners: Mapping[str, int]


class NotListed(msgspec.Struct, frozen=True):
    error: Exception


class ListAgain(msgspec.Struct, frozen=True):
    """Ask the store again."""


class NobodyCame(msgspec.Struct, frozen=True):
    """The phone's grace has passed since the start."""


class Claimed(msgspec.Struct, frozen=True):
    """The users are ours."""

    epochs: Mapping[str, int]


class Saved(msgspec.Struct, frozen=True):
    """Snapshots are written, but those of users whom another process owns."""

    stale: tuple[str, ...]


class Forgotten(msgspec.Struct, frozen=True):
    """A snapshot is gone."""


class JobFailed(msgspec.Struct, frozen=True):
    """What was under way with the store failed."""

    error: Exception


class TryAgain(msgspec.Struct, frozen=True):
    """Storage asked to be tried again."""


SnapshotsMessage = (
    KeepUser
    | ForgetUser
    | FindSnapshot
    | SnapshotGone
    | Flush
    | LookTick
    | FlushTick
    | Listed
    | NotListed
    | ListAgain
    | NobodyCame
    | Claimed
    | Saved
    | Forgotten
    | JobFailed
    | TryAgain
)
