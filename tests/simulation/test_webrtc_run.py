"""The assembled server with the media process's twin, and the simulated phone that speaks over it."""

from __future__ import annotations

from typing import Literal

import pytest
import trio

from actors.webrtc.settings import WebrtcSettings
from adapters.simulated.webrtc import SimulatedMedia
from clients.glasses import Glasses, MicrophoneOptions
from runtime.testing import World, simulate
from tests.actors.voice import BREATHLESS
from tests.simulation.captions import ADA, CLOUD_URL, PACKAGE, Scene, open_scene

SECOND = 32_000


def put_on(scene: Scene, media: SimulatedMedia) -> Glasses:
    glasses = Glasses(
        CLOUD_URL,
        scene.server.tokens.mint(ADA, expires_s=None),
        microphone=MicrophoneOptions(audio="webrtc"),
        connect=scene.dial,
        open_peer=lambda _, listener: media.phone(listener),
        wall=scene.system.clock.wall,
    )
    scene.nursery.start_soon(media.run)
    scene.nursery.start_soon(glasses.run)
    return glasses


def source_of(scene: Scene) -> object:
    audio = scene.system.find(f"/glasshouse/users/{ADA}/audio")
    assert audio is not None
    return scene.system.tree(audio).facts["source"]


@pytest.mark.parametrize("offerer", ["client", "server"])
def test_what_is_spoken_over_webrtc_is_heard_and_goes_on_without_it(
    offerer: Literal["client", "server"],
) -> None:
    async def scenario(world: World) -> tuple[bytes, list[object]]:
        media = SimulatedMedia()

        def vanish() -> None:
            media.phones[-1].vanish()

        def come_back() -> None:
            media.phones[-1].come_back()

        webrtc = WebrtcSettings(enabled=True, offerer=offerer)
        async with open_scene(world, media=media, webrtc=webrtc) as scene:
            app, _ = scene.serve_app()
            glasses = put_on(scene, media)
            await glasses.wait_for(lambda phone: phone.is_on_webrtc)
            await glasses.start_app(PACKAGE)
            await glasses.wait_for(lambda phone: phone.is_microphone_on and phone.lens.text == "hello")
            await trio.sleep(1)
            sources = []
            for begin, change in ((0, media.die), (3, vanish), (6, come_back), (9, media.die)):
                spoken = BREATHLESS[begin * SECOND : (begin + 3) * SECOND]
                await glasses.play(spoken[: 2 * SECOND])
                sources.append(source_of(scene))
                change()
                await glasses.play(spoken[2 * SECOND :])
            await trio.sleep(1)
            return app.audio, sources

    audio, sources = simulate(1, scenario).result

    assert ["webrtc", "webrtc", "websocket", "webrtc"] == sources
    assert BREATHLESS[: 12 * SECOND] == audio
