"""Who is logged in with a browser.

A login is a session with an id that only its cookie knows. It lasts for a fixed time, ends with a logout, and
is looked up at every request, so a logout holds at once. Sessions are kept in the store: they outlive the
process, and so does a logout. A one-time link is used up with the session that it opened: that is remembered
until its end, also when it was closed before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from runtime import Actor, Ref, ReplyTo, RestartInfo, StashFull

from ..document_ports import PutDocument, RemoveDocument, StoredDocument
from ..journal import Commit, CommitDone, CommitFailed, JournalMessage
from ..ports import StorageError, Store, Telemetry, retry_after_s
from .settings import ConsoleSettings

COLLECTION: Final = "console_sessions"
MOST_SESSIONS: Final = 10_000
"""Of all users; past it nobody logs in until one ends. A session is some 300 bytes."""

_SWEEP_S: Final = 60.0


class ConsoleSession(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One login.

    Attributes:
      ends_at: epoch seconds.
      link_id: of the one-time link that opened it; empty for a core token.
      is_closed: logged out, or pushed out by newer logins.
      is_operator: by the link that opened it; who is one by a setting is so without it.
    """

    session_id: str
    user_id: str
    ends_at: float
    link_id: str = ""
    is_closed: bool = False
    is_operator: bool = False


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """Log a user in. The reply, once it is kept, is None where the link was used before.

    Fails with StorageError.
    """

    session_id: str
    user_id: str
    reply_to: ReplyTo[ConsoleSession | None]
    link_id: str = ""
    is_operator: bool = False


class FindSession(msgspec.Struct, frozen=True):
    """The session of that id; None where there is none, or it is over."""

    session_id: str
    reply_to: ReplyTo[ConsoleSession | None]


class CloseSession(msgspec.Struct, frozen=True):
    """Log out. The reply is the session that was closed, once that outlives the process; None if it was over.

    Fails with StorageError: then it holds for as long as the process lives.
    """

    session_id: str
    reply_to: ReplyTo[ConsoleSession | None]


def open_session(
    session_id: str, user_id: str, link_id: str = "", *, is_operator: bool = False
) -> Callable[[ReplyTo[ConsoleSession | None]], OpenSession]:
    """What an ask to log somebody in is made with."""
    return lambda reply_to: OpenSession(
        session_id=session_id, user_id=user_id, link_id=link_id, is_operator=is_operator, reply_to=reply_to
    )


def find_session(session_id: str) -> Callable[[ReplyTo[ConsoleSession | None]], FindSession]:
    """What an ask for a session is made with."""
    return lambda reply_to: FindSession(session_id, reply_to)


class SessionsRead(msgspec.Struct, frozen=True):
    """What the process before has left."""

    documents: tuple[StoredDocument, ...]


class SessionsNotRead(msgspec.Struct, frozen=True):
    """The store could not say."""

    error: Exception


class ReadSessions(msgspec.Struct, frozen=True):
    """Ask the store again."""


class SweepSessions(msgspec.Struct, frozen=True):
    """Forget those whose time is over."""


SessionsMessage = (
    OpenSession
    | FindSession
    | CloseSession
    | CommitDone
    | CommitFailed
    | SessionsRead
    | SessionsNotRead
    | ReadSessions
    | SweepSessions
)


class Answer(msgspec.Struct, frozen=True):
    """Who is told the session once it is kept."""

    session: ConsoleSession
    reply_to: ReplyTo[ConsoleSession | None]


class ConsoleLogins(msgspec.Struct, frozen=True):
    """The state of `ConsoleSessions`.

    Attributes:
      sessions: by id, the oldest first, until their time is over; None until they were read.
      waiting: by the token of the commit.
    """

    sessions: Mapping[str, ConsoleSession] | None = None
    waiting: Mapping[int, Answer] = {}
    tokens: int = 0


