"""One terminal agent: performs what its life (`life.py`) decides.

The run belongs to the actor and not to one incarnation: a crash of this actor leaves the terminal and what
runs in it alone, and the next incarnation goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Actor, Ref, RestartInfo

from . import life
from .messages import (
    AgentMoved,
    ForemanMessage,
    KeepOutcome,
    LedgerMessage,
    Logged,
    OutboxMessage,
    RunSpoke,
    StatusChanged,
    TerminalMessage,
)
from .output import RunGate
from .parts import DaemonParts
from .ports import AgentOrder, TerminalAgent


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """Its life, and the run that it has begun."""

    life: life.Life
    run: TerminalAgent | None = None
    gate: RunGate | None = None


class TerminalAgentActor(Actor[TerminalMessage]):
    """One for each agent, until that has ended.

    Args:
      run: 1 for the first run of this agent, more after crashes of the daemon.
    """

    mailbox_size = 4096

    def __init__(
        self,
        *,
        order: AgentOrder,
        run: int,
        parts: DaemonParts,
        ledger: Ref[LedgerMessage],
        outbox: Ref[OutboxMessage],
        foreman: Ref[ForemanMessage],
    ) -> None:
        super().__init__()
        self.agent_id = order.agent_id
        self.terminals = parts.terminals
        self.ledger = ledger
        self.outbox = outbox
        self.foreman = foreman
        self.settings = parts.settings
        self.time = parts.time
        self.telemetry = parts.telemetry
        self.state = AgentState(life=life.Life(order=order, run=run))

    def facts(self) -> Mapping[str, object]:
        lives = self.state.life
        return {
            "agent": self.agent_id,
            "adapter": lives.order.adapter,
            "status": lives.status,
            "run": lives.run,
            "step": lives.step,
            "cwd": lives.order.cwd,
        }

    def started(self, restart: RestartInfo | None) -> None:
        if restart is not None and not restart.state_kept:
            # Its life is forgotten, and with it what it has asked and told: it cannot be gone on with.
            self._step(life.RunEnded(f"the desktop daemon failed: {restart.cause!r}"))
        elif self.state.life.phase == "new":
            self._step(life.Begin())
        else:
            # Not here: over a start that fails the state would be lost, and with it the agent.
            self.ref.tell(RunSpoke())
            self._arm()

    def receive(self, message: TerminalMessage) -> None:
        if isinstance(message, RunSpoke):
            self._hear()
        else:
            self._step(message)

    def _hear(self) -> None:
        gate = self.state.gate
        if gate is not None:
            for event in gate.waiting():
                self._step(event)
            self.perform(gate.clear)
        self._arm()

    def _step(self, event: life.Event) -> None:
        rules = life.Rules(
            approval_s=self.settings.agents.approval_s,
            result_bytes=self.settings.reports.result_bytes,
            timestamp_ms=self.time.now_ms(),
            can_resume=self.terminals.can_resume(self.state.life.order.adapter),
        )
        lives, effects = life.step(self.state.life, event, self.now, rules)
        self.state = msgspec.structs.replace(self.state, life=lives)
        for effect in effects:
            self._perform(effect)
        self._arm()

    def _perform(self, effect: life.Effect) -> None:
        match effect:
            case life.StartRun():
                self._start_run()
            case life.Report(report, is_urgent):
                self.outbox.tell(StatusChanged(self.agent_id, report, is_urgent))
                self.foreman.tell(AgentMoved(self.agent_id, report.status, report.seq or 0))
            case life.Log(kind, content):
                self.outbox.tell(Logged(self.agent_id, kind, content))
            case life.Answer():
                self._answer(effect)
            case life.Input(text):
                if self.state.run is not None:
                    self.perform(self.state.run.send_input, text)
            case life.Conclude(report):
                self.telemetry.info("daemon_agent_ended", agent=self.agent_id, status=report.status)
                self.ledger.tell(KeepOutcome(self.agent_id, report))
                self.foreman.tell(AgentMoved(self.agent_id, report.status, report.seq or 0))
                self.stop()

    def _answer(self, answer: life.Answer) -> None:
        if self.state.run is not None:
            self.perform(
                self.state.run.answer, answer.approval_id, answer.decision, answer.choice, answer.message
            )

    def _start_run(self) -> None:
        ref = self.ref
        run = self.terminals.open(self.state.life.order)
        gate = RunGate(notice=lambda: ref.tell(RunSpoke()))
        self.state = msgspec.structs.replace(self.state, run=run, gate=gate)
        self.start(gate.follow, run, name="run", outlives_crash=True)

    def _arm(self) -> None:
        due_at = self.state.life.due_at
        if due_at is None:
            self.cancel_timer("due")
        else:
            self.set_timer("due", max(0.0, due_at - self.now), life.Tick())
