"""What the benches of a running server stand on: a fresh `glasshouse serve` and a driver, a core for each."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.tokens import CoreTokens
from bench import engine

PACKAGE = "org.example.bench"
SERVER_CORE, DRIVER_CORE = 0, 1  # of those this process may use

_SERVE = ("serve", "--port", "0", "--log-level", "warning")


class Stand:
    """A server that runs.

    Attributes:
      port: where it listens on loopback.
      child: the process that serves; the keeper only watches it.
    """

    def __init__(self, keeper: int, port: int, secret: str, environment: Mapping[str, str]) -> None:
        self.port = port
        self.child = child_of(keeper)
        self._tokens = CoreTokens((secret,))
        self._environment = environment

    def tree(self) -> dict[str, Any]:
        """The root of the actor tree, as `glasshouse tree` has it."""
        command = [sys.executable, "-P", "-m", "config.cli", "tree", "--json"]
        said = subprocess.run(command, env=self._environment, check=True, capture_output=True)
        root: dict[str, Any] = json.loads(said.stdout)["tree"]
        return root

    def tokens(self, users: Iterable[str]) -> dict[str, str]:
        """What each user's phone logs in with."""
        return {user: self._tokens.mint(user, expires_s=None) for user in users}

    def add_app(self, url: str, api_key: str) -> None:
        """Put the bench's app into the catalogue."""
        words = ["app", "add", PACKAGE, "--url", url, "--api-key", api_key, "--permission", "ALL"]
        subprocess.run(
            [sys.executable, "-P", "-m", "config.cli", *words],
            env=self._environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    @contextmanager
    def driver(self, module: str, **settings: object) -> Iterator[Driver]:
        """`module` on a core of its own, its app in the catalogue; it begins when it is told `go`."""
        api_key = secrets.token_hex(16)
        with subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: engine.pin(DRIVER_CORE),
        ) as process:
            try:
                driver = Driver(process)
                known = {"port": self.port, "package": PACKAGE, "api_key": api_key}
                driver.say(json.dumps({**known, **settings}))
                url = driver.record()["webhook_url"]
                self.add_app(url, api_key)
                yield driver
            finally:
                process.kill()


class Driver:
    """The process that is every phone and the app."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._words, self._answers = process.stdin, process.stdout

    def say(self, word: str) -> None:
        print(word, file=self._words, flush=True)

    def expect(self, word: str) -> None:
        line = self._answers.readline().strip()
        if line != word:
            raise RuntimeError(f"the driver said {line!r}, {word!r} was expected; its error is above")

    def record(self) -> Any:
        """The line of JSON that it prints next."""
        return json.loads(self._answers.readline())


@contextmanager
def serving(*settings: str) -> Iterator[Stand]:
    """A fresh server with an empty data folder, its child pinned to one core.

    Args:
      settings: each `NAME=VALUE`.
    """
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as data:
        secret = secrets.token_hex(32)
        environment = {**os.environ, "GLASSHOUSE_JWT_SECRET": secret, "GLASSHOUSE_DATA": data}
        chosen = [word for setting in settings for word in ("--set", setting)]
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "config.cli", *_SERVE, *chosen],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: engine.pin(SERVER_CORE),
        ) as server:
            try:
                assert server.stdout is not None
                port = int(server.stdout.readline().rsplit(":", 1)[1])
                yield Stand(server.pid, port, secret, environment)
            finally:
                server.terminate()


def child_of(keeper: int) -> int:
    """The server process: the keeper's only child that is still itself."""
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return int(children[0])


def cpu_s(process: int) -> float:
    """What it has computed so far, in user and system mode."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(process: int) -> int:
    """Its share of the memory that it uses (PSS)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
