"""The console on scripted desks: the application, and a browser as far as one is needed without one."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import urlencode

import msgspec
import trio
from msgspec.structs import replace
from quart.testing import QuartClient
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from actors.console.sessions import ConsoleLogins, ConsoleSessions, SessionsMessage
from actors.console.settings import ConsoleSettings
from actors.desktop.entrance import DaemonEntrance
from actors.desktop.logins import Logins
from actors.desktop.messages import Desk
from actors.desktop.settings import DesktopSettings
from actors.directory import BreakerSettings, Directory, DirectorySettings
from actors.journal import Journal
from actors.service import EachAlone
from actors.users.roster import FindUser, RosterMessage
from adapters.http.application import create_application
from adapters.http.assistant_routes import assistant_routes
from adapters.http.computer_routes import computer_routes
from adapters.http.console import House, console_routes
from adapters.http.console.frame import Frame
from adapters.http.console.guard import Guard
from adapters.http.ending import Ending, as_state
from adapters.simulated.store import SimulatedDocuments, SimulatedStore
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.webhooks import SimulatedWebhooks
from adapters.telemetry import MemoryLogs
from adapters.tokens import ConsoleKeys, CoreTokens
from runtime import Actor, ActorSystem, ChildSpec, Ref, SupervisorMessage, open_system
from tests.adapters.http.console.desk import ADA, Book, scripted_desks

SECRET = "a secret of thirty-two bytes or more"
ORIGIN = "http://localhost"
PATIENCE_S = 30.0


@dataclass
class Answer:
    status: int
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> str:
        return cast(str, msgspec.json.decode(self.body)["error"])


@dataclass
class Scene:
    """The console, and what is behind it."""

    system: ActorSystem
    application: QuartTrio
    books: dict[str, Book]
    telemetry: RecordingTelemetry
    tokens: CoreTokens
    keys: ConsoleKeys
    documents: SimulatedDocuments
    sessions: Ref[SessionsMessage]
    pages: Ref[SupervisorMessage]
    desks: Mapping[str, Desk]
    ending: Ending = field(default_factory=Ending)

    def readers(self) -> list[Ref[Any]]:
        """The actors that listen for open pages."""
        paths = [child.path for child in self.system.tree(self.pages).children]
        return [ref for path in paths if (ref := self.system.find(path)) is not None]

    def book(self, user_id: str = ADA) -> Book:
        return self.books[user_id]

    def frame(self) -> Frame:
        """What renders the pages."""
        return Frame(
            Guard(
                sessions=self.sessions,
                keys=self.keys,
                settings=ConsoleSettings(),
                telemetry=self.telemetry,
                public_url=ORIGIN,
                is_revoked=lambda login: False,
            )
        )

    def visitor(self) -> Visitor:
        return Visitor(self)

    async def logged_in(self, user_id: str = ADA) -> Visitor:
        """A browser in which somebody has logged in."""
        visitor = self.visitor()
        answer = await visitor.log_in(self.tokens.mint(user_id, expires_s=3600))
        assert answer.status == 303, answer
        return visitor

    async def end_login(self, session_id: str) -> None:
        """Let a login's time be over."""

        def over(logins: ConsoleLogins) -> ConsoleLogins:
            assert logins.sessions is not None
            ended = replace(logins.sessions[session_id], ends_at=time.time() - 1)
            return replace(logins, sessions={**logins.sessions, session_id: ended})

        await self.system.suspend(self.sessions)
        await self.system.replace_state(self.sessions, over)
        await self.system.resume(self.sessions)


class Served(Protocol):
    """What a visitor needs of a scene."""

    @property
    def application(self) -> QuartTrio: ...
    @property
    def ending(self) -> Ending: ...


