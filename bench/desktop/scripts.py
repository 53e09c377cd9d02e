"""What the language models answer, and the project that the agent works on.

Nothing of it is understood, but all of it is done: the file is changed and its tests are run by the agent's
own tools, and what the answers say of the tests is what they printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import trio

from clients.messages_loopback import Asked, Reply, ToolUse

SERVER_KEY: Final = "sk-ant-the-key-of-the-server"
CLI_KEY: Final = "sk-ant-the-key-of-the-desktop"

_WRONG: Final = 'line.split(";")'
_RIGHT: Final = 'line.split(",")'
_PARSER: Final = f"""\
def fields(line):
    return {_WRONG}
"""
_TEST: Final = """\
import unittest

from parser import fields


class FieldsTest(unittest.TestCase):
    def test_a_line_of_three(self):
        self.assertEqual(["a", "b", "c"], fields("a,b,c"))


if __name__ == "__main__":
    unittest.main()
"""
_REPAIR: Final = f"""\
import pathlib
import subprocess
import sys

parser = pathlib.Path("parser.py")
if input("Change the separator in parser.py? [y/n] ") == "y":
    parser.write_text(parser.read_text().replace({_WRONG!r}, {_RIGHT!r}))
if input("Run the tests? [y/n] ") == "y":
    sys.exit(subprocess.run([sys.executable, "test_parser.py"]).returncode)
"""
_ASKER: Final = """\
import sys
import time

with open(sys.argv[1], "w", buffering=1) as times:
    for number in range(int(sys.argv[2])):
        print(f"Go on with step {number}? [y/n] ", end="", flush=True)
        answer = sys.stdin.readline()
        times.write(f"{time.monotonic()} {answer.strip()}\\n")
"""
_TESTS_SAID: Final = re.compile(r"Ran (\d+ tests?) in [\d.]+s\s+(OK|FAILED)")


def make_project(folder: Path) -> None:
    """A parser with a test that fails, and what repairs it where there is no Claude."""
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "parser.py").write_text(_PARSER)
    (project / "test_parser.py").write_text(_TEST)
    (folder / "repair.py").write_text(_REPAIR)
    (folder / "asker.py").write_text(_ASKER)


class Script:
    """What is answered in the models' place; every question of theirs is told.

    Args:
      folder: where the desktop is.
      goal: what an agent is told to do; it may be changed from one question to the next.
      tell: gets the time (trio's clock), who answered, and what in short.
    """

    def __init__(self, folder: Path, goal: str, tell: Callable[[float, str, str], None]) -> None:
        self.goal = goal
        self._tell = tell
        parser = str(folder / "project" / "parser.py")
        self._steps: list[ToolUse] = [
            ToolUse("Read", {"file_path": parser}),
            ToolUse("Edit", {"file_path": parser, "old_string": _WRONG, "new_string": _RIGHT}),
            ToolUse("Bash", {"command": "python3 test_parser.py", "description": "Run the tests"}),
        ]

    def reply(self, asked: Asked) -> Reply:
        """The answer to one question."""
        who, reply = (
            ("the CLI's model", self._as_agent(asked)) if asked.key == CLI_KEY else self._assist(asked)
        )
        if asked.tools or asked.key == SERVER_KEY:
            self._tell(trio.current_time(), who, _short(reply))
        return reply

    def _as_agent(self, asked: Asked) -> Reply:
        if not asked.tools:
            return "Fine."
        if self._steps:
            return [self._steps.pop(0)]
        ran = _TESTS_SAID.search(" ".join(one.text for one in asked.results))
        said = "The tests did not run." if ran is None else " ".join(ran[0].split())
        return f"The separator in parser.py was wrong. {said}"

    def _assist(self, asked: Asked) -> tuple[str, Reply]:
        if "output_config" in asked.body:
            said = _verdict(asked.user)
            texts = {"glasses_display": said, "webview_content": f"# Tests\n\n{said}"}
            return "smart model", msgspec.json.encode(texts).decode()
        if not asked.tools:
            return "smart model", self.goal
        if not asked.results:
            return "fast model", [ToolUse("get_daemon_status", {})]
        return "fast model", [
            ToolUse(
                "decide",
                {
                    "decision": "spawn_agent",
                    "glasses_display": "",
                    "webview_content": "",
                    "goal": "Fix the failing test.",
                    "working_directory": "",
                    "reasoning": "It needs the files.",
                },
            )
        ]


def is_repaired(folder: Path) -> bool:
    """Whether the agent has done it."""
    return _RIGHT in (folder / "project" / "parser.py").read_text()


REPAIR_GOAL: Final = "command: python3 ../repair.py"


def asker_goal(count: int) -> str:
    """Of an agent that asks `count` times; `answer_times` are what it notes."""
    return f"command: python3 ../asker.py ../times {count}"


def answer_times(folder: Path) -> list[float]:
    """When the asker had read each answer so far, by CLOCK_MONOTONIC; every one of them was a yes."""
    lines = (folder / "times").read_text().splitlines()
    wrong = [line for line in lines if not line.endswith(" y")]
    if wrong:
        raise RuntimeError(f"the agent read {wrong[0]!r}, not a yes")
    return [float(line.split()[0]) for line in lines]


def _verdict(text: str) -> str:
    found = _TESTS_SAID.findall(text)
    if not found:
        return f"No tests were run: {text[:300]}"
    count, outcome = found[-1]
    return f"{'Fixed' if outcome == 'OK' else 'Not fixed'}: {count} run, {outcome}."


def _short(reply: Reply) -> str:
    if isinstance(reply, str):
        return reply
    assert not hasattr(reply, "status")
    return ", ".join(
        one if isinstance(one, str) else f"uses {one.name} {_most_telling(one)}".rstrip() for one in reply
    )


def _most_telling(use: ToolUse) -> str:
    value = next((use.input[name] for name in ("decision", "file_path", "command") if name in use.input), "")
    return Path(str(value)).name if "file_path" in use.input else str(value)
