"""The console of a real server: its login, its events through the listener, a reload, a crash, a stop."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import h11
import msgspec
import pytest
import trio

from tests.system.server import PATIENCE_S, Server, eventually, run

ADA = "ada@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("console"), "speech_provider=none") as server:
        yield server


class Exchange:
    """One request on a connection of its own, and its answer as it comes."""

    def __init__(self, stream: trio.SocketStream, protocol: h11.Connection) -> None:
        self._stream = stream
        self._protocol = protocol
        self._read = b""
        self.status = 0
        self.headers: dict[str, str] = {}

    async def piece(self) -> bytes:
        """The next piece of the body; nothing at its end."""
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(await self._stream.receive_some())
            elif isinstance(event, h11.Response):
                self.status = event.status_code
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                return bytes(event.data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return b""

    async def body(self) -> bytes:
        """All of it."""
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def until(self, text: str) -> None:
        """Read until `text` has come, or the end."""
        while text.encode() not in self._read:
            piece = await self.piece()
            assert piece, self._read
            self._read += piece


class Browser:
    """As much of one as a login needs."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookie = ""
        self.mark = ""

    @asynccontextmanager
    async def asking(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> AsyncIterator[Exchange]:
        url = urlsplit(self.server.url)
        sent = {"Host": url.netloc, "Content-Length": str(len(body)), "Cookie": self.cookie, **headers}
        protocol = h11.Connection(h11.CLIENT)
        head = h11.Request(method=method, target=path, headers=_wire(sent))
        stream = await trio.open_tcp_stream(url.hostname or "", url.port or 0)
        with trio.fail_after(PATIENCE_S):
            async with stream:
                data = [protocol.send(head), protocol.send(h11.Data(body)), protocol.send(h11.EndOfMessage())]
                await stream.send_all(b"".join(part for part in data if part))
                yield Exchange(stream, protocol)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        async with self.asking(method, path, body, **headers) as exchange:
            answered = await exchange.body()
        if "set-cookie" in exchange.headers:
            self.cookie = exchange.headers["set-cookie"].partition(";")[0]
        return exchange.status, answered

    async def log_in(self, token: str) -> int:
        form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": self.server.url}
        status, _ = await self.ask("POST", "/console/login", urlencode({"token": token}).encode(), **form)
        page = (await self.ask("GET", "/console/agent"))[1].decode()
        marked = re.search(r'data-mark="([^"]+)"', page)
        self.mark = marked[1] if marked else ""
        return status

    async def query(self, text: str) -> int:
        body = msgspec.json.encode({"query": text})
        headers = {"Origin": self.server.url, "X_Glasshouse_Mark": self.mark}
        return (await self.ask("POST", "/api/master-agent/query", body, **headers))[0]


def _wire(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in headers.items() if value]


async def test_a_link_of_the_command_line_leads_to_live_answers(server: Server) -> None:
    browser = Browser(server)
    printed = await trio.to_thread.run_sync(run, server.data, "user", "console", ADA)
    address, _, code = printed.stdout.splitlines()[-1].partition("#")

    assert f"{server.url}/console/login" == address
    assert 303 == await browser.log_in(code)
    async with browser.asking("GET", "/console/agent/events") as events:
        await events.until("retry: 1000")
        assert 200 == await browser.query("Is my desktop there?")
        await events.until("Is my desktop there?")
        await events.until("Done")
    assert code not in server.log()
    assert 401 == await Browser(server).log_in(code)


async def test_a_closed_page_leaves_nothing_behind(server: Server) -> None:
    browser = Browser(server)
    assert 303 == await browser.log_in(server.token(ADA))

    async with browser.asking("GET", "/console/agent/events") as events:
        await events.until("retry")
        pages = await _pages(server)
    assert 1 == len(pages)
    with trio.fail_after(PATIENCE_S):
        while await _pages(server):  # noqa: ASYNC110 - what another process does sets no event here
            await trio.sleep(0.02)


async def test_a_reload_ends_the_events_at_once_and_the_login_goes_on(server: Server) -> None:
    browser = Browser(server)
    assert 303 == await browser.log_in(server.token(ADA))
    child = server.child

    async with browser.asking("GET", "/console/agent/events") as events:
        await events.until("retry")
        done = await trio.to_thread.run_sync(run, server.data, "reload")
        await events.body()  # its orderly end: a connection that is cut off has none

    assert 0 == done.returncode, done.stderr
    assert child != server.child
    async with browser.asking("GET", "/console/agent/events") as events:
        await events.until("Is my desktop there?")
    assert [] == server.logged("http.connection_failed")


async def test_a_login_and_a_logout_outlive_a_server_that_is_killed(server: Server) -> None:
    browser, left = Browser(server), Browser(server)
    assert 303 == await browser.log_in(server.token(ADA))
    assert 303 == await left.log_in(server.token(ADA))
    logout = {"Origin": server.url, "X_Glasshouse_Mark": left.mark}
    cookie = left.cookie
    assert 303 == (await left.ask("POST", "/console/logout", b"", **logout))[0]

    child = server.child
    os.kill(child, signal.SIGKILL)
    await eventually(lambda: server.child != child)

    left.cookie = cookie
    assert [200, 401] == [(await one.ask("GET", "/console/agent"))[0] for one in (browser, left)]


async def test_a_server_that_stops_ends_its_pages_within_the_drain(tmp_path: Path) -> None:
    server = await trio.to_thread.run_sync(Server.start, tmp_path, "speech_provider=none")
    browser = Browser(server)
    assert 303 == await browser.log_in(server.token(ADA))

    async with browser.asking("GET", "/console/agent/events") as events:
        await events.until("retry")
        began = time.monotonic()
        status = await trio.to_thread.run_sync(server.stop)
        await events.body()  # its orderly end

    assert 0 == status
    assert time.monotonic() - began < PATIENCE_S


async def _pages(server: Server) -> list[str]:
    """The actors that listen for open pages."""
    tree = msgspec.json.encode((await server.inspect())["tree"]).decode()
    return [path for path in re.findall(r'"path":"([^"]+)"', tree) if "console pages/" in path]
