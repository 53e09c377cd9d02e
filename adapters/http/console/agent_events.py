"""`GET /console/agent/events`: what happens at a user's desk, as server-sent events.

The stream is the request's own body: it begins with it, ends with it, whoever ends it, and takes its reader
along. It ends by itself when the login is over (the page goes to the login), when the server drains, when the
desk is gone or the page is too far behind (the page dials again). Whoever dials again, with or without a
`Last-Event-ID`, is told the whole state first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final

import msgspec
import trio
from quart.wrappers.response import ResponseBody

from actors.console.reader import PageReader, PageReaderMessage
from actors.desktop.messages import Desk
from adapters.http.console.agent_pieces import AgentPage, Order
from adapters.http.console.feed import Feed
from adapters.http.ending import Ending
from runtime import ActorSystem, ChildSpec, Ref, SupervisorMessage

DIAL_AGAIN_MS: Final = 1_000
LOGIN_EVENT: Final = b"event: login\ndata: {}\n\n"


class EventStream(ResponseBody):
    """Args:
    reader: where the actor that listens lives.
    keep_alive_s: after so long without news the page is sent a comment, and the login is looked at.
    is_logged_in: whether the login still holds.
    on_end: called once when the stream has ended, however it did.
    """

    def __init__(
        self,
        *,
        system: ActorSystem,
        readers: Ref[SupervisorMessage],
        desk: Desk,
        page: AgentPage,
        feed: Feed,
        ending: Ending,
        keep_alive_s: float,
        is_logged_in: Callable[[], Awaitable[bool]],
        on_end: Callable[[], None],
    ) -> None:
        self._system = system
        self._readers = readers
        self._desk = desk
        self._page = page
        self._feed = feed
        self._ending = ending
        self._keep_alive_s = keep_alive_s
        self._is_logged_in = is_logged_in
        self._on_end = on_end
        self._reader: Ref[PageReaderMessage] | None = None
        self._events = self._all_events()

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self._events

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.end()
        self._on_end()
        if self._reader is not None:
            self._system.stop_child(self._reader)
        await self._events.aclose()

    async def _all_events(self) -> AsyncGenerator[bytes, None]:
        yield b"retry: %d\n\n" % DIAL_AGAIN_MS
        spec: ChildSpec[PageReaderMessage] = ChildSpec(
            name=self._system.ids.next("page"),
            factory=lambda: PageReader(self._desk, self._feed),
            restart="transient",
        )
        self._reader = await self._system.spawn(spec, under=self._readers)
        number, looked_at = 0, self._system.clock.now()
        while not self._ending.is_near:
            is_news = await self._news_or_ending()
            now = self._system.clock.now()
            if self._feed.is_over or now - looked_at >= self._keep_alive_s:
                if not await self._is_logged_in():
                    yield LOGIN_EVENT
                    return
                looked_at = now
            if self._feed.is_over:
                return
            news, logs = self._feed.take()
            orders = [*await self._page.orders(news), *self._page.logged(logs)]
            if orders:
                number += 1
                yield _event(number, orders)
            elif not is_news:
                yield b": still here\n\n"

    async def _news_or_ending(self) -> bool:
        """Wait for either; False when there was neither for long."""
        with trio.move_on_after(self._keep_alive_s):
            async with trio.open_nursery() as nursery:

                async def first(wait: Callable[[], Awaitable[None]]) -> None:
                    await wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(first, self._feed.wait)
                nursery.start_soon(first, self._ending.wait)
            return True
        return False


def _event(number: int, orders: list[Order]) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (number, msgspec.json.encode(orders))
