"""An agent's machine, told one event after the other, with a clock that the test moves."""

from __future__ import annotations

from typing import Any

from actors.desktop import agent_machine as machine
from actors.desktop.agent_machine import AgentEvent, Moment, Step
from actors.desktop.settings import DesktopSettings
from protocols.desktop.documents import AgentStatus, Approval, Option, SubAgent
from protocols.desktop.frames import ToDaemon
from protocols.desktop.reports import CompleteReport, StatusReport

SETTINGS = DesktopSettings(grace_s=300.0, start_s=30.0, missing_s=10.0)
WALL_MS = 1_700_000_000_000
AGENT = "agent_1_abc"
OPTIONS = (Option(id="1", label="Yes"), Option(id="2", label="No"))


def agent(**fields: Any) -> SubAgent:
    return SubAgent(
        agent_id=AGENT,
        daemon_id="d1",
        user_id="ada@example.org",
        session_id="master_1",
        goal="fix the test",
        created_at=WALL_MS,
        updated_at=WALL_MS,
        **fields,
    )


def status(kind: AgentStatus, **fields: Any) -> StatusReport:
    return StatusReport(status=kind, **fields)


def done(result: str | None = "all green", **fields: Any) -> CompleteReport:
    return CompleteReport(**({"status": "completed", "result": result} | fields))


def approval(name: str = "a1", **fields: Any) -> Approval:
    return Approval(approval_id=name, title="Run the tests?", options=OPTIONS, **fields)


def asks(name: str = "a1", **fields: Any) -> StatusReport:
    return StatusReport(status="needs_approval", approval=approval(name), **fields)


class Life:
    """One agent from its order on.

    Attributes:
      frames: what its daemon was told since they were last taken.
      outcome: of the last event.
    """

    def __init__(self, settings: DesktopSettings = SETTINGS) -> None:
        self.settings = settings
        self.now = 0.0
        self.is_online = True
        self.frames: list[ToDaemon] = []
        self.outcome: str = "taken"
        self.state = self._take(machine.spawned(agent(), self.moment, settings))

    @property
    def moment(self) -> Moment:
        return Moment(
            now=1000.0 + self.now, wall_ms=WALL_MS + round(self.now * 1000), is_online=self.is_online
        )

    @property
    def status(self) -> str:
        return self.state.agent.status

    def hear(self, *events: AgentEvent) -> list[ToDaemon]:
        """Tell it these; what its daemon is told for them."""
        self.frames.clear()
        for event in events:
            if isinstance(event, machine.DaemonAway):
                self.is_online = False
            if isinstance(event, machine.DaemonBack):
                self.is_online = True
            self.state = self._take(machine.step(self.state, event, self.moment, self.settings))
        return list(self.frames)

    def wait(self, for_s: float) -> list[ToDaemon]:
        """Let time pass, with every deadline on the way; what its daemon is told meanwhile."""
        end = self.now + for_s
        told: list[ToDaemon] = []
        while (due := machine.deadline(self.state)) is not None and due - 1000.0 <= end:
            self.now = max(self.now, due - 1000.0)
            told += self.hear(machine.Due())
        self.now = end
        return told

    def _take(self, step: Step) -> machine.AgentState:
        self.frames += step.frames
        self.outcome = step.outcome
        return step.state


def running() -> Life:
    life = Life()
    life.hear(machine.Acked(is_started=True), status("running"))
    return life


def asking(**fields: Any) -> Life:
    life = running()
    life.hear(asks(**fields))
    return life
