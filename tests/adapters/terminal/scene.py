"""A terminal agent that runs for a test, and what it told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import trio

from actors.desktop_daemon.ports import (
    AgentEvent,
    AgentOrder,
    Done,
    Failed,
    NeedsApproval,
    Output,
    TerminalAgent,
)
from adapters.terminal.environment import MARK
from adapters.terminal.process_tree import marked

DEADLINE_S = 60.0


class Run:
    """One run, from outside.

    Attributes:
      events: everything it told, in order.
    """

    def __init__(self, agent: TerminalAgent) -> None:
        self.agent = agent
        self.events: list[AgentEvent] = []
        self.is_over = False
        self._news = trio.Event()

    def emit(self, event: AgentEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def run(self) -> None:
        await self.agent.run(self.emit)
        self.is_over = True
        self._news.set()

    async def until(self, is_reached: Callable[[], object]) -> None:
        with trio.fail_after(DEADLINE_S):
            while not is_reached():
                self._news = trio.Event()
                await self._news.wait()

    async def outcome(self) -> Done | Failed:
        """How it ended; its processes are gone by then."""
        await self.until(lambda: self.is_over)
        return next(event for event in self.events if isinstance(event, Done | Failed))

    async def question(self, number: int = 1) -> NeedsApproval:
        """What it asks, the first time or a later one."""
        await self.until(lambda: len(self.questions) >= number)
        return self.questions[number - 1]

    @property
    def questions(self) -> list[NeedsApproval]:
        return [event for event in self.events if isinstance(event, NeedsApproval)]

    @property
    def output(self) -> str:
        return "".join(event.content for event in self.events if isinstance(event, Output))

    def approve(self, asked: NeedsApproval) -> bool:
        return self.agent.answer(asked.approval.approval_id, "approve", None, None)


@asynccontextmanager
async def running(agent: TerminalAgent) -> AsyncIterator[Run]:
    """A run that is cancelled at the end of the block."""
    run = Run(agent)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.run)
        yield run
        nursery.cancel_scope.cancel()


def order(adapter: str, goal: str, cwd: Path, agent_id: str = "agent_1") -> AgentOrder:
    return AgentOrder(
        agent_id=f"{agent_id}_{os.getpid()}",
        adapter=adapter,
        goal=goal,
        cwd=str(cwd),
        session_uuid="5a1b5f0c-3c3e-4d53-9a5e-1f1d7b0c8e11",
    )


def left_over(agent: AgentOrder) -> set[psutil.Process]:
    """Processes that an agent has left behind."""
    return marked((MARK, agent.agent_id))
