"""Plays a scenario: a cloud of its own, the app's own server, and simulated glasses."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from clients.app_test.scenario import App, Scenario, Step
from clients.cloud import Cloud, command, open_cloud
from clients.coded_audio import sentence
from clients.deepgram_loopback import Loopback, open_loopback
from clients.glasses import Glasses

USER: Final = "wearer@example.org"
_START_S: Final = 15.0  # until an app that was started runs
_MICROPHONE_S: Final = 5.0
_STOP_S: Final = 3.0
_ANSWER_S: Final = 0.05

_SETTINGS: Final = (
    "display.boot_screen_s=0.1",
    "speech_provider=deepgram",
    "deepgram_api_key=test",
    "translation_provider=test",
    "pocketsphinx.prestart=0",
    "log_level=warning",
)


class Broken(Exception):  # noqa: N818 - says what happened
    """A step was not what it should be; the message says what was seen instead."""


async def play(scenario: Scenario, folder: Path, data: Path, told: Callable[[Step], None]) -> None:
    """Play the whole scenario.

    Args:
      folder: where the app's command runs.
      data: an empty folder for the cloud, and for what the app prints: `app.log`.
      told: called after each step that was as expected.

    Raises:
      Broken: the first step that was not.
      CloudError: there was no cloud.
    """
    loopback = Loopback(scenario.vocabulary, interim_s=0.2, answer_s=_ANSWER_S)
    async with open_loopback(loopback) as deepgram:
        settings = (*_SETTINGS, f"deepgram.url={deepgram.url}", *scenario.settings)
        async with (
            open_cloud(data, settings) as cloud,
            _AppProcess(scenario.app, folder, data).running() as app,
            _worn(cloud, scenario.app, folder, app) as glasses,
        ):
            for step in scenario.step:
                await _take(step, glasses, scenario, app)
                await _expect(step, glasses)
                told(step)


class _AppProcess:
    """The app's server, as its own command starts it."""

    def __init__(self, app: App, folder: Path, data: Path) -> None:
        self.app = app
        self.key = secrets.token_urlsafe(24)
        self.port = _free_port()
        self._folder = folder
        self._log = data / "app.log"
        self._process: trio.Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[_AppProcess]:
        try:
            await self.start()
            yield self
        finally:
            with trio.CancelScope(shield=True):
                await self.end()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        told = {"PORT": str(self.port), "API_KEY": self.key, "PACKAGE_NAME": self.app.package}
        with self._log.open("ab") as log:
            try:
                self._process = await trio.lowlevel.open_process(
                    self.app.words(),
                    cwd=self._folder,
                    env={**os.environ, **told},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise Broken(f"{self.app.command[0]}: {error.strerror}") from error
        with trio.move_on_after(self.app.ready_s):
            while not await _answers(self.port):
                if self._process.poll() is not None:
                    raise Broken(f"the app ended with status {self._process.returncode}{self._said()}")
                await trio.sleep(0.05)  # nobody tells when a stranger's port is open
            return
        raise Broken(f"the app does not listen on PORT {self.port}{self._said()}")

    async def end(self) -> None:
        """End it with everything that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            with trio.move_on_after(_STOP_S):
                await process.wait()
                break
        await process.wait()

    async def restart(self) -> None:
        """Be killed, and started again."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.end()
        await self.start()

    def _said(self) -> str:
        said = self._log.read_text(errors="replace")[-2000:].strip()
        return f"; it said:\n{said}" if said else ""


@asynccontextmanager
async def _worn(cloud: Cloud, app: App, folder: Path, process: _AppProcess) -> AsyncIterator[Glasses]:
    """Glasses on which the app runs."""
    words = ["app", "add", app.package, "--url", f"http://127.0.0.1:{process.port}", *app.catalogue(folder)]
    await command(*words, "--api-key", process.key, "--data", str(cloud.data))
    glasses = Glasses(cloud.url, await cloud.token(USER))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(glasses.run)
        await glasses.wait_for(lambda phone: phone.is_connected)
        await _start(glasses, app)
        yield glasses
        nursery.cancel_scope.cancel()


async def _start(glasses: Glasses, app: App) -> None:
    await glasses.start_app(app.package)
    try:
        await glasses.wait_for(lambda phone: app.package in phone.running_apps, timeout_s=_START_S)
    except TimeoutError:
        raise Broken(f"{app.package} was started and does not run: it did not answer its webhook") from None


async def _take(step: Step, glasses: Glasses, scenario: Scenario, app: _AppProcess) -> None:
    if step.press is not None:
        await glasses.press_button(step.press)
    elif step.hold is not None:
        await glasses.press_button(step.hold, "long")
    elif step.head is not None:
        await glasses.move_head(step.head)
    elif step.touch is not None:
        await glasses.touch(step.touch)
    elif step.battery is not None:
        await glasses.report_battery(step.battery)
    elif step.says is not None:
        await _say(step.says, glasses, scenario)
    elif step.drop:
        before = glasses.connections
        await glasses.drop()
        await glasses.wait_for(
            lambda phone: phone.is_connected and phone.connections > before, timeout_s=_START_S
        )
    elif step.restart:
        await app.restart()
    elif step.stop:
        await glasses.stop_app(scenario.app.package)
        await glasses.wait_for(lambda phone: scenario.app.package not in phone.running_apps)
    elif step.start:
        await _start(glasses, scenario.app)


async def _say(text: str, glasses: Glasses, scenario: Scenario) -> None:
    try:
        await glasses.wait_for(lambda phone: phone.is_microphone_on, timeout_s=_MICROPHONE_S)
    except TimeoutError:
        raise Broken("no app wants the microphone: the app has not subscribed, or lacks MICROPHONE") from None
    await glasses.play(sentence(scenario.spoken(text), pause_s=1.2))


async def _expect(step: Step, glasses: Glasses) -> None:
    def is_as_expected(phone: Glasses) -> bool:
        text = phone.lens.text
        dashboard = "" if phone.lens.dashboard is None else phone.lens.dashboard.text
        return (
            (step.sees is None or re.search(step.sees, text) is not None)
            and (step.sees_not is None or re.search(step.sees_not, text) is None)
            and (step.dashboard is None or re.search(step.dashboard, dashboard) is not None)
        )

    try:
        await glasses.wait_for(is_as_expected, timeout_s=step.within_s)
    except TimeoutError:
        shown = [repr(shown.text) for shown in glasses.lens.history][-5:]
        seen = ", then ".join(shown) or "nothing"
        expected = " and ".join(step.expectations)
        raise Broken(f"expected {expected} within {step.within_s:g} s; the lens showed {seen}") from None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def _answers(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True
