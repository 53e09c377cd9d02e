"""Every actor of the daemon crashes once over every message it handles, at every point of the handler.

What may be lost is that one message: the server, or the user, says it again. Nothing else: every agent
that was acknowledged comes to its true end, nothing runs twice, nothing stays behind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio

from actors.desktop_daemon.foreman import Foreman
from actors.desktop_daemon.ledger import Ledger
from actors.desktop_daemon.messages import AgentRecord
from actors.desktop_daemon.outbox import Outbox
from actors.desktop_daemon.ports import (
    AgentOrder,
    Done,
    Output,
    Ready,
    Withdrawn,
    Working,
)
from actors.desktop_daemon.settings import AgentSettings, DaemonSettings
from actors.desktop_daemon.terminal_agent import TerminalAgentActor
from actors.desktop_daemon.uplink import Uplink
from protocols.desktop import frames
from protocols.desktop.reports import CompleteReport
from runtime.testing import World, simulate
from tests.actors.desktop_daemon.daemon_world import Desktop, ScriptedServer, asking, until
from tests.actors.sweep import Sweep

ACTORS: tuple[type[Any], ...] = (Ledger, Outbox, Uplink, Foreman, TerminalAgentActor)

UNSENT = {
    ("TerminalAgentActor", "Begin"): "an event of its machine, which the actor makes when it starts",
    ("TerminalAgentActor", "Happened"): "an event of its machine, out of the run's gate",
    ("TerminalAgentActor", "RunEnded"): "an event of its machine, out of the run's gate",
    ("Foreman", "ReadAgain"): "only where the ledger did not answer",
    ("Foreman", "WriteAgain"): "only where the ledger did not answer",
    ("Uplink", "HelloDue"): "only where the foreman did not answer",
    ("Ledger", "LedgerTick"): "only where the disk took no more",
    ("Ledger", "RecordFailed"): "only where the disk took no more",
}
"""Actor and message: why no part of the day sends it."""

SAY_AGAIN_S = 5.0
SETTINGS = DaemonSettings(agents=AgentSettings(approval_s=15.0))


def _order(agent_id: str) -> AgentOrder:
    return AgentOrder(agent_id=agent_id, adapter="claude", goal="old", cwd="/srv/ada", session_uuid="u")


async def _insist(say: Callable[[], None], has_come: Callable[[], bool]) -> None:
    """Say it, and again while it does not help."""
    for _ in range(20):
        say()
        with trio.move_on_after(SAY_AGAIN_S):
            await until(has_come)
            return
    raise AssertionError("it was said twenty times")


async def _day(server: ScriptedServer, desktop: Desktop) -> None:
    """Every message once at least."""
    runs = desktop.terminals.runs
    await server.online()
    await until(lambda: "agent_old" in runs)
    old = await desktop.started("agent_old")
    old.emit(Ready(), Working("goes on"), asking("a1"))
    await until(lambda: any(report.approval for report in server.statuses.get("agent_old", ())))
    await _insist(
        lambda: server.say(frames.ApproveAgent(agent_id="agent_old", approval_id="a1", decision="approve")),
        lambda: bool(old.answers),
    )

    for agent in ("agent_1", "agent_2", "agent_3"):
        goal = "bash: make" if agent == "agent_2" else "mend it"
        await _insist(
            functools.partial(server.spawn, agent, goal),
            lambda agent=agent: any(
                ack.agent_id == agent and ack.status == ("error" if agent == "agent_3" else "started")
                for ack in server.acks
            ),  # type: ignore[misc]
        )
    first = await desktop.started("agent_1")
    first.emit(Ready(), Output("stdout", "hello\n"), Working("half"))
    await trio.sleep(0.1)
    first.emit(Working("more than half"))
    await trio.sleep(1.0)
    await _insist(
        lambda: server.say(frames.SendInput(agent_id="agent_1", text="go on")), lambda: bool(first.inputs)
    )
    first.emit(asking("a1"), asking("a2"), Withdrawn("a1"))
    await until(lambda: any(answer[0] == "a2" for answer in first.answers))  # nobody answers

    server.close(1012)
    await until(lambda: server.link is not None and len(server.hellos) >= 2)
    await trio.sleep(6)
    await _insist(
        lambda: server.say(
            frames.ApproveAgent(agent_id="agent_2", approval_id="start-1", decision="approve")
        ),
        lambda: "agent_2" in runs or bool(server.completes.get("agent_2")),
    )
    await _insist(
        lambda: server.say(frames.KillAgent(agent_id="agent_old")),
        lambda: bool(server.completes.get("agent_old")),
    )
    first.emit(Done("the true result"))
    await server.complete("agent_1")
    if "agent_2" in runs:
        runs["agent_2"][-1].end()
    await server.complete("agent_2")
    await server.complete("agent_end")
    await _insist(
        functools.partial(server.spawn, "agent_4", "And now?", resumes="agent_1"),
        lambda: any(ack.agent_id == "agent_4" for ack in server.acks),
    )
    (await desktop.started("agent_4")).emit(Done("gone on"))
    await server.complete("agent_4")
    await trio.sleep(40)


def _played(point: str | None) -> tuple[set[str], list[str]]:
    """A day with a crash at `point`: every handler that was reached, and what went wrong."""

    async def main(world: World) -> tuple[set[str], list[str]]:
        server = ScriptedServer()
        server.heartbeat_ms = 5_000
        desktop = Desktop(world, server, SETTINGS)
        records = (
            AgentRecord(order=_order("agent_gone"), is_over=True, began_ms=1),
            AgentRecord(
                order=_order("agent_end"),
                outcome=CompleteReport(status="completed", result="from before", seq=1),
                began_ms=2,
            ),
            AgentRecord(order=_order("agent_old"), began_ms=3),
        )
        desktop.disk = {record.order.agent_id: msgspec.json.encode(record) for record in records}
        desktop.marks_handlers = True
        if point is not None:
            world.faults.plan(point, times=1)
        async with desktop.daemon():
            await _day(server, desktop)
        return set(world.faults.reached), _problems(server, desktop)

    return simulate("a day", main, limit_s=5000).result


def _problems(server: ScriptedServer, desktop: Desktop) -> list[str]:
    problems = []
    expected = {
        "agent_old": {("cancelled", None)},
        "agent_1": {("completed", "the true result")},
        "agent_2": {("failed", None)},
        "agent_4": {("completed", "gone on")},
        "agent_end": {("completed", "from before")},
    }
    for agent_id, outcome in expected.items():
        told = {(report.status, report.result) for report in server.completes.get(agent_id, ())}
        if told != outcome:
            problems.append(f"{agent_id} ended with {told}, not {outcome}")
    for agent_id, runs in desktop.terminals.runs.items():
        if len(runs) > 1:
            problems.append(f"{agent_id} ran {len(runs)} times")
    for agent_id, body in desktop.disk.items():
        if not msgspec.json.decode(body, type=AgentRecord).is_over:
            problems.append(f"{agent_id} stays behind")
    for agent_id, reports in server.statuses.items():
        seqs = [report.seq or 0 for report in reports]
        if seqs != sorted(seqs):
            problems.append(f"{agent_id} was told in the order {seqs}")
    return problems


SWEEP = Sweep(ACTORS, _played, UNSENT)


def test_a_day_of_the_daemon_without_a_crash_ends_well() -> None:
    assert [] == SWEEP.problems_without_a_crash()


@pytest.mark.parametrize(("actor", "message"), SWEEP.pairs, ids=SWEEP.ids)
def test_a_crash_in_the_daemon_costs_one_message(actor: type[Any], message: type[Any]) -> None:
    assert {} == SWEEP.problems(actor, message)