class ConsoleSessions(Actor[SessionsMessage]):
    """Its state is `ConsoleLogins`. Until the store was read it answers nobody."""

    state: ConsoleLogins

    def __init__(
        self, *, store: Store, journal: Ref[JournalMessage], settings: ConsoleSettings, telemetry: Telemetry
    ) -> None:
        self.store = store
        self.journal = journal
        self.settings = settings
        self.telemetry = telemetry
        self.state = ConsoleLogins()

    def started(self, restart: RestartInfo | None) -> None:
        self.every("sweep", _SWEEP_S, SweepSessions())
        if self.state.sessions is None:
            self._read()
        for token, answer in self.state.waiting.items():
            self._commit(token, answer.session)

    def receive(self, message: SessionsMessage) -> None:
        match message:
            case OpenSession() | FindSession() | CloseSession():
                if self.state.sessions is None:
                    self._put_off(message)
                else:
                    self._answer(message, self.state.sessions)
            case CommitDone(token):
                self._kept(token, None)
            case CommitFailed(token, after_s):
                self._kept(token, StorageError("the login is not kept", retry_after_s=after_s))
            case SessionsRead(documents):
                read = [msgspec.json.decode(one.document, type=ConsoleSession) for one in documents]
                self.state = replace(self.state, sessions={one.session_id: one for one in reversed(read)})
                self.unstash()
            case SessionsNotRead(error):
                self.telemetry.warning("console_sessions_unread", cause=str(error))
                self.set_timer("read", retry_after_s(error), ReadSessions())
            case ReadSessions():
                self._read()
            case SweepSessions():
                self._sweep()

    def _read(self) -> None:
        self.start(
            self.store.list_documents,
            COLLECTION,
            None,
            MOST_SESSIONS,
            then=SessionsRead,
            failed=SessionsNotRead,
            name="read sessions",
        )

    def _put_off(self, message: OpenSession | FindSession | CloseSession) -> None:
        try:
            self.stash()
        except StashFull:
            message.reply_to.fail(StorageError("the logins are not read yet"))

    def _answer(
        self, message: OpenSession | FindSession | CloseSession, sessions: Mapping[str, ConsoleSession]
    ) -> None:
        now = self.system.clock.wall()
        match message:
            case FindSession(session_id, reply_to):
                reply_to.tell(_open_one(sessions, session_id, now))
            case CloseSession(session_id, reply_to):
                session = _open_one(sessions, session_id, now)
                if session is None:
                    reply_to.tell(None)
                else:
                    self.telemetry.info("console_logout", user=session.user_id)
                    self._keep(replace(session, is_closed=True), reply_to)
            case OpenSession():
                self._open(message, sessions, now)

    def _open(self, message: OpenSession, sessions: Mapping[str, ConsoleSession], now: float) -> None:
        if message.link_id and any(one.link_id == message.link_id for one in sessions.values()):
            message.reply_to.tell(None)
            return
        if len(sessions) >= MOST_SESSIONS:
            message.reply_to.fail(StorageError("there are too many logins", retry_after_s=_SWEEP_S))
            return
        own = [one for one in sessions.values() if one.user_id == message.user_id and not one.is_closed]
        for oldest in own[: max(0, len(own) + 1 - self.settings.sessions_per_user)]:
            self._keep(replace(oldest, is_closed=True), None)
        self.telemetry.info(
            "console_login", user=message.user_id, by_link=bool(message.link_id), operator=message.is_operator
        )
        session = ConsoleSession(
            session_id=message.session_id,
            user_id=message.user_id,
            ends_at=now + self.settings.session_s,
            link_id=message.link_id,
            is_operator=message.is_operator,
        )
        self._keep(session, message.reply_to)

    def _keep(self, session: ConsoleSession, reply_to: ReplyTo[ConsoleSession | None] | None) -> None:
        token = self.state.tokens + 1
        waiting = self.state.waiting
        if reply_to is not None:
            waiting = {**waiting, token: Answer(session, reply_to)}
        sessions = {**(self.state.sessions or {}), session.session_id: session}
        self.state = ConsoleLogins(sessions=sessions, waiting=waiting, tokens=token)
        self._commit(token, session)

    def _commit(self, token: int, session: ConsoleSession) -> None:
        change = PutDocument(
            collection=COLLECTION,
            key=session.session_id,
            user_id=session.user_id,
            document=msgspec.json.encode(session),
            updated_at_ms=round(session.ends_at * 1000),
        )
        self.journal.tell(Commit((change,), token, self.ref))

    def _kept(self, token: int, error: StorageError | None) -> None:
        """A login that is not kept is none; a logout holds all the same, as long as this process lives."""
        answer = self.state.waiting.get(token)
        if answer is None:
            return
        sessions = dict(self.state.sessions or {})
        if error is None:
            answer.reply_to.tell(answer.session)
        else:
            answer.reply_to.fail(error)
            if not answer.session.is_closed:
                sessions.pop(answer.session.session_id, None)
        waiting = {other: one for other, one in self.state.waiting.items() if other != token}
        self.state = replace(self.state, sessions=sessions, waiting=waiting)

    def _sweep(self) -> None:
        now = self.system.clock.wall()
        sessions = self.state.sessions or {}
        over = [key for key, one in sessions.items() if one.ends_at <= now]
        if over:
            self.state = replace(
                self.state, sessions={key: one for key, one in sessions.items() if one.ends_at > now}
            )
            self.journal.tell(Commit(tuple(RemoveDocument(COLLECTION, key) for key in over)))


def _open_one(sessions: Mapping[str, ConsoleSession], session_id: str, now: float) -> ConsoleSession | None:
    session = sessions.get(session_id)
    return None if session is None or session.is_closed or session.ends_at <= now else session
