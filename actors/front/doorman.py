"""The doorman: checks an app's key, then hands its connection to the session it names.

An unauthenticated peer never reaches a user's actors. Every refusal says why in a `tpa_connection_error` and
closes with the code that makes the SDK do the right thing (protocol.md 3.5): 1008 where a retry is pointless,
1013 where the session may come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from protocols import close_codes, session_ids, timestamps, to_app
from protocols.close_codes import Close
from protocols.error_codes import ErrorCode
from protocols.errors import InvalidSessionId
from protocols.from_app import TpaConnectionInit
from runtime import Actor, Key, Ref, RestartInfo

from ..app_keys import key_matches
from ..apps.messages import Pending
from ..directory import find_app
from ..ports import AppDocument, Connection, Outgoing, StorageError, UserDocument, retry_after_s
from ..session.messages import AppDialled, SessionMessage
from ..snapshots.messages import find_snapshot
from ..users.roster import RosterMessage, find_user, resume_user
from .addresses import may_come_from

if TYPE_CHECKING:
    from ..domain import Domain


OVERLOOKED_S = 0.5
"""After a crash of the doorman a socket that is not handed over by then is asked to dial again: early enough
for the SDK, which gives a session up whose first ack does not come within 5 s."""


class Opened(msgspec.Struct, frozen=True):
    """An app's socket is open; its init is awaited."""

    connection: Connection


class Presented(msgspec.Struct, frozen=True):
    """Its init came. `pending` collects what comes after it until somebody binds the connection.

    Attributes:
      address: where it comes from; None for an app that is part of this server.
    """

    connection: Connection
    init: TpaConnectionInit
    pending: Pending
    address: str | None


class Misspoke(msgspec.Struct, frozen=True):
    """Something else came first, or too much."""

    connection: Connection
    cause: str
    code: ErrorCode = ErrorCode.MALFORMED_MESSAGE


class Left(msgspec.Struct, frozen=True):
    connection: Connection


class InitOverdue(msgspec.Struct, frozen=True):
    connection: Connection


class Overlooked(msgspec.Struct, frozen=True):
    """It may still be nobody's: a crash, here or on its way to its app, may have lost what it said."""

    connection: Connection
    pending: Pending | None = None


class Looked(msgspec.Struct, frozen=True):
    """The directory's answer about the app that presented itself."""

    presented: Presented
    app: AppDocument | None


class Located(msgspec.Struct, frozen=True):
    """The roster's answer about the session that the app named."""

    presented: Presented
    user_id: str
    session: Ref[SessionMessage] | None


class Sought(msgspec.Struct, frozen=True):
    """Whether the process before left a session of that user."""

    presented: Presented
    user_id: str
    has_snapshot: bool


class Resumed(msgspec.Struct, frozen=True):
    """The roster's answer about that session; None when it could not be brought back."""

    presented: Presented
    user_id: str
    session: Ref[SessionMessage] | None


class NotReadable(msgspec.Struct, frozen=True):
    """Whether there is a session to bring back cannot be told now."""

    presented: Presented
    error: Exception


class Remembered(msgspec.Struct, frozen=True):
    """The store's answer about a user without a session."""

    presented: Presented
    user: UserDocument | None


class LookFailed(msgspec.Struct, frozen=True):
    """One of those could not answer."""

    presented: Presented
    error: Exception


DoormanMessage = (
    Opened
    | Presented
    | Misspoke
    | Left
    | InitOverdue
    | Overlooked
    | Looked
    | Located
    | Sought
    | Resumed
    | NotReadable
    | Remembered
    | LookFailed
)


DOORMAN: Final[Key[DoormanMessage]] = Key("doorman")
"""Where an app that is part of this server finds the door."""


class Stranger(msgspec.Struct, frozen=True):
    """A connection that no app session has taken over yet, as far as is known here.

    Attributes:
      pending: of one that has presented itself; says whether it was taken over.
      told_off_at: on the system's clock.
    """

    connection: Connection
    pending: Pending | None = None
    told_off_at: float = float("-inf")


