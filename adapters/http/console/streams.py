"""Opens the streams of events of the pages of figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from quart import Response, request

from actors.console.sessions import ConsoleSession
from actors.console.settings import ConsoleSettings
from actors.ports import StorageError, Telemetry
from adapters.http.console.agent_pieces import Order
from adapters.http.console.frame import said
from adapters.http.console.guard import Guard, Refused
from adapters.http.console.look_stream import LookStream
from adapters.http.console.open_pages import OpenPages
from adapters.http.ending import ending_of
from runtime import RuntimeFailure

Look = Callable[[], Awaitable[Sequence[Order]]]


class Streams:
    """Args:
    now: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        pages: OpenPages,
        settings: ConsoleSettings,
        telemetry: Telemetry,
        now: Callable[[], float],
    ) -> None:
        self._telemetry = telemetry
        self._guard = guard
        self._pages = pages
        self._settings = settings
        self._now = now

    def open(self, session: ConsoleSession, look: Look) -> Response:
        """The answer to the request under way: what `look` finds, again and again; 429 where there are too
        many. It ends when `look` raises Refused, and waits out what cannot be told now."""

        async def is_logged_in() -> bool:
            return await self._guard.is_good(session.session_id)

        async def look_again() -> Sequence[Order]:
            try:
                return await look()
            except Refused:  # what was theirs is so no more: dialling again tells them
                body.end()
            except (RuntimeFailure, StorageError) as error:
                self._telemetry.warning("console_not_now", cause=str(error))
            return ()

        body = LookStream(
            look=look_again,
            ending=ending_of(request.scope),
            look_s=self._settings.look_s,
            keep_alive_s=self._settings.keep_alive_s,
            now=self._now,
            is_logged_in=is_logged_in,
            on_end=lambda page: self._pages.remove(session.user_id, page),
        )
        if not self._pages.add(session.user_id, session.session_id, body):
            return said("Too many pages are open: close one", status=429)
        answer = Response(body, content_type="text/event-stream; charset=utf-8")
        answer.headers["X-Accel-Buffering"] = "no"  # what nginx would collect arrives late
        answer.timeout = None
        return answer
