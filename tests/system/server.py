"""The real server as a process: started as a person starts it, reached over real sockets, never left behind.

    with Server.start(folder, "display.boot_screen_s=0.1") as server:
        await server.add_app("org.example.captions", "http://127.0.0.1:7010", api_key="k")
        phone = Glasses(server.url, server.token("ada@example.org"))

Starting, stopping and the commands are plain calls, so that a module's tests can share one server. Its log
goes to a file; the `conftest` beside this shows the end of it under a test that failed.
"""

from __future__ import annotations

import functools
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
import trio

from actors.ports import PutApp
from adapters.storage import FILE_NAME, open_sqlite
from clients.network import HttpAnswer, open_stream, request
from config.app_document import AppOptions, hash_api_key, make_app
from config.core_tokens import core_tokens
from config.data_directory import ServerFile, read_server_file
from config.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 30.0
"""How long a test waits for what must happen; far more than it takes, since machines are busy."""

T = TypeVar("T")


def environment(data: Path) -> dict[str, str]:
    """What a command is given: nothing of whoever runs the tests but the path."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(data.parent),
        "GLASSHOUSE_DATA": str(data),
        # The checkout is on the path by ./run; this names it for any other environment too.
        "PYTHONPATH": str(ROOT),
    }


def command(*words: str) -> list[str]:
    """`glasshouse WORDS`, from the checkout."""
    return [sys.executable, "-P", "-m", "config.cli", *words]


def run(data: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        command(*words),
        env={**environment(data), **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def is_alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children(process: int) -> list[int]:
    """The processes that `process` started and that have not been collected."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return []


def descendants(process: int) -> list[int]:
    """The processes that `process` started, and theirs."""
    own = children(process)
    return [*own, *(other for child in own for other in descendants(child))]


def wait_until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> float:
    """Poll what another process does; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"waited {within_s:g} s in vain"
        select.select([], [], [], 0.01)
    return time.monotonic() - began


async def eventually(condition: Callable[[], T], within_s: float = PATIENCE_S) -> T:
    """The first true value of `condition`, which is asked again and again."""
    with trio.move_on_after(within_s):
        while not (value := condition()):  # noqa: ASYNC110 - what another process does sets no event here
            await trio.sleep(0.01)
        return value
    raise AssertionError(f"waited {within_s:g} s in vain")


class Server:
    """A `glasshouse serve`: the keeper, its server, and what they wrote.

    Attributes:
      process: the keeper.
      data: its data directory.
      url: where it listens.
    """

    def __init__(self, process: subprocess.Popen[str], data: Path, url: str, log: Path) -> None:
        self.process = process
        self.data = data
        self.url = url
        self._log = log

    @classmethod
    def start(cls, folder: Path, *settings: str, port: int = 0, config: Path | None = None) -> Self:
        """Start one with its data in `folder`; returns when it serves.

        Args:
          settings: `--set`'s.
          config: a file of settings.
        """
        data, log = folder / "data", folder / "server.log"
        words = ["serve", "--port", str(port), *(word for one in settings for word in ("--set", one))]
        if config is not None:
            words += ["--config", str(config)]
        with log.open("a") as stderr:
            process = subprocess.Popen(
                command(*words), env=environment(data), stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        server = cls(process, data, "", log)
        try:
            server.url = server._await_url()
        except BaseException:
            server.kill()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Processes

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def file(self) -> ServerFile:
        """How commands reach the server that runs now."""
        file = read_server_file(str(self.data))
        assert file is not None, f"no server has left its file\n{self.log_tail()}"
        return file

    @property
    def child(self) -> int:
        """The process that serves, below the keeper."""
        return self.file.process

    def stop(self) -> int:
        """End it in order; the exit status. None of its processes is left, whatever happens.

        Raises:
          AssertionError: it did not end by itself, or left a process behind.
        """
        processes = descendants(self.process.pid)
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(PATIENCE_S)
            wait_until(lambda: not any(map(is_alive, processes)), within_s=10.0)
        finally:
            self.kill(processes)
        return status

    def kill(self, processes: Sequence[int] = ()) -> None:
        """End all of it at once."""
        for process in {*processes, *descendants(self.process.pid)}:
            if is_alive(process):
                os.kill(process, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def _await_url(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if ready else ""
        said = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert said, f"the server said {line!r} and logged\n{self.log_tail()}"
        return said[1]

    # What it wrote

    def log(self) -> str:
        """Everything on its standard error."""
        return self._log.read_text(encoding="utf-8")

    def log_tail(self) -> str:
        """The last lines of it."""
        return "\n".join(self.log().split("\n")[-60:])

    def logged(self, event: str) -> list[str]:
        """The lines about `event`."""
        return [line for line in self.log().splitlines() if line.split()[2:3] == [event]]

    async def log_line(self, event: str, *parts: str) -> str:
        """The first line about `event` that has all `parts`; waits for it."""

        def find() -> str:
            return next(
                (line for line in self.logged(event) if all(part in line for part in parts)),
                "",
            )

        try:
            return await eventually(find)
        except AssertionError as error:
            raise AssertionError(f"no line {event} with {parts} in\n{self.log_tail()}") from error

    # Administration, without the price of a process

    async def add_app(self, package: str, url: str, *, api_key: str = "key", **options: Any) -> None:
        """Put an app into the catalogue as `glasshouse app add` does."""
        app = make_app(
            AppOptions(package_name=package, url=url, permissions=("ALL",), **options),
            None,
            hashed_api_key=hash_api_key(api_key),
            allow_http=False,
        )

        store = await open_sqlite(self.data)
        try:
            await store.commit([PutApp(app)])
        finally:
            await store.aclose()

    def token(self, user: str) -> str:
        """A core token of `user`."""
        return core_tokens(Settings(data=str(self.data))).mint(user, expires_s=None)

    async def has_kept(self, user: str, text: str) -> None:
        """Wait until the user's snapshot has `text` in it: it may be a second behind."""
        file = sqlite3.connect(self.data / FILE_NAME)

        def find() -> bool:
            row = file.execute("SELECT snapshot FROM owners WHERE user_id = ?", (user,)).fetchone()
            return row is not None and row[0] is not None and text.encode() in row[0]

        try:
            await eventually(find)
        finally:
            file.close()

    # Requests

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> HttpAnswer:
        """One HTTP request."""
        with trio.fail_after(PATIENCE_S):
            return await request(method, self.url + path, connect=open_stream, headers=headers, body=body)

    async def inspect(self) -> dict[str, Any]:
        """The actor tree and the counters."""
        headers = {"Authorization": f"Bearer {self.file.admin_token}"}
        answer = await self.request("GET", "/api/admin/tree", headers=headers)
        assert answer.status == 200, answer
        inspected: dict[str, Any] = msgspec.json.decode(answer.body)
        return inspected

    async def counter(self, name: str) -> int:
        """How often something happened since the server started."""
        return int((await self.inspect())["counters"].get(name, 0))


@asynccontextmanager
async def serving(folder: Path, *settings: str, port: int = 0) -> AsyncIterator[Server]:
    """A server that starts and stops beside a loop, whose clients live on meanwhile."""
    server = await trio.to_thread.run_sync(functools.partial(Server.start, folder, *settings, port=port))
    try:
        yield server
    finally:
        with trio.CancelScope(shield=True):  # bounded: `stop` kills what does not end
            await trio.to_thread.run_sync(server.stop)
