"""The ledger: what is kept of each agent, on the disk before anybody is told.

One document an agent, written by this actor alone and one after another. It is what a daemon finds that
starts after a crash: agents that were cut off, outcomes that the server has not taken, and the ids of those
that are over.

A disk that takes no more refuses new agents. What is known of the others stays in memory and is written as
soon as that works again; their outcomes go to the server all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Actor, Ref, ReplyTo, RestartInfo

from .messages import (
    AgentRecord,
    CountRun,
    Enter,
    FindRecord,
    KeepOutcome,
    LedgerMessage,
    LedgerTick,
    ListRecords,
    OutboxMessage,
    OutcomeDelivered,
    OutcomeKept,
    RecordFailed,
    RecordsLoaded,
    RecordWritten,
)
from .parts import DaemonParts
from .ports import StateError

RETRY_S = 5.0
"""How long after a failed write the next attempt is made."""


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """A record to be written as it stands when its turn comes; removed where there is none.

    Attributes:
      entered, counted: who waits for it.
      tells_outcome: the outbox waits for it.
    """

    agent_id: str
    entered: ReplyTo[bool] | None = None
    counted: ReplyTo[AgentRecord] | None = None
    tells_outcome: bool = False


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """What it knows.

    Attributes:
      records: by agent id, the oldest first; None until they are read.
      unwritten: ids whose document on the disk is older than the record here.
    """

    records: Mapping[str, AgentRecord] | None = None
    waiting: tuple[Write, ...] = ()
    writing: Write | None = None
    unwritten: frozenset[str] = frozenset()


class Ledger(Actor[LedgerMessage]):
    """Writes records; tells the outbox of outcomes."""

    mailbox_size = 4096

    def __init__(
        self,
        *,
        parts: DaemonParts,
        outbox: Ref[OutboxMessage],
    ) -> None:
        super().__init__()
        self.folder = parts.folder
        self.outbox = outbox
        self.settings = parts.settings.agents
        self.telemetry = parts.telemetry
        self.state = LedgerState()

    def facts(self) -> Mapping[str, object]:
        records = self.state.records or {}
        return {
            "unfinished": sum(is_unfinished(record) for record in records.values()),
            "undelivered": sum(record.outcome is not None for record in records.values()),
            "unwritten": len(self.state.unwritten),
        }

    def started(self, restart: RestartInfo | None) -> None:
        state = self.state
        if state.records is None:
            self.start(self.folder.load, then=RecordsLoaded, name="load")
            return
        again = (*((state.writing,) if state.writing is not None else ()), *state.waiting)
        self.state = msgspec.structs.replace(state, writing=None, waiting=again)
        self._write_next()
        self._retry_later()
        for agent_id, record in state.records.items():
            if record.outcome is not None:  # that it was delivered may be what the crash lost
                self.outbox.tell(OutcomeKept(agent_id, record.outcome))

    def receive(self, message: LedgerMessage) -> None:
        if isinstance(message, RecordsLoaded):
            self._loaded(message.documents)
            return
        if self.state.records is None:
            self.stash()
            return
        match message:
            case Enter(record, reply_to):
                self._put(record, entered=reply_to)
                self._forget_the_oldest()
            case CountRun(agent_id, reply_to):
                self._count_run(agent_id, reply_to)
            case KeepOutcome():
                self._keep_outcome(message)
            case OutcomeDelivered(agent_id):
                record = self.state.records.get(agent_id)
                if record is not None:
                    self._put(msgspec.structs.replace(record, is_over=True, outcome=None))
            case FindRecord(agent_id, reply_to):
                reply_to.tell(self.state.records.get(agent_id))
            case ListRecords(reply_to):
                reply_to.tell(tuple(self.state.records.values()))
            case RecordWritten():
                self._written()
            case RecordFailed(error):
                self._not_written(error)
            case LedgerTick():
                for agent_id in sorted(self.state.unwritten):
                    self._enqueue(Write(agent_id=agent_id))
        self._write_next()

    # -- what is known ------------------------------------------------------------------------------------

    def _loaded(self, documents: Mapping[str, bytes]) -> None:
        records = []
        for key, body in documents.items():
            try:
                records.append(msgspec.json.decode(body, type=AgentRecord))
            except msgspec.DecodeError as error:
                self.telemetry.error("daemon_record_unreadable", key=key, cause=str(error))
        records.sort(key=lambda record: record.began_ms)
        by_id = {record.order.agent_id: record for record in records}
        self.state = msgspec.structs.replace(self.state, records=by_id)
        self.unstash()

    def _put(
        self,
        record: AgentRecord,
        *,
        entered: ReplyTo[bool] | None = None,
        counted: ReplyTo[AgentRecord] | None = None,
        tells_outcome: bool = False,
    ) -> None:
        agent_id = record.order.agent_id
        records = {**(self.state.records or {}), agent_id: record}
        self.state = msgspec.structs.replace(self.state, records=records)
        self._enqueue(Write(agent_id=agent_id, entered=entered, counted=counted, tells_outcome=tells_outcome))

    def _remove(self, agent_id: str) -> None:
        records = {known: record for known, record in (self.state.records or {}).items() if known != agent_id}
        self.state = msgspec.structs.replace(self.state, records=records)
        self._enqueue(Write(agent_id=agent_id))

    def _count_run(self, agent_id: str, reply_to: ReplyTo[AgentRecord]) -> None:
        record = (self.state.records or {}).get(agent_id)
        if record is None or not is_unfinished(record):
            reply_to.fail(StateError(f"there is no unfinished agent {agent_id}"))
            return
        self._put(msgspec.structs.replace(record, run=record.run + 1), counted=reply_to)

    def _keep_outcome(self, message: KeepOutcome) -> None:
        record = (self.state.records or {}).get(message.agent_id)
        if record is None or not is_unfinished(record):
            return
        self._put(msgspec.structs.replace(record, outcome=message.report), tells_outcome=True)

    def _forget_the_oldest(self) -> None:
        over = [agent_id for agent_id, record in (self.state.records or {}).items() if record.is_over]
        for agent_id in over[: max(0, len(over) - self.settings.remembered)]:
            self._remove(agent_id)

    # -- what is written ----------------------------------------------------------------------------------

    def _enqueue(self, write: Write) -> None:
        self.state = msgspec.structs.replace(self.state, waiting=(*self.state.waiting, write))

    def _write_next(self) -> None:
        state = self.state
        if state.writing is not None or not state.waiting or state.records is None:
            return
        write = state.waiting[0]
        self.state = msgspec.structs.replace(state, writing=write, waiting=state.waiting[1:])
        record = state.records.get(write.agent_id)
        body = None if record is None else msgspec.json.encode(record)
        self.start(
            self._store,
            write.agent_id,
            body,
            then=lambda _: RecordWritten(),
            failed=RecordFailed,
            name="write a record",
        )

    async def _store(self, agent_id: str, body: bytes | None) -> None:
        if body is None:
            await self.folder.remove(agent_id)
        else:
            await self.folder.put(agent_id, body)

    def _written(self) -> None:
        write, records = self.state.writing, self.state.records
        assert write is not None
        assert records is not None
        self.state = msgspec.structs.replace(
            self.state, writing=None, unwritten=self.state.unwritten - {write.agent_id}
        )
        record = records.get(write.agent_id)
        if write.entered is not None:
            write.entered.tell(True)
        if write.counted is not None and record is not None:
            write.counted.tell(record)
        self._tell_outcome(write)

    def _not_written(self, error: Exception) -> None:
        write = self.state.writing
        assert write is not None
        self.telemetry.error("daemon_record_not_written", agent=write.agent_id, cause=str(error))
        self.state = msgspec.structs.replace(self.state, writing=None)
        if write.entered is not None:
            write.entered.fail(error)
            # Whether anything of it is on the disk is not known; no later daemon may find it.
            self._remove(write.agent_id)
            return
        unwritten = self.state.unwritten | {write.agent_id}
        self.state = msgspec.structs.replace(self.state, unwritten=unwritten)
        if write.counted is not None:
            write.counted.fail(error)
        self._tell_outcome(write)
        self._retry_later()

    def _tell_outcome(self, write: Write) -> None:
        record = (self.state.records or {}).get(write.agent_id)
        if write.tells_outcome and record is not None and record.outcome is not None:
            self.outbox.tell(OutcomeKept(write.agent_id, record.outcome))

    def _retry_later(self) -> None:
        if self.state.unwritten:
            self.set_timer("retry", RETRY_S, LedgerTick())


def is_unfinished(record: AgentRecord) -> bool:
    """Whether the agent may still have something to do."""
    return not record.is_over and record.outcome is None
