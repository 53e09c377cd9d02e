"""The webhooks' twin: URLs lead to async callables in the same world, over a network with seeded delays and
faults.

An app server of a simulated run registers itself under its base URL. To kill it, remove it: calls that it was
answering fail as when a process dies, and later ones are refused.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import trio

from actors.ports import NO_HEADERS, ProbeOutcome, WebhookAnswer, WebhookError

BODY_LIMIT_BYTES: Final = 64 * 1024
KINDS: Final = ("refused", "unreachable", "dns", "tls", "busy", "timeout", "too_slow", "protocol")


class Call(msgspec.Struct, frozen=True):
    """One HTTP call as the app server sees it; `path` follows the base URL, for instance `/webhook`."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str] = NO_HEADERS


Answerer = Callable[[Call], Awaitable[WebhookAnswer]]


class SimulatedWebhooks:
    """`actors.ports.Webhooks` without sockets.

    Args:
      chance: the world's random source; draws the delays.
      max_delay_s: the call and its answer each take a time drawn evenly from 0 to this.

    Attributes:
      faults: base URL to a kind of WebhookError (`KINDS`): while it is there, every call to that base fails
        so; `busy`, `timeout` and `too_slow` take the whole deadline first. Without an entry all is well.
      calls: every call that reached an app server, in order.
    """

    def __init__(self, chance: random.Random, *, max_delay_s: float = 0.0) -> None:
        self.faults: dict[str, str] = {}
        self.calls: list[Call] = []
        self._chance = chance
        self._max_delay_s = max_delay_s
        self._servers: dict[str, tuple[Answerer, set[trio.CancelScope]]] = {}
        self._running: set[trio.CancelScope] = set()
        self._is_closed = False

    def serve(self, base_url: str, answer: Answerer) -> None:
        """From now on `answer` answers every call below `base_url`. What it raises is raised by the call."""
        self._servers[base_url.rstrip("/")] = (answer, set())

    def remove(self, base_url: str) -> None:
        """The app server at `base_url` is gone: what it was answering fails with `protocol`."""
        _, scopes = self._servers.pop(base_url.rstrip("/"))
        for scope in scopes:
            scope.cancel()

    async def post(
        self, url: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] = NO_HEADERS
    ) -> WebhookAnswer:
        """As `HttpWebhooks.post`.

        Cancellation: cancels the callable that answers, unless it shields itself.
        """
        return await self._call("POST", url, body, timeout_s, headers)

    async def probe(self, url: str, *, timeout_s: float) -> ProbeOutcome:
        """As `HttpWebhooks.probe`."""
        try:
            await self._call("GET", url, b"", timeout_s, NO_HEADERS)
        except WebhookError as error:
            return ProbeOutcome.REFUSED if error.kind == "refused" else ProbeOutcome.UNKNOWN
        return ProbeOutcome.ANSWERS

    async def aclose(self) -> None:
        """Calls that run, and later ones, fail with kind `protocol`."""
        self._is_closed = True
        for scope in self._running:
            scope.cancel()

    async def _call(
        self, method: str, url: str, body: bytes, timeout_s: float, headers: Mapping[str, str]
    ) -> WebhookAnswer:
        base = self._base_of(url)
        fault = self.faults.get(base)
        with trio.CancelScope() as scope:
            self._running.add(scope)
            try:
                with trio.move_on_after(timeout_s):
                    if fault in ("busy", "timeout", "too_slow"):
                        await trio.sleep_forever()
                    return await self._answered(
                        Call(method, url[len(base) :], body, headers), url, base, fault
                    )
            finally:
                self._running.discard(scope)
            raise WebhookError(fault or "timeout", url, f"no answer within {timeout_s:g} s")
        raise WebhookError("protocol", url, "the connection was closed")

    async def _answered(self, call: Call, url: str, base: str, fault: str | None) -> WebhookAnswer:
        if self._is_closed:
            raise WebhookError("protocol", url, "the webhooks are closed")
        await trio.sleep(self._chance.uniform(0.0, self._max_delay_s))
        if fault is not None:
            raise WebhookError(fault, url, "simulated")
        if base not in self._servers:
            raise WebhookError("refused", url, "nobody listens")
        answer, scopes = self._servers[base]
        self.calls.append(call)
        with trio.CancelScope() as scope:
            scopes.add(scope)
            try:
                answered = await answer(call)
            finally:
                scopes.discard(scope)
            await trio.sleep(self._chance.uniform(0.0, self._max_delay_s))
            return WebhookAnswer(answered.status, answered.body[:BODY_LIMIT_BYTES])
        raise WebhookError("protocol", url, "the app server closed the connection before it answered")

    def _base_of(self, url: str) -> str:
        known = [base for base in (*self._servers, *self.faults) if url == base or url.startswith(f"{base}/")]
        return max(known, key=len, default="")
