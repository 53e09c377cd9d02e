"""Every actor of the desks crashes once over every message it handles, at every point of the handler.

What may be lost is that one message: whoever said it says it again, as daemons, assistants and routes do.
Nothing else: every agent comes to its true end or to a failure that says why, whoever listens hears of it, an
answer reaches its daemon, and no socket is closed.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest
import trio

from actors.desktop import tokens
from actors.desktop.actor import Desktops
from actors.desktop.agent_machine import AgentState
from actors.desktop.daemon_messages import beat, remove_daemon
from actors.desktop.logins import GiveLoginBack, Logins, answer_login, begin_login, poll_login, show_login
from actors.desktop.messages import (
    AgentChanged,
    AgentSpawned,
    ListAgents,
    Listen,
    ReadLog,
    Spawn,
    StopListening,
    send_to_agent,
)
from actors.desktop.roster import DeskRoster
from actors.desktop.settings import DesktopSettings
from actors.desktop.state import agent_document, daemon_document
from actors.ports import StorageError
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import FINAL, Daemon
from protocols.desktop.reports import CompleteReport, Heartbeat, LogReport, StatusReport
from runtime import RuntimeFailure
from runtime.testing import Probe, World, simulate
from tests.actors.desktop.desk_world import ADA, Desks, FakeDaemon, open_desks
from tests.actors.desktop.lives_of_agents import agent, asks
from tests.actors.sweep import Sweep

ACTORS: tuple[type[Any], ...] = (Desktops, DeskRoster, Logins)
R = TypeVar("R")

UNSENT: dict[tuple[str, str], str] = {}
"""Actor and message: why no part of the day sends it."""

QUICK = DesktopSettings(
    grace_s=20.0, ping_s=4.0, silence_s=10.0, start_s=5.0, missing_s=3.0, idle_s=10.0, log_flush_s=1.0
)
"""A day of five minutes would be an hour of looking at clocks."""

OLD = "agent_1_abc"
TOKEN = tokens.make_token("study", "secret")


async def _sure(ask: Callable[[], Awaitable[R]]) -> R:
    """Ask, and ask again where a crash or the store was in the way: as everybody does who wants an answer."""
    for _ in range(20):
        try:
            return await ask()
        except (RuntimeFailure, StorageError):
            await trio.sleep(0.5)
    raise AssertionError("it was asked twenty times")


async def _until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not holds():  # noqa: ASYNC110 - seen from outside
            await trio.sleep(0.05)


class Day:
    """What happens at a desk, and what was seen of it."""

    def __init__(self, desks: Desks, listener: Probe[Any], follower: Probe[Any]) -> None:
        self.desks = desks
        self.listener = listener
        self.follower = follower
        daemon = Daemon(daemon_id="study", user_id=ADA, name="study", hashed_token="", created_at=1)
        self.study = FakeDaemon(desks, daemon, TOKEN)
        self.ended: dict[str, tuple[str, str | None]] = {}
        self.problems: list[str] = []

    async def report(self, daemon: FakeDaemon, agent_id: str, report: Any) -> None:
        outcome = await _sure(lambda: daemon.report(agent_id, report))
        if outcome not in ("taken", "ignored"):
            self.problems.append(f"a report on {agent_id} was {outcome}")

    async def order(self, task_id: str, daemon: FakeDaemon, *, resumes: str | None = None) -> str:
        """Order an agent, and order it again until it is told: as an assistant does after a crash."""
        agent_id = task_id.replace("task", "agent")
        spawn = Spawn(
            task_id=task_id,
            session_id="s",
            goal="mend it",
            daemon_hint=daemon.id.rpartition("-")[2],
            resumes=resumes,
            listener=self.follower.ref,
        )
        for _ in range(20):
            (await _sure(self.desks.desk)).desktops.tell(spawn)
            with trio.move_on_after(2):
                await self.follower.next_of(AgentSpawned)
                await _until(lambda: _has(daemon, "spawn_agent", agent_id))
                return agent_id
        raise AssertionError("it was ordered twenty times")

    async def live(self) -> None:
        """Every message once at least."""
        desks, study = self.desks, self.study
        store = desks.world.store
        await trio.sleep(2)
        with trio.move_on_after(1):
            await self._fails(desks.daemons)
        store.outage = None
        desktops = (await _sure(desks.desk)).desktops
        await _sure(desks.daemons)
        for _ in range(2):
            desktops.tell(Listen(self.listener.ref))
            await desks.world.settle()

        await _sure(lambda: study.dial(**{OLD: "running"}))
        await _until(lambda: bool(study.told("welcome")))
        await self.report(study, OLD, LogReport(type="stdout", content="hello"))
        await _sure(
            lambda: desks.entrance.ask(ADA, beat("study", Heartbeat(active_agents=1, agent_ids=(OLD,))))
        )
        attic = await self._attic()
        await self._approval(study)

        one = await self.order("task_2_x", study)
        await _sure(lambda: desks.entrance.ask(ADA, send_to_agent(one, "go on")))
        store.outage = "the disk is full"
        study.connection.say({"type": "agent_ack", "agentId": one, "status": "started"})
        await trio.sleep(3.5)
        with trio.move_on_after(1):
            await self._fails(lambda: desks.find("agent_of_nobody"))
        store.outage = None
        await self.report(study, one, StatusReport(status="running", seq=1))
        await self.report(study, one, LogReport(type="stdout", content="and on"))
        await trio.sleep(QUICK.log_flush_s + 0.5)
        study.connection.hang_up()
        await trio.sleep(1)
        if await _sure(lambda: desks.kill(one)) == "unknown":
            self.problems.append("a kill found nobody")
        await _sure(lambda: study.dial(**{one: "running", OLD: "running"}))
        await _until(lambda: bool(study.told("welcome")))
        if one not in study.told("welcome")[0]["lost"]:
            self.problems.append("the daemon was not told of the kill")
        await self.report(study, one, CompleteReport(status="failed", error="killed"))
        await self.report(
            study, OLD, CompleteReport(status="completed", result="the true result", can_resume=True)
        )
        beyond = await self.order("task_4_x", study, resumes=OLD)
        if [told["resumes"] for told in study.told("spawn_agent") if told["agentId"] == beyond][:1] != [OLD]:
            self.problems.append("the daemon was not told what to go on with")
        await self.report(study, beyond, CompleteReport(status="completed", result="gone on"))

        two = await self.order("task_3_x", attic)
        await self.report(attic, two, StatusReport(status="running", seq=1))
        if any(connection.closed_with for connection in (*study.connections, *attic.connections)):
            self.problems.append("a socket was closed")
        attic.connection.hang_up()
        await self._logins()
        await self._questions(one)
        for _ in range(8):
            await trio.sleep(QUICK.grace_s / 8)
            if study.connection.is_open:
                study.connection.say({"type": "pong"})
        if not study.told("ping"):
            self.problems.append("nobody asked whether the daemon is there")
        await self._late(one)
        await self._end(attic)

    async def _attic(self) -> FakeDaemon:
        while True:
            try:
                attic = await self.desks.daemon("attic")
                break
            except (RuntimeFailure, StorageError):
                await trio.sleep(0.5)
        await _sure(attic.dial)
        return attic

    async def _approval(self, study: FakeDaemon) -> None:
        await self.report(study, OLD, asks(seq=2))
        if await _sure(lambda: self.desks.answer(OLD, "a1")) not in ("taken", "stale"):
            self.problems.append("an answer found nobody")
        await _until(lambda: _has(study, "approve_agent", OLD))
        await self.report(study, OLD, StatusReport(status="running", seq=3))

    async def _fails(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await ask()
        except (RuntimeFailure, StorageError):
            return

    async def _questions(self, agent_id: str) -> None:
        ask = self.desks.entrance.ask
        agents = await _sure(lambda: ask(ADA, _list_agents))
        if {OLD, agent_id} - {one.agent_id for one in agents}:
            self.problems.append("an agent is not listed")
        log = await _sure(lambda: ask(ADA, functools.partial(_read_log, agent_id)))
        if [line.content for line in log or ()] != ["and on"]:
            self.problems.append(f"the log is {log}")

    async def _late(self, agent_id: str) -> None:
        await self.report(self.study, agent_id, CompleteReport(status="completed", result="after all"))

    async def _logins(self) -> None:
        hall = self.desks.world.hall
        assert hall is not None
        logins = hall.logins
        await _sure(lambda: logins.ask(begin_login("hash", "BBBBBBBB", "garage")))
        await _sure(lambda: logins.ask(show_login(ADA, "BBBBBBBB")))
        await _sure(lambda: logins.ask(answer_login(ADA, "BBBBBBBB", is_allowed=True)))
        await _sure(lambda: logins.ask(poll_login("hash")))
        logins.tell(GiveLoginBack("hash"))

    async def _end(self, attic: FakeDaemon) -> None:
        await _sure(lambda: self.desks.entrance.ask(ADA, remove_daemon(attic.id)))
        for _ in range(2):
            (await _sure(self.desks.desk)).desktops.tell(StopListening(self.listener.ref))
            await self.desks.world.settle()
        extra = await self.desks.probe("extra")
        for _ in range(2):
            (await _sure(self.desks.desk)).desktops.tell(Listen(extra.ref))
            await self.desks.world.settle()
        self.desks.world.system.stop_child(extra.ref)
        self.study.connection.hang_up()
        await trio.sleep(3 * QUICK.idle_s)
        if self.desks.world.system.find(f"/glasshouse/desks/{ADA}") is not None:
            self.problems.append("the desk never ended")


def _has(daemon: FakeDaemon, kind: str, agent_id: str) -> bool:
    return any(told["agentId"] == agent_id for told in daemon.told(kind))


def _list_agents(reply_to: Any) -> ListAgents:
    return ListAgents(reply_to)


def _read_log(agent_id: str, reply_to: Any) -> ReadLog:
    return ReadLog(agent_id, reply_to)


def _before() -> SimulatedDocuments:
    """What the process before has left: a daemon, and an agent of it that runs."""
    documents = SimulatedDocuments()
    daemon = Daemon(
        daemon_id="study", user_id=ADA, name="study", hashed_token=tokens.hash_of(TOKEN), created_at=1
    )
    old = agent(status="running", task_id="task_1_abc")
    left = AgentState(agent=msgspec.structs.replace(old, daemon_id="study"))
    for change in (daemon_document(daemon), agent_document(left)):
        documents.documents[change.collection, change.key] = change
    return documents


def _played(point: str | None) -> tuple[set[str], list[str]]:
    """A day with a crash at `point`: every handler that was reached, and what went wrong."""

    async def main(world: World) -> tuple[set[str], list[str]]:
        documents = _before()
        if point is not None:
            world.faults.plan(point, times=1)
        async with open_desks(documents, QUICK, outage="not there yet", simulated=world) as desks:
            day = Day(desks, await desks.probe("listener"), await desks.probe("follower"))
            await day.live()
        return set(world.faults.reached), [*day.problems, *_wrong(documents, day)]

    return simulate("a day at a desk", main, limit_s=20_000).result


def _wrong(documents: SimulatedDocuments, day: Day) -> list[str]:
    expected = {
        OLD: ("completed", "the true result", None, None),
        "agent_2_x": ("cancelled", None, None, "killed"),
        "agent_3_x": ("failed", None, "Daemon disconnected", None),
        "agent_4_x": ("completed", "gone on", None, None),
    }
    ends = {}
    for (collection, key), kept in documents.documents.items():
        if collection == "subagents":
            document = msgspec.json.decode(kept.document)
            ends[key] = tuple(document[name] for name in ("status", "result", "error", "lateResult"))
    problems = [] if ends == expected else [f"the agents ended as {ends}"]
    told = {
        event.agent.agent_id
        for event in day.listener.take()
        if isinstance(event, AgentChanged) and event.agent.status in FINAL
    }
    return problems if told == set(expected) else [*problems, f"the ends of {told} were told"]


SWEEP = Sweep(ACTORS, _played, UNSENT)


def test_a_day_at_a_desk_without_a_crash_ends_well() -> None:
    assert [] == SWEEP.problems_without_a_crash()


@pytest.mark.parametrize(("actor", "message"), SWEEP.pairs, ids=SWEEP.ids)
def test_a_crash_at_a_desk_costs_one_message(actor: type[Any], message: type[Any]) -> None:
    assert {} == SWEEP.problems(actor, message)
