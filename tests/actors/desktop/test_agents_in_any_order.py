"""Whatever a daemon, a user and the clock do in whatever order: what always holds of an agent."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.desktop import agent_machine as machine
from actors.desktop.agent_machine import AgentEvent
from actors.desktop.state import agent_document, read_agent
from protocols.desktop.documents import FINAL, AgentStatus
from protocols.desktop.frames import ApproveAgent, HeldAgent
from tests.actors.desktop.lives_of_agents import AGENT, SETTINGS, Life, approval, done, status

RANK: dict[str, int] = {"pending": 0, "initializing": 1, "running": 2, "needs_approval": 2}
NAMES = st.sampled_from(["a1", "a2", "a3"])
STATUSES: list[AgentStatus] = [
    "pending",
    "initializing",
    "running",
    "needs_approval",
    "completed",
    "cancelled",
]
NUMBERS = st.none() | st.integers(0, 12)


class AgentInAnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.life = Life()
        self.before = self.life.state.agent
        self.taken: list[str] = []
        self.told: dict[str, list[str]] = {}

    def hear(self, event: AgentEvent) -> None:
        self.before = self.life.state.agent
        self._note(self.life.hear(event))

    def _note(self, frames: Sequence[object]) -> None:
        for frame in frames:
            if isinstance(frame, ApproveAgent):
                self.told.setdefault(frame.approval_id, []).append(frame.decision)

    @rule(for_s=st.sampled_from([0.1, 5.0, 11.0, 100.0, 301.0, 601.0]))
    def time_passes(self, for_s: float) -> None:
        self.before = self.life.state.agent
        self._note(self.life.wait(for_s))

    @rule(is_started=st.booleans())
    def ack(self, is_started: bool) -> None:
        self.hear(machine.Acked(is_started=is_started))

    @rule(kind=st.sampled_from(STATUSES), seq=NUMBERS, step=st.sampled_from(["one", "two", None]))
    def report(self, kind: AgentStatus, seq: int | None, step: str | None) -> None:
        self.hear(status(kind, seq=seq, current_step=step))

    @rule(name=NAMES, seq=NUMBERS, default=st.sampled_from([None, "1", "9"]))
    def ask(self, name: str, seq: int | None, default: str | None) -> None:
        self.hear(status("needs_approval", approval=approval(name, default=default), seq=seq))

    @rule(name=NAMES, decision=st.sampled_from(["approve", "deny", "choose"]))
    def answer(self, name: str, decision: object) -> None:
        open_one = self.life.state.agent.approval
        self.hear(machine.Answered(approval_id=name, decision=decision, choice="2"))  # type: ignore[arg-type]
        if self.life.outcome == "taken":
            assert open_one is not None
            assert open_one.approval_id == name
            self.taken.append(name)

    @rule(result=st.sampled_from(["well", "otherwise"]), seq=NUMBERS)
    def complete(self, result: str, seq: int | None) -> None:
        self.hear(done(result, seq=seq))

    @rule()
    def kill(self) -> None:
        self.hear(machine.Killed())
        assert "running" != self.life.status
        assert machine.deadline(self.life.state) is None

    @rule()
    def socket_ends(self) -> None:
        self.hear(machine.DaemonAway())

    @rule(kind=st.none() | st.sampled_from(STATUSES))
    def daemon_returns(self, kind: AgentStatus | None) -> None:
        held = None if kind is None else HeldAgent(agent_id=AGENT, status=kind)
        self.hear(machine.DaemonBack(held))

    @rule()
    def heartbeat(self) -> None:
        self.hear(machine.Mentioned())

    @rule()
    def server_starts_anew(self) -> None:
        life = self.life
        agent, answers = read_agent(agent_document(life.state).document)
        assert (agent, answers) == (life.state.agent, life.state.answers)
        life.is_online = False
        life.state = machine.found(agent, answers, life.moment, SETTINGS)
        self.before = life.state.agent

    @invariant()
    def final_is_final(self) -> None:
        before, after = self.before, self.life.state.agent
        if before.status in FINAL:
            assert (before.status, before.result, before.error) == (after.status, after.result, after.error)
            assert before.late_result in (None, after.late_result)

    @invariant()
    def nothing_goes_backwards(self) -> None:
        before, after = self.before, self.life.state.agent
        assert before.seq <= after.seq
        if after.status in RANK:
            assert RANK[before.status] <= RANK[after.status]

    @invariant()
    def an_approval_is_open_only_where_it_is_asked_for(self) -> None:
        agent = self.life.state.agent
        assert agent.approval is None or agent.status == "needs_approval"
        assert (agent.approval is None) == (self.life.state.approval_until is None)

    @invariant()
    def an_approval_is_answered_once(self) -> None:
        assert len(self.taken) == len(set(self.taken))
        for decisions in self.told.values():
            changed = [decision for decision in decisions if decision != decisions[0]]
            assert set(changed) <= {"deny"}, "an answer that comes too late denies, nothing else"

    @invariant()
    def who_is_lost_has_a_deadline(self) -> None:
        state = self.life.state
        assert state.agent.is_lost == (state.lost_until is not None)
        if not self.life.is_online and not state.is_final:
            assert machine.deadline(state) is not None, "nobody waits for ever on a daemon that is away"

    @invariant()
    def an_end_is_dated_and_nothing_else_is(self) -> None:
        agent = self.life.state.agent
        assert (agent.completed_at is not None) == (agent.status in FINAL)
        assert len(agent.notes) <= machine.NOTES_KEPT


TestAgentInAnyOrder = AgentInAnyOrder.TestCase
TestAgentInAnyOrder.settings = hypothesis_settings(max_examples=150, stateful_step_count=30, deadline=None)
