"""The console's actors crash once over every message they handle, at every point of the handler.

What may be lost is that one message: a login or a logout is tried again, and a page is told how things stand.
Nothing else: nobody is logged in who should not be, and every page comes to show the truth.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest
import trio

from actors.console.reader import (
    AgentsListed,
    DeskGone,
    LogRead,
    PageNews,
    PageReader,
    TasksListed,
)
from actors.console.sessions import (
    CloseSession,
    ConsoleSession,
    ConsoleSessions,
    find_session,
    open_session,
)
from actors.console.settings import ConsoleSettings
from actors.desktop.messages import AgentChanged, AgentLogged, DaemonsChanged, DaemonView, TaskChanged
from actors.document_ports import PutDocument
from actors.journal import Journal
from actors.ports import StorageError
from actors.service import EachAlone
from adapters.simulated.store import SimulatedDocuments, SimulatedStore
from adapters.simulated.telemetry import RecordingTelemetry
from runtime import ActorSystem, ChildSpec, RuntimeFailure
from runtime.testing import World, simulate
from tests.actors.sweep import Sweep
from tests.adapters.http.console.desk import ADA, Book, scripted_desks

ACTORS: tuple[type[Any], ...] = (ConsoleSessions, PageReader)
SETTINGS = ConsoleSettings(session_s=120.0)
R = TypeVar("R")


class Screen:
    """A page's feed, and what the page shows by it."""

    def __init__(self) -> None:
        self.tasks: dict[str, str] = {}
        self.agents: dict[str, str] = {}
        self.logs: dict[str, list[str]] = {}
        self.daemons: tuple[str, ...] = ()
        self.is_gone = False

    def offer(self, news: PageNews) -> None:
        match news:
            case TasksListed(tasks):
                self.tasks = {task.task_id: task.status for task in tasks}
            case TaskChanged(task):
                self.tasks[task.task_id] = task.status
            case AgentsListed(agents):
                self.agents = {agent.agent_id: agent.status for agent in agents}
            case AgentChanged(agent):
                self.agents[agent.agent_id] = agent.status
            case LogRead(agent_id, pieces):
                self.logs[agent_id] = [piece.content for piece in pieces]
            case AgentLogged(agent_id, content=content):
                self.logs.setdefault(agent_id, []).append(content)
            case DaemonsChanged(daemons):
                self.daemons = tuple(daemon.name for daemon in daemons)
            case DeskGone():
                self.is_gone = True

    def shows(self, book: Book) -> list[str]:
        """What of it is not the truth."""
        logs = {agent_id: [piece.content for piece in log] for agent_id, log in book.logs.items()}
        return [
            f"{name}: {shown} instead of {true}"
            for name, shown, true in (
                ("tasks", self.tasks, {task.task_id: task.status for task in book.tasks.values()}),
                ("agents", self.agents, {agent.agent_id: agent.status for agent in book.agents.values()}),
                ("logs", {key: log for key, log in self.logs.items() if log}, logs),
                ("daemons", self.daemons, tuple(daemon.name for daemon in book.daemons)),
            )
            if shown != true
        ]


async def _sure(ask: Callable[[], Awaitable[R]]) -> R:
    """Ask, and ask again where a crash or the store was in the way: as a person does at a login."""
    for _ in range(20):
        try:
            return await ask()
        except (RuntimeFailure, StorageError):
            await trio.sleep(0.5)
    raise AssertionError("it was asked twenty times")


