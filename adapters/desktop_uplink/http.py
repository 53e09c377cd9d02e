"""HTTP to the server: one request, one answer or one error, TLS verified, no redirects followed.

httpx's transport is used bare, without its client: so there are no redirects, cookies or logins from the
environment. It is imported by the first request, in a thread: that takes 0.15 to 0.4 s.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from .server import ServerAddress

if TYPE_CHECKING:
    import httpx

ANSWER_LIMIT_BYTES: Final = 1 << 20
_CONNECTIONS: Final = 6
_IDLE_S: Final = 2.0
"""Servers close idle connections after 5 s; this keeps clear of sending into one as it is closed."""


class NoAnswerError(Exception):
    """The server did not answer. The text says why and holds no token."""


class HttpAnswer(msgspec.Struct, frozen=True):
    """What the server said. `body` is at most 1 MiB of it."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None


class ServerHttp:
    """Requests to one server.

    Args:
      make_tls: makes the context for https; the system's certificates unless given.
      timeout_s: for the whole of a request.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        make_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        timeout_s: float = 30.0,
    ) -> None:
        self._address = address
        self._make_tls = make_tls
        self._timeout_s = timeout_s
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._making = trio.Lock()

    async def request(
        self, method: str, path: str, body: bytes | None = None, *, token: str = ""
    ) -> HttpAnswer:
        """Ask once.

        Args:
          path: begins with a slash; below the server's own path.
          body: JSON.
          token: sent as Bearer where it is not empty.

        Raises:
          NoAnswerError: no connection, no answer in time, or what came is not HTTP.

        Cancellation: the connection is closed; the server may have acted on the request.
        """
        transport = await self._ready()
        import httpx

        headers = {"accept": "application/json", "user-agent": "glasshouse-daemon"}
        if body is not None:
            headers["content-type"] = "application/json"
        if token:
            headers["authorization"] = f"Bearer {token}"
        with trio.move_on_after(self._timeout_s):
            try:
                request = httpx.Request(method, self._address.url + path, headers=headers, content=body)
                response = await transport.handle_async_request(request)
                try:
                    content = await _read(response)
                finally:
                    await response.aclose()
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                raise NoAnswerError(_said(error)) from error
            return HttpAnswer(
                response.status_code, content, retry_after_s(response.headers.get("retry-after"))
            )
        raise NoAnswerError(f"no answer within {self._timeout_s:g} s")

    async def aclose(self) -> None:
        """Close all connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def _ready(self) -> httpx.AsyncHTTPTransport:
        async with self._making:
            if self._transport is None:
                await trio.to_thread.run_sync(importlib.import_module, "httpx")
                import httpx

                context = await trio.to_thread.run_sync(self._make_tls) if self._address.is_tls else False
                limits = httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_IDLE_S)
                self._transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
            return self._transport


def retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header; None for a date or for nonsense."""
    if value is None or not value.isdecimal() or len(value) > 9:
        return None
    return float(value)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > ANSWER_LIMIT_BYTES:
            raise ValueError(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes")
    return bytes(body)


def _said(error: BaseException) -> str:
    """The innermost cause: httpx's own texts are often empty."""
    inner = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return f"{type(error).__name__}: {inner}" if str(inner) else type(error).__name__
