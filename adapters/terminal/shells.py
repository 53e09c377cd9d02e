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
from collections.abc import Mapping
from pathlib import Path

from actors.desktop_daemon import command_run
from actors.desktop_daemon.command_run import CommandRun
from actors.desktop_daemon.ports import AgentOrder, TerminalAgent

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
    state = CommandRun(label=_label(order), line=None, ids=_ids(order))

    def prepare() -> Launch:
        argv = ("/bin/sh", "-c", order.goal)
        return Launch(argv=argv, environment=agent_environment(ours, settings.kept_environment))

    return AgentRun(order, command_run, state, prepare, lambda: None)


def open_bash(settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> TerminalAgent:
    """An interactive bash that runs the goal."""
    return _open_shell(settings, order, ours, "goal.sh", "rc", _BASHRC, "run_goal")


def open_python(settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> TerminalAgent:
    """A Python REPL that runs the goal, statement by statement, and shows their values."""
    return _open_shell(settings, order, ours, "goal.py", "startup.py", _PYTHON_STARTUP, "run_goal()")


def find_python(ours: Mapping[str, str]) -> str | None:
    """The user's Python, not ours."""
    return shutil.which("python3", path=ours.get("PATH"))


def _open_shell(
    settings: TerminalSettings,
    order: AgentOrder,
    ours: Mapping[str, str],
    goal_name: str,
    startup_name: str,
    startup: str,
    line: str,
) -> TerminalAgent:
    folder = settings.folder / order.agent_id
    secret = f"777;{secrets.token_hex(16)}"

    def prepare() -> Launch:
        make_private(folder)
        write_private(folder / goal_name, order.goal)
        quote = shlex.quote if startup is _BASHRC else repr
        text = startup.format(secret=secret, goal=quote(str(folder / goal_name)))
        write_private(folder / startup_name, text)
        environment = agent_environment(ours, settings.kept_environment)
        argv: tuple[str, ...]
        if startup is _BASHRC:
            argv = ("bash", "--noprofile", "--rcfile", str(folder / startup_name), "+H", "-i")
        else:
            argv = (find_python(ours) or "python3", "-q", "-i")
            environment |= {"PYTHONSTARTUP": str(folder / startup_name), "PYTHON_BASIC_REPL": "1"}
        return Launch(argv=argv, environment=environment, secret=secret)

    state = CommandRun(label=_label(order), line=line, ids=_ids(order), is_repl=startup is not _BASHRC)
    return AgentRun(order, command_run, state, prepare, lambda: shutil.rmtree(folder, ignore_errors=True))


def make_private(folder: Path) -> None:
    """A folder that only this user can look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """A file that only this user can read, from its first moment on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _ids(order: AgentOrder) -> str:
    """No run has another's: an answer to a question of an earlier one must not fit."""
    return f"approval_{order.agent_id}_{secrets.token_hex(4)}"


def _label(order: AgentOrder) -> str:
    first = order.goal.strip().partition("\n")[0]
    return first if len(first) <= _LABEL_CHARACTERS else first[: _LABEL_CHARACTERS - 1] + "…"
