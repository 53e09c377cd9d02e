"""An app server: answers the cloud's webhooks and keeps a session per user.

The webhook that starts a session is answered when the app is connected and its `on_session` has returned, as
the official SDK does it (protocol.md 4.4). A second webhook for a known session takes it over. Two at the
same instant make two sockets and two `on_session` runs; that is the official SDK's behaviour too, and a cloud
must not cause it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import trio

from clients.app_sdk import http_server
from clients.app_sdk.session import ACK_TIMEOUT_S, AppSession, Ending
from clients.network import Connect, open_stream
from protocols import MalformedMessage, webhooks

logger = logging.getLogger("glasshouse.app_sdk")

Hook = TypeVar("Hook", bound=Callable[..., Awaitable[Any]])

_SETTINGS = msgspec.json.Decoder(webhooks.SettingsChange)
_TOOL = msgspec.json.Decoder(webhooks.ToolCall)


class AppServer:
    """Serves one app. Subclass it and override `on_session`, or give it functions with `handler`.

    Args:
      package_name, api_key: as registered with the cloud.
      host, port: where the webhooks come in; port 0 takes a free one, None serves no HTTP at all: a simulated
        world calls `handle` itself.
      connect: the way to the cloud.
      wall: epoch seconds, for the timestamps in messages.

    Attributes:
      port: the real one, once `run` has started.
      sessions: session id to session, of those whose `on_session` has begun.
    """

    def __init__(
        self,
        package_name: str,
        api_key: str,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        connect: Connect = open_stream,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.package_name = package_name
        self.host = host
        self.port = port
        self.sessions: dict[str, AppSession] = {}
        self._api_key = api_key
        self._connect = connect
        self._wall = wall
        self._nursery: trio.Nursery | None = None

    @property
    def url(self) -> str:
        """What to register with the cloud as the app's URL."""
        return f"http://{self.host}:{self.port}"

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        """A user started the app: register handlers, show something, and return."""

    async def on_stop(self, session_id: str, user_id: str, reason: str) -> None:
        """The session is over. `reason`: what the cloud said, or why the connection ended."""

    async def on_tool_call(self, call: webhooks.ToolCall) -> str | None:
        """An assistant uses one of the app's tools; the answer is for it."""
        return None

    def handler(self, function: Hook) -> Hook:
        """A decorator: `function` replaces the method of its name, for instance `on_session`."""
        if function.__name__ not in ("on_session", "on_stop", "on_tool_call"):
            raise ValueError(f"{function.__name__}: choose on_session, on_stop or on_tool_call")
        setattr(self, function.__name__, function)
        return function

    async def run(self, *, task_status: trio.TaskStatus[int | None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `await nursery.start(server.run)` returns the port when it listens.

        Cancellation: every socket is closed without `ownership_release`, as at an official app server's
          SIGTERM;
        `on_stop` does not run.
        """
        async with trio.open_nursery() as self._nursery:
            if self.port is not None:
                serve = functools.partial(http_server.serve, self.handle, self.host, self.port)
                self.port = await self._nursery.start(serve)
            task_status.started(self.port)
            await trio.sleep_forever()

    async def handle(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """One HTTP call of the cloud: status and JSON (protocol.md 1.4). `run` must run.

        Cancellation: what the call began goes on; only its answer is lost.
        """
        if (method, path) == ("POST", "/webhook"):
            return await self._webhook(body)
        if (method, path) == ("POST", "/settings"):
            return self._settings(body)
        if (method, path) == ("POST", "/tool"):
            return await self._tool(body)
        if (method, path) == ("GET", "/tool"):
            return 200, _json({"status": "success", "reply": "hello, world"})
        if (method, path) == ("GET", "/health"):
            health = {"status": "healthy", "app": self.package_name, "activeSessions": len(self.sessions)}
            return 200, _json(health)
        return 404, _json({"status": "error", "message": "not found"})

    async def _webhook(self, body: bytes) -> tuple[int, bytes]:
        try:
            message = webhooks.decode(body)
        except MalformedMessage as error:
            return 400, _json({"status": "error", "message": f"Invalid webhook request: {error}"})
        if isinstance(message, webhooks.StopRequest):
            return await self._stop(message)
        url = message.mentraos_websocket_url or message.augmentos_websocket_url
        if not url:
            return 400, _json({"status": "error", "message": "no WebSocket URL"})
        known = self.sessions.pop(message.session_id, None)
        if known is not None:
            await known.release()
        session = AppSession(
            session_id=message.session_id,
            user_id=message.user_id,
            package_name=self.package_name,
            api_key=self._api_key,
            url=url,
            connect=self._connect,
            wall=self._wall,
        )
        answers, answer = trio.open_memory_channel[tuple[int, bytes]](1)
        assert self._nursery is not None, "run() must run first"
        self._nursery.start_soon(self._live, session, answers)
        with answer:
            try:
                return await answer.receive()
            except trio.EndOfChannel:
                return 500, _json({"status": "error", "message": "the session ended while it began"})

    async def _live(self, session: AppSession, answers: trio.MemorySendChannel[tuple[int, bytes]]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._begin, session, answers)
            await session.run()
            if session.has_acked.is_set():
                nursery.cancel_scope.cancel()  # else the webhook is answered after its 5 s, as observed
        if self.sessions.get(session.session_id) is session:
            del self.sessions[session.session_id]
            if session.ending in (Ending.STOPPED, Ending.LOST):
                await self._call_on_stop(session.session_id, session.user_id, session.ending.value)

    async def _begin(self, session: AppSession, answers: trio.MemorySendChannel[tuple[int, bytes]]) -> None:
        with answers:
            await session.has_dialled.wait()
            if session.is_opened:
                with trio.move_on_after(ACK_TIMEOUT_S):
                    await session.has_acked.wait()
            if not session.has_acked.is_set():
                _answer(answers, 500, {"status": "error", "message": "Failed to connect"})
                return
            self.sessions[session.session_id] = session
            try:
                await self.on_session(session, session.session_id, session.user_id)
            except Exception as error:
                # The session stays, as with the official SDK: what it registered before goes on working.
                logger.exception("%s: on_session raised", session.session_id)
                _answer(answers, 500, {"status": "error", "message": f"on_session: {type(error).__name__}"})
            else:
                _answer(answers, 200, {"status": "success"})

    async def _stop(self, message: webhooks.StopRequest) -> tuple[int, bytes]:
        session = self.sessions.pop(message.session_id, None)
        if session is not None:
            session.stop()
            await self._call_on_stop(message.session_id, message.user_id, message.reason)
        return 200, _json({"status": "success"})

    async def _call_on_stop(self, session_id: str, user_id: str, reason: str) -> None:
        try:
            await self.on_stop(session_id, user_id, reason)
        except Exception:
            # One user's end must not take the server from the others.
            logger.exception("%s: on_stop raised", session_id)

    def _settings(self, body: bytes) -> tuple[int, bytes]:
        try:
            change = _SETTINGS.decode(body)
        except msgspec.MsgspecError as error:
            return 400, _json({"status": "error", "message": f"Invalid settings: {error}"})
        updated = [session for session in self.sessions.values() if session.user_id == change.user_id]
        for session in updated:
            session.apply_settings(change.settings)
        message = "Settings updated successfully"
        return 200, _json({"status": "success", "message": message, "sessionsUpdated": len(updated)})

    async def _tool(self, body: bytes) -> tuple[int, bytes]:
        try:
            call = _TOOL.decode(body)
            reply = await self.on_tool_call(call)
        except Exception as error:
            logger.exception("a tool call failed")
            return 500, _json({"status": "error", "message": f"{type(error).__name__}: {error}"})
        return 200, _json({"status": "success", "reply": reply})


def _answer(answers: trio.MemorySendChannel[tuple[int, bytes]], status: int, body: dict[str, object]) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # nobody waits for it any more
        answers.send_nowait((status, _json(body)))


def _json(body: dict[str, object]) -> bytes:
    return msgspec.json.encode(body)
