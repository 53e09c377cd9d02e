"""What the routes have at hand: the actors and ports they ask, and who an app's key belongs to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from quart import Request

from actors.app_keys import key_matches
from actors.cabinet.messages import CabinetMessage
from actors.cabinet.settings import CabinetSettings
from actors.directory import DirectoryMessage, ListApps, find_app
from actors.domain import Urls
from actors.front.addresses import may_come_from
from actors.front.settings import FrontDoorSettings
from actors.identity_ports import Identity
from actors.ports import AppDocument, Store, Telemetry, TokenError, Tokens, Webhooks
from actors.session.messages import SessionFacts, find_facts
from actors.users.roster import RosterMessage, find_user
from adapters.http.callers import bearer_of
from adapters.http.rates import address_here
from adapters.http.settings import VersionSettings
from runtime import Ref

FACTS_S: Final = 2.0
"""A session answers from memory; only one that has just crashed takes longer."""


class WebviewKeys(Protocol):
    """What web pages of apps are shown: signed tokens, and the keys that check them (protocol.md 3.6)."""

    def fresh_token(self) -> str:
        """64 random hexadecimal digits."""

    async def sign(self, user_id: str, frontend_token: str) -> str:
        """A JWT that says who the wearer is, good for ten minutes."""

    async def public_keys(self) -> dict[str, object]:
        """The JWKS of what `sign` signs with."""


@dataclass(frozen=True)
class Desk:
    """One for the application.

    Attributes:
      wall: epoch seconds.
      token_s: seconds for which a core token is good that is given for a provider's; None: for ever.
      versions: of the SDK and of phones' apps.
      server_version: our own.
      front_door: from where system apps come.
    """

    tokens: Tokens
    identity: Identity
    webviews: WebviewKeys
    directory: Ref[DirectoryMessage]
    roster: Ref[RosterMessage]
    cabinet: Ref[CabinetMessage]
    store: Store
    webhooks: Webhooks
    telemetry: Telemetry
    wall: Callable[[], float]
    urls: Urls
    limits: CabinetSettings
    token_s: float | None
    versions: VersionSettings
    server_version: str
    front_door: FrontDoorSettings

    async def app_of(self, request: Request) -> AppDocument | None:
        """The app whose key the request shows, in any of the three forms of protocol.md 3.2, or whose token
        (3.3); None: no app's.

        A key in the query is not looked at: queries end up in logs.
        """
        package_name, key = self._shown(request)
        if not key:
            return None
        now = self.wall()
        if package_name is None:
            apps = await self.directory.ask(ListApps)
            found = [app for app in apps if key_matches(app, key, now)]
            app = found[0] if found else None
        else:
            app = await self.directory.ask(find_app(package_name))
            app = app if app is not None and key_matches(app, key, now) else None
        return app if app is not None and self.admits(app) else None

    def admits(self, app: AppDocument) -> bool:
        """Whether the app's key counts where the request under way comes from."""
        if may_come_from(app, address_here(), self.front_door):
            return True
        self.telemetry.warning("rest_refused", package=app.package_name, cause="a system app from elsewhere")
        return False

    def _shown(self, request: Request) -> tuple[str | None, str]:
        """The package and the key that a request shows; no package where only the key was said."""
        headers = request.headers
        if "X-API-Key" in headers:
            return headers.get("X-Package-Name", ""), headers["X-API-Key"]
        said = bearer_of(request)
        package_name, colon, key = said.partition(":")
        if colon:
            return package_name, key
        if said.count(".") == 2:  # the form of a token; our keys are hexadecimal
            with contextlib.suppress(TokenError):
                return self.tokens.read_app(said)
        return None, said

    async def facts_of(self, user_id: str, photo_id: str | None = None) -> SessionFacts | None:
        """What the user's session is now; None where there is none."""
        session = await self.roster.ask(find_user(user_id))
        return None if session is None else await session.ask(find_facts(photo_id), timeout_s=FACTS_S)