@dataclass
class Visitor:
    """A browser: its cookies, and the mark of the page that it shows."""

    scene: Served
    cookies: dict[str, str] = field(default_factory=dict)
    mark: str = ""

    def client(self) -> QuartClient:
        return cast(QuartClient, self.scene.application.test_client(use_cookies=False))

    def headers(self, given: Mapping[str, str | None]) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        wanted = {"Cookie": cookie or None, **given}
        return {name: value for name, value in wanted.items() if value is not None}

    async def request(self, method: str, path: str, body: str = "", /, **headers: str | None) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with trio.fail_after(PATIENCE_S):
            answer = await self.client().open(path, method=method, headers=self.headers(given), data=body)
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0]
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return Answer(answer.status_code, answer.headers, await answer.get_data(as_text=False))

    async def get(self, path: str, **headers: str | None) -> Answer:
        return await self.request("GET", path, Accept="text/html", **headers)

    async def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str | None) -> Answer:
        """Send a form as the page does, or with other headers."""
        given: dict[str, str | None] = {
            "Content_Type": "application/x-www-form-urlencoded",
            "Origin": ORIGIN,
            "X_Glasshouse_Mark": self.mark or None,
            **headers,
        }
        return await self.request("POST", path, urlencode(fields or {}), **given)

    async def is_logged_in(self) -> bool:
        answer = await self.request("GET", "/console/session")
        return cast(bool, msgspec.json.decode(answer.body)["isLoggedIn"])

    async def act(self, path: str, body: Mapping[str, object] | None = None, **headers: str | None) -> Answer:
        """Ask a route under `/api` as the page's script does, or with other headers."""
        given: dict[str, str | None] = {
            "Content_Type": "application/json",
            "Origin": ORIGIN,
            "X_Glasshouse_Mark": self.mark,
            **headers,
        }
        return await self.request("POST", path, msgspec.json.encode(body or {}).decode(), **given)

    async def log_in(self, token: str, **headers: str | None) -> Answer:
        answer = await self.post("/console/login", {"token": token}, **headers)
        if answer.status == 303:
            page = await self.get("/console/agent")
            marked = re.search(r'data-mark="([^"]+)"', page.text)
            assert marked, page
            self.mark = marked[1]
        return answer

    @asynccontextmanager
    async def watching(
        self, path: str = "/console/agent/events", **headers: str | None
    ) -> AsyncIterator[Stream]:
        """The page's events, until the block ends and the browser with it."""
        path, _, query = path.partition("?")
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "asgi": {},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in self.headers(given).items()
            ],
            "client": ("127.0.0.1", 5000),
            "server": ("localhost", 80),
            "extensions": {},
            "state": as_state(self.scene.ending),
        }
        asked, ask = trio.open_memory_channel[dict[str, Any]](2)[::-1]
        told, tell = trio.open_memory_channel[bytes](1)[::-1]

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                await tell.send(message["body"])

        async def serve() -> None:
            with tell:
                await self.scene.application(cast(Any, scope), cast(Any, asked.receive), cast(Any, send))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await ask.send({"type": "http.request", "body": b"", "more_body": False})
            yield Stream(told)
            ask.send_nowait({"type": "http.disconnect"})


class Stream:
    """Server-sent events as they come."""

    def __init__(self, told: trio.MemoryReceiveChannel[bytes]) -> None:
        self._told = told
        self._read = b""
        self.orders: list[dict[str, Any]] = []
        self._looked_at = 0

    async def block(self) -> dict[str, str]:
        """The fields of the next event or comment, which may have none."""
        with trio.fail_after(PATIENCE_S):
            while b"\n\n" not in self._read:
                self._read += await self._told.receive()
        block, _, self._read = self._read.partition(b"\n\n")
        lines = [line.partition(": ") for line in block.decode().split("\n")]
        return {name: value for name, _, value in lines}

    async def ended(self) -> None:
        """Until the server has ended it."""
        with trio.fail_after(PATIENCE_S), suppress(trio.EndOfChannel):
            while True:
                await self._told.receive()

    async def next(self) -> list[dict[str, Any]]:
        """The orders of the next event that has some."""
        while True:
            block = await self.block()
            if "data" in block and "event" not in block:
                orders: list[dict[str, Any]] = msgspec.json.decode(block["data"])
                self.orders += orders
                return orders

    async def until(self, text: str) -> dict[str, Any]:
        """The first order with `text` in it, of those that come and those that were not looked at yet."""
        with trio.fail_after(PATIENCE_S):
            while True:
                while self._looked_at < len(self.orders):
                    order = self.orders[self._looked_at]
                    self._looked_at += 1
                    if text in str(order):
                        return order
                await self.next()


