"""What an open page of figures is told, as server-sent events.

The stream is the request's own body, and it looks only when the one before has gone out: a page that reads
slowly is told less often, and what it is told is the newest. So nothing waits for anybody, however many
pages are open. It ends when the login is over (the page goes to the login), when the server drains (the page
dials again), or with the page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType

import msgspec
import trio
from quart.wrappers.response import ResponseBody

from adapters.http.console.agent_events import DIAL_AGAIN_MS, LOGIN_EVENT
from adapters.http.console.agent_pieces import Order
from adapters.http.ending import Ending


class LookStream(ResponseBody):
    """Args:
    look: what to do on the page now; None when it may not be seen any more.
    look_s: how long it rests between two looks.
    keep_alive_s: after so long without news the page is sent a comment, and the login is looked at.
    is_logged_in: whether the login still holds.
    on_end: called once when the stream has ended, however it did.
    """

    def __init__(
        self,
        *,
        look: Callable[[], Awaitable[Sequence[Order]]],
        ending: Ending,
        look_s: float,
        keep_alive_s: float,
        now: Callable[[], float],
        is_logged_in: Callable[[], Awaitable[bool]],
        on_end: Callable[[LookStream], None],
    ) -> None:
        self._look = look
        self._ending = ending
        self._look_s = look_s
        self._keep_alive_s = keep_alive_s
        self._now = now
        self._is_logged_in = is_logged_in
        self._on_end = on_end
        self._over = trio.Event()
        self._events = self._all_events()

    def end(self) -> None:
        """The login is over, or the page is."""
        self._over.set()

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self._events

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._on_end(self)
        await self._events.aclose()

    async def _all_events(self) -> AsyncGenerator[bytes, None]:
        yield b"retry: %d\n\n" % DIAL_AGAIN_MS
        number, said_at, looked_at = 0, self._now(), self._now()
        while not self._ending.is_near:
            if self._over.is_set() or self._now() - looked_at >= self._keep_alive_s:
                if not await self._is_logged_in():
                    yield LOGIN_EVENT
                    return
                looked_at = self._now()
            if self._over.is_set():
                return
            orders = await self._look()
            if orders:
                number += 1
                said_at = self._now()
                yield b"id: %d\ndata: %s\n\n" % (number, msgspec.json.encode(orders))
            elif self._now() - said_at >= self._keep_alive_s:
                said_at = self._now()
                yield b": still here\n\n"
            await self._rest()

    async def _rest(self) -> None:
        with trio.move_on_after(self._look_s):
            async with trio.open_nursery() as nursery:

                async def first(wait: Callable[[], Awaitable[None]]) -> None:
                    await wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(first, self._over.wait)
                nursery.start_soon(first, self._ending.wait)
