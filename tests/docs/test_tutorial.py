"""docs/apps.md as somebody follows it: its blocks, run one after the other against the real server.

Only the two ports are changed, since somebody may be using them. `./run` and `.venv/bin/python` stand for
the environment the tests run in.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from clients.glasses import Glasses
from config.core_tokens import core_tokens
from config.settings import Settings
from tests.system.conftest import SDK_APP as SDK
from tests.system.conftest import closed_port, node  # noqa: F401 - fixtures
from tests.system.server import PATIENCE_S, environment, run, wait_until

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "apps.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


class Desk:
    """A folder with what a checkout has at hand, and the page's blocks with free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = environment(self.data)
        with socket.socket() as cloud, socket.socket() as app:
            cloud.bind(("127.0.0.1", 0))
            app.bind(("127.0.0.1", 0))
            self.ports = {"8002": str(cloud.getsockname()[1]), "7010": str(app.getsockname()[1])}
        self.url = f"http://127.0.0.1:{self.ports['8002']}"
        python = shlex.quote(sys.executable)
        self.write("run", f'#!/bin/sh\nexec {python} -P -m config.cli "$@"\n')
        self.write(".venv/bin/python", f'#!/bin/sh\nexec {python} "$@"\n')
        app_program, wearer = blocks("python")
        self.write("captions.py", self.fitted(app_program))
        self.write("wear.py", self.fitted(wearer))
        self.environment["GLASSHOUSE_PORT"] = self.ports["8002"]

    def fitted(self, block: str) -> str:
        return block.replace("8002", self.ports["8002"]).replace("7010", self.ports["7010"])

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    @contextmanager
    def running(self, command: list[str], *, port: str, **variables: str) -> Iterator[None]:
        """A program that goes on; returns when it listens on `port`, and is ended with all it started."""
        process = subprocess.Popen(
            command, cwd=self.folder, env={**self.environment, **variables}, start_new_session=True
        )
        try:
            wait_until(lambda: answers(int(port)) or process.poll() is not None)
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE_S)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk on which the cloud runs, started as the page says."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    serve, _, _, _ = blocks("sh")
    process = subprocess.Popen(
        ["sh", "-c", f"exec {serve}"],
        cwd=desk.folder,
        env=desk.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        assert ready
        assert f"listening on {desk.url}\n" == process.stdout.readline()
        yield desk
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def test_tutorial_ends_with_the_sentence_on_the_lens_and_does_so_again(desk: Desk) -> None:
    _, start_app, wear, _ = blocks("sh")

    with desk.running(["sh", "-c", desk.fitted(start_app)], port=desk.ports["7010"]):
        runs = [
            subprocess.run(
                ["sh", "-c", desk.fitted(wear)],
                cwd=desk.folder,
                env=desk.environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            for _ in range(2)  # the second within the grace of the first one's session
        ]

    shown = blocks("text")
    for done in runs:
        assert 0 == done.returncode, done.stderr
        assert "amiable" in done.stdout
        assert [done.stdout.split(":")[0]] == [text.split(":")[0] for text in shown]


def test_registration_of_an_app_server_is_answered_as_shown(desk: Desk) -> None:
    _, _, _, register = blocks("sh")
    shown, _ = blocks("json")
    address = f"http://127.0.0.1:{desk.ports['7010']}"
    run(desk.data, "app", "add", "org.example.captions", "--api-key", "a key", "--url", address)

    done = subprocess.run(
        ["sh", "-c", desk.fitted(register)],
        env={**desk.environment, "API_KEY": "a key"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    answer, expected = json.loads(done.stdout), json.loads(shown)
    assert list(expected) == list(answer)
    count = r"\d+ sessions?"  # how many depends on what was done before
    assert re.sub(count, "", expected["message"]) == re.sub(count, "", answer["message"])


def test_app_on_the_official_sdk_needs_package_name_key_and_port(
    desk: Desk,
    node: str,  # noqa: F811
    closed_port: int,  # noqa: F811
) -> None:
    [program] = blocks("js")
    run(
        desk.data,
        *("app", "add", "org.example.captions", "--api-key", "mine", "--permission", "MICROPHONE"),
        *("--url", f"http://127.0.0.1:{desk.ports['7010']}"),
    )
    token = core_tokens(Settings(data=str(desk.data))).mint("grace@example.org", expires_s=None)
    # Its check for a newer version goes nowhere.
    proxy = f"http://127.0.0.1:{closed_port}"
    app = desk.write("captions.mjs", desk.fitted(program))
    shutil.copy(SDK / "package.json", desk.folder)
    (desk.folder / "node_modules").symlink_to(SDK / "node_modules")

    async def wear() -> None:
        glasses = Glasses(desk.url, token)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(glasses.run)
            await glasses.wait_for(lambda phone: phone.is_connected, timeout_s=PATIENCE_S)
            await glasses.start_app("org.example.captions")
            await glasses.wait_for(
                lambda phone: phone.is_microphone_on and phone.lens.text == "Captions are on",
                timeout_s=PATIENCE_S,
            )
            nursery.cancel_scope.cancel()

    with desk.running(
        [node, str(app)],
        port=desk.ports["7010"],
        API_KEY="mine",
        HTTP_PROXY=proxy,
        HTTPS_PROXY=proxy,
        NO_PROXY="127.0.0.1,localhost",
    ):
        trio.run(wear)
