"""A page as somebody follows it: its files are written, its commands run, what it shows is compared.

- A block with a title is a file: it is written under that name.
- A block `sh` is run, in the folder and with the variables that the ones before have left. One that goes on
  until Ctrl-C runs in a terminal of its own.
- A block `text` after one of `sh` is what that has printed: each line is found there in this order; `...`
  stands for anything. Where one of its lines begins with `not ok` the command has to fail.
- All other blocks are for reading only.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.system.server import PATIENCE_S, ROOT, environment, wait_until

PAGES = ROOT / "docs" / "tutorials"
COMMAND_S = 90


class Block(NamedTuple):
    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """Those of a page of this name, in order."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.finditer(
        r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE
    )
    return [Block(block[1], block[2] or "", block[3]) for block in found]


class Walk:
    """A folder in which a page is followed.

    Args:
      folder: an empty one.
      ports: those that the page names and that stand for free ones here.
      goes_on: words of a command that does not end, and the port on which it then listens.
    """

    def __init__(self, folder: Path, *, ports: tuple[str, ...], goes_on: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.ports = dict(zip(ports, _free_ports(len(ports)), strict=True))
        self.environment = environment(self.data)
        self.printed = ""
        self._goes_on = goes_on
        self._running: list[subprocess.Popen[bytes]] = []
        python = shlex.quote(sys.executable)
        self.write("run", f'#!/bin/sh\nGLASSHOUSE_COMMAND=./run exec {python} -P -m config.cli "$@"\n')
        self.write(".venv/bin/python", f'#!/bin/sh\nexec {python} "$@"\n')

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def fitted(self, text: str) -> str:
        """With the ports of this walk."""
        for named, free in self.ports.items():
            text = text.replace(named, free)
        return text

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)

    def go(self, steps: list[Block]) -> None:
        """Follow them all, one after the other."""
        for step, following in zip(steps, [*steps[1:], Block("", "", "")], strict=True):
            if step.title:
                self.write(step.title, self.fitted(step.text))
            elif step.language == "sh":
                shown = following.text.splitlines() if following.language == "text" else []
                self.run(step.text, is_failing=any(line.startswith("not ok") for line in shown))
                self.compare(shown)

    def run(self, script: str, *, is_failing: bool = False) -> None:
        """Run one block; `printed` is what it said."""
        for words, port in self._goes_on.items():
            if words in script:
                self._begin(script, self.ports[port])
                return
        left = shlex.quote(str(self.data.with_name(".left")))
        keep = f"(export -p; printf 'cd %s\\n' \"$PWD\") >{left}"
        script = f"[ ! -e {left} ] || . {left}\nset -e\n{self.fitted(script)}\n{keep}\n"
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        self.printed = done.stdout
        assert is_failing == (done.returncode != 0), f"{script}\n{self.printed}"

    def compare(self, shown: list[str]) -> None:
        """Whether it was printed as shown."""
        rest = self.printed
        for line in filter(None, map(str.strip, shown)):
            pattern = ".*?".join(re.escape(part) for part in self.fitted(line).split("..."))
            found = re.search(pattern, rest)
            assert found, f"{line!r} is not in\n{self.printed}"
            rest = rest[found.end() :]

    def _begin(self, script: str, port: str) -> None:
        log = self.folder / f".{len(self._running)}.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                ["sh", "-c", self.fitted(script)],
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        wait_until(lambda: _answers(port) or process.poll() is not None)
        self.printed = log.read_text(errors="replace")
        assert process.poll() is None, f"{script}\n{self.printed}"


def _free_ports(count: int) -> list[str]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def _answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0
