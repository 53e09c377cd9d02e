"""A phone with WebRTC, an app that takes its audio, and peers that the test has in hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from actors.audio.udp import UdpSettings
from actors.domain import DomainSettings
from actors.webrtc.settings import WebrtcSettings
from tests.actors.media import ScriptedMedia
from tests.actors.world import ADA, AppServer, FakeConnection, World, open_world

SDP = "v=0\r\no=- 4711 2 IN IP4 192.0.2.7\r\n"
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host"
FRAME = 640
CHUNK = 3_200


@asynccontextmanager
async def open_scene(**fields: Any) -> AsyncIterator[Scene]:
    media = ScriptedMedia()
    of_udp = fields.pop("udp", UdpSettings())
    settings = DomainSettings(webrtc=WebrtcSettings(**{"enabled": True, **fields}), udp=of_udp)
    async with open_world(settings=settings, media=media) as world:
        yield await Scene.begin(world, media)


class Scene:
    """A phone with an app that takes its audio, and what it says of WebRTC."""

    def __init__(self, world: World, media: ScriptedMedia, phone: FakeConnection, server: AppServer) -> None:
        self.world = world
        self.media = media
        self.phone = phone
        self.server = server

    @classmethod
    async def begin(cls, world: World, media: ScriptedMedia) -> Scene:
        phone = await world.phone()
        return cls(world, media, phone, await world.running_app(phone))

    async def say(self, kind: str, **fields: object) -> None:
        self.phone.say(json.dumps({"type": f"webrtc_{kind}", **fields}).encode())
        await self.world.settle()

    async def offer(self, sdp: str = SDP) -> None:
        await self.say("capability", supported=True)
        await self.say("offer", sdp=sdp, sessionId=ADA)

    async def connect(self) -> None:
        await self.offer()
        await self.say("audio_start")

    def told(self, kind: str) -> list[dict[str, Any]]:
        return self.phone.heard(f"webrtc_{kind}")

    def codes(self) -> list[str]:
        return [error["code"] for error in self.told("error")]

    @property
    def routed(self) -> bytes:
        return b"".join(self.server.connection.frames())

    def facts(self, name: str) -> dict[str, Any]:
        tree = self.world.system.tree(self.world.find(f"users/{ADA}/{name}"))
        return dict(msgspec.to_builtins(tree.facts))

    @property
    def source(self) -> str:
        return str(self.facts("audio")["source"])

    async def speak_both(self, voice: bytes, begin: int, end: int, *, late: int = 2) -> None:
        """From `begin` to `end` of the voice, over the WebSocket, and `late` frames later over the peer."""
        for at in range(begin, end, FRAME):
            await trio.sleep(0.02)
            if at % CHUNK == CHUNK - FRAME:
                self.phone.stream(voice[at + FRAME - CHUNK : at + FRAME])
            if at - late * FRAME >= begin:
                self.media.peer.speak(voice[at - late * FRAME : at - late * FRAME + FRAME])
        await self.world.settle()

    async def speak_directly(self, voice: bytes, begin: int, end: int) -> None:
        for at in range(begin, end, CHUNK):
            await trio.sleep(0.1)
            self.phone.stream(voice[at : at + CHUNK])
        await self.world.settle()
