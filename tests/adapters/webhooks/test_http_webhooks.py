"""The webhooks against real sockets on loopback, most of them badly behaved."""

from __future__ import annotations

import contextlib
import functools
import itertools
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpcore
import pytest
import trio
import trio.testing

from actors.ports import WebhookAnswer, WebhookError
from adapters.webhooks import HttpWebhooks, WebhookSettings
from adapters.webhooks.places import Places
from tests.adapters.webhooks.conformance import WebhooksConformance, World

ROOT = Path(__file__).parents[3]
CERTIFICATE = Path(__file__).parent / "loopback.pem"

Serve = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One accepted connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.head = b""

    async def request(self) -> bytes | None:
        """Read one request and return its body; None when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = await self.stream.receive_some()
            if not more:
                return None
            data += more
        self.head, _, body = data.partition(b"\r\n\r\n")
        size = 0
        for line in self.head.lower().splitlines():
            if line.startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        while len(body) < size:
            body += await self.stream.receive_some()
        return bytes(body)

    async def answer(self, status: int = 200, body: bytes = b"", headers: bytes = b"") -> None:
        head = b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), headers)
        await self.stream.send_all(head + body)


class Servers:
    """Starts loopback servers; all end with the test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.connections = 0

    async def start(self, serve: Serve, *, tls: ssl.SSLContext | None = None) -> str:
        async def handle(stream: trio.abc.Stream) -> None:
            self.connections += 1
            if tls is not None:
                stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
            with contextlib.suppress(trio.BrokenResourceError):
                async with stream:
                    await serve(Peer(stream))

        listeners: list[trio.SocketListener] = await self.nursery.start(
            functools.partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
        )
        port = listeners[0].socket.getsockname()[1]
        return f"http{'' if tls is None else 's'}://127.0.0.1:{port}/webhook"


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    async with trio.open_nursery() as nursery:
        yield Servers(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def webhooks() -> AsyncIterator[HttpWebhooks]:
    webhooks = HttpWebhooks()
    yield webhooks
    await webhooks.aclose()


class LoopbackWorld(World):
    def __init__(self, servers: Servers, webhooks: HttpWebhooks) -> None:
        self.servers = servers
        self.webhooks = webhooks
        self.received = []
        self.is_hanging = trio.Event()

    async def answering(self, status: int, body: bytes) -> str:
        async def serve(peer: Peer) -> None:
            while (received := await peer.request()) is not None:
                self.received.append((peer.head.split()[0].decode(), received))
                await peer.answer(status, body)

        return await self.servers.start(serve)

    async def nobody(self) -> str:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{unused.getsockname()[1]}/webhook"

    async def hanging(self) -> str:
        async def serve(peer: Peer) -> None:
            await peer.request()
            self.is_hanging.set()
            await trio.sleep_forever()

        return await self.servers.start(serve)

    async def dying(self) -> str:
        async def serve(peer: Peer) -> None:
            await peer.request()

        return await self.servers.start(serve)


@pytest.fixture
def world(servers: Servers, webhooks: HttpWebhooks) -> World:
    return LoopbackWorld(servers, webhooks)


class TestHttpWebhooks(WebhooksConformance):
    pass


async def kind_of(webhooks: HttpWebhooks, url: str, *, timeout_s: float = 5.0) -> str:
    with pytest.raises(WebhookError) as raised:
        await webhooks.post(url, b"{}", timeout_s=timeout_s)
    assert url == raised.value.url
    return raised.value.kind


async def test_a_server_that_never_accepts_is_a_timeout(webhooks: HttpWebhooks) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

        assert "timeout" == await kind_of(webhooks, url, timeout_s=0.1)


async def test_slow_headers_are_a_timeout_and_a_slow_body_is_too_slow(
    servers: Servers, webhooks: HttpWebhooks
) -> None:
    def dripping(head: bytes) -> Serve:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.stream.send_all(head)
            while True:
                await peer.stream.send_all(b"x")
                await trio.sleep(0.01)

        return serve

    slow_head = await servers.start(dripping(b"HTTP/1.1 200 OK\r\nserver: "))
    slow_body = await servers.start(dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n"))

    assert "timeout" == await kind_of(webhooks, slow_head, timeout_s=0.2)
    assert "too_slow" == await kind_of(webhooks, slow_body, timeout_s=0.2)


@pytest.mark.parametrize(
    "sent",
    [
        b"this is not http\r\n\r\n",
        b"\x00\xff" * 1000,
        b"HTTP/1.1 banana OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-filler: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthen it closes",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
    ids=["text", "bytes", "status", "length", "huge head", "half a body", "chunks", "nothing"],
)
async def test_garbage_is_a_protocol_error(servers: Servers, webhooks: HttpWebhooks, sent: bytes) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(sent)

    assert "protocol" == await kind_of(webhooks, await servers.start(serve))


async def test_a_reset_is_a_protocol_error(servers: Servers, webhooks: HttpWebhooks) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        assert isinstance(peer.stream, trio.SocketStream)
        peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert "protocol" == await kind_of(webhooks, await servers.start(serve))


async def test_an_endless_body_is_cut_and_its_connection_closed(
    servers: Servers, webhooks: HttpWebhooks
) -> None:
    ended = trio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await peer.stream.send_all(b"x" * 10_000)
        finally:
            ended.set()

    answer = await webhooks.post(await servers.start(serve), b"{}", timeout_s=5)

    assert WebhookAnswer(200, b"x" * 65_536) == answer
    with trio.fail_after(5):
        await ended.wait()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://no-such-host.invalid/webhook", "dns"),
        (f"http://{'a' * 64}.example/webhook", "dns"),
        ("http://[fe80::1]:9/webhook", "unreachable"),
        ("ftp://127.0.0.1/webhook", "protocol"),
        ("ws://127.0.0.1/webhook", "protocol"),
        ("127.0.0.1:80/webhook", "protocol"),
        ("http://127.0.0.1:99999/webhook", "protocol"),
        ("http://\x00/", "protocol"),
        ("", "protocol"),
    ],
)
async def test_a_url_that_leads_nowhere_has_its_kind(webhooks: HttpWebhooks, url: str, kind: str) -> None:
    assert kind == await kind_of(webhooks, url)


async def test_a_redirect_is_an_answer_and_is_not_followed(servers: Servers, webhooks: HttpWebhooks) -> None:
    async def serve(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.answer(302, headers=b"location: /elsewhere\r\n")

    assert WebhookAnswer(302) == await webhooks.post(await servers.start(serve), b"{}", timeout_s=5)
    assert 1 == servers.connections


async def test_a_proxy_in_the_environment_is_not_used(
    servers: Servers, webhooks: HttpWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(200, b"direct")

    assert WebhookAnswer(200, b"direct") == await webhooks.post(
        await servers.start(serve), b"{}", timeout_s=5
    )


async def test_a_cookie_is_not_sent_back_and_the_connection_is_used_again(
    servers: Servers, webhooks: HttpWebhooks
) -> None:
    heads = []

    async def serve(peer: Peer) -> None:
        while await peer.request() is not None:
            heads.append(peer.head.lower())
            await peer.answer(200, b"x", headers=b"set-cookie: a=b\r\n")

    url = await servers.start(serve)
    for _ in range(3):
        await webhooks.post(url, b"{}", timeout_s=5)

    assert 3 == len(heads)
    assert not any(b"cookie" in head for head in heads)
    assert all(b"content-type: application/json" in head for head in heads)
    assert 1 == servers.connections


async def test_calls_beyond_a_hosts_places_wait_and_another_host_is_served(servers: Servers) -> None:
    webhooks = HttpWebhooks(WebhookSettings(calls=3, calls_per_host=2))
    running = itertools.count(1)
    two_run = trio.Event()

    async def busy(peer: Peer) -> None:
        await peer.request()
        if next(running) == 2:
            two_run.set()
        await trio.sleep_forever()

    async def well(peer: Peer) -> None:
        await peer.request()
        await peer.answer(200)

    busy_url = await servers.start(busy)
    well_url = await servers.start(well)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(kind_of, webhooks, busy_url)
        await two_run.wait()

        assert "busy" == await kind_of(webhooks, busy_url, timeout_s=0.05)
        assert WebhookAnswer(200) == await webhooks.post(well_url, b"{}", timeout_s=5)
        assert 3 == next(running)  # the third never reached the host
        await webhooks.aclose()


async def test_places_are_given_back_and_a_host_is_forgotten() -> None:
    places = Places(total=1, per_host=1)

    async with places.place("a"):
        with trio.move_on_after(0):
            async with places.place("a"):
                raise AssertionError
        assert 1 == places.callers("a")
        with trio.move_on_after(0):
            async with places.place("b"):
                raise AssertionError

    assert (0, 0) == (places.callers("a"), places.callers("b"))
    async with places.place("b"):
        assert 1 == places.callers("b")


async def test_a_waiter_for_a_busy_host_holds_no_place_of_the_others() -> None:
    places = Places(total=2, per_host=1)

    async def wait_for_a() -> None:
        async with places.place("a"):
            raise AssertionError

    async with trio.open_nursery() as nursery, places.place("a"):
        nursery.start_soon(wait_for_a)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(5):
            async with places.place("b"):
                callers = places.callers("a")
        nursery.cancel_scope.cancel()

    assert 2 == callers


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def test_https_reaches_a_server_it_trusts(servers: Servers) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(200, b"safe")

    webhooks = HttpWebhooks(make_tls=lambda: ssl.create_default_context(cafile=CERTIFICATE))
    url = await servers.start(serve, tls=server_tls())

    assert WebhookAnswer(200, b"safe") == await webhooks.post(url, b"{}", timeout_s=5)
    await webhooks.aclose()


async def test_https_to_a_server_it_does_not_trust_or_without_tls_is_a_tls_error(
    servers: Servers, webhooks: HttpWebhooks
) -> None:
    async def never(peer: Peer) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            assert await peer.request() is None

    async def plain(peer: Peer) -> None:
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

    untrusted = await servers.start(never, tls=server_tls())
    without_tls = (await servers.start(plain)).replace("http:", "https:")

    assert "tls" == await kind_of(webhooks, untrusted)
    assert "tls" == await kind_of(webhooks, without_tls)


def test_importing_the_adapter_does_not_import_httpx() -> None:
    script = "import sys, adapters.webhooks; sys.exit('httpx' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60).returncode


async def test_warming_up_twice_is_as_once(webhooks: HttpWebhooks) -> None:
    await webhooks.warm_up()
    await webhooks.warm_up()

    assert "httpx" in sys.modules


async def test_a_crowd_of_calls_does_not_make_each_of_them_dearer(
    servers: Servers, webhooks: HttpWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """httpcore looks at all connections of a pool for each idle one, at the begin and end of every call."""
    looks = 0
    is_idle = httpcore.AsyncHTTPConnection.is_idle

    def counted(self: httpcore.AsyncHTTPConnection) -> bool:
        nonlocal looks
        looks += 1
        return is_idle(self)

    monkeypatch.setattr(httpcore.AsyncHTTPConnection, "is_idle", counted)
    everyone_has_come = trio.Event()
    calls = 100

    async def serve(peer: Peer) -> None:
        while await peer.request() is not None:
            if servers.connections == calls:
                everyone_has_come.set()
            await everyone_has_come.wait()
            await peer.answer()

    url = await servers.start(serve)
    async with trio.open_nursery() as nursery:
        for _ in range(calls):
            nursery.start_soon(functools.partial(webhooks.post, url, b"{}", timeout_s=30.0))

    assert calls == servers.connections, "all at once"
    assert looks < 200 * calls, f"{looks / calls:.0f} looks a call"
