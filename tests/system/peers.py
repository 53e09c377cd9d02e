"""Who talks to the server in these tests: a wearer who dials quickly, and an app that keeps a record."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import trio

from clients.app_sdk import AppServer, AppSession
from clients.glasses import Glasses, PhoneTimers
from clients.network import open_stream
from clients.socket import RefusedError, Socket, hold
from protocols.from_phone import ButtonPress
from tests.system.server import PATIENCE_S, Server, eventually

QUICK = PhoneTimers(reconnect_s=0.2)
"""A phone that dials again at once, where nothing hangs on its 5 s."""


@asynccontextmanager
async def wearer(server: Server, user: str, *, path: str = "") -> AsyncIterator[Glasses]:
    """A phone that is switched on and acknowledged. `path` is an owner's prefix."""
    phone = Glasses(server.url + path, server.token(user), timers=QUICK)
    async with trio.open_nursery() as nursery:
        await nursery.start(phone.run)
        await phone.wait_for(lambda glasses: glasses.is_connected, timeout_s=PATIENCE_S)
        yield phone
        nursery.cancel_scope.cancel()


class RecordingApp(AppServer):
    """An app that shows what it hears, answers a press with a display, and keeps a record.

    Attributes:
      webhooks: types of the webhooks that came, as `session_request`.
      started, stopped: session ids, one for each run of `on_session` and `on_stop`.
      captions: texts that were recognised, interim and final.
      audio_frames: frames of the microphone that arrived.
      webhook_status: answers webhooks with it instead, where it is not 0.
    """

    def __init__(self, package_name: str, api_key: str = "key", *, port: int = 0) -> None:
        super().__init__(package_name, api_key, port=port)
        self.webhooks: list[str] = []
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.captions: list[str] = []
        self.audio_frames = 0
        self.webhook_status = 0

    async def handle(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/webhook":
            self.webhooks.append(msgspec.json.decode(body)["type"])
            if self.webhook_status:
                return self.webhook_status, b'{"status": "error", "message": "out of order"}'
        return await super().handle(method, path, body)

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        def show_press(press: ButtonPress) -> None:
            session.layouts.show_text_wall(f"pressed {press.button_id}")

        self.started.append(session_id)
        session.events.on_transcription(lambda heard: self.captions.append(heard.text))
        session.events.on_audio_chunk(self._count_frame)
        session.events.on_button_press(show_press)

    async def on_stop(self, session_id: str, user_id: str, reason: str) -> None:
        self.stopped.append(session_id)

    def _count_frame(self, frame: bytes) -> None:
        self.audio_frames += 1


@asynccontextmanager
async def app(server: Server, running: RecordingApp | str) -> AsyncIterator[RecordingApp]:
    """An app server that runs and is in the catalogue."""
    if isinstance(running, str):
        running = RecordingApp(running)
    async with trio.open_nursery() as nursery:
        await nursery.start(running.run)
        await server.add_app(running.package_name, running.url)
        yield running
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialled(url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
    """An open WebSocket to an http URL's server, for messages that no client would send."""
    async with trio.open_nursery() as nursery:
        dial = functools.partial(hold, url.replace("http", "ws", 1), connect=open_stream, headers=headers)
        yield await nursery.start(dial)
        nursery.cancel_scope.cancel()


async def refusal(url: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    """How the server refuses an upgrade."""
    with trio.fail_after(PATIENCE_S):
        try:
            await hold(url.replace("http", "ws", 1), connect=open_stream, headers=headers)
        except RefusedError as error:
            return error
    raise AssertionError(f"{url} was let in")


async def press_until_shown(phone: Glasses, button_id: str) -> None:
    """Press until the app answers: then it has subscribed to all that it wants."""

    async def keep_pressing() -> None:
        while True:
            await phone.press_button(button_id)
            await trio.sleep(0.2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_pressing)
        await eventually(lambda: phone.lens.text == f"pressed {button_id}")
        nursery.cancel_scope.cancel()
