"""What the cabinet hears. Whoever asks is answered when the edit is stored; a refused edit fails the ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from runtime import Ref, ReplyTo

from ..document_ports import StoredDocument
from ..journal import CommitDone, CommitFailed
from .preferences import Edit, Preferences
from .storage import StorageEdit, Values

if TYPE_CHECKING:
    from ..session.messages import SessionMessage

DrawerKey = tuple[str, str]
"""A document's collection and key."""


class EditPreferences(msgspec.Struct, frozen=True):
    """Change what a user prefers; answers with all of it. The user's session is told before the answer.

    Fails with the refusals of `preferences.edited`, or with StorageError.
    """

    user_id: str
    edit: Edit
    reply_to: ReplyTo[Preferences] | None = None


class EditStorage(msgspec.Struct, frozen=True):
    """Change what an app keeps for a user; answers with what is there then.

    Fails with TooLargeError or StorageError.
    """

    user_id: str
    package_name: str
    edit: StorageEdit
    reply_to: ReplyTo[Values]


class IssueTicket(msgspec.Struct, frozen=True):
    """Keep a ticket for `token`; answers True when it is stored."""

    token: str
    user_id: str
    package_name: str
    reply_to: ReplyTo[bool]


class RedeemTicket(msgspec.Struct, frozen=True):
    """Use a ticket up; answers with the user's id, or None where it is not good for the app."""

    token: str
    package_name: str
    reply_to: ReplyTo[str | None]


class PreferencesChanged(msgspec.Struct, frozen=True):
    """To a user's session: what the user prefers now."""

    preferences: Preferences


Request = EditPreferences | EditStorage | IssueTicket | RedeemTicket


def edit_preferences(user_id: str, edit: Edit) -> Callable[[ReplyTo[Preferences]], EditPreferences]:
    """What an ask for a change of preferences is made with."""
    return lambda reply_to: EditPreferences(user_id, edit, reply_to)


def edit_storage(
    user_id: str, package_name: str, edit: StorageEdit
) -> Callable[[ReplyTo[Values]], EditStorage]:
    """What an ask for a change of simple storage is made with."""
    return lambda reply_to: EditStorage(user_id, package_name, edit, reply_to)


def issue_ticket(token: str, user_id: str, package_name: str) -> Callable[[ReplyTo[bool]], IssueTicket]:
    """What an ask for a ticket is made with."""
    return lambda reply_to: IssueTicket(token, user_id, package_name, reply_to)


def redeem_ticket(token: str, package_name: str) -> Callable[[ReplyTo[str | None]], RedeemTicket]:
    """What an ask to use a ticket up is made with."""
    return lambda reply_to: RedeemTicket(token, package_name, reply_to)


class DrawerRead(msgspec.Struct, frozen=True):
    """The store's answer: the document that is to be changed."""

    drawer: DrawerKey
    document: StoredDocument | None


class DrawerNotRead(msgspec.Struct, frozen=True):
    drawer: DrawerKey
    error: Exception


class WriteOverdue(msgspec.Struct, frozen=True):
    """Nothing was heard of a commit: a crash of the journal may have lost it."""

    token: int


class SessionFound(msgspec.Struct, frozen=True):
    """The roster's answer: who is to hear of a user's changed preferences. None: nobody, now."""

    user_id: str
    session: Ref[SessionMessage] | None


CabinetMessage = (
    EditPreferences
    | EditStorage
    | IssueTicket
    | RedeemTicket
    | DrawerRead
    | DrawerNotRead
    | CommitDone
    | CommitFailed
    | WriteOverdue
    | SessionFound
)