class Evening:
    """Logins and logouts, and a page that is open meanwhile."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.documents = SimulatedDocuments()
        self.store = SimulatedStore(random.Random(1), documents=self.documents)
        self.telemetry = RecordingTelemetry()
        self.problems: list[str] = []

    async def live(self) -> None:
        left = ConsoleSession(session_id="old", user_id=ADA, ends_at=self.system.clock.wall() + 100)
        self.documents.documents["console_sessions", "old"] = _kept(left)
        self.store.outage = "not there yet"
        journal = await self.system.spawn(
            ChildSpec("journal", lambda: Journal(store=self.store, telemetry=self.telemetry))
        )
        self.sessions = await self.system.spawn(
            ChildSpec(
                "sessions",
                lambda: ConsoleSessions(
                    store=self.store, journal=journal, settings=SETTINGS, telemetry=self.telemetry
                ),
            )
        )
        await trio.sleep(2)
        self.store.outage = None
        await self._logins()
        await self._page()
        await trio.sleep(200)
        for session_id in ("old", "one", "two", "three"):
            await self._is(session_id, is_good=False)
        if self.documents.newest("console_sessions", None):
            self.problems.append("logins that are over are kept")

    async def _logins(self) -> None:
        await self._is("old", is_good=True)
        await _sure(lambda: self.sessions.ask(open_session("one", ADA)))
        await self._is("one", is_good=True)
        if not await _sure(lambda: self.sessions.ask(open_session("two", ADA, "link"))):
            # It was kept, and the answer lost: the link is used up, and another one does.
            await _sure(lambda: self.sessions.ask(open_session("two", ADA, "another link")))
        # The first of these may have been the one that is let in, if the one above was lost.
        again = [await _sure(lambda: self.sessions.ask(open_session("three", ADA, "link"))) for _ in range(2)]
        if again[1] is not None:
            self.problems.append("a link was used twice")
        self.store.outage = "the disk is full"
        try:
            await self.sessions.ask(open_session("five", ADA))
            self.problems.append("a login that is not kept was let in")
        except (RuntimeFailure, StorageError):
            pass
        self.store.outage = None
        await self._is("five", is_good=False)
        await _sure(lambda: self.sessions.ask(functools.partial(CloseSession, "one")))
        await self._is("one", is_good=False)

    async def _is(self, session_id: str, *, is_good: bool) -> None:
        found = await _sure(lambda: self.sessions.ask(find_session(session_id)))
        if (found is not None) is not is_good:
            self.problems.append(f"{session_id} is {found}")

    async def _page(self) -> None:
        _, desks, books = await scripted_desks(self.system, self.documents)
        book, screen = books[ADA], Screen()
        pages = await self.system.spawn(ChildSpec("pages", EachAlone))
        task, agent = book.task("before"), book.agent("before")
        book.log(agent, "before")
        await self.system.suspend(desks[ADA].assistant)  # it answers nothing for a while
        reader = await self.system.spawn(
            ChildSpec("page", lambda: PageReader(desks[ADA], screen), restart="transient"), under=pages
        )
        await trio.sleep(6)
        await self.system.resume(desks[ADA].assistant)
        await trio.sleep(3)
        book.finish(task, "done")
        book.asks(agent, "May I?")
        book.log(agent, "after")
        book.log(book.agent("after"), "first")
        book.put_daemons(DaemonView("daemon_1", "laptop", True, 1, (), 1))
        await trio.sleep(35)  # past the next time it listens, whatever was forgotten
        self.problems += screen.shows(book)
        self.system.stop_child(desks[ADA].desktops)
        await trio.sleep(1)
        if not screen.is_gone:
            self.problems.append("the page was not told that the desk is gone")
        self.system.stop_child(reader)
        await trio.sleep(1)
        if book.listeners:
            self.problems.append("a page that is closed is still told")


def _kept(session: ConsoleSession) -> PutDocument:
    return PutDocument(
        collection="console_sessions",
        key=session.session_id,
        user_id=session.user_id,
        document=msgspec.json.encode(session),
        updated_at_ms=1,
    )


def _played(point: str | None) -> tuple[set[str], list[str]]:
    """An evening with a crash at `point`: every handler that was reached, and what went wrong."""

    async def main(world: World) -> tuple[set[str], list[str]]:
        if point is not None:
            world.faults.plan(point, times=1)
        async with world.open_system("console") as system:
            world.mark_handlers(system)
            evening = Evening(system)
            await evening.live()
        return set(world.faults.reached), evening.problems

    return simulate("an evening at the console", main, limit_s=20_000).result


SWEEP = Sweep(ACTORS, _played)


def test_an_evening_at_the_console_without_a_crash_ends_well() -> None:
    assert [] == SWEEP.problems_without_a_crash()


@pytest.mark.parametrize(("actor", "message"), SWEEP.pairs, ids=SWEEP.ids)
def test_a_crash_at_the_console_costs_one_message(actor: type[Any], message: type[Any]) -> None:
    assert {} == SWEEP.problems(actor, message)
