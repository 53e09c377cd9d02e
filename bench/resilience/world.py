"""The world of the campaign: a live server, its phones, its app server, the proxy; each a process.

The server has one core, all others share another. The server is started as an operator starts it, by
`glasshouse serve`, and administered by what an operator has: signals, the command line, the admin routes.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from adapters.tokens import CoreTokens
from bench import engine
from bench.stand import DRIVER_CORE, SERVER_CORE, child_of, memory_kb
from config.data_directory import read_server_file

from .records import Event, Reader, of

PACKAGE: Final = "org.example.bench"
SWITCHED: Final = "org.example.switched"
"""The app that is started and stopped all the time; see `ledger`."""
PATIENCE_S: Final = 60.0
STARTS_AT_ONCE: Final = 20


class World:
    """Everything that runs.

    Attributes:
      users: by session number.
      reader: what has been seen so far; `look` brings it up to date.
      listed: what the phone was last told that runs, by session number.
      through_phone_door, through_app_door: sessions whose phone, or app, dials through the proxy.
      start_s: seconds from the command to the first `listening on`; idle_kb: its memory then.
    """

    def __init__(self, folder: Path, sessions: int, *, seed: int = 1) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.users = [f"user{number}@example.org" for number in range(sessions)]
        self.reader = Reader(folder, sessions)
        self.listed: dict[int, tuple[str, ...]] = {}
        few = max(1, sessions // 20)
        self.through_phone_door = tuple(range(sessions))[-few:]
        self.through_app_door = tuple(range(sessions))[-2 * few : -few]
        self.start_s = 0.0
        self.idle_kb = 0
        self.port = 0
        self._seed = seed
        self._secret = secrets.token_hex(32)
        self._api_key = secrets.token_hex(16)
        self._shown_at = dict.fromkeys(range(sessions), 0.0)
        self._log = (folder / "server.log").open("ab")
        self._server: subprocess.Popen[str] | None = None
        self._proxy: subprocess.Popen[str] | None = None
        self._phones: subprocess.Popen[str] | None = None
        self._apps: subprocess.Popen[str] | None = None
        self._app_port = 0
        self._app_ports: dict[str, int] = {}
        self._tokens = [CoreTokens((self._secret,)).mint(user, expires_s=None) for user in self.users]

    # -- processes ----------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """`glasshouse serve`; returns when it serves, on the same port every time."""
        settings = (
            "admin.allow_kill=true",
            "display.boot_screen_s=0",  # the ledger's app would cover the lens whenever it starts
            "speech_provider=none",
        )
        words = ["serve", "--port", str(self.port), *(word for one in settings for word in ("--set", one))]
        began = time.perf_counter()
        self._server = subprocess.Popen(
            self._command(*words),
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            preexec_fn=lambda: engine.pin(SERVER_CORE),
        )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"the server said {line!r}; its log is {self.folder / 'server.log'}")
        if not self.port:
            self.port = int(line.rsplit(":", 1)[1])
            self.start_s = time.perf_counter() - began
            self.idle_kb = memory_kb(self.child)

    def start_peers(self) -> None:
        """The proxy, the app server and the phones; nobody has dialled yet."""
        proxy = self._proxy = self._start("proxy", str(self.port))
        assert proxy.stdout is not None
        phone_door, app_door = map(int, proxy.stdout.readline().split())
        self._app_ports = {str(index): app_door for index in self.through_app_door}
        self._app_port = _free_port()
        self.start_app()
        for package in (PACKAGE, SWITCHED):
            url = f"http://127.0.0.1:{self._app_port}/{package}"
            words = ("app", "add", package, "--url", url, "--api-key", self._api_key, "--permission", "ALL")
            self.run(*words)
        self._phones = self._start("phones")
        ports = [self.port] * len(self.users)
        for index in self.through_phone_door:
            ports[index] = phone_door
        settings = {"folder": str(self.folder), "ports": ports, "tokens": self._tokens}
        _say(self._phones, {**settings, "package": PACKAGE, "seed": self._seed})

    def start_app(self) -> None:
        """Start the app server and wait until it listens."""
        before = len(of(self.look(), "app", "listening"))
        self._apps = self._start("app_server")
        settings = {
            "folder": str(self.folder),
            "listen": self._app_port,
            "port": self.port,
            "ports": self._app_ports,
            "package": PACKAGE,
            "packages": [PACKAGE, SWITCHED],
            "users": self.users,
            "api_key": self._api_key,
        }
        _say(self._apps, settings)
        self.wait(lambda: len(of(self.reader.events, "app", "listening")) > before, "the app server")

    def kill_app(self) -> None:
        """kill -9 of the app server."""
        assert self._apps is not None
        self._apps.kill()
        self._apps.wait()

    def close(self) -> None:
        """End every process, whatever happened."""
        for process in (self._phones, self._apps, self._proxy):
            if process is not None:
                process.kill()
                process.communicate()
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(20)
            except subprocess.TimeoutExpired:
                self._server.kill()
            self._server.communicate()
        self._log.close()

    @property
    def keeper(self) -> subprocess.Popen[str]:
        assert self._server is not None
        return self._server

    @property
    def child(self) -> int:
        """The server process below the keeper."""
        return child_of(self.keeper.pid)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`glasshouse WORDS` to its end.

        Raises:
          CalledProcessError: its exit status is not 0.
        """
        return subprocess.run(
            self._command(*words),
            env=self._environment(),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "config.cli", *words]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "GLASSHOUSE_JWT_SECRET": self._secret, "GLASSHOUSE_DATA": str(self.data)}

    def _start(self, name: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", f"bench.resilience.{name}", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: engine.pin(DRIVER_CORE),
        )

    def begin(self) -> float:
        """All phones dial at once, then start their app, some at a time; returns when they dialled."""
        everyone = range(len(self.users))
        began = self.phones("dial", everyone)
        self.wait(lambda: len(self.listed) == len(self.users), "the phones")
        waiting = list(everyone)
        while waiting:
            some, waiting = waiting[:STARTS_AT_ONCE], waiting[STARTS_AT_ONCE:]
            self.phones("start", some)
            self.wait(lambda some=some: not set(some) & set(self.unwell()), f"the app of {some}")  # type: ignore[misc]
        return began

    # -- faults -------------------------------------------------------------------------------------------

    def phones(self, do: str, who: Sequence[int]) -> float:
        """`dial`, `reset` or `start`; returns when it was said."""
        assert self._phones is not None
        at = time.perf_counter()
        _say(self._phones, {"do": do, "who": list(who)})
        return at

    def reset_apps(self, who: Sequence[int]) -> float:
        """Reset the sockets of the app's sessions."""
        assert self._apps is not None
        at = time.perf_counter()
        _say(self._apps, {"do": "reset", "who": list(who)})
        return at

    def silence(self, door: int) -> float:
        """Let what goes through a door of the proxy (0 phones, 1 apps) become half-open."""
        assert self._proxy is not None
        assert self._proxy.stdin is not None
        assert self._proxy.stdout is not None
        print(door, file=self._proxy.stdin, flush=True)
        self._proxy.stdout.readline()
        return time.perf_counter()

    def kill_actor(self, path: str) -> float:
        """Crash the actor at `path` below /glasshouse; returns the time before."""
        at = time.perf_counter()
        self._admin("POST", "/api/admin/kill", {"path": f"/glasshouse/{path}"})
        return at

    def signal_child(self, number: signal.Signals) -> float:
        at = time.perf_counter()
        os.kill(self.child, number)
        return at

    def begin_anew(self, who: Sequence[int]) -> None:
        """Make the users' subtrees anew: a scenario has broken them, so that not even a goodbye ends them."""
        for index in who:
            self.kill_actor(f"users/{self.users[index]}")

    # -- looking ------------------------------------------------------------------------------------------

    def tree(self) -> dict[str, Any]:
        """The root of the actor tree."""
        inspected: dict[str, Any] = self._admin("GET", "/api/admin/tree")["tree"]
        return inspected

    def _admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        file = read_server_file(str(self.data))
        assert file is not None, "the server has left no file"
        status, said = self.rest(method, path, token=file.admin_token, body=body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {said}")
        return said

    def rest(
        self, method: str, path: str, *, token: str, body: object = None, timeout_s: float = 10.0
    ) -> tuple[int, dict[str, Any]]:
        """One HTTP request: status and JSON. Raises OSError or HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
            connection.request(method, path, body=json.dumps(body) if body else b"", headers=headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else {}
        finally:
            connection.close()

    def token(self, index: int) -> str:
        return self._tokens[index]

    def look(self) -> Sequence[Event]:
        """Take in what is new; returns all events."""
        events = self.reader.events
        for position in range(self.reader.read(), len(events)):
            event = events[position]
            if event.kind in ("ack", "apps") and event.who == "phone":
                self.listed[event.session] = tuple(event.detail)  # type: ignore[arg-type]
            elif event.kind == "shown":
                self._shown_at[event.session] = event.at
        return events

    def wait(self, condition: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
        """Look until `condition` holds. Raises TimeoutError."""
        deadline = time.perf_counter() + within_s
        self.look()
        while not condition():
            if time.perf_counter() >= deadline:
                raise TimeoutError(f"{what}: not within {within_s:g} s")
            time.sleep(0.02)
            self.look()

    def unwell(self) -> list[int]:
        """Sessions whose audio does not arrive now, or whose presses are not answered."""
        now = time.perf_counter()
        return [
            index
            for index, frames in enumerate(self.reader.arrived)
            if not frames.other or now - frames.other[-1] > 0.5 or now - self._shown_at[index] > 2.5
        ]


def _say(process: subprocess.Popen[str], command: object) -> None:
    stdin: IO[str] | None = process.stdin
    assert stdin is not None
    print(json.dumps(command), file=stdin, flush=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
