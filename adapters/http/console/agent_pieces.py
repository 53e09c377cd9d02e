"""What an open page of desktop agents is told, as pieces of HTML: what to put where, and what to take away.

The page's script knows nothing of tasks or agents. It puts a piece into its place, in the order of `order`
(the newest first), or in the stead of the one with the same id; parts of it that are as they were stay, and
so does the focus in them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
import trio

from actors.console.reader import SHOWN_AGENTS, SHOWN_TASKS, AgentsListed, PageNews, TasksListed
from actors.desktop.messages import AgentChanged, AgentLogged, DaemonsChanged, DaemonView, TaskChanged
from adapters.http.assistant_routes import LONGEST_QUERY
from adapters.http.console import agent_view
from adapters.http.console.feed import LogPieces
from adapters.http.console.frame import Frame
from adapters.http.console.markdown import as_safe_html
from adapters.http.console.terminal_text import TerminalText, plain
from protocols.desktop.documents import FINAL, SubAgent, Task

_INLINE: Final = 2_000
"""Characters of markdown that take under half a millisecond; more are rendered in a thread."""

_KEPT_RESULTS: Final = 64


class Put(msgspec.Struct, frozen=True, kw_only=True, tag="put", tag_field="do", omit_defaults=True):
    """Put `html` into the element `into`, or in the stead of what has its id.

    Attributes:
      order: greater ones stand first.
      say: for the ears; aloud at once where it is urgent.
    """

    id: str
    into: str
    html: str
    order: float = 0
    say: str = ""
    is_urgent: bool = False


class Drop(msgspec.Struct, frozen=True, kw_only=True, tag="drop", tag_field="do"):
    """Take away what has this id."""

    id: str


class Keep(msgspec.Struct, frozen=True, kw_only=True, tag="keep", tag_field="do", omit_defaults=True):
    """Of what stands in `into` keep these; the rest is gone.

    Attributes:
      is_ordered: they stand in this order, and each piece's own order is its place, counted down from 0.
    """

    into: str
    ids: tuple[str, ...]
    is_ordered: bool = False


class Append(msgspec.Struct, frozen=True, kw_only=True, tag="append", tag_field="do"):
    """Write `text` at the end of the element `id`, or all of it anew."""

    id: str
    text: str
    is_whole: bool


Order = Put | Drop | Keep | Append


class Results:
    """Rendered markdown, the last 64 of them kept: a page that opens asks for what others have read."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()

    async def html(self, text: str) -> str:
        """Safe HTML of markdown."""
        kept = self._kept.get(text)
        if kept is None:
            kept = (
                as_safe_html(text)
                if len(text) <= _INLINE
                else await trio.to_thread.run_sync(as_safe_html, text)
            )
            self._kept[text] = kept
            if len(self._kept) > _KEPT_RESULTS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(text)
        return kept


