"""The examples as processes: against the real server with the wearer of their scripts, and worn by hand."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import trio

from clients.glasses import Glasses
from tests.system.conftest import SDK_APP
from tests.system.server import PATIENCE_S, ROOT, Server, command, environment, eventually

EXAMPLES = ROOT / "examples"
EACH = ("agent", "captions", "notes", "translation")  # the button counter is worn below
ALL_S = 180


async def test_each_example_shows_its_wearer_what_its_script_expects(
    node: str, closed_port: int, tmp_path: Path
) -> None:
    """Two at a time: each one is mostly speech that takes its time, and a server that starts."""
    translation = tmp_path / "translation"
    shutil.copytree(EXAMPLES / "translation", translation, ignore=shutil.ignore_patterns("node_modules"))
    (translation / "node_modules").symlink_to(SDK_APP / "node_modules")
    # The SDK's check for a newer version goes nowhere.
    proxy = f"http://127.0.0.1:{closed_port}"
    variables = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost"}
    done: dict[str, subprocess.CompletedProcess[bytes]] = {}
    turns = trio.CapacityLimiter(2)

    async def play(name: str) -> None:
        async with turns:
            done[name] = await trio.run_process(
                command("app", "test", str(translation if name == "translation" else EXAMPLES / name)),
                env={**environment(tmp_path / name / "data"), **variables},
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
                deliver_cancel=interrupt,
            )

    with trio.fail_after(ALL_S):
        async with trio.open_nursery() as nursery:
            for name in EACH:
                nursery.start_soon(play, name)

    for name, played in done.items():
        assert 0 == played.returncode, f"{name}\n{played.stdout.decode()}"
        assert played.stdout.endswith(b" steps as expected\n")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def interrupt(process: trio.Process) -> None:
    """Ctrl-C, at which it ends what it has started."""
    process.send_signal(signal.SIGINT)
    await process.wait()


async def test_an_example_is_run_on_the_server_of_this_machine_with_one_command(tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with Server.start(tmp_path, "display.boot_screen_s=0.1", "speech_provider=none") as server:
        run = command("app", "run", str(EXAMPLES / "button_counter"), "--port", str(port))
        app = await trio.lowlevel.open_process(run, env=environment(server.data), stdout=subprocess.PIPE)
        try:
            assert app.stdout is not None
            with trio.fail_after(PATIENCE_S):
                assert b"org.example.counter runs at" in await app.stdout.receive_some()
            await eventually(lambda: answers(port))
            glasses = Glasses(server.url, server.token("ada@example.org"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(glasses.run)
                await glasses.wait_for(lambda phone: phone.is_connected, timeout_s=PATIENCE_S)
                await glasses.start_app("org.example.counter")
                await glasses.wait_for(
                    lambda phone: phone.lens.text.startswith("Press the button"), timeout_s=PATIENCE_S
                )
                await glasses.press_button()
                await glasses.wait_for(lambda phone: phone.lens.text == "Pressed\n1", timeout_s=PATIENCE_S)
                nursery.cancel_scope.cancel()

            again = await trio.run_process(
                run, env=environment(server.data), capture_stdout=True, capture_stderr=True, check=False
            )
            assert 1 == again.returncode
            assert f"port {port} is taken".encode() in again.stderr
        finally:
            os.kill(app.pid, signal.SIGTERM)
            with trio.fail_after(PATIENCE_S, shield=True):
                await app.wait()
