"""Webhooks over real sockets: one POST, one answer or one `WebhookError` with a kind.

httpx's transport is used bare, without its client: so there are no redirects, cookies, proxies or logins from
the environment to switch off. Our own deadline covers everything, the wait for a place included. Compressed
answers are not asked for and never unpacked.

httpx is imported by the first call, in a thread: it takes 0.15 to 0.4 s (click and rich come along where they
are installed), which neither the start of the server nor the loop can spare. The trusted certificates (0.2 s)
are loaded by the first https call in the same way.
"""

from __future__ import annotations

import importlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from actors.ports import NO_HEADERS, ProbeOutcome, WebhookAnswer, WebhookError
from adapters.webhooks.places import Places
from adapters.webhooks.settings import WebhookSettings

if TYPE_CHECKING:
    import httpx

BODY_LIMIT_BYTES: Final = 64 * 1024

CALLS_PER_POOL: Final = 8
"""httpcore 1.0 looks at every connection of its pool for each idle one, when a call begins and when it ends.
With one pool 200 webhooks at once, those of an app server that is back, held the loop for 3 s in all."""

_POST_HEADERS: Final = {"content-type": "application/json", "accept": "*/*", "user-agent": "glasshouse"}
_PROBE_HEADERS: Final = {"accept": "*/*", "user-agent": "glasshouse"}
_MISSING: Final = {"busy": "no place", "timeout": "no answer", "too_slow": "no end of the answer"}
_KINDS: Final = (
    ("tls", ssl.SSLError),
    ("dns", (socket.gaierror, UnicodeError)),
    ("refused", ConnectionRefusedError),
)
"""The kind of a failed call by what lies under httpx's error, most telling first."""


