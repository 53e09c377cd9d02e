"""A wearer with glasses that listen, and a desktop with a daemon: everything around the server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import trio

from bench import engine
from bench.desktop.scripts import CLI_KEY, SERVER_KEY, Script
from bench.stand import DRIVER_CORE, PACKAGE, Stand, serving
from clients.app_sdk import AppServer, AppSession
from clients.coded_audio import silence, word
from clients.deepgram_loopback import Loopback, open_loopback
from clients.glasses import Glasses
from clients.messages_loopback import MessagesLoopback, open_messages_loopback
from clients.network import open_stream, request
from protocols.transcription import TranscriptionData

ADA: Final = "ada@example.org"
SOGA: Final = "com.mentra.soga"
PATIENCE_S: Final = 60.0
FRAME_MS: Final = 100
WORD_S: Final = 0.3
QUESTION: Final = "hey glasshouse fix the failing test in my project"
VOCABULARY: Final = (*QUESTION.split(), "yes")

_LISTENER_KEY: Final = "the key of the listener"
_FRAME_BYTES: Final = FRAME_MS * 32
_DAEMON: Final = """
root = "{project}"
name = "study"

[[directories]]
path = "{project}"
allow = ["command"]

[agents]
timeout_s = {agent_s}

[terminal]
claude = "{claude}"
claude_config = "{config}"
"""


class Mouth:
    """A microphone that is always on, and what is said into it."""

    def __init__(self, phone: Glasses) -> None:
        self._phone = phone
        self._frames: deque[bytes] = deque()
        self._said = trio.Event()

    async def run(self) -> None:
        """Stream what is said, and silence in between, in real time."""
        due = trio.current_time()
        while True:
            frame = self._frames.popleft() if self._frames else silence(FRAME_MS / 1000)
            due += FRAME_MS / 1000
            await trio.sleep_until(due)
            await self._phone.play(frame, chunk_ms=FRAME_MS, realtime=False)
            if not self._frames:
                self._said.set()

    async def say(self, text: str) -> float:
        """Say it; returns when the frame with its end has left the phone, by trio's clock."""
        spoken = b"".join(word(VOCABULARY.index(one), WORD_S) for one in text.split())
        self._said = trio.Event()
        for at in range(0, len(spoken), _FRAME_BYTES):
            self._frames.append(spoken[at : at + _FRAME_BYTES])
        await self._said.wait()
        return trio.current_time()


