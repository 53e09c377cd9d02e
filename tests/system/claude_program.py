"""The real Claude Code CLI, installed once for each state of its lock file, and the model that it asks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from actors.desktop_daemon.ports import AgentOrder
from adapters.terminal import ClaudeMode, Terminals, TerminalSettings
from clients.messages_loopback import Asked, MessagesLoopback, Reply, ToolUse, open_messages_loopback
from tests.adapters.terminal.scene import Run, running
from tests.system.npm import install
from tests.system.server import ROOT

FOLDER = ROOT / "tests" / "system" / "claude_cli"
KEY = "sk-ant-a-key-that-is-longer-than-twenty-characters"


def install_claude() -> str:
    """The program's path. It is a binary of its own, 360 MiB; npm brings it in ten seconds on a good line."""
    install(FOLDER, "the real Claude Code CLI")
    # Of all platforms npm installs this one's alone. The package's own launcher may want a newer node.
    programs = sorted((FOLDER / "node_modules" / "@anthropic-ai").glob("claude-code-*/claude"))
    if not programs:
        pytest.skip("there is no Claude Code for this platform")
    return str(programs[0])


def bash(command: str) -> ToolUse:
    """The model wants to run this."""
    return ToolUse("Bash", {"command": command, "description": "A step"})


def scripted(*replies: Reply) -> Callable[[Asked], Reply]:
    """The model's answers, one after the other, to whatever it is told."""
    waiting = list(replies)
    return lambda asked: waiting.pop(0) if waiting else "Nothing more."


class Desk:
    """A machine with the CLI on it, and the model that it asks.

    Attributes:
      loopback: what the model was asked.
      project: the folder that agents work in.
    """

    def __init__(self, folder: Path, claude: str, loopback: MessagesLoopback, mode: ClaudeMode) -> None:
        self.loopback = loopback
        self.project = folder / "project"
        self.project.mkdir(exist_ok=True)
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": loopback.url,
            "CLAUDE_CODE_MAX_RETRIES": "1",
        }
        self.settings = TerminalSettings(folder=folder / "agents", claude=claude, claude_mode=mode)

    def order(self, goal: str, **changes: object) -> AgentOrder:
        order = AgentOrder(
            agent_id=f"agent_{self.folder.name}_{os.getpid()}",
            adapter="claude",
            goal=goal,
            cwd=str(self.project),
            session_uuid="3f0c9d6e-58a1-4f0b-9c53-0f5f3a8f1c22",
        )
        return msgspec.structs.replace(order, **changes)

    @asynccontextmanager
    async def run(self, order: AgentOrder) -> AsyncIterator[Run]:
        async with running(Terminals(self.settings, self.environment).open(order)) as run:
            yield run


@asynccontextmanager
async def open_desk(
    folder: Path, claude: str, reply: Callable[[Asked], Reply], mode: ClaudeMode = "terminal"
) -> AsyncIterator[Desk]:
    """A desk whose model answers what uses tools by `reply`; everything else it asks is small talk."""
    loopback = MessagesLoopback(lambda asked: reply(asked) if asked.tools else "Fine.")
    async with open_messages_loopback(loopback):
        yield Desk(folder, claude, loopback, mode)
