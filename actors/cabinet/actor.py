"""Writes what users keep: one edit of a document after the other, answered when it is stored.

A document that is being changed has a drawer: who asks meanwhile waits, and all that wait are one write.
There is no memory beside it: the store is read for every change, so nobody else's write is overlooked. A
user's session hears of changed preferences, by their version, until the roster has said where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from runtime import Actor, Ref, ReplyTo, RestartInfo

from ..document_ports import KeepNewest, PutDocument, RemoveDocument, StoredDocument
from ..journal import Commit, CommitDone, CommitFailed, JournalMessage
from ..ports import Change, StorageError, Store, Telemetry
from ..users.roster import RosterMessage, find_user
from . import preferences, storage, tickets
from .messages import (
    CabinetMessage,
    DrawerKey,
    DrawerNotRead,
    DrawerRead,
    EditPreferences,
    EditStorage,
    IssueTicket,
    PreferencesChanged,
    RedeemTicket,
    Request,
    SessionFound,
    WriteOverdue,
)
from .preferences import (
    AlreadyInstalledError,
    NoSuchSettingError,
    NotInstalledError,
    Preferences,
    TooLargeError,
)
from .reading import preferences_of, values_of
from .settings import CabinetSettings
from .tickets import Ticket

WRITE_OVERDUE_S = 2.0
"""The journal answers every commit within the store's own patience, unless a crash has lost it."""

REFUSALS = (TooLargeError, NoSuchSettingError, AlreadyInstalledError, NotInstalledError, StorageError)


class Answer(msgspec.Struct, frozen=True):
    """What somebody hears once the write is stored."""

    reply_to: ReplyTo[Any] | None
    outcome: Any


class Drawer(msgspec.Struct, frozen=True):
    """A document that is being changed.

    Attributes:
      waiting: what the next write is to be made of.
      changes, token, answers: the write that is under way; no token while the document is read.
      changed: the preferences that the session hears of once they are stored.
    """

    waiting: tuple[Request, ...] = ()
    changes: tuple[Change, ...] = ()
    token: int = 0
    answers: tuple[Answer, ...] = ()
    changed: Preferences | None = None


