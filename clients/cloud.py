"""A cloud to try something with: the real server, started and administered by its own command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import trio

START_S = 30.0
STOP_S = 15.0


class CloudError(Exception):
    """The server did not come up, or one of its commands failed. The message has what it said."""


@dataclass(frozen=True)
class Cloud:
    """A running server. `url` is where it listens, `data` its data directory, `log` what it wrote."""

    url: str
    data: Path
    log: Path

    async def add_app(self, package_name: str, url: str, api_key: str, *, name: str) -> None:
        """Put an app into the catalogue, with every permission."""
        words = ("app", "add", package_name, "--url", url, "--api-key", api_key)
        await command(*words, "--name", name, "--permission", "ALL", "--data", str(self.data))

    async def token(self, email: str) -> str:
        """A core token for a phone."""
        said = await command("user", "token", email, "--data", str(self.data))
        return said.strip().splitlines()[-1]


@asynccontextmanager
async def open_cloud(data: Path, settings: Sequence[str] = ()) -> AsyncIterator[Cloud]:
    """Start a server on any free port; at the end of the block it is told to stop, and waited for.

    Args:
      settings: each `NAME=VALUE`.

    Raises:
      CloudError: it did not start.
    """
    # One recogniser is warm from the start, so that the first words do not wait for its model.
    chosen = [word for setting in ("pocketsphinx.prestart=1", *settings) for word in ("--set", setting)]
    words = ("serve", "--port", "0", "--data", str(data), *chosen)
    log = data / "server.log"
    with _new_file(log) as errors:
        # A process group of its own: Ctrl-C in the terminal reaches us alone, and we tell the server.
        server = await trio.lowlevel.open_process(
            _command(*words), stdout=subprocess.PIPE, stderr=errors, process_group=0
        )
    try:
        yield Cloud(await _listening_url(server, log), data, log)
    finally:
        with trio.move_on_after(STOP_S, shield=True):
            server.terminate()
            await server.wait()
        if server.returncode is None:
            server.kill()


async def command(*words: str) -> str:
    """Run `glasshouse` with `words` and return what it printed.

    Raises:
      CloudError: it failed.
    """
    done = await trio.run_process(
        _command(*words),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        stdin=subprocess.DEVNULL,
        process_group=0,
    )
    if done.returncode != 0:
        raise CloudError(f"glasshouse {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def _command(*words: str) -> list[str]:
    # -P: the folder that somebody happens to stand in is no place to import from.
    return [sys.executable, "-P", "-m", "config.cli", *words]


def _new_file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


async def _listening_url(server: trio.Process, log: Path) -> str:
    assert server.stdout is not None
    said = b""
    with trio.move_on_after(START_S):
        while b"\n" not in said:
            more = await server.stdout.receive_some()
            if not more:
                break
            said += more
    prefix, _, url = said.decode().strip().partition("listening on ")
    if prefix or not url:
        raise CloudError(f"the server did not start; it wrote:\n{_end_of(log)}")
    return url
