"""The whole application over a tree in memory: who calls a route shows what they have, as over a socket."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn, cast

import msgspec
from quart.testing import QuartClient
from quart_trio import QuartTrio

from adapters.simulated.store import SimulatedDocuments
from adapters.telemetry import MemoryLogs
from config import assembly
from config.core_tokens import console_keys
from config.settings import Settings
from tests.actors.world import ADA, CAPTIONS, KEY, AppServer, FakeConnection, World, open_world

__all__ = [
    "ADA",
    "ADMIN",
    "BOB",
    "CAPTIONS",
    "EVE",
    "KEY",
    "OTHER",
    "OTHER_KEY",
    "SECRET",
    "Answer",
    "Scene",
    "key_of",
    "scene",
]

BOB = "bob@example.org"
EVE = "eve@example.org"
OTHER = "org.example.other"
OTHER_KEY = "key-of-other"
SECRET = "a provider's secret of thirty-two bytes or more"
ADMIN = "the administration's token"


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    body: Any
    headers: Any


class Scene:
    """A world, and callers of its routes."""

    def __init__(self, world: World, application: QuartTrio, logs: MemoryLogs) -> None:
        self.world = world
        self.application = application
        self.logs = logs

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        peer: str = "192.0.2.1",
        is_json: bool = True,
    ) -> Answer:
        """One request.

        Args:
          user: whose core token is shown.
          bearer: what is shown instead, as it stands.
          is_json: so the answer is; what is not is given as bytes.
        """
        shown = dict(headers or {})
        if user is not None:
            shown["Authorization"] = f"Bearer {self.world.tokens.mint(user, expires_s=None)}"
        elif bearer is not None:
            shown["Authorization"] = f"Bearer {bearer}"
        data = raw if raw is not None or body is None else msgspec.json.encode(body)
        client = cast(QuartClient, self.application.test_client())
        answered = await client.open(
            path, method=method, headers=shown, data=data, scope_base={"client": (peer, 4000)}
        )
        text = await answered.get_data(as_text=False)
        said = msgspec.json.decode(text) if text and is_json else text or None
        return Answer(answered.status_code, said, answered.headers)

    async def get(self, path: str, **caller: Any) -> Answer:
        return await self.call("GET", path, **caller)

    async def post(self, path: str, body: object = None, **caller: Any) -> Answer:
        return await self.call("POST", path, body, **caller)

    async def phone(self, user: str = ADA) -> FakeConnection:
        return await self.world.phone(user)

    async def running(self, phone: FakeConnection, package: str = CAPTIONS, **fields: Any) -> AppServer:
        return await self.world.running_app(phone, package, **fields)


def _nobody(*_: object) -> NoReturn:
    raise AssertionError("the front door of these tests is the application itself")


@asynccontextmanager
async def scene(
    documents: SimulatedDocuments | None = None, settings: Settings | None = None
) -> AsyncIterator[Scene]:
    """A server's tree with all its routes."""
    numbers = itertools.count(1)
    settings = msgspec.structs.replace(settings or Settings(supabase_secret=SECRET), jwt_secret=SECRET)
    async with open_world(documents, settings.domain) as world:
        assert world.hall is not None
        logs = MemoryLogs(wall=world.system.clock.wall)
        outside = assembly.World(
            ports=world.hall.domain.ports,
            media=(),
            front=_nobody,
            udp=_nobody,
            admin_token=ADMIN,
            process=lambda uptime_s: {"uptime_s": uptime_s},
            console_keys=console_keys(settings),
            make_secret=lambda: f"a secret of thirty-two bytes or more {next(numbers)}",
            logs=logs,
        )
        application = assembly.application(
            world.system, world.hall, settings, world.hall.domain.urls, outside
        )
        yield Scene(world, application, logs)


def key_of(package: str = CAPTIONS) -> str:
    """The app's key in the form of the SDK's storage calls."""
    return f"{package}:{KEY if package == CAPTIONS else OTHER_KEY}"
