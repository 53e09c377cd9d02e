"""A connection without a socket: between an app that is part of this server and the server's own door.

The server's side is an `actors.ports.Connection` like the engine's, with the same handlers behind it; the
other end is an actor, which is told what a socket would have carried. It is the same wire, only shorter: a
message is a call or a tell, so nothing can be lost halfway, cut in two or come out of order.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from runtime import Recipient

from ..ports import CloseInfo, ConnectionHandler, ConnectionHealth, Lane, Outgoing

PEER = "in this server"


class Carried(msgspec.Struct, frozen=True):
    """To the app: a text message of the server's."""

    connection_id: str
    payload: bytes


class Pinged(msgspec.Struct, frozen=True):
    """To the app: answer it with `pong`."""

    connection_id: str


class Closed(msgspec.Struct, frozen=True):
    """To the app: the server has closed the connection."""

    connection_id: str
    code: int
    reason: str


AppEnd = Carried | Pinged | Closed


class LocalConnection:
    """`actors.ports.Connection` to an actor of this process.

    Args:
      app: hears what the server sends. One that does not take it, since it has ended or is far behind, loses
        the connection, as a peer that does not read.
      now: monotonic seconds.
    """

    def __init__(self, id: str, app: Recipient[AppEnd], now: Callable[[], float]) -> None:
        self.id = id
        self.peer = PEER
        self.is_open = True
        self.waiting_bytes = 0
        self.health = ConnectionHealth(opened_at=now(), last_activity_at=now())
        self._app = app
        self._now = now
        self._handler: ConnectionHandler | None = None

    # -- what the server calls ----------------------------------------------------------------------------

    def send(self, message: Outgoing) -> bool:
        """Hand it to the app. The microphone's frames are for sockets: an app in here does without them."""
        if not self.is_open or message.lane is Lane.AUDIO:
            return False
        self.health.messages_out += 1
        self.health.bytes_out += len(message.payload)
        if self._app.tell(Carried(self.id, message.payload)):
            return True
        self.abort()
        return False

    def ping(self) -> None:
        if self.is_open:
            self.health.missed_pongs += 1
            if not self._app.tell(Pinged(self.id)):
                self.abort()

    def close(self, code: int, reason: str = "") -> None:
        if self.is_open:
            self._app.tell(Closed(self.id, code, reason))
            self._end(CloseInfo(code=code, reason=reason, by_us=True))

    def abort(self) -> None:
        if self.is_open:
            self._app.tell(Closed(self.id, 1006, ""))
            self._end(CloseInfo(code=1006, by_us=True, was_reset=True))

    def bind(self, handler: ConnectionHandler) -> None:
        self._handler = handler

    # -- what the app calls -------------------------------------------------------------------------------

    def open(self, handler: ConnectionHandler) -> None:
        """The upgrade is done."""
        self._handler = handler
        self._hand(lambda bound: bound.opened(self))

    def say(self, payload: bytes) -> None:
        """A text message of the app's."""
        if self.is_open:
            self._is_alive()
            self.health.messages_in += 1
            self.health.bytes_in += len(payload)
            self._hand(lambda bound: bound.text(self, payload))

    def pong(self) -> None:
        self._is_alive()
        self.health.has_shown_pongs = True
        self.health.missed_pongs = 0
        self.health.round_trip_s = 0.0

    def hang_up(self, code: int, reason: str = "") -> None:
        """The app has closed it."""
        if self.is_open:
            self._end(CloseInfo(code=code, reason=reason))

    def _is_alive(self) -> None:
        self.health.last_activity_at = self._now()

    def _end(self, info: CloseInfo) -> None:
        self.is_open = False
        self._hand(lambda bound: bound.closed(self, info))

    def _hand(self, call: Callable[[ConnectionHandler], object]) -> None:
        """As the engine calls a handler: what it raises is its owner's crash, and nobody else's."""
        assert self._handler is not None
        handler = self._handler
        try:
            call(handler)
        except Exception as error:
            handler.failed(self, error)
