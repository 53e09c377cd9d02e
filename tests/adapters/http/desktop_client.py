"""The routes of desktops over the actors of a whole tree, as an HTTP client sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from quart.testing import QuartClient

from actors.desktop.settings import DesktopSettings
from adapters.http.application import create_application
from adapters.http.computer_routes import computer_routes
from adapters.http.daemon_routes import daemon_routes
from adapters.http.daemon_test_routes import daemon_test_routes
from tests.actors.desktop.desk_world import ADA, SETTINGS, Desks, FakeDaemon, open_desks


class Routes:
    """`desks` behind an application."""

    def __init__(self, desks: Desks) -> None:
        self.desks = desks
        world = desks.world
        assert world.hall is not None
        wall = world.system.clock.wall
        self._secrets = 0
        blueprints = (
            daemon_routes(entrance=desks.entrance),
            daemon_test_routes(entrance=desks.entrance, wall=wall),
            computer_routes(
                tokens=world.tokens,
                entrance=desks.entrance,
                logins=world.hall.logins,
                make_secret=self._secret,
                wall=wall,
            ),
        )
        self._application = create_application(world.telemetry, dict, blueprints, wall=wall)

    def _secret(self) -> str:
        self._secrets += 1
        return f"secret number {self._secrets}"

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The answer's status and its JSON."""
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        answer = await cast(QuartClient, self._application.test_client()).open(
            path, method=method, data=data, headers={**authorization, **(headers or {})}
        )
        await self.desks.world.settle()
        return answer.status_code, msgspec.json.decode(await answer.get_data(as_text=False))

    async def by_user(
        self, method: str, path: str, body: object = None, *, user: str = ADA
    ) -> tuple[int, Any]:
        token = self.desks.world.tokens.mint(user, expires_s=None)
        return await self.call(method, f"/api/daemons{path}", body, token=token)

    async def by_daemon(
        self, daemon: FakeDaemon, method: str, path: str, body: object = None
    ) -> tuple[int, Any]:
        return await self.call(method, f"/daemon-api/{path}", body, token=daemon.token)


@asynccontextmanager
async def open_routes(settings: DesktopSettings = SETTINGS, **world: Any) -> AsyncIterator[Routes]:
    async with open_desks(settings=settings, **world) as desks:
        yield Routes(desks)
