"""The token in an app's upgrade (protocol.md 3.3): with it the app needs no key and no first message.

It is looked at before the upgrade is answered, so that who shows a bad one hears 401 and why, where the
official SDK, which shows none, is let in and asked.
"""

from __future__ import annotations

from typing import Final

from protocols import rest, session_ids, timestamps
from protocols.error_codes import ERRORS, ErrorCode
from protocols.errors import InvalidSessionId
from protocols.from_app import TpaConnectionInit
from runtime import ActorSystem, Ref, RuntimeFailure

from ..app_keys import key_matches
from ..directory import DirectoryMessage, find_app
from ..ports import Refused, StorageError, Telemetry, TokenError, Tokens, Upgrade
from .addresses import may_come_from
from .settings import FrontDoorSettings

USER: Final = "x-user-id"
SESSION: Final = "x-session-id"


class AppUpgrades:
    """Reads the tokens of upgrades."""

    def __init__(
        self,
        *,
        system: ActorSystem,
        tokens: Tokens,
        directory: Ref[DirectoryMessage],
        telemetry: Telemetry,
        settings: FrontDoorSettings,
    ) -> None:
        self.system = system
        self.tokens = tokens
        self.directory = directory
        self.telemetry = telemetry
        self.settings = settings

    async def read(self, upgrade: Upgrade, address: str) -> TpaConnectionInit | Refused | None:
        """The init that the token stands for, or the answer that refuses it; None where there is no token."""
        scheme, _, token = upgrade.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            return self._refuse(ErrorCode.JWT_INVALID, "Authorization is no Bearer token", upgrade)
        user_id, session_id = upgrade.headers.get(USER, ""), upgrade.headers.get(SESSION, "")
        if not user_id or not session_id:
            return self._refuse(ErrorCode.MISSING_HEADERS, f"{USER} and {SESSION} are needed", upgrade)
        try:
            claims = self.tokens.read_app(token.strip())
        except TokenError as error:
            return self._refuse(ErrorCode.JWT_INVALID, "Invalid app token", upgrade, error.cause)
        try:
            app = await self.directory.ask(find_app(claims.package_name), timeout_s=self.settings.admit_s)
        except (RuntimeFailure, StorageError) as error:
            return self._refuse(ErrorCode.TRY_AGAIN, "Not now, try again", upgrade, str(error), status=503)
        if app is None or not key_matches(app, claims.api_key, self.system.clock.wall()):
            cause = "unknown app" if app is None else "its key is no longer good"
            return self._refuse(ErrorCode.INVALID_API_KEY, "Invalid API key", upgrade, cause)
        if not may_come_from(app, address, self.settings):
            message = "System apps are not admitted from this address"
            return self._refuse(ErrorCode.PERMISSION_DENIED, message, upgrade, f"from {address}")
        own_session = session_id_of(session_id, user_id, claims.package_name)
        if own_session is None:
            message = f"{SESSION} is not a session of {USER} and this app"
            return self._refuse(ErrorCode.MISSING_HEADERS, message, upgrade)
        return TpaConnectionInit(
            session_id=own_session, package_name=claims.package_name, api_key=claims.api_key
        )

    def _refuse(
        self, code: ErrorCode, message: str, upgrade: Upgrade, cause: str = "", status: int = 401
    ) -> Refused:
        self.telemetry.warning(
            "app_upgrade_refused", peer=upgrade.peer, code=code.value, cause=cause or message
        )
        stamp = timestamps.iso(self.system.clock.wall())
        wait_s = ERRORS[code].retry_after_s
        headers = {} if wait_s is None else {"Retry-After": str(max(1, round(wait_s)))}
        body = rest.upgrade_refusal("tpa_connection_error", message, code, timestamp=stamp)
        return Refused(status, body, headers)


def session_id_of(said: str, user_id: str, package_name: str) -> str | None:
    """The app's session id from what an upgrade says: that one, or the user's; None where it is another's."""
    if said.lower() == user_id.lower():
        return session_ids.app_session_id(user_id, package_name)
    try:
        is_theirs = session_ids.user_of(said, package_name) == user_id.lower()
    except InvalidSessionId:
        return None
    return said if is_theirs else None
