"""One app session: its socket, what arrives on it, and how it comes back.

The rules are those of `@mentra/sdk` 2.1.29 (protocol.md 3.5, 5.3): init and ack within 5 s, then the list of
subscriptions; after a close that is not final the same session id again after 1, 2 and 4 s, with the handlers
kept and the list sent anew. Two things differ, and neither shows on the wire: `on_stop` runs once for an end
and not two to four times, and a session that was refused for good (1008) is forgotten at once.
"""

from __future__ import annotations

import enum
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import trio

from clients.app_sdk.errors import CloudError
from clients.app_sdk.events import AUDIO, DISCONNECTED, ERROR, RECONNECTED, SETTINGS_CHANGE, Events, Handler
from clients.app_sdk.layouts import Layouts
from clients.app_sdk.rest import Rest, Storage
from clients.network import Connect
from clients.socket import ABNORMAL, DisconnectedError, RefusedError, Socket, hold
from protocols import MalformedMessage, Unknown, from_app, timestamps, to_app
from protocols.close_codes import GOING_AWAY, INTERNAL_ERROR, NORMAL, POLICY

ACK_TIMEOUT_S: Final = 5.0
RETRY_DELAYS_S: Final = (1.0, 2.0, 4.0)
RELEASE_PAUSE_S: Final = 0.1
QUEUED_MESSAGES: Final = 1000
QUEUED_EVENTS: Final = 1000

logger = logging.getLogger("glasshouse.app_sdk")


class Ending(enum.Enum):
    """Why a session is over."""

    STOPPED = "the cloud stopped it"
    REFUSED = "the cloud refused it for good"
    LOST = "the connection was lost and three retries failed"
    RELEASED = "a newer webhook took it over"