class Doorman(Actor[DoormanMessage]):
    """One for the server. Its state is the strangers, by connection id, until a session has them."""

    mailbox_size = 16_384

    def __init__(self, *, domain: Domain, roster: Ref[RosterMessage]) -> None:
        self.domain = domain
        self.roster = roster
        self.settings = domain.settings.front_door
        self.telemetry = domain.ports.telemetry
        self.state: Mapping[str, Stranger] = {}

    def started(self, restart: RestartInfo | None) -> None:
        self.register(DOORMAN)
        for stranger in self.state.values():
            overlooked = Overlooked(stranger.connection, stranger.pending)
            self.set_timer(stranger.connection.id, OVERLOOKED_S, overlooked)

    def receive(self, message: DoormanMessage) -> None:
        match message:
            case Opened(connection):
                self.state = {**self.state, connection.id: Stranger(connection)}
                self.set_timer(connection.id, self.settings.init_s, InitOverdue(connection))
            case Presented(connection, init):
                self._forget(connection)
                self.state = {**self.state, connection.id: Stranger(connection, message.pending)}
                self.ask(
                    self.domain.directory,
                    find_app(init.package_name),
                    then=lambda app: Looked(message, app),
                    failed=lambda error: LookFailed(message, error),
                )
            case Misspoke():
                self._tell_off(message)
            case Left(connection):
                self._forget(connection)
            case InitOverdue(connection):
                self.telemetry.warning("app_init_overdue", peer=connection.peer)
                self._refuse(connection, ErrorCode.MALFORMED_MESSAGE, close_codes.INIT_TIMEOUT)
            case Overlooked(connection, pending) if _is_settled(connection, pending):
                self._forget(connection)
            case Overlooked(connection):
                self.telemetry.warning("app_overlooked", peer=connection.peer)
                self._refuse(connection, ErrorCode.SESSION_NOT_READY, close_codes.SESSION_NOT_READY)
            case Looked(presented, app):
                self._looked(presented, app)
            case Located(presented, user_id, session):
                self._located(presented, user_id, session)
            case Sought(presented, user_id, has_snapshot):
                self._sought(presented, user_id, has_snapshot=has_snapshot)
            case Resumed(presented, user_id, session):
                self._resumed(presented, user_id, session)
            case NotReadable(presented, error):
                package = presented.init.package_name
                self.telemetry.warning("app_without_session", package=package, cause=str(error))
                self._not_now(presented, error, ErrorCode.SESSION_NOT_READY, close_codes.SESSION_NOT_READY)
            case Remembered(presented, user):
                self._remembered(presented, user)
            case LookFailed(presented, error):
                self.telemetry.error(
                    "app_lookup_failed", package=presented.init.package_name, cause=str(error)
                )
                code = (
                    ErrorCode.STORE_UNAVAILABLE
                    if isinstance(error, StorageError)
                    else ErrorCode.INTERNAL_ERROR
                )
                self._not_now(presented, error, code, close_codes.NOT_NOW)

    def _looked(self, presented: Presented, app: AppDocument | None) -> None:
        connection, init = presented.connection, presented.init
        if app is None or not key_matches(app, init.api_key, self.system.clock.wall()):
            cause = "unknown app" if app is None else "wrong key"
            self.telemetry.warning(
                "app_refused", package=init.package_name, peer=connection.peer, cause=cause
            )
            if presented.address is not None:
                self.domain.rates.failed(presented.address, self.now)
            self._refuse(connection, ErrorCode.INVALID_API_KEY, close_codes.INVALID_API_KEY)
            return
        if not may_come_from(app, presented.address, self.settings):
            cause = f"a system app from {presented.address}"
            self.telemetry.warning("app_refused", package=init.package_name, cause=cause)
            self._refuse(connection, ErrorCode.PERMISSION_DENIED, close_codes.WRONG_ADDRESS)
            return
        try:
            user_id = session_ids.user_of(init.session_id, init.package_name)
        except InvalidSessionId as error:
            self.telemetry.warning("app_refused", package=init.package_name, cause=str(error))
            self._refuse(connection, ErrorCode.MALFORMED_MESSAGE, close_codes.INVALID_SESSION_ID)
            return
        self.ask(
            self.roster,
            find_user(user_id),
            then=lambda session: Located(presented, user_id, session),
            failed=lambda error: LookFailed(presented, error),
        )

    def _located(self, presented: Presented, user_id: str, session: Ref[SessionMessage] | None) -> None:
        if session is not None:
            self._hand_over(presented, session)
            return
        self.ask(
            self.domain.snapshots,
            find_snapshot(user_id),
            then=lambda has_snapshot: Sought(presented, user_id, has_snapshot),
            failed=lambda error: NotReadable(presented, error),
        )

    def _sought(self, presented: Presented, user_id: str, *, has_snapshot: bool) -> None:
        if not has_snapshot:
            self._resumed(presented, user_id, None)
            return
        self.ask(
            self.roster,
            resume_user(user_id),
            then=lambda session: Resumed(presented, user_id, session),
            failed=lambda error: NotReadable(presented, error),
        )

    def _resumed(self, presented: Presented, user_id: str, session: Ref[SessionMessage] | None) -> None:
        if session is not None:
            self._hand_over(presented, session)
            return
        self.start(
            self.domain.ports.store.find_user,
            user_id,
            then=lambda user: Remembered(presented, user),
            failed=lambda error: NotReadable(presented, error),
            name="find user",
        )

    def _hand_over(self, presented: Presented, session: Ref[SessionMessage]) -> None:
        connection = presented.connection
        if not connection.is_open:
            self._forget(connection)
            return
        # It stays a stranger until it is taken: a crash on its way may lose it.
        self.set_timer(connection.id, OVERLOOKED_S, Overlooked(connection, presented.pending))
        session.tell(AppDialled(presented.init.package_name, connection, presented.pending))

    def _remembered(self, presented: Presented, user: UserDocument | None) -> None:
        # protocol.md 13.14: after a restart of ours the session may come back, and the SDK is to try again.
        package_name = presented.init.package_name
        may_return = user is not None and package_name in user.running_apps
        code, close = (
            (ErrorCode.SESSION_NOT_READY, close_codes.SESSION_NOT_READY)
            if may_return
            else (ErrorCode.SESSION_NOT_FOUND, close_codes.SESSION_NOT_FOUND)
        )
        self.telemetry.warning("app_without_session", package=package_name, code=close.code)
        self._refuse(presented.connection, code, close)

    def _not_now(self, presented: Presented, error: Exception, code: ErrorCode, close: Close) -> None:
        """What failed may work later: the SDK's retries are to find a server that accepts them."""
        self._refuse(presented.connection, code, close, retry_after_s=retry_after_s(error))

    def _refuse(
        self, connection: Connection, code: ErrorCode, close: Close, *, retry_after_s: float | None = None
    ) -> None:
        self._forget(connection)
        self._complain(connection, code, close.reason, retry_after_s=retry_after_s)
        self.perform(connection.close, close.code, close.reason)

    def _complain(
        self, connection: Connection, code: ErrorCode, message: str, *, retry_after_s: float | None = None
    ) -> None:
        stamp = timestamps.iso(self.system.clock.wall())
        error = to_app.error(code, message, stamp, retry_after_s=retry_after_s)
        self.perform(connection.send, Outgoing(to_app.encode(error)))

    def _tell_off(self, wrong: Misspoke) -> None:
        """Answer what is wrong, malformed input at most once a second a connection (protocol.md 13.13)."""
        connection = wrong.connection
        self.telemetry.warning("app_message_malformed", peer=connection.peer, cause=wrong.cause)
        stranger = self.state.get(connection.id)
        if wrong.code is ErrorCode.RATE_LIMITED:  # who sends it keeps the interval
            if connection.is_open:
                self._complain(connection, wrong.code, wrong.cause)
        elif stranger is not None and self.now - stranger.told_off_at >= self.settings.error_interval_s:
            told = msgspec.structs.replace(stranger, told_off_at=self.now)
            self.state = {**self.state, connection.id: told}
            self._complain(connection, wrong.code, wrong.cause)

    def _forget(self, connection: Connection) -> None:
        self.cancel_timer(connection.id)
        self.state = {known: other for known, other in self.state.items() if known != connection.id}


def _is_settled(connection: Connection, pending: Pending | None) -> bool:
    return not connection.is_open or (pending is not None and pending.is_taken)
