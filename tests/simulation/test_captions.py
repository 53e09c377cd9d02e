"""Whole runs of the assembled server as functions of a seed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

import pytest
import trio

from clients.glasses import Glasses
from runtime.testing import World, simulate
from tests.simulation.captions import ADA, PACKAGE, SCRIPT, SECOND, open_scene

SENTENCES = [utterance.text for utterance in SCRIPT]


def _is_back(phone: Glasses, *, connections: int) -> bool:
    return phone.connections >= connections and phone.is_microphone_on


def _shows(phone: Glasses, *, text: str) -> bool:
    return phone.lens.text == text


async def hear_and_read(world: World) -> dict[str, object]:
    """Speak for six seconds, press a button, stop the app."""
    async with open_scene(world) as scene:
        app, _ = scene.serve_app()
        glasses = scene.put_on()
        await glasses.wait_for(lambda phone: phone.is_connected)
        await glasses.start_app(PACKAGE)
        await glasses.wait_for(lambda phone: phone.is_microphone_on and phone.lens.text == "hello")
        spoken = bytes(range(250)) * 128
        await glasses.play(spoken * 6)
        await glasses.press_button("left")
        await glasses.wait_for(lambda phone: phone.lens.text == "pressed left")
        await glasses.stop_app(PACKAGE)
        await glasses.wait_for(lambda phone: PACKAGE not in phone.running_apps)
        await trio.sleep(3)
        return {
            "began": app.began,
            "finals": app.finals,
            "audio": app.audio == spoken * 6,
            "stops": len(app.stops),
            "lens": [shown.text for shown in glasses.lens.history],
        }


def test_what_is_spoken_is_read_and_what_is_heard_is_passed_on() -> None:
    outcome = simulate(1, hear_and_read).result

    assert [f"{ADA}-{PACKAGE}"] == outcome["began"]
    assert SENTENCES == outcome["finals"]
    assert outcome["audio"] is True
    lens = outcome["lens"]
    assert isinstance(lens, list)
    assert SENTENCES == list(dict.fromkeys(text for text in lens if text in SENTENCES))
    assert "" == lens[-1]


def test_the_same_seed_gives_the_same_run_in_two_processes() -> None:
    """Different hash seeds: no set's order reaches the outside."""
    program = (
        "import hashlib, json\n"
        "from runtime.testing import simulate\n"
        "from tests.simulation.test_captions import hear_and_read\n"
        "run = simulate(7, hear_and_read)\n"
        "print(json.dumps([len(run.trace), hashlib.sha256('\\n'.join(run.trace).encode()).hexdigest()]))\n"
    )
    outcomes = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        outcomes.append(json.loads(done.stdout))

    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] > 200, "steps of a run"


@pytest.mark.parametrize("seed", range(10))
def test_a_phone_whose_connection_is_cut_loses_no_app(seed: int) -> None:
    async def scenario(world: World) -> None:
        async with open_scene(world) as scene:
            app, _ = scene.serve_app()
            glasses = scene.put_on()
            await glasses.wait_for(lambda phone: phone.is_connected)
            await glasses.start_app(PACKAGE)
            await glasses.wait_for(lambda phone: phone.is_microphone_on)
            for number in range(5):
                await trio.sleep(world.random.uniform(0.1, 3))
                await glasses.drop()
                await glasses.wait_for(functools.partial(_is_back, connections=number + 2), timeout_s=20)
                await glasses.press_button(str(number))
                await glasses.wait_for(functools.partial(_shows, text=f"pressed {number}"))
            await glasses.play(SECOND * 6)
            await trio.sleep(1)
            assert 1 == len(app.began), "nobody was started again"
            assert (PACKAGE,) == glasses.running_apps
            assert app.finals[-1] in SENTENCES

    simulate(seed, scenario)


@pytest.mark.parametrize("seed", range(10))
def test_an_app_server_that_dies_comes_back_with_its_sessions(seed: int) -> None:
    async def scenario(world: World) -> None:
        async with open_scene(world) as scene:
            app, life = scene.serve_app()
            glasses = scene.put_on()
            await glasses.wait_for(lambda phone: phone.is_connected)
            await glasses.start_app(PACKAGE)
            await glasses.wait_for(lambda phone: phone.is_microphone_on)

            scene.server.webhooks.remove("https://captions.example.org")
            life.cancel()
            await trio.sleep(world.random.uniform(0.5, 60))
            again, _ = scene.serve_app()
            began = trio.current_time()
            await again.has_begun.wait()

            assert trio.current_time() - began < 2.5
            assert 1 == len(app.began)
            await trio.sleep(2)
            assert 1 == len(again.began), "one webhook, one session"
            await glasses.press_button("back")
            await glasses.wait_for(lambda phone: phone.lens.text == "pressed back")
            assert (PACKAGE,) == glasses.running_apps

    simulate(seed, scenario)


@pytest.mark.parametrize("seed", range(10))
def test_after_a_restart_the_app_goes_on_with_the_session_it_has(seed: int) -> None:
    async def scenario(world: World) -> tuple[int, tuple[str, ...]]:
        async with open_scene(world) as scene:
            app, _ = scene.serve_app()
            glasses = scene.put_on()
            await glasses.wait_for(lambda phone: phone.is_connected)
            await glasses.start_app(PACKAGE)
            await glasses.wait_for(lambda phone: phone.is_microphone_on)

            await scene.restart()

            await glasses.wait_for(
                lambda phone: phone.connections == 2 and PACKAGE in phone.running_apps, timeout_s=30
            )
            await trio.sleep(15)
            await glasses.press_button("again")
            await glasses.wait_for(lambda phone: phone.lens.text == "pressed again")
            return len(app.began), glasses.running_apps

    began, running = simulate(seed, scenario).result

    assert (PACKAGE,) == running
    assert 1 == began, "no webhook after the restart"
