"""An overload as a function of a seed: it comes at any moment, stays as long as it likes, and goes."""

from __future__ import annotations

import msgspec
import pytest
import trio

from clients.glasses import Glasses
from clients.network import request
from runtime.testing import World, simulate
from tests.simulation.captions import CLOUD_URL, PACKAGE, SECOND, Scene, open_scene

PRESS_S = 0.2 + 0.3  # captions of the same app come in between, and one display in 300 ms is shown
WELL_AGAIN_S = 5.0


async def _press(phone: Glasses, name: str) -> float:
    """How long a press takes to its display, in virtual seconds."""
    began = trio.current_time()
    await phone.press_button(name)
    await phone.wait_for(lambda glasses: glasses.lens.text == f"pressed {name}")
    return trio.current_time() - began


async def _health(scene: Scene) -> tuple[int, str]:
    answer = await request("GET", f"{CLOUD_URL}/health", connect=scene.dial)
    return answer.status, msgspec.json.decode(answer.body)["status"]


async def be_overloaded(world: World) -> dict[str, object]:
    """A wearer speaks the whole time, through an overload of a length that the seed draws."""
    async with open_scene(world) as scene:
        chance = scene.system.random
        app, _ = scene.serve_app()
        phone = scene.put_on()
        await phone.wait_for(lambda glasses: glasses.is_connected)
        await phone.start_app(PACKAGE)
        await phone.wait_for(lambda glasses: glasses.is_microphone_on and glasses.lens.text == "hello")
        scene.nursery.start_soon(phone.play, SECOND * 60)
        await trio.sleep(1 + chance.random())

        scene.server.load.fall_behind(0.1 + chance.random())
        await trio.sleep(3 + 5 * chance.random())
        health = await _health(scene)
        newcomer = scene.put_on("new@example.org")
        presses = [await _press(phone, f"under load {number}") for number in range(10)]
        connections = phone.connections
        await phone.drop()
        await phone.wait_for(
            lambda glasses: glasses.connections > connections and glasses.is_microphone_on, timeout_s=10
        )
        was_turned_away = not newcomer.is_connected
        shed = scene.server.telemetry.counters()["audio_frames_shed"]

        scene.server.load.fall_behind(0.0)
        await trio.sleep(WELL_AGAIN_S)
        shed_until_now = scene.server.telemetry.counters()["audio_frames_shed"]
        heard = len(app.audio)
        await trio.sleep(5)
        await newcomer.wait_for(lambda glasses: glasses.is_connected, timeout_s=10)
        return {
            "health": (health, await _health(scene)),
            "slowest": max(presses),
            "turned away": was_turned_away,
            "shed": shed,
            "shed in the end": scene.server.telemetry.counters()["audio_frames_shed"] - shed_until_now,
            "seconds heard in the end": (len(app.audio) - heard) / len(SECOND),
            "sessions": len(app.began),
            "overloads": [
                scene.server.telemetry.counters()[name] for name in ("overload_entered", "overload_left")
            ],
        }


@pytest.mark.parametrize("seed", range(1, 11))
def test_an_overload_sheds_audio_and_nothing_else_and_is_over_soon(seed: int) -> None:
    outcome = simulate(seed, be_overloaded).result

    assert ((503, "overloaded"), (200, "ok")) == outcome["health"]
    assert outcome["slowest"] < PRESS_S  # type: ignore[operator]
    assert outcome["turned away"] is True
    assert outcome["shed"] > 0  # type: ignore[operator]
    assert 0 == outcome["shed in the end"]
    assert outcome["seconds heard in the end"] == pytest.approx(5, abs=0.2)
    assert 1 == outcome["sessions"]
    assert [1, 1] == outcome["overloads"]
