"""The agents of a user's desktops: started, reported on, asked about, ended.

What becomes of an agent is decided in `agent_machine`; here each step is kept before anybody hears of it. An
agent that is over lives in the store alone: whatever is about it reads it from there first, one reading at a
time, so that nothing is decided on a document that has just been replaced.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from protocols.desktop.documents import SubAgent
from protocols.desktop.frames import AgentAck, SendInput
from protocols.desktop.reports import LogReport
from runtime import ReplyTo

from ..document_ports import DocumentChange, KeepNewest, StoredDocument
from ..ports import StorageError
from . import agent_machine as machine
from . import log_ring
from .agent_machine import AgentEvent, AgentState, Step
from .core import DesktopsCore
from .daemon_messages import Reported, ReportOutcome
from .internal import AgentNotRead, AgentRead, AgentsDue, LogsDue
from .log_ring import LogRing
from .messages import (
    AgentChanged,
    AgentLogged,
    AgentSpawned,
    AnswerApproval,
    FindAgent,
    InputOutcome,
    Kill,
    ListAgents,
    ReadLog,
    SendToAgent,
    Spawn,
    SpawnRefused,
)
from .state import (
    AGENTS,
    LOGS,
    After,
    AgentEntry,
    DaemonEntry,
    Order,
    Publish,
    Reply,
    Tell,
    agent_document,
    choice,
    home,
    log_document,
    read_agent,
)

LISTED = 50
_BASE_36 = string.digits + string.ascii_lowercase

AboutAgent = Spawn | Kill | AnswerApproval | SendToAgent | FindAgent | Reported


class AgentKeeping(DesktopsCore):
    """What the desktops do about agents."""

    # -- whom a message is about --------------------------------------------------------------------------

    def _about(self, message: AboutAgent) -> None:
        if isinstance(message, Spawn) and not message.task_id:
            self._spawn(message, self._random_id(), None)
            return
        agent_id = _agent_of_task(message.task_id) if isinstance(message, Spawn) else message.agent_id
        self._about_agent(agent_id, message)

    def _about_agent(self, agent_id: str, message: AboutAgent) -> None:
        """Handle it with that agent at hand."""
        entry = self.state.agents.get(agent_id)
        if entry is not None:
            self._handle(message, agent_id, entry)
        elif agent_id in self.state.reading:
            waiting = (*self.state.reading[agent_id], message)
            self.state = replace(self.state, reading={**self.state.reading, agent_id: waiting})
        else:
            self.state = replace(self.state, reading={**self.state.reading, agent_id: (message,)})
            self._read_agent(agent_id)

    def _random_id(self) -> str:
        chance = self.system.random
        return f"agent_{self._wall_ms()}_{''.join(chance.choice(_BASE_36) for _ in range(6))}"

    def _read_agent(self, agent_id: str) -> None:
        self.start(
            self._find,
            agent_id,
            then=lambda found: AgentRead(agent_id, *found),
            failed=lambda error: AgentNotRead(agent_id, error),
            name="read agent",
        )

    async def _find(self, agent_id: str) -> tuple[StoredDocument | None, StoredDocument | None]:
        store = self.domain.ports.store
        agent = await store.find_document(AGENTS, agent_id)
        return agent, None if agent is None else await store.find_document(LOGS, agent_id)

    def _agent_read(self, read: AgentRead) -> None:
        waiting = self._no_longer_reading(read.agent_id)
        stored = read.agent
        if stored is not None and stored.user_id == self.user_id:
            self._take_up(stored, read.log)
        for message in waiting:
            self._handle(message, read.agent_id, self.state.agents.get(read.agent_id))
        self._evict()

    def _agent_not_read(self, failure: AgentNotRead) -> None:
        self.telemetry.error("agent_not_read", user=self.user_id, cause=str(failure.error))
        for message in self._no_longer_reading(failure.agent_id):
            if isinstance(message, Spawn):
                refusal = SpawnRefused(message.task_id, "The server cannot keep anything at the moment")
                message.listener.tell(refusal)
            elif message.reply_to is not None:
                message.reply_to.fail(failure.error)

    def _no_longer_reading(self, agent_id: str) -> tuple[AboutAgent, ...]:
        waiting: tuple[AboutAgent, ...] = self.state.reading.get(agent_id, ())
        rest = {known: others for known, others in self.state.reading.items() if known != agent_id}
        self.state = replace(self.state, reading=rest)
        return waiting

    def _take_up(self, stored: StoredDocument, log: StoredDocument | None) -> None:
        """Have an agent of the store in memory, as long as something is done about it."""
        try:
            agent, answers = read_agent(stored.document)
            ring = LogRing() if log is None else log_ring.decode(log.document)
        except msgspec.DecodeError as error:
            self.telemetry.error("agent_unreadable", user=self.user_id, agent=stored.key, cause=str(error))
            return
        found = machine.found(agent, answers, self._moment(agent.daemon_id), self.settings)
        self._put_agent(AgentEntry(found, ring))

    def _handle(self, message: AboutAgent, agent_id: str, entry: AgentEntry | None) -> None:
        match message:
            case Spawn() if message.resumes == agent_id:
                self._spawn_after(message, None if entry is None else entry.machine.agent)
            case Spawn():
                self._spawn(message, agent_id, entry)
            case Kill(_, reply_to):
                self._kill(entry, reply_to)
            case AnswerApproval():
                self._answer(message, entry)
            case SendToAgent(_, text, reply_to):
                reply_to.tell(self._type(text, entry))
            case FindAgent(_, reply_to):
                reply_to.tell(None if entry is None else entry.machine.agent)
            case Reported():
                self._reported(message, entry)

    # -- starting -----------------------------------------------------------------------------------------

    def _spawn(self, order: Spawn, agent_id: str, entry: AgentEntry | None) -> None:
        if entry is not None:
            self._spawned_before(order, entry)
        elif order.resumes is not None:
            self._about_agent(order.resumes, order)
        else:
            self._spawn_on(choice(self.state, order), order, agent_id, order.working_directory)

    def _spawn_after(self, order: Spawn, former: SubAgent | None) -> None:
        agent_id = _agent_of_task(order.task_id) if order.task_id else self._random_id()
        entry = self.state.agents.get(agent_id)
        if entry is not None:  # the order came twice while the former agent was read
            self._spawned_before(order, entry)
            return
        directory = None if former is None else former.working_directory
        self._spawn_on(home(self.state, former), order, agent_id, directory)

    def _spawn_on(
        self, daemon: DaemonEntry | str, order: Spawn, agent_id: str, directory: str | None
    ) -> None:
        """Start it there, or say why it cannot be started."""
        if isinstance(daemon, str):
            order.listener.tell(SpawnRefused(order.task_id, daemon))
            return
        wall_ms = self._wall_ms()
        agent = SubAgent(
            agent_id=agent_id,
            daemon_id=daemon.daemon.daemon_id,
            user_id=self.user_id,
            session_id=order.session_id,
            goal=order.goal,
            working_directory=directory,
            task_id=order.task_id,
            resumes=order.resumes,
            created_at=wall_ms,
            updated_at=wall_ms,
        )
        self._active(agent.daemon_id)
        self.telemetry.info("agent_spawned", user=self.user_id, agent=agent.agent_id, daemon=agent.daemon_id)
        spawned = machine.spawned(agent, self._moment(agent.daemon_id), self.settings)
        told = Tell(order.listener, AgentSpawned(order.task_id, agent, daemon.daemon.name))
        self._settle(AgentEntry(spawned.state, follower=order.listener), spawned, first=(told,))

    def _spawned_before(self, order: Spawn, entry: AgentEntry) -> None:
        """The order came twice, or whoever gave it has crashed since."""
        entry = replace(entry, follower=order.listener)
        self._put_agent(entry)
        agent = entry.machine.agent
        daemon = self.state.daemons.get(agent.daemon_id)
        name = agent.daemon_id if daemon is None else daemon.daemon.name
        told = [Tell(order.listener, AgentSpawned(order.task_id, agent, name))]
        self._keep((), (*told, Tell(order.listener, AgentChanged(agent))))

    # -- what the user does -------------------------------------------------------------------------------

    def _kill(self, entry: AgentEntry | None, reply_to: ReplyTo[Any] | None) -> None:
        if entry is None:
            self._reply(reply_to, "unknown")
            return
        step = machine.step(entry.machine, machine.Killed(), self._moment_of(entry), self.settings)
        self._settle(entry, step, last=_reply(reply_to, "cancelled" if step.outcome == "taken" else "final"))

    def _answer(self, given: AnswerApproval, entry: AgentEntry | None) -> None:
        if entry is None:
            self._reply(given.reply_to, "unknown")
            return
        event = machine.Answered(
            approval_id=given.approval_id,
            decision=given.decision,
            choice=given.choice,
            message=given.message,
        )
        step = machine.step(entry.machine, event, self._moment_of(entry), self.settings)
        outcome = "taken" if step.outcome == "taken" else "stale"
        self.telemetry.info(
            "approval_answered",
            user=self.user_id,
            agent=given.agent_id,
            decision=given.decision,
            outcome=outcome,
        )
        self._settle(entry, step, last=_reply(given.reply_to, outcome))

    def _type(self, text: str, entry: AgentEntry | None) -> InputOutcome:
        if entry is None:
            return "unknown"
        agent = entry.machine.agent
        if entry.machine.is_final:
            return "final"
        if not self._is_online(agent.daemon_id):
            return "offline"
        self._order(agent.daemon_id, SendInput(agent_id=agent.agent_id, text=text))
        return "sent"

    def _reply(self, reply_to: ReplyTo[Any] | None, answer: object) -> None:
        if reply_to is not None:
            reply_to.tell(answer)

    # -- what the daemon says -----------------------------------------------------------------------------

    def _reported(self, said: Reported, entry: AgentEntry | None) -> None:
        if entry is None or entry.machine.agent.daemon_id != said.daemon_id:
            outcome: ReportOutcome = "unknown" if entry is None else "foreign"
            self.telemetry.warning(
                "report_refused", user=self.user_id, daemon=said.daemon_id, outcome=outcome
            )
            said.reply_to.tell(outcome)
            return
        self._active(said.daemon_id)
        if isinstance(said.report, LogReport):
            self._logged(said, said.report, entry)
            return
        step = machine.step(entry.machine, said.report, self._moment_of(entry), self.settings)
        self._settle(entry, step, last=_reply(said.reply_to, step.outcome))

    def _logged(self, said: Reported, report: LogReport, entry: AgentEntry) -> None:
        """A line is told at once and kept within `log_flush_s`: nobody decides anything by it."""
        if entry.machine.is_final:
            said.reply_to.tell("ignored")
            return
        line = AgentLogged(said.agent_id, report.type, report.content, self._wall_ms())
        if entry.log.is_kept:
            self.set_timer("logs", self.settings.log_flush_s, LogsDue())
        entry = replace(entry, log=log_ring.added(entry.log, line, self.settings.log_bytes))
        self._put_agent(entry)
        for listener in self.state.listeners:
            listener.tell(line)
        step = machine.step(entry.machine, machine.Mentioned(), self._moment_of(entry), self.settings)
        self._settle(entry, step)
        said.reply_to.tell("taken")

    def _acked(self, daemon_id: str, ack: AgentAck) -> None:
        event = machine.Acked(ack.status == "started", ack.error)
        self._about_own(daemon_id, ack.agent_id, event)

    def _about_own(self, daemon_id: str, agent_id: str, event: AgentEvent) -> None:
        """What a daemon says of an agent counts if the agent is its own."""
        entry = self.state.agents.get(agent_id)
        if entry is not None and entry.machine.agent.daemon_id == daemon_id:
            self._settle(entry, machine.step(entry.machine, event, self._moment_of(entry), self.settings))

    def _about_all_of(self, daemon_id: str, event: AgentEvent) -> None:
        for agent_id in tuple(self.state.agents):
            self._about_own(daemon_id, agent_id, event)

    # -- deadlines ----------------------------------------------------------------------------------------

    def _agents_due(self) -> None:
        for entry in tuple(self.state.agents.values()):
            due = machine.deadline(entry.machine)
            if due is not None and self.now >= due:
                step = machine.step(entry.machine, machine.Due(), self._moment_of(entry), self.settings)
                self._settle(entry, step)
        self._arm_agents()

    def _arm_agents(self) -> None:
        every = [machine.deadline(entry.machine) for entry in self.state.agents.values()]
        known = [one for one in every if one is not None]
        if known:
            self.set_timer("agents", max(0.0, min(known) - self.now), AgentsDue())
        else:
            self.cancel_timer("agents")

    def _logs_due(self) -> None:
        changes = []
        for entry in tuple(self.state.agents.values()):
            if not entry.log.is_kept:
                self._put_agent(replace(entry, log=replace(entry.log, is_kept=True)))
                changes.append(log_document(entry.machine.agent, entry.log))
        if changes:
            self._keep(changes)

    # -- questions ----------------------------------------------------------------------------------------

    def _list_agents(self, asked: ListAgents) -> None:
        live = {
            agent_id: entry.machine.agent
            for agent_id, entry in self.state.agents.items()
            if not (asked.only_unfinished and entry.machine.is_final)
        }
        if asked.only_unfinished:
            asked.reply_to.tell(_newest(live))
        else:
            self.start(self._list_kept, asked.reply_to, live, name="list agents")

    async def _list_kept(self, reply_to: ReplyTo[tuple[SubAgent, ...]], live: dict[str, SubAgent]) -> None:
        try:
            kept = await self.domain.ports.store.list_documents(AGENTS, self.user_id, LISTED)
            known = {one.key: read_agent(one.document)[0] for one in kept}
        except (StorageError, msgspec.DecodeError) as error:
            reply_to.fail(error)
        else:
            reply_to.tell(_newest(known | live))

    def _read_log(self, asked: ReadLog) -> None:
        entry = self.state.agents.get(asked.agent_id)
        if entry is not None:
            asked.reply_to.tell(entry.log.entries)
        else:
            self.start(self._read_kept_log, asked.agent_id, asked.reply_to, name="read log")

    async def _read_kept_log(self, agent_id: str, reply_to: ReplyTo[tuple[AgentLogged, ...] | None]) -> None:
        try:
            agent, log = await self._find(agent_id)
            if agent is None or agent.user_id != self.user_id:
                reply_to.tell(None)
            else:
                reply_to.tell(() if log is None else log_ring.decode(log.document).entries)
        except (StorageError, msgspec.DecodeError) as error:
            reply_to.fail(error)

    # -- performing ---------------------------------------------------------------------------------------

    def _settle(
        self,
        entry: AgentEntry,
        step: Step,
        *,
        first: tuple[After, ...] = (),
        last: tuple[After, ...] = (),
    ) -> None:
        """Keep what a step has changed, then tell everybody; or tell at once if it changed nothing."""
        before, state = entry.machine, step.state
        entry = replace(entry, machine=state)
        changes: list[DocumentChange] = []
        after: list[After] = list(first)
        is_new = state.agent.agent_id not in self.state.agents
        if is_new or state.agent != before.agent or state.answers != before.answers:
            changes.append(agent_document(state))
            after.append(Publish(AgentChanged(state.agent)))
        if state.is_final and not before.is_final:
            entry = replace(entry, log=replace(entry.log, is_kept=True))
            changes.append(log_document(state.agent, entry.log))
            changes += [KeepNewest(one, self.user_id, self.settings.agents_kept) for one in (AGENTS, LOGS)]
            self._log_end(state)
        self._put_agent(entry)
        after += [Order(state.agent.daemon_id, frame) for frame in step.frames]
        self._keep(changes, (*after, *last))
        self._arm_agents()

    def _log_end(self, state: AgentState) -> None:
        agent = state.agent
        self.telemetry.info(
            "agent_ended",
            user=self.user_id,
            agent=agent.agent_id,
            status=agent.status,
            # What a daemon says of it may be private: it is kept, and not logged.
            cause=agent.error if agent.error in machine.OUR_CAUSES else "",
            took_ms=agent.execution_time_ms,
        )

    def _put_agent(self, entry: AgentEntry) -> None:
        agents = {**self.state.agents, entry.machine.agent.agent_id: entry}
        self.state = replace(self.state, agents=agents)

    def _moment_of(self, entry: AgentEntry) -> machine.Moment:
        return self._moment(entry.machine.agent.daemon_id)


def _agent_of_task(task_id: str) -> str:
    """A task has one agent at most, and both ids say so: a second order finds the first one's agent."""
    return f"agent_{task_id.removeprefix('task_')}"


def _reply(reply_to: ReplyTo[Any] | None, answer: object) -> tuple[After, ...]:
    return () if reply_to is None else (Reply(reply_to, answer),)


def _newest(agents: Mapping[str, SubAgent]) -> tuple[SubAgent, ...]:
    every = sorted(agents.values(), key=lambda agent: (-agent.created_at, agent.agent_id))
    return tuple(every)