class HttpWebhooks:
    """`actors.ports.Webhooks` over httpx.

    Args:
      make_tls: makes the context for https; httpx's own, with certifi's certificates, unless given.
    """

    def __init__(
        self,
        settings: WebhookSettings | None = None,
        *,
        make_tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        settings = settings or WebhookSettings()
        self._places = Places(total=settings.calls, per_host=settings.calls_per_host)
        self._probe_places = Places(total=settings.probes, per_host=max(1, settings.probes // 4))
        self._idle_s = settings.idle_s
        self._make_tls = make_tls
        self._making = trio.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._pools: dict[str, list[_Pool]] = {}
        self._is_imported = False
        self._is_closed = False

    async def warm_up(self) -> None:
        """Import the HTTP client now, in a thread, so that the first call does not pay for it."""
        if not self._is_imported:
            await trio.to_thread.run_sync(importlib.import_module, "httpx")
            self._is_imported = True

    async def post(
        self, url: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] = NO_HEADERS
    ) -> WebhookAnswer:
        """POST once and return the answer, whatever its status, with at most 64 KiB of its body.

        Args:
          timeout_s: seconds for everything: a place, the connection, the answer.
          headers: beside our own; with another Content-Type than that of JSON where the body is none.

        Raises:
          WebhookError: `refused`, `unreachable`, `dns`, `tls`: no connection. `busy`: no place in time.
            `timeout`: no answer in time. `too_slow`: the answer began and did not end in time. `protocol`:
            anything else, for instance the connection was closed early or the answer is not HTTP. Only for
            the first five is it certain that the app server did not see the call.

        Cancellation: the connection is closed; the app server may have acted on the call.
        """
        kind = "busy"

        def has_place() -> None:
            nonlocal kind
            kind = "timeout"

        with trio.move_on_after(timeout_s):
            said = {**_POST_HEADERS, **{name.lower(): value for name, value in headers.items()}}
            async with self._answer("POST", url, body, said, self._places, has_place) as response:
                kind = "too_slow"
                return WebhookAnswer(response.status_code, await _read_at_most(response, BODY_LIMIT_BYTES))
        raise WebhookError(kind, url, f"{_MISSING[kind]} within {timeout_s:g} s")

    async def probe(self, url: str, *, timeout_s: float) -> ProbeOutcome:
        """GET `url`; who is there. Never raises."""
        with trio.move_on_after(timeout_s):
            try:
                async with self._answer("GET", url, b"", _PROBE_HEADERS, self._probe_places):
                    return ProbeOutcome.ANSWERS
            except WebhookError as error:
                return ProbeOutcome.REFUSED if error.kind == "refused" else ProbeOutcome.UNKNOWN
        return ProbeOutcome.UNKNOWN

    async def aclose(self) -> None:
        """Close all connections. Calls that run, and later ones, fail with kind `protocol`."""
        self._is_closed = True
        pools = [pool for of_scheme in self._pools.values() for pool in of_scheme]
        self._pools.clear()
        for pool in pools:
            await pool.transport.aclose()

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
        places: Places,
        has_place: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[httpx.Response]:
        """The head of the answer, its body still to be read. Whatever goes wrong is a WebhookError."""
        await self.warm_up()
        import httpx

        try:
            request = httpx.Request(method, url, headers=headers, content=body)
            if request.url.scheme not in ("http", "https") or (request.url.port or 0) > 65_535:
                raise ValueError(
                    "the URL must be http://HOST[:PORT]/... or https://..., with a port up to 65535"
                )
            async with places.place(request.url.netloc.decode()):
                has_place()
                async with self._pool(request.url.scheme) as transport:
                    response = await transport.handle_async_request(request)
                    try:
                        yield response
                    finally:
                        await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            kind, cause = _classified(error)
            raise WebhookError(kind, url, cause) from error

    @asynccontextmanager
    async def _pool(self, scheme: str) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """A pool of connections that few others use now; the first with room, so that they are reused."""
        if scheme not in self._contexts:
            async with self._making:
                if scheme not in self._contexts:
                    self._contexts[scheme] = await trio.to_thread.run_sync(self._make_context, scheme)
        if self._is_closed:
            raise ValueError("the webhooks are closed")
        pools = self._pools.setdefault(scheme, [])
        pool = next((each for each in pools if each.calls < CALLS_PER_POOL), None)
        if pool is None:
            pool = _Pool(self._make_transport(self._contexts[scheme]))
            pools.append(pool)
        pool.calls += 1
        try:
            yield pool.transport
        finally:
            pool.calls -= 1

    def _make_context(self, scheme: str) -> ssl.SSLContext:
        import httpx

        if scheme == "http":  # needs none, and loading the certificates takes 0.2 s
            return httpx.create_ssl_context(verify=False, trust_env=False)
        return httpx.create_ssl_context(trust_env=False) if self._make_tls is None else self._make_tls()

    def _make_transport(self, context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
        import httpx

        limits = httpx.Limits(max_keepalive_connections=2 * CALLS_PER_POOL, keepalive_expiry=self._idle_s)
        return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)


class _Pool:
    """One of httpx's transports, and how many calls use it."""

    __slots__ = ("calls", "transport")

    def __init__(self, transport: httpx.AsyncHTTPTransport) -> None:
        self.transport = transport
        self.calls = 0


async def _read_at_most(response: httpx.Response, limit_bytes: int) -> bytes:
    body = bytearray()
    with trio.CancelScope() as scope:
        async for part in response.aiter_raw():
            body += part
            if len(body) >= limit_bytes:
                # Not `break`: that would leave httpcore's inner generators to the garbage collector, which
                # warns. The connection is closed with the response; the rest is not worth reading.
                scope.cancel()
    return bytes(body[:limit_bytes])


def _classified(error: Exception) -> tuple[str, str]:
    """The kind of WebhookError that `error` is, and a text for the log."""
    import httpx

    causes = tuple(_causes(error))
    for kind, types in _KINDS:
        for cause in causes:
            if isinstance(cause, types):
                return kind, f"{cause}"
    kind = "unreachable" if isinstance(error, httpx.ConnectError) else "protocol"
    return kind, f"{type(error).__name__}: {causes[-1]}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _causes(inner)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause)