class Desktop:
    """A daemon on a folder of its own, logged in and online.

    Attributes:
      project: where its agents work.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.project = folder / "project"
        self._folder = folder
        self._process = process

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, url: str, token: str, model_url: str, claude: str, agent_s: float
    ) -> Iterator[Self]:
        """Start its daemon; it is killed at the end of the block.

        Args:
          token: what the server knows it by.
          claude: the Claude Code CLI; what does not exist is not offered to agents.
          agent_s: how long an agent may take.
        """
        home = folder / "daemon"
        home.mkdir()
        settings = _DAEMON.format(
            project=folder / "project", claude=claude, config=folder / "claude", agent_s=agent_s
        )
        (home / "daemon.toml").write_text(settings)
        (home / "token.json").write_bytes(msgspec.json.encode({"server": url, "token": token}))
        environment = {
            **os.environ,
            "HOME": str(folder),
            "GLASSHOUSE_DAEMON": str(home),
            "ANTHROPIC_API_KEY": CLI_KEY,
            "ANTHROPIC_BASE_URL": model_url,
            "CLAUDE_CODE_MAX_RETRIES": "1",
        }
        with (
            (folder / "daemon.log").open("w") as log,
            subprocess.Popen(
                [sys.executable, "-P", "-m", "config.cli", "daemon", "start"],
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: engine.pin(DRIVER_CORE),
            ) as process,
        ):
            try:
                yield cls(folder, process)
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()

    def log(self) -> str:
        """What the daemon wrote."""
        return (self._folder / "daemon.log").read_text(encoding="utf-8")


class Listener(AppServer):
    """An app that gets what is said at the moment when the assistant gets it.

    Attributes:
      finals: when each final text came, by trio's clock, and what it says.
    """

    def __init__(self) -> None:
        super().__init__(PACKAGE, _LISTENER_KEY)
        self.finals: list[tuple[float, str]] = []

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        def hear(heard: TranscriptionData) -> None:
            if heard.is_final:
                self.finals.append((trio.current_time(), heard.text))

        session.events.on_transcription(hear)


class World:
    """Everything, while the block of `open_world` runs.

    Attributes:
      words: what was said, as apps get it.
    """

    def __init__(self, stand: Stand, phone: Glasses) -> None:
        self.phone = phone
        self.mouth = Mouth(phone)
        self.words = Listener()
        self._url = f"http://127.0.0.1:{stand.port}"
        self._token = stand.tokens([ADA])[ADA]

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """A request as the wearer; the answer's JSON."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        encoded = b"" if body is None else msgspec.json.encode(body)
        with trio.fail_after(PATIENCE_S):
            answer = await request(
                method, self._url + path, connect=open_stream, headers=headers, body=encoded
            )
        if answer.status not in (200, 201, 202):
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body.decode()}")
        return msgspec.json.decode(answer.body)

    async def until_on_lens(self, holds: Callable[[str], bool]) -> str:
        """The text that stands on the lens, once it is so."""
        await self.phone.wait_for(lambda phone: holds(phone.lens.text), timeout_s=PATIENCE_S)
        return self.phone.lens.text

    async def until_ended(self, task_id: str) -> Any:
        """The task, once it is over."""
        with trio.fail_after(PATIENCE_S):
            while True:
                task = await self.call("GET", f"/api/master-agent/task/{task_id}")
                if task["status"] != "processing":
                    return task
                await trio.sleep(0.1)

    async def _online(self) -> None:
        with trio.fail_after(PATIENCE_S):
            while True:
                daemons = (await self.call("GET", "/api/daemons"))["daemons"]
                if any(one["isOnline"] and one["adapters"] for one in daemons):
                    return
                await trio.sleep(0.05)


@asynccontextmanager
async def open_world(folder: Path, script: Script, *, claude: str, agent_s: float) -> AsyncIterator[World]:
    """A server, a daemon that is online, glasses that listen: ready for a question.

    Args:
      folder: where the desktop is; its `project` is there already.
      script: what the models answer.
      claude, agent_s: as `Desktop.open` has them.
    """
    words = Loopback(VOCABULARY, interim_s=0.3)
    models = MessagesLoopback(script.reply, keys=frozenset({SERVER_KEY, CLI_KEY}))
    async with open_loopback(words), open_messages_loopback(models):
        with serving(*_settings(words.url, models.url, agent_s)) as stand:
            phone = Glasses(f"http://127.0.0.1:{stand.port}", stand.tokens([ADA])[ADA])
            world = World(stand, phone)
            token = (await world.call("POST", "/api/daemons", {"name": "study"}))["token"]
            url = f"http://127.0.0.1:{stand.port}"
            with Desktop.open(folder, url, token, models.url, claude, agent_s) as desktop:
                async with trio.open_nursery() as nursery:
                    await nursery.start(world.words.run)
                    stand.add_app(world.words.url, _LISTENER_KEY)
                    nursery.start_soon(phone.run)
                    await phone.wait_for(lambda phone: phone.is_connected, timeout_s=PATIENCE_S)
                    await phone.report_glasses()
                    for package in (PACKAGE, SOGA):
                        await phone.start_app(package)
                    await phone.wait_for(
                        lambda phone: phone.is_microphone_on and {PACKAGE, SOGA} <= {*phone.running_apps},
                        timeout_s=PATIENCE_S,
                    )
                    nursery.start_soon(world.mouth.run)
                    try:
                        await world._online()
                        yield world
                    except Exception as error:
                        seen = [shown.text for shown in phone.lens.history]
                        error.add_note(f"the daemon wrote\n{desktop.log()}\nthe lens showed {seen}")
                        raise
                    nursery.cancel_scope.cancel()


def _settings(words_url: str, models_url: str, agent_s: float) -> Sequence[str]:
    return (
        "soga.enabled=true",
        "speech_provider=deepgram",
        "deepgram_api_key=bench",
        f"deepgram.url={words_url}",
        f"anthropic_api_key={SERVER_KEY}",
        f"anthropic_base_url={models_url}",
        f"assistant.agent_s={agent_s}",
    )
