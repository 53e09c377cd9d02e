"""Whose request this is, and whether its user meant it.

A login is a cookie: HttpOnly, SameSite=Strict, and Secure with the `__Host-` prefix where the page came over
TLS. It holds a signed session id; the session, and with it the user, is looked up at every request. No other
part of a request says who somebody is.

What changes something has to prove two things besides: that a page of this very origin sent it (`Origin`,
which browsers set and script cannot), and that this page was rendered for this session (the form mark).
Either is enough against a forged request; a missing `Origin` is a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from quart import Request, Response

from actors.console.ports import ConsoleKeys
from actors.console.sessions import ConsoleSession, SessionsMessage, find_session
from actors.console.settings import ConsoleSettings
from actors.console.viewers import Viewer, viewer_of
from actors.ports import StorageError, Telemetry
from runtime import Ref, RuntimeFailure

PLAIN_COOKIE: Final = "glasshouse"
SECURE_COOKIE: Final = "__Host-glasshouse"
MARK_HEADER: Final = "X-Glasshouse-Mark"
MARK_FIELD: Final = "mark"

_MOST_FIELDS: Final = 20


class Refused(Exception):  # noqa: N818 - says what happened
    """A request that is not answered with what it wants.

    Attributes:
      status: 401 without a session, 403 where its origin or its mark is wrong, or where it is not for this
        user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Guard:
    """Args:
    public_url: as browsers reach this server from outside.
    is_revoked: whether the user's tokens were revoked after a login.
    """

    def __init__(
        self,
        *,
        sessions: Ref[SessionsMessage],
        keys: ConsoleKeys,
        settings: ConsoleSettings,
        telemetry: Telemetry,
        public_url: str,
        is_revoked: Callable[[ConsoleSession], bool],
    ) -> None:
        self.sessions = sessions
        self.keys = keys
        self._settings = settings
        self._telemetry = telemetry
        self._is_revoked = is_revoked
        parts = urlsplit(public_url)
        self._public_origin = f"{parts.scheme}://{parts.netloc}".lower()

    async def find(self, request: Request) -> ConsoleSession | None:
        """The session of a request; None where it has none that counts."""
        for name in (SECURE_COOKIE, PLAIN_COOKIE):
            session_id = self.keys.session_of(request.cookies.get(name, ""))
            if session_id is not None:
                session = await self.sessions.ask(find_session(session_id))
                if session is not None and not self._is_revoked(session):
                    return session
        return None

    async def is_good(self, session_id: str) -> bool:
        """Whether a login still holds; it does while that cannot be told."""
        try:
            session = await self.sessions.ask(find_session(session_id))
            return session is not None and not self._is_revoked(session)
        except (RuntimeFailure, StorageError) as error:
            self._telemetry.warning("console_not_now", cause=str(error))
            return True

    async def session_of(self, request: Request) -> ConsoleSession:
        """The session of a request that reads.

        Raises:
          Refused: 401, there is none; 403, another site's page asks.
          RuntimeFailure: the sessions do not answer.
        """
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise self._refused(403, "another site asked")
        session = await self.find(request)
        if session is None:
            raise Refused(401, "Log in first")
        return session

    async def acting(self, request: Request) -> ConsoleSession:
        """The session of a request that changes something, or may. Raises as `session_of`."""
        if request.method not in ("GET", "HEAD"):  # with which browsers do not say where a page is from
            self.check_origin(request)
        session = await self.session_of(request)
        mark = request.headers.get(MARK_HEADER) or (await fields_of(request)).get(MARK_FIELD, "")
        if not self.keys.is_form_mark(session.session_id, mark):
            raise self._refused(403, "the form is not of this login")
        return session

    def viewer(self, session: ConsoleSession) -> Viewer:
        """What whoever has logged in may see."""
        return viewer_of(session, self._settings)

    def check_origin(self, request: Request) -> None:
        """Raises Refused unless a page of this origin sent the request."""
        origin = request.headers.get("Origin", "").lower()
        parts = urlsplit(origin)
        is_own_host = parts.scheme in ("http", "https") and parts.netloc == request.host.lower()
        if not (origin and (is_own_host or origin == self._public_origin)):
            raise self._refused(403, "another origin")

    def log_in(self, request: Request, answer: Response, session: ConsoleSession, now_s: float) -> None:
        """Give the browser the cookie of `session`. The request has passed `check_origin`."""
        is_secure = request.headers.get("Origin", "").lower().startswith("https:")
        answer.set_cookie(
            SECURE_COOKIE if is_secure else PLAIN_COOKIE,
            self.keys.cookie(session.session_id),
            max_age=max(1, int(session.ends_at - now_s)),
            path="/",
            secure=is_secure,
            httponly=True,
            samesite="Strict",
        )

    def log_out(self, answer: Response) -> None:
        """Take the cookie away."""
        for name, is_secure in ((SECURE_COOKIE, True), (PLAIN_COOKIE, False)):
            answer.delete_cookie(name, path="/", secure=is_secure, httponly=True, samesite="Strict")

    def _refused(self, status: int, cause: str) -> Refused:
        self._telemetry.warning("console_refused", cause=cause)
        return Refused(status, f"Refused: {cause}")


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form; of two with one name the first. Empty for anything that is no form."""
    if request.mimetype != "application/x-www-form-urlencoded":
        return {}
    try:
        body = (await request.get_data(cache=True, as_text=False, parse_form_data=False)).decode()
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:  # no UTF-8, or too many
        return {}
    return dict(reversed(pairs))
