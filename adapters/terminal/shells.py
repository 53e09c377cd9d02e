"""Command lines, bash and Python: how each is started, and how it says that it waits for the next line.

A shell's prompt holds a mark that is not shown and cannot be guessed, with how the last command ended. The
goal is put into a file that the shell is told to run: typed, an open quote or an empty line inside a block
would make it wait for more.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from actors.desktop_daemon import command_run
from actors.desktop_daemon.command_run import CommandRun
from actors.desktop_daemon.ports import AgentOrder, TerminalAgent
from actors.desktop_daemon.terminal_facts import ProgramEffect, ProgramFact

from .agent_run import AgentRun, Launch
from .environment import agent_environment
from .settings import TerminalSettings

_LABEL_CHARACTERS = 60

_BASHRC = r"""
PS1='\[\e]{secret};$?\a\]\$ '
unset HISTFILE
run_goal() {{ printf '\e]{secret};start\a'; . {goal}; }}
"""

_PYTHON_STARTUP = r"""
import sys


class _Prompt:
    def __str__(self):
        code = 1 if hasattr(sys, "last_value") else 0
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            if hasattr(sys, name):
                delattr(sys, name)
        return "\001\033]{secret};%d\007\002>>> " % code


def run_goal():
    import ast

    with open({goal}, encoding="utf-8") as file:
        source = file.read()
    print("\033]{secret};start\007", end="", flush=True)
    for statement in ast.parse(source, "goal").body:
        exec(compile(ast.Interactive([statement]), "goal", "single"), globals())


sys.ps1 = _Prompt()
"""


def open_command(settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> TerminalAgent:
    """A command line, executed by `sh`. Its exit is the result."""
    state = CommandRun(label=_label(order), line=None, ids=approval_ids(order))
    return AgentRun(order, command_run, state, _Command(settings, order, ours))


def open_bash(settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> TerminalAgent:
    """An interactive bash that runs the goal."""
    state = CommandRun(label=_label(order), line="run_goal", ids=approval_ids(order))
    return AgentRun(order, command_run, state, _Bash(settings, order, ours))


def open_python(settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> TerminalAgent:
    """A Python REPL that runs the goal, statement by statement, and shows their values."""
    state = CommandRun(label=_label(order), line="run_goal()", ids=approval_ids(order), is_repl=True)
    return AgentRun(order, command_run, state, _Python(settings, order, ours))


def find_python(ours: Mapping[str, str]) -> str | None:
    """The user's Python, not ours."""
    return shutil.which("python3", path=ours.get("PATH"))


class _Command:
    """Implements `agent_run.Program`."""

    def __init__(self, settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> None:
        self._order = order
        self._ours = ours
        self._folder = settings.folder / order.agent_id
        self._environment = agent_environment(ours, settings.kept_environment)

    async def start(self, nursery: trio.Nursery, tell: Callable[[ProgramFact], None]) -> None:
        pass  # it needs nothing but its terminal

    def launch(self) -> Launch:
        return Launch(argv=("/bin/sh", "-c", self._order.goal), environment=self._environment)

    def drain(self) -> None:
        pass  # all it says is on its terminal

    def clean(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def perform(self, effect: ProgramEffect) -> None:
        raise AssertionError(effect)

    def _write(self, goal_name: str, startup_name: str, startup: str, quote: Callable[[str], str]) -> str:
        """Write the goal and what makes the shell ours; returns the secret of its marks."""
        secret = f"777;{secrets.token_hex(16)}"
        make_private(self._folder)
        write_private(self._folder / goal_name, self._order.goal)
        text = startup.format(secret=secret, goal=quote(str(self._folder / goal_name)))
        write_private(self._folder / startup_name, text)
        return secret


class _Bash(_Command):
    def launch(self) -> Launch:
        secret = self._write("goal.sh", "rc", _BASHRC, shlex.quote)
        argv = ("bash", "--noprofile", "--rcfile", str(self._folder / "rc"), "+H", "-i")
        return Launch(argv=argv, environment=self._environment, secret=secret)


class _Python(_Command):
    def launch(self) -> Launch:
        secret = self._write("goal.py", "startup.py", _PYTHON_STARTUP, repr)
        startup = {"PYTHONSTARTUP": str(self._folder / "startup.py"), "PYTHON_BASIC_REPL": "1"}
        argv = (find_python(self._ours) or "python3", "-q", "-i")
        return Launch(argv=argv, environment={**self._environment, **startup}, secret=secret)


def make_private(folder: Path) -> None:
    """A folder that only this user can look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """A file that only this user can read, from its first moment on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def approval_ids(order: AgentOrder) -> str:
    """What the ids of a run's approvals begin with: an answer to an earlier run's question must not fit."""
    return f"approval_{order.agent_id}_{secrets.token_hex(4)}"


def _label(order: AgentOrder) -> str:
    first = order.goal.strip().partition("\n")[0]
    return first if len(first) <= _LABEL_CHARACTERS else first[: _LABEL_CHARACTERS - 1] + "…"
