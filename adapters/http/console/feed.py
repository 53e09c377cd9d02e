"""What waits to be told to one open page.

Of a task, an agent or the daemons only the newest counts, so a page that reads slowly is behind and never far
behind. Logs are cut from the front, and it is said how much. What is held is bounded all the same: past
`pieces` different things the page has to load anew.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

from actors.console.reader import AgentsListed, DeskGone, LogRead, PageNews, TasksListed
from actors.desktop.messages import AgentChanged, AgentLogged, DaemonsChanged, TaskChanged

_DAEMONS: Final = "daemons"


class LogPieces:
    """What one agent logged since the page was told last.

    Attributes:
      is_whole: begins at the log's beginning: it replaces what the page shows.
      left_out: characters that were cut from the front.
    """

    def __init__(self, *, is_whole: bool) -> None:
        self.is_whole = is_whole
        self.left_out = 0
        self.pieces: deque[AgentLogged] = deque()
        self.characters = 0

    def add(self, piece: AgentLogged, most: int) -> None:
        self.pieces.append(piece)
        self.characters += len(piece.content)
        while self.characters > most and len(self.pieces) > 1:
            cut = self.pieces.popleft()
            self.characters -= len(cut.content)
            self.left_out += len(cut.content)


class Feed:
    """`actors.console.reader.PageFeed`, with one task that takes.

    Args:
      pieces: different things that may wait.
      log: characters of one agent's log that may wait.
    """

    def __init__(self, *, pieces: int, log: int) -> None:
        self._pieces = pieces
        self._log = log
        self._changed = trio.Event()
        self._waiting: dict[str, PageNews] = {}
        self._logs: dict[str, LogPieces] = {}
        self.is_over = False

    def offer(self, news: PageNews) -> None:
        """Take it in; never blocks."""
        if self.is_over:
            return
        match news:
            case TasksListed():
                self._newest("tasks", news)
            case AgentsListed():
                self._newest("agents", news)
            case TaskChanged(task):
                self._newest(f"task {task.task_id}", news)
            case AgentChanged(agent):
                self._newest(f"agent {agent.agent_id}", news)
            case DaemonsChanged():
                self._newest(_DAEMONS, news)
            case LogRead(agent_id, read):
                log = self._logs[agent_id] = LogPieces(is_whole=True)
                for piece in read:
                    log.add(piece, self._log)
            case AgentLogged(agent_id):
                self._logs.setdefault(agent_id, LogPieces(is_whole=False)).add(news, self._log)
            case DeskGone():
                self.end()
        if len(self._waiting) + len(self._logs) > self._pieces:
            self.end()
        self._changed.set()

    def end(self) -> None:
        """Nothing more is taken; who waits is woken."""
        self.is_over = True
        self._changed.set()

    async def wait(self) -> None:
        """Until something is there to take, or it is over. One task at a time."""
        await self._changed.wait()

    def take(self) -> tuple[list[PageNews], dict[str, LogPieces]]:
        """All that waits: what changed, in order, then what was logged, by agent."""
        waiting, logs = list(self._waiting.values()), self._logs
        self._waiting, self._logs = {}, {}
        if not self.is_over:
            self._changed = trio.Event()
        return waiting, logs

    def _newest(self, key: str, news: PageNews) -> None:
        self._waiting.pop(key, None)
        self._waiting[key] = news