class AgentPage:
    """What one open page has been told, and what it is to be told next."""

    def __init__(self, frame: Frame, results: Results) -> None:
        self._frame = frame
        self._results = results
        self._daemons: Mapping[str, DaemonView] = {}
        self._words: dict[str, str] = {}
        self._terminals: dict[str, TerminalText] = {}
        self._tasks: dict[str, Task] = {}
        self._agents: dict[str, SubAgent] = {}

    async def orders(self, news: Iterable[PageNews]) -> list[Order]:
        """What to do for what has changed."""
        orders: list[Order] = []
        for one in news:
            match one:
                case TasksListed(tasks):
                    orders += await self._all_tasks(tasks)
                case TaskChanged(task):
                    orders += await self._task(task, aloud=True)
                    orders += self._drop_oldest_task()
                case AgentsListed(agents):
                    orders += self._all_agents(agents)
                case AgentChanged(agent):
                    orders += self._agent(agent)
                    orders += self._drop_oldest_agent()
                case DaemonsChanged(daemons):
                    orders += self._all_daemons(daemons)
                case _:
                    raise AssertionError(f"{type(one).__name__} is no news for a page")
        return orders

    def logged(self, logs: Mapping[str, LogPieces]) -> list[Order]:
        """What to do for what agents have logged."""
        return [self._log(agent_id, log) for agent_id, log in logs.items()]

    async def _all_tasks(self, listed: Sequence[Task]) -> list[Order]:
        tasks = _as_known(listed, self._tasks, _key_of_task, SHOWN_TASKS)
        self._tasks = {}
        orders: list[Order] = [Keep(into="tasks", ids=tuple(_task_id(task) for task in tasks))]
        for task in tasks:
            orders += await self._task(task, aloud=False)
        return orders

    async def _task(self, task: Task, *, aloud: bool) -> list[Order]:
        self._tasks[task.task_id] = task
        result = task.result
        html = self._frame.render(
            "task.html",
            id=_task_id(task),
            task=task,
            state=agent_view.task_state(task),
            result_html="" if result is None else await self._results.html(result.webview_content),
            cost=agent_view.cost_words(task),
            money=agent_view.money,
            took=None if task.processing_time_ms is None else agent_view.took_words(task.processing_time_ms),
        )
        say = agent_view.task_news(task)
        is_new = self._says(_task_id(task), say) and aloud
        return [
            Put(
                id=_task_id(task),
                into="tasks",
                html=html,
                order=task.created_at,
                say=plain(say) if is_new else "",
            )
        ]

    def _drop_oldest_task(self) -> list[Order]:
        if len(self._tasks) <= SHOWN_TASKS:
            return []
        oldest = min(self._tasks.values(), key=lambda task: task.created_at)
        del self._tasks[oldest.task_id]
        self._words.pop(_task_id(oldest), None)
        return [Drop(id=_task_id(oldest))]

    def _drop_oldest_agent(self) -> list[Order]:
        if len(self._agents) <= SHOWN_AGENTS:
            return []
        oldest = min(self._agents.values(), key=lambda agent: (agent.status not in FINAL, agent.created_at))
        del self._agents[oldest.agent_id]
        self._terminals.pop(oldest.agent_id, None)
        self._words.pop(_approval_id(oldest), None)
        return [Drop(id=_agent_id(oldest)), Drop(id=_approval_id(oldest))]

    def _all_agents(self, listed: Sequence[SubAgent]) -> list[Order]:
        agents = _as_known(listed, self._agents, _key_of_agent, SHOWN_AGENTS)
        asking = [agent for agent in agents if _asks(agent)]
        orders: list[Order] = [
            Keep(into="agents", ids=tuple(_agent_id(agent) for agent in agents)),
            Keep(into="approvals", ids=tuple(_approval_id(agent) for agent in asking)),
        ]
        self._agents = {}
        for agent in agents:
            orders += self._agent(agent)
        return orders

    def _agent(self, agent: SubAgent) -> list[Order]:
        self._agents[agent.agent_id] = agent
        daemon = self._daemons.get(agent.daemon_id)
        html = self._frame.render(
            "agent.html",
            id=_agent_id(agent),
            agent=agent,
            state=agent_view.agent_state(agent),
            is_over=agent.status in FINAL,
            daemon="" if daemon is None else daemon.name,
            took=None if agent.execution_time_ms is None else agent_view.took_words(agent.execution_time_ms),
            longest_query=LONGEST_QUERY,
        )
        orders: list[Order] = [
            Put(id=_agent_id(agent), into="agents", html=html, order=agent.created_at),
            self._approval(agent, daemon),
        ]
        return orders

    def _approval(self, agent: SubAgent, daemon: DaemonView | None) -> Order:
        approval = agent.approval
        if approval is None or not _asks(agent):
            self._words.pop(_approval_id(agent), None)
            return Drop(id=_approval_id(agent))
        html = self._frame.render(
            "approval.html",
            id=_approval_id(agent),
            agent=agent,
            approval=approval,
            choices=agent_view.choices(approval),
            said=agent_view.ANSWERED,
            daemon="" if daemon is None else daemon.name,
        )
        is_new = self._says(_approval_id(agent), approval.approval_id)
        return Put(
            id=_approval_id(agent),
            into="approvals",
            html=html,
            order=agent.updated_at,
            say=f"An agent asks: {plain(approval.title)}" if is_new else "",
            is_urgent=True,
        )

    def _all_daemons(self, daemons: tuple[DaemonView, ...]) -> list[Order]:
        names = {daemon.daemon_id: daemon.name for daemon in self._daemons.values()}
        self._daemons = {daemon.daemon_id: daemon for daemon in daemons}
        orders: list[Order] = [Keep(into="daemons", ids=tuple(_daemon_id(daemon) for daemon in daemons))]
        for place, daemon in enumerate(daemons):
            html = self._frame.render(
                "daemon.html", id=_daemon_id(daemon), daemon=daemon, state=agent_view.daemon_state(daemon)
            )
            orders.append(Put(id=_daemon_id(daemon), into="daemons", html=html, order=-place))
        if names != {daemon.daemon_id: daemon.name for daemon in daemons}:
            for agent in list(self._agents.values()):  # they are shown with its name
                orders += self._agent(agent)
        return orders

    def _log(self, agent_id: str, log: LogPieces) -> Order:
        if log.is_whole:
            self._terminals.pop(agent_id, None)
        terminal = self._terminals.setdefault(agent_id, TerminalText())
        text = "".join(self._line(terminal, piece) for piece in log.pieces)
        if log.left_out:
            text = f"\n[{log.left_out:,} characters are left out here]\n{text}"
        return Append(id=f"log-{agent_id}", text=text, is_whole=log.is_whole)

    @staticmethod
    def _line(terminal: TerminalText, piece: AgentLogged) -> str:
        if piece.type in ("stdout", "stderr"):
            return terminal.read(piece.content)
        return f"\n[{piece.type}] {plain(piece.content).strip()}\n"

    def _says(self, key: str, words: str) -> bool:
        """Whether that is news for this page."""
        is_new = self._words.get(key) != words
        self._words[key] = words
        return is_new


Kept = TypeVar("Kept", Task, SubAgent)


def _as_known(
    listed: Sequence[Kept], known: Mapping[str, Kept], id_of: Callable[[Kept], str], most: int
) -> list[Kept]:
    """A list with what has changed since it was made: it is read from the store, and changes overtake it."""
    newest = max((one.created_at for one in listed), default=-1)
    current = {id_of(one): one for one in listed}
    for key, one in known.items():
        is_since = one.created_at > newest
        if is_since or (key in current and one.updated_at >= current[key].updated_at):
            current[key] = one
    return sorted(current.values(), key=lambda one: -one.created_at)[:most]


def _key_of_task(task: Task) -> str:
    return task.task_id


def _key_of_agent(agent: SubAgent) -> str:
    return agent.agent_id


def _asks(agent: SubAgent) -> bool:
    return agent.approval is not None and agent.status == "needs_approval"


def _task_id(task: Task) -> str:
    return f"task-{task.task_id}"


def _agent_id(agent: SubAgent) -> str:
    return f"agent-{agent.agent_id}"


def _approval_id(agent: SubAgent) -> str:
    return f"approval-{agent.agent_id}"


def _daemon_id(daemon: DaemonView) -> str:
    return f"daemon-{daemon.daemon_id}"