class AppSession:
    """One user's session of the app, as `on_session` gets it.

    Attributes:
      session_id, user_id, package_name: who it is.
      events: register handlers here.
      layouts: show something here.
      storage: keep something for this wearer here.
      rest: the cloud's other routes.
      settings: the app's settings, a list of JSON objects (protocol.md 9.3).
      system_settings: the wearer's settings, a JSON object (9.1).
      capabilities: what the glasses can do (9.10), None while no glasses are known.
      ending: why it is over; None while it is not.
      has_dialled: set when the first dial is over; `is_opened` says whether a socket came of it.
      has_acked: set at the first ack.
      dropped_events: events that were dropped because 1,000 waited for their handlers already.
    """

    def __init__(
        self,
        *,
        session_id: str,
        user_id: str,
        package_name: str,
        api_key: str,
        url: str,
        connect: Connect,
        wall: Callable[[], float],
    ) -> None:
        self.session_id = session_id
        self.user_id = user_id
        self.package_name = package_name
        self.events = Events(self._send_subscriptions)
        self.layouts = Layouts(self.send, package_name)
        self.rest = Rest(url, package_name, api_key, connect=connect)
        self.storage = Storage(self.rest, user_id)
        self.settings: Any = []
        self.system_settings: Any = {}
        self.capabilities: Any = None
        self.dropped_events = 0
        self.ending: Ending | None = None
        self.is_opened = False
        self.has_dialled = trio.Event()
        self.has_acked = trio.Event()
        self._api_key = api_key
        self._url = url
        self._connect = connect
        self._wall = wall
        self._socket: Socket | None = None
        self._outgoing: trio.MemorySendChannel[from_app.AppMessage] | None = None
        self._events_in, self._events_out = trio.open_memory_channel[tuple[Handler[Any], object]](
            QUEUED_EVENTS
        )
        self._nursery: trio.Nursery | None = None
        self._is_stopping = False
        self._last_complaint = ""

    @property
    def is_connected(self) -> bool:
        """Whether the session is connected and acknowledged now."""
        return self._outgoing is not None

    def send(self, message: from_app.AppMessage) -> bool:
        """Send any message of `protocols.from_app`; False when not connected, or while 1,000 wait."""
        if self._outgoing is None:
            return False
        try:
            self._outgoing.send_nowait(message)
        except trio.WouldBlock:
            return False
        return True

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run `fn` in the background; it is cancelled when the session ends."""
        assert self._nursery is not None, "the session has not begun"
        self._nursery.start_soon(fn, *args)

    async def run(self) -> None:
        """Connect, and keep connected as the rules have it, until the session is over; see `ending`."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._call_handlers)
            failures = 0
            while self.ending is None:
                had_ack = await self._live_connected()
                if self.ending is None:
                    failures = 1 if had_ack else failures + 1
                    if failures > len(RETRY_DELAYS_S):
                        self.ending = Ending.LOST
                    else:
                        await trio.sleep(RETRY_DELAYS_S[failures - 1])
                        if self._is_stopping:
                            self.ending = Ending.STOPPED
            self._nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """The cloud announced the end: whatever close comes next is final, one that came is not retried."""
        self._is_stopping = True

    async def release(self) -> None:
        """Give the session up for a newer one of its id: say so, wait 0.1 s, close in the background."""
        self.ending = Ending.RELEASED
        if self._socket is not None:
            self.send(
                from_app.OwnershipRelease(
                    package_name=self.package_name, session_id=self.session_id, reason="switching_clouds"
                )
            )
            await trio.sleep(RELEASE_PAUSE_S)
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def apply_settings(self, settings: msgspec.Raw) -> None:
        """The app's settings have changed."""
        self.settings = msgspec.json.decode(settings)
        self._queue(self.events.handlers_of(SETTINGS_CHANGE), self.settings)

    async def _live_connected(self) -> bool:
        """One connection from dial to end; whether it got its ack. Sets `ending` where the end is final."""
        had_ack = False
        async with trio.open_nursery() as nursery:
            try:
                self._socket = await nursery.start(functools.partial(hold, self._url, connect=self._connect))
                self.is_opened = True
                self.has_dialled.set()
                await self._shake_hands(self._socket)
                had_ack = True
                nursery.start_soon(self._write, self._socket, self._begin_sending())
                await self._read(self._socket)
            except (OSError, RefusedError, DisconnectedError) as error:
                self.has_dialled.set()
                self._note_end(error)
            finally:
                self._outgoing = self._socket = None
            nursery.cancel_scope.cancel()
        return had_ack

    async def _shake_hands(self, socket: Socket) -> None:
        init = from_app.TpaConnectionInit(
            session_id=self.session_id,
            package_name=self.package_name,
            api_key=self._api_key,
            timestamp=timestamps.iso(self._wall()),
        )
        await socket.send(from_app.encode(init).decode())
        with trio.move_on_after(ACK_TIMEOUT_S):
            while not self._take(await socket.receive()):
                pass
            return
        raise DisconnectedError(ABNORMAL, f"no tpa_connection_ack within {ACK_TIMEOUT_S:g} s")

    def _begin_sending(self) -> trio.MemoryReceiveChannel[from_app.AppMessage]:
        self._last_complaint = ""
        self._outgoing, messages = trio.open_memory_channel[from_app.AppMessage](QUEUED_MESSAGES)
        self._send_subscriptions()
        if self.has_acked.is_set():
            self._queue(self.events.handlers_of(RECONNECTED), None)
        self.has_acked.set()
        return messages

    async def _write(self, socket: Socket, messages: trio.MemoryReceiveChannel[from_app.AppMessage]) -> None:
        async for message in messages:
            if message.timestamp is None:
                message = msgspec.structs.replace(message, timestamp=timestamps.iso(self._wall()))
            try:
                await socket.send(from_app.encode(message).decode())
            except DisconnectedError:
                return  # the reader sees the same end, and says so

    async def _read(self, socket: Socket) -> None:
        while True:
            self._take(await socket.receive())

    def _take(self, payload: str | bytes) -> bool:
        """Pass on one message; whether it was the ack."""
        if isinstance(payload, bytes):
            self._take_audio(payload)
            return False
        try:
            message = to_app.decode(payload.encode())
            if isinstance(message, to_app.DataStream):
                event, handlers = self.events.handlers_of_stream(message.stream_type, message.data)
                self._queue(handlers, event)
                return False
        except MalformedMessage as error:
            self._report(error)
            return False
        if isinstance(message, to_app.TpaConnectionAck):
            self.settings = msgspec.json.decode(message.settings)
            self.system_settings = msgspec.json.decode(message.mentraos_settings)
            self.capabilities = msgspec.json.decode(message.capabilities)
        elif isinstance(message, to_app.SettingsUpdate):
            self.apply_settings(message.settings)
        elif isinstance(message, to_app.AugmentosSettingsUpdate):
            self.system_settings = msgspec.json.decode(message.settings)
        elif isinstance(message, to_app.CapabilitiesUpdate):
            self.capabilities = msgspec.json.decode(message.capabilities)
        elif isinstance(message, to_app.TpaConnectionError | to_app.ConnectionError | to_app.WebsocketError):
            self._report(CloudError(message.message, getattr(message, "code", None)))
        elif isinstance(message, Unknown):
            self._report(CloudError(f"a message of unknown type {message.type!r}", None))
        self._queue(self.events.handlers_of(type(message).__name__), message)
        return isinstance(message, to_app.TpaConnectionAck)

    def _take_audio(self, pcm: bytes) -> None:
        if not pcm:
            self._report(CloudError("an empty audio frame", None))
            return
        event, handlers = self.events.handlers_of_stream(AUDIO, msgspec.Raw(pcm))
        self._queue(handlers, event)

    def _note_end(self, error: Exception) -> None:
        code, reason = (error.code, error.reason) if isinstance(error, DisconnectedError) else (ABNORMAL, "")
        if code in (NORMAL, GOING_AWAY) or self._is_stopping:
            self.ending = Ending.STOPPED
        elif code == POLICY or (code == INTERNAL_ERROR and "App stopped" in reason):
            self.ending = Ending.REFUSED
        else:
            self._queue(self.events.handlers_of(DISCONNECTED), str(error))

    def _send_subscriptions(self) -> None:
        self.send(
            from_app.SubscriptionUpdate(
                package_name=self.package_name,
                session_id=self.session_id,
                subscriptions=self.events.streams(),
            )
        )

    def _queue(self, handlers: tuple[Handler[Any], ...], event: object) -> None:
        for handler in handlers:
            try:
                self._events_in.send_nowait((handler, event))
            except trio.WouldBlock:
                self.dropped_events += 1

    async def _call_handlers(self) -> None:
        async for handler, event in self._events_out:
            try:
                result = handler(event)
                if inspect.isawaitable(result):  # a lambda may return whatever it called returned
                    await result
            except Exception as error:
                # An app's mistake in one handler must not end its session; the official SDK behaves alike.
                if handler in self.events.handlers_of(ERROR):
                    logger.exception("%s: a handler of errors raised", self.session_id)
                else:
                    self._report(error)

    def _report(self, error: Exception) -> None:
        handlers = self.events.handlers_of(ERROR)
        if not handlers:
            self._log(error)
        self._queue(handlers, error)

    def _log(self, error: Exception) -> None:
        """An app's own mistake with its traceback; what the cloud says once, however often it says so.

        What it says to a retry belongs to an ordinary restart of the cloud, and needs nobody.
        """
        if not isinstance(error, CloudError):
            logger.warning("%s: %r", self.session_id, error, exc_info=error)
        elif self._last_complaint != str(error):
            self._last_complaint = str(error)
            is_retry = self.has_acked.is_set() and not self.is_connected
            logger.log(logging.INFO if is_retry else logging.WARNING, "%s: %r", self.session_id, error)
