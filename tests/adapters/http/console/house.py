"""The console over a whole tree in memory: wearers, apps, and who looks at them with a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from quart_trio import QuartTrio

from actors.console.settings import ConsoleSettings
from adapters.http.ending import Ending
from config.settings import AdminSettings, Settings
from tests.adapters.http.console.scene import Visitor
from tests.adapters.http.rest_scene import Scene, scene

OPS = "ops@example.org"


@dataclass
class House:
    """A scene of the whole server, and its visitors."""

    rest: Scene
    ending: Ending = field(default_factory=Ending)

    @property
    def application(self) -> QuartTrio:
        return self.rest.application

    async def visitor(self, user_id: str) -> Visitor:
        """Somebody who has logged in."""
        visitor = Visitor(self)
        token = self.rest.world.tokens.mint(user_id, expires_s=3600)
        answer = await visitor.post("/console/login", {"token": token})
        assert answer.status == 303, answer
        marked = re.search(r'data-mark="([^"]+)"', (await visitor.get("/console/agent")).text)
        assert marked
        visitor.mark = marked[1]
        return visitor


@asynccontextmanager
async def house(*, allow_kill: bool = False, keep_alive_s: float = 15.0) -> AsyncIterator[House]:
    """One with an operator by the settings."""
    settings = Settings(
        console=ConsoleSettings(operators=(OPS,), keep_alive_s=keep_alive_s),
        admin=AdminSettings(allow_kill=allow_kill),
    )
    async with scene(settings=settings) as rest:
        yield House(rest)