class NobodyThere(Actor[RosterMessage]):
    """A roster without anybody."""

    def receive(self, message: RosterMessage) -> None:
        assert isinstance(message, FindUser)
        message.reply_to.tell(None)


@asynccontextmanager
async def console(**settings: Any) -> AsyncIterator[Scene]:
    """A console on scripted desks. Time is the real one, and no test waits for it."""
    telemetry, documents = RecordingTelemetry(), SimulatedDocuments()
    tokens, keys = CoreTokens((SECRET,)), ConsoleKeys((SECRET,))
    async with open_system("console") as system:
        yield await furnish(system, documents, telemetry, tokens, keys, ConsoleSettings(**settings))


async def furnish(
    system: ActorSystem,
    documents: SimulatedDocuments,
    telemetry: RecordingTelemetry,
    tokens: CoreTokens,
    keys: ConsoleKeys,
    settings: ConsoleSettings,
) -> Scene:
    """The scene in a system."""
    desks, every_desk, books = await scripted_desks(system, documents)
    store = SimulatedStore(random.Random(1), documents=documents)
    journal = await system.spawn(ChildSpec("journal", lambda: Journal(store=store, telemetry=telemetry)))
    sessions = await system.spawn(
        ChildSpec(
            "console sessions",
            lambda: ConsoleSessions(store=store, journal=journal, settings=settings, telemetry=telemetry),
        )
    )
    pages = await system.spawn(ChildSpec("pages", EachAlone))
    numbers = itertools.count(1)
    directory = await system.spawn(
        ChildSpec(
            "directory",
            lambda: Directory(
                store=store,
                webhooks=SimulatedWebhooks(random.Random(1)),
                telemetry=telemetry,
                settings=DirectorySettings(),
                breaker_settings=BreakerSettings(),
                probe_timeout_s=1.0,
            ),
        )
    )
    nobody: Ref[RosterMessage] = await system.spawn(ChildSpec("roster", NobodyThere))
    routes = console_routes(
        system=system,
        house=House("/none", directory, nobody, store, MemoryLogs(), allow_kill=False, make_key=str),
        sessions=sessions,
        readers=pages,
        desks=desks,
        tokens=tokens,
        keys=keys,
        settings=settings,
        telemetry=telemetry,
        public_url="https://glasses.example.org",
        wall=system.clock.wall,
        new_id=lambda: f"session-{next(numbers)}",
    )
    assistant = assistant_routes(
        tokens=tokens, desks=desks, store=store, telemetry=telemetry, wall=system.clock.wall
    )
    desktop = DesktopSettings()
    logins = await system.spawn(ChildSpec("logins", lambda: Logins(settings=desktop, telemetry=telemetry)))
    entrance = DaemonEntrance(
        desks=desks, store=store, settings=desktop, telemetry=telemetry, wall=system.clock.wall
    )
    computers = computer_routes(
        tokens=tokens,
        entrance=entrance,
        logins=logins,
        make_secret=lambda: f"secret number {next(numbers)}",
        wall=system.clock.wall,
    )
    application = create_application(telemetry, dict, (*routes, assistant, computers), wall=time.time)
    return Scene(system, application, books, telemetry, tokens, keys, documents, sessions, pages, every_desk)
