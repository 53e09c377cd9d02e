"""A day in a simulated world: phones, apps and the server that `config` assembles, under one seed.

The clients are the real ones; only the network, the disk, the recogniser and time are made up.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.abc import HalfCloseableStream

from actors.ports import AppDocument, Permission, PutApp, WebhookAnswer
from actors.webrtc.ports import Media
from actors.webrtc.settings import WebrtcSettings
from adapters.simulated.speech import ScriptedSpeech, ScriptedUtterance
from adapters.simulated.store import SimulatedDocuments
from adapters.simulated.webhooks import Call
from clients.app_sdk import AppServer, AppSession
from clients.glasses import Glasses
from config.settings import Settings
from config.simulated import SimulatedServer
from protocols.from_phone import ButtonPress
from protocols.transcription import TranscriptionData
from runtime import ActorSystem
from runtime.testing import Link, World

ADA = "ada@example.org"
PACKAGE = "org.example.captions"
KEY = "a key"
APP_URL = "https://captions.example.org"
CLOUD_URL = "http://glasshouse.example"
SECOND = bytes(32_000)
SCRIPT = (
    ScriptedUtterance(text="unless to be rather cold hearted", start_s=0.5, end_s=2.0),
    ScriptedUtterance(text="is to be ill disposed", start_s=3.0, end_s=4.0),
)


class CaptionsApp(AppServer):
    """Shows what is heard; answers a button with a display; counts everything."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(PACKAGE, KEY, port=None, connect=scene.dial, wall=scene.system.clock.wall)
        self.began: list[str] = []
        self.has_begun = trio.Event()
        self.finals: list[str] = []
        self.audio = b""
        self.stops: list[str] = []

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        self.began.append(session_id)
        self.has_begun.set()
        session.events.on_transcription(functools.partial(self._transcribed, session))
        session.events.on_audio_chunk(self._heard)
        session.events.on_button_press(functools.partial(self._pressed, session))
        session.layouts.show_text_wall("hello")

    async def on_stop(self, session_id: str, user_id: str, reason: str) -> None:
        self.stops.append(reason)

    def _transcribed(self, session: AppSession, heard: TranscriptionData) -> None:
        session.layouts.show_text_wall(heard.text)
        if heard.is_final:
            self.finals.append(heard.text)

    def _pressed(self, session: AppSession, press: ButtonPress) -> None:
        session.layouts.show_text_wall(f"pressed {press.button_id}")

    def _heard(self, pcm: bytes) -> None:
        self.audio += pcm


class Scene:
    """What a scenario plays with."""

    def __init__(
        self,
        world: World,
        system: ActorSystem,
        nursery: trio.Nursery,
        *,
        media: Media | None = None,
        webrtc: WebrtcSettings | None = None,
    ) -> None:
        self.world = world
        self.system = system
        self.nursery = nursery
        self.documents = SimulatedDocuments()
        self.links: list[Link] = []
        self.media = media
        self.settings = Settings(
            jwt_secret="simulated, and thirty-two bytes or more", webrtc=webrtc or WebrtcSettings()
        )
        self.server = self._make_server()

    def _make_server(self) -> SimulatedServer:
        return SimulatedServer(
            self.system,
            settings=self.settings,
            media=self.media,
            documents=self.documents,
            speech=ScriptedSpeech(default=SCRIPT, repeat_s=6.0),
            make_streams=self._streams,
        )

    def _streams(self) -> tuple[HalfCloseableStream, HalfCloseableStream]:
        link = self.world.link(delay_s=0.01)
        self.links.append(link)
        return link.near, link.far

    async def dial(self, url: str) -> HalfCloseableStream:
        """The network: whoever dials reaches the server that is up now."""
        return await self.server.dial(url)

    async def restart(self) -> None:
        """Stop the server in order and start the next one on the same disk, in the same network."""
        webhooks = self.server.webhooks
        await self.server.stop()
        self.server = self._make_server()
        self.server.webhooks = webhooks
        await self.server.start()

    async def add_app(self) -> None:
        app = AppDocument(
            package_name=PACKAGE,
            public_url=APP_URL,
            hashed_api_key=hashlib.sha256(KEY.encode()).hexdigest(),
            name="Captions",
            permissions=(Permission("ALL"),),
        )
        await self.server.store.commit([PutApp(app)])

    def serve_app(self) -> tuple[CaptionsApp, trio.CancelScope]:
        """A fresh app server; cancel the scope and `webhooks.remove` to kill it."""
        app = CaptionsApp(self)
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await app.run()

        async def answer(call: Call) -> WebhookAnswer:
            status, body = await app.handle(call.method, call.path, call.body)
            return WebhookAnswer(status, body)

        self.nursery.start_soon(run)
        self.server.webhooks.serve(APP_URL, answer)
        return app, scope

    def put_on(self, user: str = ADA) -> Glasses:
        """Glasses that are switched on."""
        token = self.server.tokens.mint(user, expires_s=None)
        glasses = Glasses(CLOUD_URL, token, connect=self.dial, wall=self.system.clock.wall)
        self.nursery.start_soon(glasses.run)
        return glasses


@asynccontextmanager
async def open_scene(
    world: World, *, media: Media | None = None, webrtc: WebrtcSettings | None = None
) -> AsyncIterator[Scene]:
    """A server with one app in its catalogue, and WebRTC where that is given."""
    async with world.open_system("glasshouse") as system, trio.open_nursery() as nursery:
        scene = Scene(world, system, nursery, media=media, webrtc=webrtc)
        await scene.server.start()
        await scene.add_app()
        yield scene
        nursery.cancel_scope.cancel()