class CabinetState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      drawers: by collection and key; one is there while something waits or is written.
      untold: preferences that a user's session has not been told, by user.
      tokens: of the last write.
    """

    drawers: Mapping[DrawerKey, Drawer] = {}
    untold: Mapping[str, Preferences] = {}
    tokens: int = 0


class Cabinet(Actor[CabinetMessage]):
    """One for the server."""

    mailbox_size = 16_384

    def __init__(
        self,
        *,
        store: Store,
        journal: Ref[JournalMessage],
        roster: Ref[RosterMessage],
        telemetry: Telemetry,
        settings: CabinetSettings,
    ) -> None:
        self.store = store
        self.journal = journal
        self.roster = roster
        self.telemetry = telemetry
        self.settings = settings
        self.state = CabinetState()

    def started(self, restart: RestartInfo | None) -> None:
        for key, drawer in self.state.drawers.items():
            if drawer.token:
                self._write(drawer)
            else:
                self._read(key)
        for user_id in self.state.untold:
            self._find_session(user_id)

    def receive(self, message: CabinetMessage) -> None:
        match message:
            case EditPreferences() | EditStorage() | IssueTicket() | RedeemTicket():
                self._asked(message)
            case DrawerRead(key, document):
                self._opened(key, document)
            case DrawerNotRead(key, error):
                self._not_opened(key, error)
            case CommitDone(token):
                self._written(token)
            case CommitFailed(token, retry_after_s):
                self._not_written(token, retry_after_s)
            case WriteOverdue(token):
                if (overdue := self._key_of(token)) is not None:
                    self._write(self._drawer(overdue))
            case SessionFound(user_id, session):
                changed = self.state.untold.get(user_id)
                if session is not None and changed is not None:
                    session.tell(PreferencesChanged(changed))
                untold = {user: known for user, known in self.state.untold.items() if user != user_id}
                self.state = replace(self.state, untold=untold)
            case _:
                assert_never(message)

    # -- one document after the other ---------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        key = _drawer_of(request)
        is_idle = key not in self.state.drawers
        drawer = self._drawer(key)
        self._put(key, replace(drawer, waiting=(*drawer.waiting, request)))
        if is_idle:
            self._read(key)

    def _read(self, key: DrawerKey) -> None:
        self.start(
            self.store.find_document,
            *key,
            then=lambda document: DrawerRead(key, document),
            failed=lambda error: DrawerNotRead(key, error),
            name="read document",
        )

    def _not_opened(self, key: DrawerKey, error: Exception) -> None:
        drawer = self._drawer(key)
        if drawer.waiting and not drawer.token:
            self._answer(tuple(_told(request, error) for request in drawer.waiting))
            self._close(key)

    def _opened(self, key: DrawerKey, document: StoredDocument | None) -> None:
        drawer = self._drawer(key)
        if drawer.token or not drawer.waiting:
            return  # read twice, because of a crash
        work = _Work(document, self.system.clock.wall(), self.settings)
        answers = tuple(work.do(request) for request in drawer.waiting)
        if not work.changes:
            self._answer(answers)
            self._close(key)
            return
        token = self.state.tokens + 1
        self.state = replace(self.state, tokens=token)
        drawer = Drawer(changes=work.changes, token=token, answers=answers, changed=work.changed)
        self._put(key, drawer)
        self._write(drawer)

    def _write(self, drawer: Drawer) -> None:
        self.journal.tell(Commit(drawer.changes, drawer.token, self.ref))
        self.set_timer(f"write {drawer.token}", WRITE_OVERDUE_S, WriteOverdue(drawer.token))

    def _written(self, token: int) -> None:
        key = self._key_of(token)
        if key is None:
            return  # the same write again, after a crash
        drawer = self._end_write(key)
        if drawer.changed is not None:
            user_id = key[1]
            self.state = replace(self.state, untold={**self.state.untold, user_id: drawer.changed})
            self._find_session(user_id)
        self._answer(drawer.answers)

    def _not_written(self, token: int, retry_after_s: float) -> None:
        key = self._key_of(token)
        if key is None:
            return
        drawer = self._end_write(key)
        error = StorageError("the change could not be stored", retry_after_s=retry_after_s)
        self._answer(tuple(replace(answer, outcome=error) for answer in drawer.answers))

    def _end_write(self, key: DrawerKey) -> Drawer:
        """The write that is over; what waits behind it is next."""
        drawer = self._drawer(key)
        self.cancel_timer(f"write {drawer.token}")
        if drawer.waiting:
            self._put(key, Drawer(waiting=drawer.waiting))
            self._read(key)
        else:
            self._close(key)
        return drawer

    def _answer(self, answers: tuple[Answer, ...]) -> None:
        for answer in answers:
            if answer.reply_to is None:
                if isinstance(answer.outcome, Exception):
                    self.telemetry.warning("document_not_changed", cause=str(answer.outcome))
            elif isinstance(answer.outcome, Exception):
                answer.reply_to.fail(answer.outcome)
            else:
                answer.reply_to.tell(answer.outcome)

    def _find_session(self, user_id: str) -> None:
        self.ask(
            self.roster,
            find_user(user_id),
            then=lambda session: SessionFound(user_id, session),
            failed=lambda _: SessionFound(user_id, None),
        )

    def _drawer(self, key: DrawerKey) -> Drawer:
        return self.state.drawers.get(key) or Drawer()

    def _put(self, key: DrawerKey, drawer: Drawer) -> None:
        self.state = replace(self.state, drawers={**self.state.drawers, key: drawer})

    def _close(self, key: DrawerKey) -> None:
        rest = {known: drawer for known, drawer in self.state.drawers.items() if known != key}
        self.state = replace(self.state, drawers=rest)

    def _key_of(self, token: int) -> DrawerKey | None:
        return next((key for key, drawer in self.state.drawers.items() if drawer.token == token), None)


def _drawer_of(request: Request) -> DrawerKey:
    match request:
        case EditPreferences(user_id):
            return preferences.COLLECTION, user_id
        case EditStorage(user_id, package_name):
            return storage.COLLECTION, storage.key_of(user_id, package_name)
        case IssueTicket(token) | RedeemTicket(token):
            return tickets.COLLECTION, tickets.key_of(token)


def _told(request: Request, outcome: Any) -> Answer:
    return Answer(request.reply_to, outcome)


class _Work:
    """What requests make of one document, one after the other.

    Attributes:
      changes: what is to be stored; empty while nothing changed.
      changed: the preferences, where they are what changed.
    """

    def __init__(self, document: StoredDocument | None, wall_s: float, limits: CabinetSettings) -> None:
        self.document = document
        self.now_ms = round(wall_s * 1000)
        self.limits = limits
        self.changes: tuple[Change, ...] = ()
        self.changed: Preferences | None = None

    def do(self, request: Request) -> Answer:
        try:
            outcome = self._done(request)
        except REFUSALS as error:
            outcome = error
        return _told(request, outcome)

    def _done(self, request: Request) -> object:
        collection, key = _drawer_of(request)
        match request:
            case EditPreferences(user_id, edit):
                before = preferences_of(self.document)
                after = preferences.edited(before, edit, self.limits)
                if after is not before:
                    self._keep(collection, key, user_id, msgspec.json.encode(after))
                    self.changed = after
                return after
            case EditStorage(user_id, _, edit):
                values = values_of(self.document)
                edited = storage.edited(values, edit, self.limits)
                if edited != values:
                    self._keep(collection, key, user_id, msgspec.json.encode(edited) if edited else None)
                return edited
            case IssueTicket(_, user_id, package_name):
                ticket = Ticket(user_id, package_name, self.now_ms + round(self.limits.ticket_s * 1000))
                self._keep(collection, key, user_id, msgspec.json.encode(ticket))
                self.changes = (*self.changes, KeepNewest(collection, user_id, self.limits.tickets))
                return True
            case RedeemTicket(_, package_name):
                if self.document is None:
                    return None
                ticket = msgspec.json.decode(self.document.document, type=Ticket)
                self._keep(collection, key, ticket.user_id, None)
                return tickets.holder(ticket, package_name, self.now_ms)

    def _keep(self, collection: str, key: str, user_id: str, document: bytes | None) -> None:
        """What is to be stored now; None: nothing any more."""
        if document is None:
            self.document = None
            self.changes = (RemoveDocument(collection, key),)
            return
        self.document = StoredDocument(key, user_id, document)
        change = PutDocument(
            collection=collection, key=key, user_id=user_id, document=document, updated_at_ms=self.now_ms
        )
        self.changes = (change,)
